"""Residual blocks and dense layers of the compact codec's networks."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


def dense(units: int, dtype: Any, scale: float = 1.0, **kwargs: Any) -> layers.Dense:
    """A dense layer that keeps variance, times a scale."""
    return layers.Dense(units, kernel_initializer=keras.initializers.VarianceScaling(scale), dtype=dtype, **kwargs)


def residual_blocks(count: int, width: int, dtype: Any, dilated: bool = True) -> list[ResidualBlock]:
    """Residual blocks, the next with twice the dilation."""
    return [
        ResidualBlock(width, 2**index if dilated else 1, dtype=dtype, name=f"block{index}") for index in range(count)
    ]


def rows(x: Any) -> Any:
    """All frames `(batch, frames, width)` as rows: a product and its bias are then one operation."""
    return ops.reshape(x, (-1, x.shape[-1]))


def build_in_order(shape: tuple, *parts: layers.Layer) -> tuple:
    """Make the weights of layers that follow one another, without tracing what they compute, as Keras would.

    Args:
        shape: Of what the first one takes, `(batch, time, width)`.
        *parts: The layers.

    Returns:
        The shape of what the last one gives.
    """
    for part in parts:
        part.build(shape)
        shape = part.compute_output_shape(shape)
    return shape


def normalised(x: Any, layer: layers.LayerNormalization) -> Any:
    """What the layer would give, by ``E[x^2] - E[x]^2``: on a CPU it takes half of the layer's own time."""
    values = ops.cast(x, "float32")
    mean = ops.mean(values, axis=-1, keepdims=True)
    variance = ops.maximum(ops.mean(ops.square(values), axis=-1, keepdims=True) - ops.square(mean), 0.0)
    size = ops.rsqrt(variance + layer.epsilon) * ops.cast(layer.gamma, "float32")
    return ops.cast((values - mean) * size + ops.cast(layer.beta, "float32"), x.dtype)


@keras.saving.register_keras_serializable("musika")
class ResidualBlock(layers.Layer):
    """``x + dense(silu(conv3(normalise(x))))`` with an output that starts small."""

    def __init__(self, width: int, dilation: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.normalise = layers.LayerNormalization(dtype=policy, name="normalise")
        self.convolve = layers.Conv1D(width, 3, dilation_rate=dilation, padding="same", dtype=policy, name="convolve")
        self.project = dense(width, policy, 0.1, name="project")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        build_in_order(shape, self.normalise, self.convolve, self.project)

    def compute_output_shape(self, shape: tuple) -> tuple:
        """The same shape."""
        return shape

    def call(self, x: Any) -> Any:
        """Map `(batch, time, width)` to the same shape."""
        return x + self.project(ops.silu(self.convolve(normalised(x, self.normalise))))
