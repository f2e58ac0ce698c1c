"""Layers that the codec and the latent GAN share: noise as an input, convolutions with the published initialiser."""

from __future__ import annotations

from typing import Any

import keras

HE_UNIFORM = "he_uniform"


@keras.saving.register_keras_serializable("musika")
class AddNoise(keras.layers.Layer):
    """Adds one column of a noise tensor, times a learned gain, to every channel: ``x + gain * noise``.

    The published graph draws this noise inside the layer. Here it is an input, so that networks are
    deterministic; zeros switch it off.

    Args:
        column: Which column of the noise tensor belongs to this layer.
        stride: Rows of the noise tensor between two steps of the features.
        **kwargs: Settings of every Keras layer.

    >>> layer = AddNoise(column=0, stride=2)
    >>> layer(keras.ops.ones((1, 4, 3)), keras.ops.ones((1, 8, 5))).shape == (1, 4, 3)
    True
    """

    def __init__(self, column: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.column = column
        self.stride = stride

    def build(self, features_shape: tuple, noise_shape: tuple) -> None:
        """Make the gain, zero at first as in the published graph."""
        self.gain = self.add_weight(shape=(1,), initializer="zeros", name="gain")

    def call(self, features: Any, noise: Any) -> Any:
        """Add the noise.

        Args:
            features: `(batch, steps, channels)`.
            noise: `(batch, steps * stride, columns)`.

        Returns:
            `(batch, steps, channels)`.
        """
        return features + self.gain * noise[:, :: self.stride, self.column : self.column + 1]

    def compute_output_shape(self, features_shape: tuple, noise_shape: tuple) -> tuple:
        """The shape of the features."""
        return features_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "column": self.column, "stride": self.stride}


class NoiseColumns:
    """Hands every noise layer of a network the next column of the network's noise tensor.

    Args:
        noise: The symbolic noise `(batch, steps, columns)`.
        dtype: Precision of the layers; None for Keras' global policy.

    Attributes:
        used: Number of columns handed out so far.
    """

    def __init__(self, noise: Any, dtype: str | None = None) -> None:
        self.noise = noise
        self.dtype = dtype
        self.used = 0

    def add(self, features: Any, name: str) -> Any:
        """Add the next column to the features, which may have a coarser time resolution than the noise.

        Args:
            features: Symbolic `(batch, steps / stride, channels)`, for any whole stride.
            name: Name of the layer.

        Returns:
            The sum, of the features' shape.
        """
        stride = self.noise.shape[1] // features.shape[1]
        layer = AddNoise(column=self.used, stride=stride, dtype=self.dtype, name=name)
        self.used += 1
        return layer(features, self.noise)


def convolution(
    channels: int,
    kernel: int,
    name: str,
    stride: int = 1,
    padding: str = "same",
    bias: bool = True,
    dtype: str | None = None,
) -> keras.layers.Layer:
    """A one-dimensional convolution with the published initialiser.

    Args:
        channels: Output channels.
        kernel: Steps that the kernel spans.
        name: Name of the layer.
        stride: Steps between two outputs.
        padding: ``same`` or ``valid``, as TensorFlow pads.
        bias: Whether a bias is added.
        dtype: Precision; None for Keras' global policy.

    Returns:
        The layer.
    """
    return keras.layers.Conv1D(
        channels,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=bias,
        kernel_initializer=HE_UNIFORM,
        dtype=dtype,
        name=name,
    )


def upsampling(channels: int, name: str, dtype: str | None = None) -> keras.layers.Layer:
    """The transposed convolution of the published graph: kernel 4, twice as many steps.

    Args:
        channels: Output channels.
        name: Name of the layer.
        dtype: Precision; None for Keras' global policy.

    Returns:
        The layer.
    """
    return keras.layers.Conv1DTranspose(
        channels, 4, strides=2, padding="same", kernel_initializer=HE_UNIFORM, dtype=dtype, name=name
    )
