"""Weights of one network for another that was given more inputs."""

from __future__ import annotations

import keras
import numpy as np

from musika.checks import UserError

_FLATTENED = "start_dense/kernel"  # it sees its steps side by side, so each step's inputs grow


def take_over_weights(target: keras.Model, source: keras.Model) -> None:
    """Set a network's weights to those of another that has the same layers but fewer channels at its inputs.

    What the new channels (controls beside the coordinates, or beside the critic's latents) feed starts at zero, so the
    network begins by doing what the other one does. Channels come last in the inputs, only a critic's joints come after
    them, and are the only difference.

    Args:
        target: The network to set.
        source: The network to take from.

    Raises:
        UserError: If the networks differ in more than that.
    """
    if len(target.weights) != len(source.weights):
        raise UserError("the weights cannot be taken over: the networks have different layers. Train without --from.")
    joints, values = getattr(source, "joint_columns", 0), []
    if joints and joints != target.joint_columns:
        raise UserError(
            f"the weights cannot be taken over: that critic is shown {joints} channels of joints, this one"
            f" {target.joint_columns}. Set generator_training.critic_joints as it was, or train without --from."
        )
    for new, old in zip(target.weights, source.weights, strict=True):
        value = np.asarray(keras.ops.convert_to_numpy(old))
        if new.path.endswith(_FLATTENED) and value.shape != tuple(new.shape):
            steps = target.get_layer("start_flat").input.shape[1]
            value, shape = value.reshape(steps, -1, value.shape[-1]), (steps, new.shape[0] // steps, new.shape[1])
            values.append(widened(value, shape).reshape(tuple(new.shape)))
        else:
            values.append(widened(value, tuple(new.shape), joints))
    target.set_weights(values)


def widened(kernel: np.ndarray, shape: tuple[int, ...], last: int = 0) -> np.ndarray:
    """A kernel with zero rows for further inputs.

    Args:
        kernel: `(..., inputs, outputs)`.
        shape: The shape wanted. Only its last axis but one may be larger.
        last: How many inputs come after the further ones.

    Returns:
        The kernel in that shape.

    Raises:
        UserError: If the shapes do not fit so.

    >>> widened(np.ones((1, 2)), (2, 2)).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    if kernel.shape == shape:
        return kernel
    inputs = kernel.shape[-2] if kernel.ndim > 1 else 0
    if not inputs or inputs > shape[-2] or shape != (*kernel.shape[:-2], shape[-2], kernel.shape[-1]):
        raise UserError(
            f"the weights cannot be taken over: a kernel of shape {kernel.shape} does not fit into {shape}. Start from"
            " a preset with the same generator settings, or train without --from."
        )
    more = np.zeros((*shape[:-2], shape[-2] - kernel.shape[-2], shape[-1]), kernel.dtype)
    place = inputs - last
    return np.concatenate([kernel[..., :place, :], more, kernel[..., place:, :]], axis=-2)
