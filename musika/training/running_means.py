"""Running means over batches of what a generator makes, and which windows count in them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from musika.training.autodiff import mean_over_replicas

Tensor = Any

DECAY = 0.99  # of running means: those of the last hundred batches


class RunningMeans(keras.Model):
    """A part of a training's losses that remembers means over the last batches: a matching.

    It compares what the generator makes with the training music. A call gives the loss, a distance that says how far
    the running means are from the music's, and what its method ``follow`` is to move them by.
    One that remembers more than a single variable has a ``follow`` of its own.
    """

    def compare(self, made: Tensor, fake: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Call it on what it looks at of a training step.

        Args:
            made: Generated windows, `(batch, window, channels)`.
            fake: The same as the critic is shown them, with their noise and what is cut out.
            batch: The step's batch, see `musika.training.latent_gan.LatentGan`.

        Returns:
            What the call gives; here that of the generated windows alone.
        """
        return self(made)

    def follow(self, found: Tensor) -> None:
        """Move the running means by one batch.

        Args:
            found: The third of what a call gives.
        """
        (running,) = self.weights
        running.assign(moved(running.value, mean_over_replicas(found)))

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
