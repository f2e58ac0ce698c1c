"""Folding long sequences into batches of blocks, and cutting work into pieces of one shape.

Networks that treat a sequence block by block do so in the batch axis: `fold_time` puts the blocks there and
`unfold_time` takes them back. Both work on NumPy arrays and on Keras tensors.

    >>> import numpy as np
    >>> x = np.arange(12).reshape(1, 6, 2)
    >>> fold_time(x, 3).shape
    (2, 3, 2)
    >>> bool((unfold_time(fold_time(x, 3), 2) == x).all())
    True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from musika.checks import UserError


def _reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """Reshape a NumPy array or a Keras tensor."""
    if isinstance(x, np.ndarray):
        return x.reshape(shape)
    from keras import ops

    return ops.reshape(x, shape)


def fold_time(x: Any, length: int) -> Any:
    """Cut a sequence into blocks that lie in the batch axis, the blocks of an item after one another.

    Args:
        x: Array or tensor of shape ``(batch, time, channels)``; ``time`` must be known and a multiple of ``length``.
        length: Time steps of a block.

    Returns:
        Array or tensor of shape ``(batch * time / length, length, channels)``.

    Raises:
        UserError: If the time axis is not a multiple of ``length``.
    """
    time, channels = x.shape[1], x.shape[2]
    if length < 1 or time is None or time % length:
        raise UserError(
            f"fold_time: the time axis must be known and a multiple of {length}; use pad_to_multiple."
            f" Received: shape {tuple(x.shape)}"
        )
    return _reshape(x, (-1, length, channels))


def unfold_time(x: Any, blocks: int) -> Any:
    """Join again what `fold_time` cut.

    Args:
        x: Array or tensor of shape ``(batch * blocks, length, channels)``.
        blocks: Blocks of an item.

    Returns:
        Array or tensor of shape ``(batch, blocks * length, channels)``.
    """
    return _reshape(x, (-1, blocks * x.shape[1], x.shape[2]))


def pad_to_multiple(x: np.ndarray, multiple: int, axis: int = 0) -> np.ndarray:
    """Pad an axis with zeros at its end, up to the next multiple.

    Args:
        x: Array of any shape.
        multiple: The length of the axis becomes a multiple of this.
        axis: The axis.

    Returns:
        The array itself if nothing is missing, else a padded copy.

    >>> pad_to_multiple(np.ones(5), 4).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    missing = -x.shape[axis] % multiple
    if not missing:
        return x
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, missing)
    return np.pad(x, widths)


def map_batches(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, batch: int) -> np.ndarray:
    """Apply a function to pieces of one batch size, the last one filled up with zeros.

    A compiled network sees one shape only, so it is traced once and an item's result does not depend on how many
    others there are.

    Args:
        function: Maps ``(batch, ...)`` to ``(batch, ...)``.
        x: Array of shape ``(items, ...)``, at least one item.
        batch: Items of a piece.

    Returns:
        The results, ``(items, ...)``.

    >>> map_batches(lambda part: part + len(part), np.zeros(3), 2).tolist()
    [2.0, 2.0, 2.0]
    """
    padded = pad_to_multiple(x, batch)
    parts = [function(padded[start : start + batch]) for start in range(0, len(padded), batch)]
    return np.concatenate(parts)[: len(x)]
