"""Work side by side: in order, a few ahead, errors handed on."""

import itertools
import os
import threading

import pytest

from musika import threads


def test_results_come_in_order_and_items_are_taken_as_needed():
    taken = []

    def items():
        for item in itertools.count():
            taken.append(item)
            yield item

    results = threads.side_by_side(lambda item: item * item, items())
    assert [next(results) for _ in range(10)] == [item * item for item in range(10)]
    assert len(taken) <= 11 + threads.cores()
    results.close()


def test_work_is_done_side_by_side(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 3)
    meet = threading.Barrier(3, timeout=20)  # broken unless three are there at a time
    assert len(list(threads.side_by_side(lambda item: meet.wait(), range(6)))) == 6


def test_what_fails_is_handed_on_and_nothing_more_is_begun(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 1)
    begun = []

    def work(item):
        begun.append(item)
        return 1 // item

    with pytest.raises(ZeroDivisionError):
        list(threads.side_by_side(work, [1, 0, *range(1, 100)]))
    assert len(begun) < 5


def test_operations_keep_to_one_thread_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    threads.one_thread_an_operation()
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    threads.one_thread_an_operation()
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "7"
