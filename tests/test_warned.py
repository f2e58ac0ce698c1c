import threading
import warnings

from musika.warned import collected


def test_threads_that_collect_warnings_leave_the_filters_as_they_were():
    before, inside, told = list(warnings.filters), threading.Event(), {}

    def collect(name, wait):
        with collected(UserWarning) as messages:
            inside.set()
            warnings.warn(name, UserWarning, stacklevel=2)
            wait.wait(0.1)
        told[name] = messages

    late = threading.Thread(target=collect, args=("late", threading.Event()))
    first = threading.Thread(target=collect, args=("first", threading.Event()))
    first.start()
    inside.wait()
    late.start()
    first.join()
    late.join()
    assert warnings.filters == before
    assert told == {"first": ["first"], "late": ["late"]}
