"""Keeping freed memory: the arrays of one block are those of the next."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 2**30


@functools.cache
def keep_freed_memory() -> bool:
    """Ask the C library to keep large freed arrays instead of giving them back to the system, once a process.

    Decoding makes the same arrays of some megabytes in every block. By default glibc maps each anew, and the system
    clears its pages: 5 to 8 % of the time of a render. The greatest memory of the process stays as it is.

    Returns:
        Whether the C library can be asked: glibc can.
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        return all(library.mallopt(name, _KEPT_BYTES) == 1 for name in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
    return False
