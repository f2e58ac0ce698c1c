"""Loops that are compiled: for what NumPy would take many passes over memory, and one thread at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable)


def jit(function: Function) -> Function:
    """Compile a function of numbers and arrays when it is first called; other threads go on while it runs.

    What is compiled is kept beside the source file, or else in the user's cache, so that it is compiled once on a
    machine; where neither can be written to, once in each process.

    Args:
        function: The function, in what numba understands.

    Returns:
        The compiled one. Not-a-numbers are not looked after, and last bits may differ between kinds of processors.
    """
    return _compiled(function, {"nnan", "ninf", "nsz", "arcp", "contract"})


def jit_exactly(function: Function) -> Function:
    """As `jit`, but each operation is rounded as IEEE 754 says: the bytes are the same on every machine.

    Args:
        function: The function.

    Returns:
        The compiled one.
    """
    return _compiled(function, False)


def _compiled(function: Function, fast: set[str] | bool) -> Function:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fast}
    try:
        made: Any = numba.njit(function, cache=True, **options)
    except RuntimeError:  # no place to keep it
        made = numba.njit(function, **options)
    return made
