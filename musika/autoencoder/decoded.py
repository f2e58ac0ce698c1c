"""What the decoders give of a block, and what becomes of it: arrays `(2, frames, ...)` of left and right.

Compact decoders give weighted levels, both parts of the phasors and what phases are tracked by, published ones scaled
log-magnitudes and phase; where phases were refined afterwards it is the spectrum alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.audio import spectral
from musika.audio.limiter import soft_limit
from musika.autoencoder.graphs import composes
from musika.config import SpectralConfig

Parts = tuple[NDArray, ...]
Spectrum = NDArray[np.complex64]


def waveform_of(parts: Parts, decoder: Any, settings: SpectralConfig) -> NDArray[np.float32]:
    """Make the waveform.

    Args:
        parts: See the module.
        decoder: The level-1 decoder.
        settings: The transform.

    Returns:
        Waveform of ``frames * hop_length + overlap`` samples, `(samples, 2)`, not limited.
    """
    if len(parts) == 1:
        return spectral.synthesise(parts[0], settings)
    if len(parts) == 2:
        return spectral.synthesise_scaled(*parts, settings)
    composer, (channels, frames) = decoder.composer(), parts[0].shape[:2]
    sides = (0, 0) if _alike(parts) else (1, -1)
    parts = composer.track(parts)

    def spectrum_of_chunk(channel: int, chunk: slice) -> Spectrum:
        """The spectrum of some frames of a channel."""
        return composer.compose(*(part[channel, chunk] for part in parts), side=sides[channel])

    return spectral.synthesise_by(spectrum_of_chunk, channels, frames, settings)


def _alike(parts: Parts) -> bool:
    """Whether left and right are one channel twice, or there is one only."""
    if len(parts[0]) == 1:
        return True
    # That the first frames are equal is soon seen; only then are all looked at.
    return all(np.array_equal(left[:count], right[:count]) for count in (1, None) for left, right in parts)


def compile_ahead(decoder: Any, settings: SpectralConfig) -> None:
    """Have what `waveform_of` and the limiter compile compiled, on silence, as may be done while a graph is built.

    Args:
        decoder: The level-1 decoder.
        settings: The transform.
    """
    soft_limit(np.zeros((2, 3), np.float32).T[:2])
    if composes(decoder):
        steps = 2 * decoder.tracked
        widths = [settings.bins, *2 * [settings.bins - decoder.recurrent], 2 * decoder.recurrent, steps]
        waveform_of(tuple(np.zeros((2, 2, width), np.float32) for width in widths if width), decoder, settings)


def spectrum_of(parts: Parts, decoder: Any, settings: SpectralConfig) -> Spectrum:
    """Make the spectrum, left and right as they were decoded.

    Args:
        parts: See the module.
        decoder: The level-1 decoder.
        settings: The transform.

    Returns:
        Array `(2, frames, bins)`.
    """
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        return spectral.compose(*parts, settings)
    composer = decoder.composer()
    return composer.compose(*composer.track(parts))


def level_of(parts: Parts, decoder: Any, settings: SpectralConfig) -> NDArray[np.float32]:
    """Make the scaled log-magnitudes.

    Args:
        parts: See the module.
        decoder: The level-1 decoder.
        settings: Their scale.

    Returns:
        Array `(2, frames, bins)`.
    """
    return parts[0] if len(parts) == 2 else spectral.log_magnitude(spectrum_of(parts, decoder, settings), settings)
