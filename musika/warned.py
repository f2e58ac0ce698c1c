"""Warnings, collected: what Python does with them is set for a whole process, so one thread at a time may change it."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.RLock()


@contextlib.contextmanager
def collected(kind: type[Warning] = Warning) -> Iterator[list[str]]:
    """Collect warnings instead of showing them.

    Args:
        kind: Of which every one counts; of others those that Python would show.

    Yields:
        A list that holds each message once when the block has ended.

    >>> with collected(UserWarning) as messages:
    ...     warnings.warn("too fast", UserWarning)
    >>> messages
    ['too fast']
    """
    messages: list[str] = []
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", kind)
        yield messages
        messages += dict.fromkeys(str(warning.message) for warning in caught)
