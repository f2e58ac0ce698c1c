"""Hinge losses of generator and critic."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def real_hinge(scores: Tensor) -> Tensor:
    """What a critic loses on real examples: ``mean(max(0, 1 - score))``.

    Args:
        scores: The critic's scores of real examples, any shape.

    Returns:
        A scalar.

    >>> float(real_hinge([2.0, 0.5]))
    0.25
    """
    return ops.mean(ops.relu(1.0 - ops.convert_to_tensor(scores)))


def fake_hinge(scores: Tensor) -> Tensor:
    """What a critic loses on generated examples: ``mean(max(0, 1 + score))``.

    Args:
        scores: The critic's scores of generated examples, any shape.

    Returns:
        A scalar.

    >>> float(fake_hinge([-2.0, 0.5]))
    0.75
    """
    return ops.mean(ops.relu(1.0 + ops.convert_to_tensor(scores)))


def critic_hinge(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """The critic's hinge loss: the mean of both sides.

    Args:
        real_scores: Scores of real examples, any shape.
        fake_scores: Scores of generated examples, any shape.

    Returns:
        A scalar, ``(real_hinge + fake_hinge) / 2``.

    >>> float(critic_hinge([2.0, 0.5], [-2.0, 0.5]))
    0.5
    """
    return 0.5 * (real_hinge(real_scores) + fake_hinge(fake_scores))


def generator_hinge(fake_scores: Tensor) -> Tensor:
    """The generator's loss: minus the mean score of what it makes.

    Args:
        fake_scores: The critic's scores of generated examples, any shape.

    Returns:
        A scalar.

    >>> float(generator_hinge([-2.0, 0.5]))
    0.75
    """
    return -ops.mean(ops.convert_to_tensor(fake_scores))
