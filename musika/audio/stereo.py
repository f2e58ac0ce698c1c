"""Left and right, middle and side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def to_mid_side(values: Floats) -> Floats:
    """Middle and side of stereo channels.

    Args:
        values: `(..., 2 * channels)`, left channels first.

    Returns:
        The same shape: ``(left + right) / 2``, then ``(left - right) / 2``.

    >>> to_mid_side(np.array([3.0, 1.0])).tolist()
    [2.0, 1.0]
    """
    left, right = np.split(values, 2, axis=-1)
    return np.concatenate([(left + right) / 2, (left - right) / 2], axis=-1)


def from_mid_side(values: Floats) -> Floats:
    """Left and right of middle and side; undoes `to_mid_side`.

    Args:
        values: `(..., 2 * channels)`, middle channels first.

    Returns:
        The same shape, left channels first.

    >>> from_mid_side(np.array([2.0, 1.0])).tolist()
    [3.0, 1.0]
    """
    middle, side = np.split(values, 2, axis=-1)
    return np.concatenate([middle + side, middle - side], axis=-1)
