"""The layers of the latent GAN: adaptive normalisation by the coordinates, and the shuffle of channels into time."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from musika.layers import HE_UNIFORM

EPSILON = 1e-5  # added to the standard deviation, as published
LEAST_VARIANCE = 1e-14  # the square root's gradient is infinite at zero; far below EPSILON squared


@keras.saving.register_keras_serializable("musika")
class AdaptiveNorm(keras.layers.Layer):
    """AdaIN of the published graph: divide by the deviation over time, multiply by a projection of the coordinates.

    ``x / (std(x) + 1e-5) * scale(condition)``: no mean is subtracted. With ``shift`` a second projection is
    added; its scale then starts around one, not around zero, so that every channel is heard from the start.

    Args:
        shift: Whether a projection of the condition is also added.
        **kwargs: Settings of every Keras layer.

    >>> layer = AdaptiveNorm()
    >>> layer(ops.ones((1, 4, 3)), ops.ones((1, 4, 2))).shape == (1, 4, 3)
    True
    """

    def __init__(self, shift: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shift = shift

    def build(self, features_shape: tuple, condition_shape: tuple) -> None:
        """Make the projections."""
        shape = (condition_shape[-1], features_shape[-1])
        start = "glorot_uniform" if self.shift else HE_UNIFORM
        self.scale_kernel = self.add_weight(shape=shape, initializer=start, name="scale_kernel")
        self.scale_bias = self.add_weight(
            shape=shape[1:], initializer="ones" if self.shift else "zeros", name="scale_bias"
        )
        if self.shift:
            self.shift_kernel = self.add_weight(shape=shape, initializer=start, name="shift_kernel")
            self.shift_bias = self.add_weight(shape=shape[1:], initializer="zeros", name="shift_bias")

    def call(self, features: Any, condition: Any) -> Any:
        """Normalise.

        Args:
            features: `(batch, steps, channels)`.
            condition: `(batch, steps, condition channels)`.

        Returns:
            `(batch, steps, channels)`.
        """
        exact = ops.cast(features, "float32")
        variance = ops.mean(ops.square(exact - ops.mean(exact, axis=1, keepdims=True)), axis=1, keepdims=True)
        deviation = ops.sqrt(ops.maximum(variance, LEAST_VARIANCE)) + EPSILON
        normal = ops.cast(exact / deviation, features.dtype)
        normal = normal * (ops.matmul(condition, self.scale_kernel) + self.scale_bias)
        if self.shift:
            normal = normal + ops.matmul(condition, self.shift_kernel) + self.shift_bias
        return normal

    def compute_output_shape(self, features_shape: tuple, condition_shape: tuple) -> tuple:
        """The shape of the features."""
        return features_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "shift": self.shift}


def shuffle_to_time(features: Any) -> Any:
    """Halve the channels and double the steps: ``out[2 * t + j, i] = in[t, 2 * i + j]``.

    Args:
        features: `(batch, steps, channels)` with known steps and channels, the latter even.

    Returns:
        `(batch, 2 * steps, channels / 2)`.

    >>> ops.convert_to_numpy(shuffle_to_time(ops.reshape(ops.arange(4), (1, 1, 4)))).tolist()
    [[[0, 2], [1, 3]]]
    """
    steps, channels = features.shape[1:]
    pairs = ops.reshape(features, (-1, steps, channels // 2, 2))
    return ops.reshape(ops.transpose(pairs, (0, 1, 3, 2)), (-1, 2 * steps, channels // 2))


def halve_time(features: Any, name: str, dtype: str | None = None) -> Any:
    """Average neighbouring steps, two by two.

    Args:
        features: Symbolic `(batch, steps, channels)`.
        name: Name of the layer.
        dtype: Precision; None for Keras' global policy.

    Returns:
        Symbolic `(batch, steps / 2, channels)`.
    """
    return keras.layers.AveragePooling1D(2, padding="same", dtype=dtype, name=name)(features)
