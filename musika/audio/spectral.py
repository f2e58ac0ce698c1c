"""Waveform to spectrogram and back, in NumPy, for everything that plays or encodes.

Training has twins of these functions in the backend's own operations, see ``training/losses.py``.

A frame is one periodic Hann window long (``fft_length``, 4 hops in the published graph); frames are a hop apart,
not centred and not padded, so ``samples`` give ``1 + floor((samples - fft_length) / hop_length)`` of them.
Networks see the scaled log-magnitude ``S = (dB - level_offset_db) / level_scale_db``.

Arrays follow one rule: a single channel is ``(samples,)`` in time and ``(frames, bins)`` in frequency; several are
``(samples, channels)`` and ``(channels, frames, bins)``, with any further batch axes folded into ``channels``.

    >>> import numpy as np
    >>> from musika.config import SpectralConfig
    >>> config = SpectralConfig(hop_length=64, fft_length=256)
    >>> noise = np.random.default_rng(0).normal(size=(1024, 2)).astype(np.float32)
    >>> spectrum = analyse(noise, config)
    >>> spectrum.shape
    (2, 13, 129)
    >>> bool(np.allclose(synthesise(spectrum, config)[192:-192], noise[192:-192], atol=1e-5))
    True

Work goes in chunks of frames that stay in the processor's cache. The result depends on the shape of the input only.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from musika.checks import UserError
from musika.config import SpectralConfig

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

# 96 frames of any of our FFT lengths fill at most 1.5 MB. Measured: 64 to 192 are about equally fast, 16 half as fast.
_CHUNK_FRAMES = 96
_POWER_FLOOR = 1e-10  # before the logarithm, as published: -100 dB
_POWER_OFFSET = 1e-7  # under the square root on the way back, as published


def frame_count(samples: int, spectral: SpectralConfig) -> int:
    """Count the frames of a waveform.

    Args:
        samples: Length of the waveform.
        spectral: The transform.

    Returns:
        The number of whole frames, 0 for a waveform shorter than one.

    >>> frame_count(1024 + 256, SpectralConfig(hop_length=256, fft_length=1024))
    2
    """
    return max(0, 1 + (samples - spectral.fft_length) // spectral.hop_length)


def sample_count(frames: int, spectral: SpectralConfig) -> int:
    """Count the samples that frames are synthesised to.

    Args:
        frames: Number of frames.
        spectral: The transform.

    Returns:
        The number of samples, ``(frames + 3) * hop_length`` with 4 hops a frame; 0 without frames.

    >>> sample_count(2, SpectralConfig(hop_length=256, fft_length=1024))
    1280
    """
    return frames * spectral.hop_length + spectral.overlap if frames > 0 else 0


@functools.lru_cache(maxsize=16)
def analysis_window(fft_length: int) -> Floats:
    """Make the periodic Hann window.

    Args:
        fft_length: Its length in samples.

    Returns:
        float32 array of shape ``(fft_length,)``, not writable.

    >>> analysis_window(4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft_length) / fft_length)).astype(np.float32)
    window.flags.writeable = False
    return window


@functools.lru_cache(maxsize=16)
def synthesis_window(fft_length: int, hop_length: int) -> Floats:
    """Make the dual of the Hann window: with it, overlap-add of windowed frames gives the waveform back.

    It is the window divided, at every sample, by the sum of the squares of all windows that cover that sample.

    Args:
        fft_length: Length of the window in samples.
        hop_length: Samples between two frames.

    Returns:
        float32 array of shape ``(fft_length,)``, not writable.

    Raises:
        UserError: If the window is not a whole number of hops, at least 2.

    >>> [round(value, 3) for value in synthesis_window(8, 2).tolist()]
    [0.0, 0.098, 0.333, 0.569, 0.667, 0.569, 0.333, 0.098]
    """
    if hop_length < 1 or fft_length % hop_length or fft_length < 2 * hop_length:
        raise UserError(
            "spectral: fft_length must be a whole multiple of hop_length, at least 2 hops (the published graph has 4)."
            f" Received: fft_length={fft_length}, hop_length={hop_length}"
        )
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft_length) / fft_length)
    covered = np.sum(window.reshape(-1, hop_length) ** 2, axis=0)
    dual = (window / np.tile(covered, fft_length // hop_length)).astype(np.float32)
    dual.flags.writeable = False
    return dual


def analyse(audio: Floats, spectral: SpectralConfig) -> Spectrum:
    """Transform a waveform to its spectrum.

    Args:
        audio: Waveform of shape ``(samples,)`` or ``(samples, channels)``.
        spectral: The transform.

    Returns:
        complex64 array of shape ``(frames, bins)`` or ``(channels, frames, bins)``.

    Raises:
        UserError: If the waveform has other than one or two axes.
    """
    samples = np.asarray(audio)
    if samples.ndim not in (1, 2):
        raise UserError(
            f"analyse: audio must have the shape (samples,) or (samples, channels). Received: shape {samples.shape}"
        )
    planes = np.ascontiguousarray(samples.T.reshape(math.prod(samples.shape[1:]), samples.shape[0]), dtype=np.float32)
    frames = frame_count(samples.shape[0], spectral)
    window = analysis_window(spectral.fft_length)
    spectrum = np.empty((len(planes), frames, spectral.bins), np.complex64)

    for channel in range(len(planes) if frames else 0):
        views = np.lib.stride_tricks.sliding_window_view(planes[channel], spectral.fft_length)[:: spectral.hop_length]
        for start in range(0, frames, _CHUNK_FRAMES):
            chunk = slice(start, min(start + _CHUNK_FRAMES, frames))
            spectrum[channel, chunk] = scipy.fft.rfft(views[chunk] * window, axis=-1, overwrite_x=True)
    return spectrum.reshape(*samples.shape[1:], frames, spectral.bins)


def log_magnitude(spectrum: Spectrum, spectral: SpectralConfig) -> Floats:
    """Compute the scaled log-magnitude of a spectrum.

    ``S = (10 * log10(max(1e-10, |X| ** 2)) - level_offset_db) / level_scale_db``, not clipped.

    Args:
        spectrum: complex64 array of any shape.
        spectral: The scale.

    Returns:
        float32 array of the same shape.

    >>> round(float(log_magnitude(np.complex64(1j), SpectralConfig())), 4)
    0.3333
    """
    scaled = np.square(np.real(spectrum), dtype=np.float32)
    scaled = np.asarray(scaled + np.square(np.imag(spectrum), dtype=np.float32))
    np.maximum(scaled, np.float32(_POWER_FLOOR), out=scaled)
    np.log(scaled, out=scaled)
    scaled *= np.float32(10 / math.log(10) / spectral.level_scale_db)
    scaled -= np.float32(spectral.level_offset_db / spectral.level_scale_db)
    return scaled


def amplitude(scaled: Floats, spectral: SpectralConfig) -> Floats:
    """Turn scaled log-magnitudes back into amplitudes.

    ``sqrt(10 ** (dB / 10) + 1e-7)`` with ``dB = level_scale_db * S + level_offset_db``.

    Args:
        scaled: Scaled log-magnitudes S of any shape.
        spectral: The scale.

    Returns:
        float32 array of the same shape.

    >>> round(float(amplitude(np.float32(1 / 3), SpectralConfig())), 4)
    1.0
    """
    power = np.asarray(np.multiply(scaled, np.float32(spectral.level_scale_db * math.log(10) / 10), dtype=np.float32))
    power += np.float32(spectral.level_offset_db * math.log(10) / 10)
    np.exp(power, out=power)
    power += np.float32(_POWER_OFFSET)
    return np.sqrt(power, out=power)


def compose(scaled: Floats, phase: Floats, spectral: SpectralConfig, out: Spectrum | None = None) -> Spectrum:
    """Join scaled log-magnitudes and phases to a complex spectrum.

    Args:
        scaled: S of shape ``(..., bins)``.
        phase: Angles in units of pi of shape ``(..., bins)``, or phasors of shape ``(..., 2 * bins)``: all cosines,
            then all sines.
        spectral: The scale.
        out: Where to write the result; a new array when left out.

    Returns:
        complex64 array of shape ``(..., bins)``.

    Raises:
        UserError: If the shapes do not belong together.
    """
    bins = np.shape(scaled)[-1]
    spectrum = np.empty(np.shape(scaled), np.complex64) if out is None else out
    magnitude = amplitude(scaled, spectral)
    if np.shape(phase) == np.shape(scaled):
        angle = np.multiply(phase, np.float32(np.pi), dtype=np.float32)
        np.multiply(magnitude, np.cos(angle), out=spectrum.real)
        np.multiply(magnitude, np.sin(angle, out=angle), out=spectrum.imag)
    elif np.shape(phase) == (*np.shape(scaled)[:-1], 2 * bins):
        np.multiply(magnitude, phase[..., :bins], out=spectrum.real)
        np.multiply(magnitude, phase[..., bins:], out=spectrum.imag)
    else:
        raise UserError(
            "compose: phase must have the shape of the magnitudes (angles) or twice their bins (cosines, sines)."
            f" Received: magnitudes {np.shape(scaled)}, phase {np.shape(phase)}"
        )
    return spectrum


def _overlap_add(
    spectrum_of: Callable[[int, slice], Spectrum], channels: int, frames: int, spectral: SpectralConfig
) -> Floats:
    """Inverse transform of every channel.

    ``spectrum_of(channel, chunk)`` gives the complex frames of a chunk; the sum is ``(channels, samples)``.
    """
    hop, length = spectral.hop_length, spectral.fft_length
    # The inverse transform is asked for without its 1 / length, which goes into the window.
    window = synthesis_window(length, hop) / np.float32(length)
    total = np.zeros((channels, frames + length // hop - 1 if frames else 0, hop), np.float32)

    for channel in range(channels):
        for start in range(0, frames, _CHUNK_FRAMES):
            chunk = slice(start, min(start + _CHUNK_FRAMES, frames))
            pieces = scipy.fft.irfft(spectrum_of(channel, chunk), n=length, axis=-1, norm="forward")
            pieces *= window
            for shift in range(length // hop):
                part = slice(chunk.start + shift, chunk.stop + shift)
                total[channel, part] += pieces[:, shift * hop : (shift + 1) * hop]
    return total.reshape(channels, -1)


def _check_bins(shape: tuple[int, ...], spectral: SpectralConfig, name: str) -> None:
    """Refuse an array that is not ``(..., frames, bins)``."""
    if len(shape) < 2 or shape[-1] != spectral.bins:
        raise UserError(
            f"{name}: expected the shape (frames, {spectral.bins}) or (channels, frames, {spectral.bins})."
            f" Received: shape {shape}"
        )


def _as_audio(planes: Floats, shape: tuple[int, ...]) -> Floats:
    """Give ``(samples,)`` for ``(frames, bins)`` and ``(samples, channels)`` for everything with more axes."""
    return planes[0] if len(shape) == 2 else planes.T


def synthesise(spectrum: Spectrum, spectral: SpectralConfig) -> Floats:
    """Transform a spectrum back to a waveform: inverse FFT, dual window, overlap-add, nothing trimmed.

    Args:
        spectrum: Complex array of shape ``(frames, bins)`` or ``(channels, frames, bins)``.
        spectral: The transform.

    Returns:
        float32 array of shape ``(samples,)`` or ``(samples, channels)``, ``samples`` as ``sample_count`` gives. Only
        samples under ``fft_length / hop_length`` frames are whole: all but ``overlap`` samples at each end. Add those
        to the neighbouring block's to go on without a seam.

    Raises:
        UserError: If the shape does not fit the transform.
    """
    values = np.asarray(spectrum, dtype=np.complex64)
    _check_bins(values.shape, spectral, "synthesise")
    planes = values.reshape(math.prod(values.shape[:-2]), *values.shape[-2:])
    total = _overlap_add(lambda channel, chunk: planes[channel, chunk], len(planes), planes.shape[1], spectral)
    return _as_audio(total, values.shape)


def synthesise_by(
    spectrum_of: Callable[[int, slice], Spectrum], channels: int, frames: int, spectral: SpectralConfig
) -> Floats:
    """As `synthesise`, of a spectrum that is made a few frames at a time.

    Args:
        spectrum_of: Gives the complex64 frames of a channel in a slice, ``(frames, bins)``.
        channels: Number of channels.
        frames: Number of frames.
        spectral: The transform.

    Returns:
        float32 waveform of shape ``(samples, channels)``.
    """
    return _overlap_add(spectrum_of, channels, frames, spectral).T


def synthesise_scaled(scaled: Floats, phase: Floats, spectral: SpectralConfig) -> Floats:
    """Turn what the level-1 decoder gives into a waveform: ``compose`` and ``synthesise`` in one go.

    Being done a chunk at a time, it is faster than the two after one another and needs no whole spectrum in memory.

    Args:
        scaled: S of shape ``(frames, bins)`` or ``(channels, frames, bins)``.
        phase: Angles in units of pi (same shape), or phasors with ``2 * bins``: all cosines, then all sines.
        spectral: The transform.

    Returns:
        float32 waveform of shape ``(samples,)`` or ``(samples, channels)``, as from ``synthesise``.

    Raises:
        UserError: If the shapes do not fit the transform or each other.
    """
    levels = np.asarray(scaled, dtype=np.float32)
    _check_bins(levels.shape, spectral, "synthesise_scaled")
    angles = np.asarray(phase, dtype=np.float32)
    if angles.shape[:-1] != levels.shape[:-1]:
        raise UserError(
            "synthesise_scaled: magnitudes and phase must have the same channels and frames."
            f" Received: magnitudes {levels.shape}, phase {angles.shape}"
        )
    levels = levels.reshape(math.prod(levels.shape[:-2]), *levels.shape[-2:])
    angles = angles.reshape(math.prod(angles.shape[:-2]), *angles.shape[-2:])

    def spectrum_of(channel: int, chunk: slice) -> Spectrum:
        """The spectrum of some frames of a channel."""
        return compose(levels[channel, chunk], angles[channel, chunk], spectral)

    total = _overlap_add(spectrum_of, len(levels), levels.shape[1], spectral)
    return _as_audio(total, np.shape(scaled))


def refine_phases(spectrum: Spectrum, spectral: SpectralConfig, iterations: int) -> Spectrum:
    """Make phases agree with their neighbours by fast Griffin-Lim iterations; magnitudes stay.

    For codecs whose phase has not been learned yet. Source: Perraudin et al., "A Fast Griffin-Lim Algorithm",
    WASPAA 2013, with momentum 0.99.

    Args:
        spectrum: Frames `(frames, bins)` or `(channels, frames, bins)`.
        spectral: The transform.
        iterations: Number of iterations; each costs an analysis and a synthesis.

    Returns:
        Spectrum of the same shape.
    """
    magnitude = np.abs(spectrum)
    previous: Spectrum | None = None
    for _ in range(iterations):
        projected = analyse(synthesise(spectrum, spectral), spectral)
        target = projected if previous is None else projected + np.float32(0.99) * (projected - previous)
        previous = projected
        spectrum = (magnitude * (target / np.maximum(np.abs(target), np.float32(1e-12)))).astype(np.complex64)
    return spectrum
