"""Losses of the codec, over ``keras.ops``: what is heard weighs more than what is merely there.

Spectrograms are scaled log-magnitudes (see `SpectralConfig`), waveforms mono `(batch, samples)`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from musika.audio import borders
from musika.audio.spectral import analysis_window
from musika.config import Config, SpectralConfig
from musika.training.autodiff import mean_over_replicas

_RANGE_DB = 45.0  # what lies this far under a frame's peak is hardly heard
_COMPRESSION = 0.4  # exponent of power-compressed magnitudes, near that of loudness
_WEIGHT_CORNER_HZ = 1500.0
SCALES = (256, 512, 1024, 2048)  # window lengths of the multi-scale spectral distance


def short_time_spectrum(audio: Any, fft_length: int, hop_length: int) -> tuple[Any, Any]:
    """Short-time Fourier transform without centring or padding.

    Args:
        audio: Waveforms `(batch, samples)`.
        fft_length: Samples of a frame and of its periodic Hann window.
        hop_length: Samples between two frames.

    Returns:
        Real and imaginary part `(batch, frames, fft_length // 2 + 1)`.
    """
    return ops.stft(audio, fft_length, hop_length, fft_length, window=analysis_window(fft_length), center=False)


def scaled_level(real: Any, imaginary: Any, spectral: SpectralConfig, floor: float = 1e-10) -> Any:
    """Scaled log-magnitudes of a spectrum.

    Args:
        real: Real part.
        imaginary: Imaginary part.
        spectral: Offset and scale.
        floor: Least power.

    Returns:
        ``(10 log10(max(floor, |X|^2)) - offset) / scale``.
    """
    power = ops.maximum(real * real + imaginary * imaginary, floor)
    return (ops.log(power) * (10 / math.log(10)) - spectral.level_offset_db) / spectral.level_scale_db


def level_amplitude(level: Any, spectral: SpectralConfig) -> Any:
    """Amplitudes of scaled log-magnitudes.

    Args:
        level: Scaled log-magnitudes.
        spectral: Offset and scale.

    Returns:
        Amplitudes, same shape.
    """
    decibels = level * spectral.level_scale_db + spectral.level_offset_db
    return ops.exp(decibels * (math.log(10) / 20))


def inverse_short_time_spectrum(real: Any, imaginary: Any, spectral: SpectralConfig) -> Any:
    """Inverse of `short_time_spectrum`: dual window and overlap-add, differentiable.

    Args:
        real: Real part `(batch, frames, bins)`.
        imaginary: Imaginary part.
        spectral: Hop and length.

    Returns:
        Waveforms `(batch, (frames - 1) * hop_length + fft_length)`; the outer ``overlap`` samples fade.
    """
    length, hop = spectral.fft_length, spectral.hop_length
    window, parts = analysis_window(length), length // hop
    power = np.sum(np.reshape(window**2, (parts, hop)), axis=0)
    dual = (window / np.tile(power, parts)).astype("float32")
    frames = ops.multiply(ops.irfft((real, imaginary), fft_length=length), dual)
    count = ops.shape(frames)[1]
    pieces = ops.reshape(frames, (-1, count, parts, hop))
    total = 0.0
    for part in range(parts):
        total = total + ops.pad(pieces[:, :, part], ((0, 0), (part, parts - 1 - part), (0, 0)))
    return ops.reshape(total, (-1, (count + parts - 1) * hop))


def _mean(weights: np.ndarray, values: Any) -> Any:
    return ops.mean(ops.multiply(values, weights))


class MagnitudeLoss:
    """Distance of two spectrograms, weighted by loudness.

    With ``E`` the pre-emphasised amplitude and ``a = ln(1 + E / (frame peak - 45 dB))``: L1 of ``a``, of ``E ** 0.4``
    and of ``ln E``; and L1 of the differences of ``a`` over two bins (pitch) and over one frame (transients).
    """

    def __init__(self, config: Config):
        from musika.autoencoder.soft_floor import bin_frequencies, emphasis

        frequency = bin_frequencies(config)
        heavy, light = 1 / (1 + frequency / _WEIGHT_CORNER_HZ), 1 / np.sqrt(1 + frequency / 690.0)
        self.heavy = (heavy / heavy.mean()).astype("float32")
        self.light = (light / light.mean()).astype("float32")
        self.emphasis = emphasis(config)
        self.scale = config.spectral.level_scale_db * math.log(10) / 20
        self.offset = config.spectral.level_offset_db * math.log(10) / 20

    def __call__(self, level: Any, target: Any) -> tuple[Any, Any]:
        """Compare spectrograms.

        Args:
            level: Predicted scaled log-magnitudes `(batch, frames, bins)`.
            target: True ones.

        Returns:
            The distance of levels and the distance of their differences, scalars.
        """
        predicted = ops.add(level * self.scale + self.offset, self.emphasis)
        true = ops.add(target * self.scale + self.offset, self.emphasis)
        peak = ops.max_pool(ops.max(true, axis=-1, keepdims=True), 5, 1, padding="same")
        peak = ops.maximum(peak, 0.0)
        span = _RANGE_DB * math.log(10) / 20
        loud = ops.softplus(predicted - peak + span)
        loud_true = ops.softplus(true - peak + span)
        compressed = ops.exp(_COMPRESSION * ops.minimum(predicted - peak, 3.0))
        compressed_true = ops.exp(_COMPRESSION * (true - peak))
        level_loss = (
            2.0 * _mean(self.heavy, ops.abs(loud - loud_true))
            + 4.0 * _mean(self.heavy, ops.abs(compressed - compressed_true))
            + 0.3 * _mean(self.light, ops.abs(predicted - true))
        )
        error = loud - loud_true
        difference_loss = 5.0 * _mean(self.heavy[2:], ops.abs(error[..., 2:] - error[..., :-2])) + 2.0 * _mean(
            self.heavy, ops.abs(error[:, 1:] - error[:, :-1])
        )
        return level_loss, difference_loss


def _turn(real: Any, imaginary: Any, ahead: tuple[Any, ...], behind: tuple[Any, ...]) -> tuple[Any, Any]:
    """Each value times the conjugate of its neighbour: the phase from one to the next."""
    a, b, c, d = real[ahead], imaginary[ahead], real[behind], imaginary[behind]
    return a * c + b * d, b * c - a * d


def phase_distance(phasor: Any, real: Any, imaginary: Any, weights: np.ndarray) -> Any:
    """Amplitude-weighted cosine distance of phase steps, from frame to frame and from bin to bin.

    The phase of a steady tone is arbitrary, but how it advances (instantaneous frequency) and how it changes over
    frequency (group delay) are heard and can be told from magnitudes, so the steps are compared, and with a small
    weight the phases themselves, which matter where they are no accident (kicks).

    Args:
        phasor: `[cos | sin]` of the predicted phase `(batch, frames, 2 * bins)`.
        real: Real part of the true spectrum `(batch, frames, bins)`.
        imaginary: Imaginary part.
        weights: Weight of each bin `(bins,)`.

    Returns:
        Scalar, 0 when all steps agree, about 2 when phases are unrelated.
    """
    cosine, sine = ops.split(phasor, 2, axis=-1)
    power = real * real + imaginary * imaginary + 1e-8
    inverse = ops.rsqrt(power)
    real, imaginary = real * inverse, imaginary * inverse
    loudness = ops.multiply(ops.power(power, 0.25), weights)
    loudness = loudness / (mean_over_replicas(ops.mean(loudness)) + 1e-6)  # of the whole batch, on several cards
    everything = slice(None)
    total = 0.2 * ops.mean(loudness * (1.0 - cosine * real - sine * imaginary))
    for axis in (1, 2):
        ahead = tuple(slice(1, None) if index == axis else everything for index in range(3))
        behind = tuple(slice(None, -1) if index == axis else everything for index in range(3))
        a, b = _turn(cosine, sine, ahead, behind)
        c, d = _turn(real, imaginary, ahead, behind)
        total = total + ops.mean(ops.sqrt(loudness[ahead] * loudness[behind] + 1e-9) * (1.0 - a * c - b * d))
    return total


def multi_scale_spectral_distance(audio: Any, target: Any, scales: tuple[int, ...] = SCALES) -> Any:
    """Spectral convergence plus log-magnitude L1, averaged over window lengths (hop a quarter).

    Source: Yamamoto et al., "Parallel WaveGAN", ICASSP 2020, equations 4-6.

    Args:
        audio: Predicted waveforms `(batch, samples)`.
        target: True waveforms.
        scales: Window lengths in samples.

    Returns:
        Scalar.
    """
    total = 0.0
    for length in scales:
        predicted, true = (_magnitude(item, length) for item in (audio, target))
        difference = ops.sqrt(ops.sum(ops.square(predicted - true), axis=(1, 2)) + 1e-8)
        norm = ops.sqrt(ops.sum(ops.square(true), axis=(1, 2)) + 1e-8)
        floor = length * 1e-4
        logarithm = ops.mean(ops.abs(ops.log(predicted + floor) - ops.log(true + floor)))
        total = total + ops.mean(difference / (norm + 1.0)) + logarithm
    return total / len(scales)


def _magnitude(audio: Any, length: int) -> Any:
    real, imaginary = short_time_spectrum(audio, length, length // 4)
    return ops.sqrt(real * real + imaginary * imaginary + 1e-7)


def border_excess(audio: Any, target: Any, period: int, first: int) -> Any:
    """How much more the spectrum changes where blocks of the decoder meet than it does there in the original.

    Args:
        audio: Predicted waveforms `(batch, samples)`.
        target: True waveforms.
        period: Samples between two borders.
        first: Sample of the first border.

    Returns:
        Scalar: by how much the ratio of the flux at borders to that elsewhere exceeds the original's; 0 if it does not,
        or where blocks are as short as the windows.
    """
    steps = (audio.shape[1] - borders.WINDOW) // borders.HOP
    near = borders.near_borders(steps, period, first).astype("float32")
    if near.all() or not near.any():
        return ops.zeros(())
    ratios = []
    for wave in (audio, target):
        level = ops.log(_magnitude(wave, borders.WINDOW) + borders.FLOOR)
        flux = ops.mean(ops.abs(level[:, 1:] - level[:, :-1]), axis=(0, 2))
        ratios.append(ops.sum(flux * near) / near.sum() / (ops.sum(flux * (1.0 - near)) / (1.0 - near).sum()))
    return ops.relu(ratios[0] - ratios[1])
