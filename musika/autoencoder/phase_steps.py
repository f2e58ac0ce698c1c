"""The steps of phase that a spectrogram tells: from frame to frame and from bin to bin.

How fast phase turns in a bin is its instantaneous frequency, how it changes over bins is how far from the middle of the
frame the sound lies. Both follow from slopes of logarithmic magnitudes, exactly so for a Gaussian window (Prusa and
Sondergaard, DAFx 2016); what tones side by side, noise and a codec's errors make of that, a small network corrects.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from musika.autoencoder.residual import build_in_order, dense, residual_blocks, rows
from musika.config import Config

_HANN_SPREAD = 0.25645  # gamma of the Gaussian nearest to a Hann window, in units of its length squared (same source)
_LEVEL_SCALE = 0.3  # natural logarithms of magnitudes to about unit variance
_SMALL = 0.01  # variance scale: at first the steps are those of the slopes


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


def slopes_of(level: Any, advance_a_neper: float, numbers: Any = ops) -> Any:
    """The steps that follow from slopes of logarithmic magnitudes.

    Args:
        level: Natural logarithms of magnitudes `(batch, frames, bins + 1)`, from 0 Hz on.
        advance_a_neper: How far the phase turns in a frame, beyond the turn of the bin's centre, where the magnitude
            rises by one neper a bin; over bins it turns by its inverse where that falls by one neper a frame.
        numbers: What computes: ``keras.ops`` or NumPy.

    Returns:
        Steps `(batch, frames, 2 * bins)` in radians, as from `full_steps`, but for the turn of the bins' centres.
    """
    over_bins = numbers.concatenate([level[..., 1:2], level], axis=-1)  # below 0 Hz lies its mirror image
    over_bins = (over_bins[..., 2:] - over_bins[..., :-2]) * (advance_a_neper / 4)
    over_time = numbers.concatenate([level[:, :1], level, level[:, -1:]], axis=1)
    over_time = (over_time[:, :-2] - over_time[:, 2:]) * (1 / (4 * advance_a_neper))
    advance = over_bins + numbers.concatenate([over_bins[:, :1], over_bins[:, :-1]], axis=1)
    return numbers.concatenate([advance, over_time[..., :-1] + over_time[..., 1:]], axis=-1)


def full_steps(level: Any, told: Any, turn: np.ndarray, advance_a_neper: float, trust: Any, numbers: Any = ops) -> Any:
    """Steps of phase, of what follows from magnitudes and of what a network tells.

    Args:
        level: See `slopes_of`.
        told: By how much slopes err, `(batch, frames, 2 * bins)` in radians.
        turn: How far the centres of bins turn, `(2 * bins,)`.
        advance_a_neper: See `slopes_of`.
        trust: What slopes are multiplied by, `(2 * bins,)`.
        numbers: See `slopes_of`.

    Returns:
        Steps `(batch, frames, 2 * bins)` in radians: the phase of each bin minus that of the frame before, then that of
        the next bin minus its own.
    """
    return slopes_of(level, advance_a_neper, numbers) * trust + numbers.add(told, turn)


@keras.saving.register_keras_serializable("musika")
class PhaseSteps(layers.Layer):
    """Log-magnitudes of the lowest bins and the decoder's hidden frames to what corrects the steps of those bins.

    Phases are referred to the middle of the frame.
    """

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, autocast=False, **kwargs)  # levels come in float32
        widths, spectral = config.codec.compact, config.spectral
        self.bins = widths.phase_tracking
        self.turn = np.pad(centre_turn(config, self.bins), (0, self.bins))
        self.advance_a_neper = spectral.hop_length / (_HANN_SPREAD * spectral.fft_length)
        width = widths.phase_steps_width
        self.level = layers.Conv1D(width, 3, padding="same", use_bias=False, dtype=dtype, name="level")
        self.hidden = layers.Conv1D(width, 3, padding="same", dtype=dtype, name="hidden")
        self.blocks = residual_blocks(1, width, dtype)
        self.head = dense(widths.phase_steps_head, dtype, name="head")
        self.steps = dense(2 * self.bins, dtype, _SMALL, name="steps")
        self.trust = self.add_weight(shape=(2 * self.bins,), initializer="ones", name="trust")

    def build(self, level_shape: tuple, hidden_shape: tuple) -> None:
        """Make the weights."""
        self.level.build(level_shape)
        build_in_order(hidden_shape, self.hidden, *self.blocks, self.head, self.steps)

    def call(self, level: Any, hidden: Any) -> Any:
        """Tell by how much the slopes of levels err.

        Args:
            level: Natural logarithms of magnitudes `(batch, frames, bins + 1)`, float32.
            hidden: Hidden frames `(batch, frames, width)`.

        Returns:
            What `steps_of` takes, `(batch, frames, 2 * bins)` in radians, of the network's type.
        """
        hidden = self.level(ops.cast(level * _LEVEL_SCALE, self.compute_dtype)) + self.hidden(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        told = self.steps(ops.silu(self.head(rows(hidden))))
        return ops.reshape(told, (-1, hidden.shape[1], 2 * self.bins))

    def steps_of(self, level: Any, told: Any) -> Any:
        """Steps of phase, see `full_steps`, float32.

        Args:
            level: As for `call`.
            told: What `call` gives.

        Returns:
            Steps `(batch, frames, 2 * bins)` in radians.
        """
        trust = ops.cast(self.trust, "float32")
        return full_steps(level, ops.cast(told, "float32"), self.turn, self.advance_a_neper, trust)
