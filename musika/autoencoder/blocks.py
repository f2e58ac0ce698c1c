"""What the published encoders and decoders are built from: units of convolution, noise and swish, and block folding."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from musika.checks import UserError
from musika.config import Config
from musika.layers import NoiseColumns, convolution, upsampling


def fold_blocks(frames: Any, block: int) -> Any:
    """Move blocks of time into the batch, so that each is computed alone.

    Args:
        frames: `(batch, count * block, channels)`.
        block: Steps of a block.

    Returns:
        `(batch * count, block, channels)`.

    >>> fold_blocks(ops.zeros((2, 6, 5)), 3).shape == (4, 3, 5)
    True
    """
    return ops.reshape(frames, (-1, block, frames.shape[-1]))


@keras.saving.register_keras_serializable("musika")
class UnfoldBlocks(keras.layers.Layer):
    """Undoes ``fold_blocks``, after the blocks' length and channels may have changed.

    >>> UnfoldBlocks()(ops.zeros((4, 1, 7)), ops.zeros((2, 6, 5))).shape == (2, 2, 7)
    True
    """

    def call(self, blocks: Any, like: Any) -> Any:
        """Join the blocks in time again.

        Args:
            blocks: `(batch * count, steps, channels)`.
            like: A tensor whose first axis is the batch.

        Returns:
            `(batch, count * steps, channels)`.
        """
        return ops.reshape(blocks, (ops.shape(like)[0], -1, blocks.shape[-1]))

    def compute_output_shape(self, blocks_shape: tuple, like_shape: tuple) -> tuple:
        """The batch of ``like``, any number of steps, and the channels of the blocks."""
        return (like_shape[0], None, blocks_shape[-1])


class Units:
    """Makes units of a published network: convolution -> noise, where the network has any -> swish.

    Args:
        noise: Symbolic noise `(batch, steps, columns)`; None for a network without.
        dtype: Precision of the layers; None for Keras' global policy.

    Attributes:
        noise_layers: Number of noise columns used so far.
    """

    def __init__(self, noise: Any = None, dtype: str | None = None) -> None:
        self.columns = None if noise is None else NoiseColumns(noise, dtype)
        self.dtype = dtype

    @property
    def noise_layers(self) -> int:
        """Number of noise columns used so far."""
        return 0 if self.columns is None else self.columns.used

    def _finish(self, features: Any, name: str) -> Any:
        if self.columns is not None:
            features = self.columns.add(features, f"{name}_noise")
        return ops.silu(features)

    def flat(
        self, features: Any, channels: int, name: str, kernel: int = 3, stride: int = 1, padding: str = "same"
    ) -> Any:
        """A unit that keeps or reduces the steps.

        Args:
            features: Symbolic `(batch, steps, channels)`.
            channels: Output channels.
            name: Name of the unit; its layers are ``name_conv`` and ``name_noise``.
            kernel: Steps that the kernel spans.
            stride: Steps between two outputs.
            padding: ``same`` or ``valid``.

        Returns:
            The symbolic output.
        """
        layer = convolution(channels, kernel, f"{name}_conv", stride=stride, padding=padding, dtype=self.dtype)
        return self._finish(layer(features), name)

    def up(self, features: Any, channels: int, name: str) -> Any:
        """A unit that doubles the steps.

        Args:
            features: Symbolic `(batch, steps, channels)`.
            channels: Output channels.
            name: Name of the unit; its layers are ``name_conv`` and ``name_noise``.

        Returns:
            The symbolic output `(batch, 2 * steps, channels)`.
        """
        return self._finish(upsampling(channels, f"{name}_conv", self.dtype)(features), name)


def check_published(config: Config) -> None:
    """Check that the published codec can be built with a config's sizes.

    Args:
        config: The config.

    Raises:
        UserError: If a size does not fit.
    """
    hop, codec = config.spectral.hop_length, config.codec
    if hop < 4 or hop % 4:
        raise UserError(f"spectral.hop_length must be a multiple of 4 in the published graph. Received: {hop}")
    if codec.frames_per_latent != 16:
        raise UserError(
            "codec.frames_per_latent must be 16 in the published graph. "
            f"Received: frames_per_latent={codec.frames_per_latent}"
        )
    if codec.decoder_frames < 16 or codec.decoder_frames % 16:
        raise UserError(
            "codec.decoder_frames must be a multiple of 16 in the published graph. "
            f"Received: decoder_frames={codec.decoder_frames}"
        )
