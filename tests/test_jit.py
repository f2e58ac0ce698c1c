"""Compiled loops: what Python gives, kept on disk where that can be, and compiled without where it cannot."""

import numba
import numpy as np

from musika import jit


def _sums(values):
    total = np.empty_like(values)
    last = np.float32(0.0)
    for index in range(len(values)):
        last += values[index]
        total[index] = last
    return total


def test_a_compiled_loop_gives_what_python_gives():
    values = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    np.testing.assert_array_equal(jit.jit(_sums)(values), _sums(values))


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch):
    njit = numba.njit

    def without_a_place(function, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", without_a_place)
    np.testing.assert_array_equal(jit.jit(_sums)(np.ones(3, np.float32)), [1, 2, 3])
