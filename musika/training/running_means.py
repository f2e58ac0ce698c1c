"""Running means over batches of what a generator makes, and which windows count in them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any

DECAY = 0.99  # of running means: those of the last hundred batches


class RunningMeans(keras.Model):
    """A part of a training's losses that remembers means over the last batches."""

    def _running(self, name: str, initial: np.ndarray) -> keras.Variable:
        """A variable that the optimiser leaves alone."""
        return self.add_weight(
            shape=initial.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(initial, dtype=dtype),
            trainable=False,
            name=name,
            dtype="float32",
            aggregation="mean",
        )


def moved(running: Tensor, found: Tensor) -> Tensor:
    """A running mean, one batch later.

    Args:
        running: The running mean.
        found: The batch's own mean.

    Returns:
        The new value.
    """
    return DECAY * running + (1.0 - DECAY) * found


def told_windows(conditions: Tensor) -> Tensor:
    """Which windows are told anything.

    Args:
        conditions: What windows are told, `(batch, window, columns)`; all zeros is nothing.

    Returns:
        1 or 0, float32 `(batch,)`.
    """
    return ops.cast(ops.any(ops.not_equal(conditions, 0.0), axis=(1, 2)), "float32")
