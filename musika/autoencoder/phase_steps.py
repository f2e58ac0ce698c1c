"""The steps of phase that a spectrogram tells: from frame to frame and from bin to bin.

How fast phase turns in a bin is its instantaneous frequency, how it changes over bins is how far from the middle of the
frame the sound lies. Both show in magnitudes (Prusa and Sondergaard, DAFx 2016, derive them for a Gaussian window); a
small network that knows the codec's music tells them better from latents.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from musika.autoencoder.residual import dense, residual_blocks, rows
from musika.config import Config


def centre_turn(config: Config, bins: int) -> np.ndarray:
    """How far a tone at each bin's centre turns from frame to frame.

    Args:
        config: The config.
        bins: Number of bins.

    Returns:
        Radians `(bins,)`, from 0 to 2 pi.
    """
    spectral = config.spectral
    return (2 * math.pi * ((np.arange(bins) * spectral.hop_length / spectral.fft_length) % 1.0)).astype("float32")


@keras.saving.register_keras_serializable("musika")
class PhaseSteps(layers.Layer):
    """Scaled level-1 latents and the decoder's hidden frames to the steps of the lowest bins.

    Phases are referred to the middle of the frame.
    """

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        widths = config.codec.compact
        self.bins = widths.phase_tracking
        self.turn = np.pad(centre_turn(config, self.bins), (0, self.bins))
        width = widths.phase_steps_width
        self.latents = layers.Conv1D(width, 3, padding="same", use_bias=False, dtype=dtype, name="latents")
        self.hidden = layers.Conv1D(width, 3, padding="same", dtype=dtype, name="hidden")
        self.blocks = residual_blocks(1, width, dtype)
        self.head = dense(widths.phase_steps_head, dtype, name="head")
        self.steps = dense(2 * self.bins, dtype, 0.1, name="steps")
        self.linear = dense(2 * self.bins, dtype, 0.1, use_bias=False, name="linear")

    def call(self, latents: Any, hidden: Any) -> Any:
        """Tell the steps.

        Args:
            latents: Scaled level-1 latents `(batch, frames, level1_channels)`.
            hidden: Hidden frames `(batch, frames, width)`.

        Returns:
            Steps `(batch, frames, 2 * bins)` in radians, float32: the phase of each bin minus that of the frame before,
            then that of the next bin minus its own.
        """
        linear = self.linear(rows(latents))  # both steps follow from slopes of the logarithmic magnitudes
        hidden = self.latents(latents) + self.hidden(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        wide = ops.silu(self.head(rows(hidden)))
        # in float32 what the network tells too: errors of the turn add up
        steps = ops.add(ops.cast(self.steps(wide) + linear, "float32"), self.turn)
        return ops.reshape(steps, (-1, hidden.shape[1], 2 * self.bins))
