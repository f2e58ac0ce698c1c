"""Importing the networks' framework without the lines that it writes to the terminal by itself."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from musika.checks import UserError


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere: libraries in C++ write to it past ``sys.stderr``."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def import_keras() -> None:
    """Import Keras and its backend.

    Raises:
        UserError: If the backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _silent_stderr():
            import keras  # noqa: F401
    except ImportError as error:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise UserError(
            f"Keras' backend {backend!r} cannot be imported ({error}). Install it with `pip install {backend}`, or set"
            " the environment variable KERAS_BACKEND to one that is installed (tensorflow, torch)."
        ) from None
    # It warns of retracing when a process has built half a dozen graphs, each of which is traced once.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
