"""The exponential moving average of a network's weights, from which music is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from musika.training.several import assign_everywhere

Tensor = Any

# Warm-up: after n steps the decay is at most 1 - 1 / (n / 10 + 2). It starts at 0.5, so the random initial weights
# are forgotten at once, and passes 0.999 after about 10,000 steps.
WARM_UP = 0.1


def ema_decay(step: Tensor, limit: float) -> Tensor:
    """The average's decay at a step.

    Args:
        step: Steps done so far, 0 at the first.
        limit: The decay that is reached in the end.

    Returns:
        ``min(limit, 1 - 1 / (0.1 * step + 2))``, float32.

    >>> float(ema_decay(0, 0.999)), round(float(ema_decay(100_000, 0.999)), 6)
    (0.5, 0.999)
    """
    step = ops.cast(step, "float32")
    return ops.minimum(limit, 1.0 - 1.0 / (WARM_UP * step + 2.0))


def update_average(average: Sequence[keras.Variable], source: Sequence[keras.Variable], decay: Tensor) -> None:
    """Move an average towards its source: ``average = decay * average + (1 - decay) * source``.

    Args:
        average: The average's variables.
        source: The trained network's variables, in the same order.
        decay: How much of the average stays.
    """
    assign_everywhere(average, source, lambda mean, value: mean + (1.0 - decay) * (value - mean))
