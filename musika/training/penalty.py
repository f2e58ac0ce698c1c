"""The gradient penalty on real examples (R1) and its adaptive weight.

The penalty is ``weight * E ||grad D(x)||^2`` over real ``x`` (Mescheder et al. 2018, "Which Training Methods for GANs
do actually Converge?", equation 9, there with weight ``gamma / 2``). As in the published training its weight is a
maximum times a factor in [0, 1] that grows while the critic is nearly certain and falls otherwise.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any

# The published training's limit: with a mean score margin above 0.9 of the hinge's full margin (2) the critic is
# nearly certain, so it learns too fast for the generator and is held back harder.
CERTAIN = 0.9


def squared_slope(slope: Tensor) -> Tensor:
    """The mean over a batch of the squared norm of each example's gradient.

    Args:
        slope: The critic's gradient by its input, `(batch, ...)`.

    Returns:
        A float32 scalar, ``E ||slope||^2``.

    >>> float(squared_slope([[3.0, 4.0], [0.0, 1.0]]))
    13.0
    """
    slope = ops.cast(slope, "float32")
    axes = tuple(range(1, len(slope.shape)))
    return ops.mean(ops.sum(ops.square(slope), axis=axes))


def certainty(real_mean: Tensor, fake_mean: Tensor) -> Tensor:
    """How certain the critic is: the margin between its mean scores, as a share of the hinge's full margin.

    Args:
        real_mean: Mean score of real examples.
        fake_mean: Mean score of generated examples.

    Returns:
        ``clip(real_mean - fake_mean, 0, 2) / 2``.

    >>> float(certainty(1.5, 0.5))
    0.5
    """
    return ops.clip(ops.convert_to_tensor(real_mean, "float32") - fake_mean, 0.0, 2.0) / 2.0


def next_factor(factor: Tensor, real_mean: Tensor, fake_mean: Tensor, step: float, certain: float = CERTAIN) -> Tensor:
    """The penalty's factor after one training step.

    Args:
        factor: The factor now, from 0 to 1.
        real_mean: Mean score of real examples at this step.
        fake_mean: Mean score of generated examples at this step.
        step: How far the factor moves.
        certain: Certainty from which the critic is held back harder.

    Returns:
        The factor plus ``step`` when the critic's certainty exceeds ``certain``, minus ``step`` otherwise, kept in
        [0, 1].

    >>> round(float(next_factor(0.5, 1.0, -1.0, 0.25)), 3), round(float(next_factor(0.5, 1.0, 1.0, 0.25)), 3)
    (0.75, 0.25)
    """
    move = ops.where(certainty(real_mean, fake_mean) > certain, step, -step)
    return ops.clip(factor + move, 0.0, 1.0)
