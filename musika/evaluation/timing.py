"""Times of repeated runs, and what they say of speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def timed(work: Callable[[], Any], repeats: int) -> list[float]:
    """Time some runs, after one that is not counted.

    Args:
        work: What to run.
        repeats: How many runs count.

    Returns:
        Seconds that each took.
    """
    work()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return taken


def times_real_time(seconds: float, taken: list[float]) -> dict[str, float]:
    """Say how fast audio was made.

    Args:
        seconds: Length of the audio.
        taken: Seconds that each run took.

    Returns:
        ``median`` of the runs and ``p95``, which 95 % of them reach, in times real time; the median's ``seconds``.
    """
    median, slow = (float(value) for value in np.percentile(taken, [50, 95]))
    return {"median": round(seconds / median, 2), "p95": round(seconds / slow, 2), "seconds": round(median, 3)}
