"""What the compact codec's principal components see: emphasised, soft-floored, weighted log-magnitudes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from musika.config import Config

_EMPHASIS_CORNER_HZ = 300.0  # pre-emphasis of about 3.6 dB an octave above it, as hearing weighs broadband noise
_EMPHASIS_TOP_HZ = 12000.0
_EMPHASIS_POWER = 0.3
_WEIGHT_CORNER_HZ = 1500.0  # bins above it are many and weigh less each
LOUDEST = 12.0  # where there is no ceiling: keeps exponentials finite


def bin_frequencies(config: Config) -> np.ndarray:
    """Centre frequencies of the bins.

    Args:
        config: The config.

    Returns:
        Array `(bins,)` in Hz.
    """
    return np.arange(config.spectral.bins) * config.sample_rate / config.spectral.fft_length


def emphasis(config: Config) -> np.ndarray:
    """Pre-emphasis of each bin.

    Args:
        config: The config.

    Returns:
        Array `(bins,)`, natural logarithm of an amplitude factor.
    """
    frequency = np.minimum(bin_frequencies(config), _EMPHASIS_TOP_HZ)
    return (_EMPHASIS_POWER * np.log1p((frequency / _EMPHASIS_CORNER_HZ) ** 2)).astype("float32")


def bin_weights(config: Config) -> np.ndarray:
    """Weight of each bin in the principal components.

    Args:
        config: The config.

    Returns:
        Array `(bins,)`, 1 at 0 Hz and falling.
    """
    return np.sqrt(1.0 / (1.0 + bin_frequencies(config) / _WEIGHT_CORNER_HZ)).astype("float32")


class SoftFloor:
    """The map between scaled log-magnitudes and what the principal components see.

    ``y = weight * ln(amplitude * emphasis + floor)``; backwards the floor is taken off softly.
    """

    def __init__(self, config: Config):
        spectral = config.spectral
        self.scale = spectral.level_scale_db * math.log(10) / 20
        self.offset = spectral.level_offset_db * math.log(10) / 20
        self.floor = config.codec.compact.floor_db * math.log(10) / 20
        self.emphasis = emphasis(config)
        self.weights = bin_weights(config)
        self.inverse_weights = 1.0 / self.weights
        self.amplitude_scale = (0.5 * np.exp(self.floor - self.emphasis)).astype("float32")

    def forward(self, level: Any) -> Any:
        """Scaled log-magnitudes `(..., bins)` to weighted soft-floored ones."""
        amplitude = ops.exp(ops.add(level * self.scale + self.offset, self.emphasis))
        return ops.multiply(ops.log(amplitude + math.exp(self.floor)), self.weights)

    def backward(self, value: Any, limit: Any = LOUDEST) -> Any:
        """The inverse of `forward` up to a limit; the soft floor keeps amplitudes above 0 and differentiable."""
        floor = math.exp(self.floor)
        above = ops.exp(ops.minimum(ops.multiply(value, self.inverse_weights), limit)) * (1.0 / floor) - 1.0
        return ops.multiply(above + ops.sqrt(above * above + 0.01), self.amplitude_scale)

    def level(self, amplitude: Any) -> Any:
        """Scaled log-magnitudes of amplitudes."""
        return (ops.log(amplitude) - self.offset) * (1.0 / self.scale)
