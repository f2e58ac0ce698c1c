"""Losses on the lowest bins alone, heard at a low sample rate: there phase decides what remains of basses and drums.

The bins of the phase recurrence are made into a waveform by a short inverse transform, as if the music had been brought
to a low sample rate; that costs a sixteenth of the whole band's waveform.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from musika.autoencoder.soft_floor import bin_frequencies
from musika.config import Config
from musika.training.losses import inverse_short_time_spectrum, phase_distance, short_time_spectrum

_WEIGHT_CORNER_HZ = 200.0  # of the phase distance: bins above it weigh less
_SECONDS_OF_WINDOWS = (0.0058, 0.0116, 0.0232, 0.0464, 0.0929)  # 256 to 4096 samples at 44.1 kHz
_CONVERGENCE_WEIGHT = 2.0
_LOWEST_HZ = 172.0
_LOWEST_WEIGHT = 0.5
_ONSET_SECONDS = 0.0232  # 1024 samples at 44.1 kHz: fine enough for a kick, and resolves 43 Hz
_ONSET_BANDS, _ONSET_TOP_HZ = 6, 150.0
_FLOOR = 1e-4  # of log-magnitudes, a sample of the window
_POWER_FLOOR = 1e-3


def triangular_bands(count: int, top_hz: float, frequencies: np.ndarray) -> np.ndarray:
    """Overlapping triangles, evenly spaced from 0 Hz: what mel bands are below 1 kHz.

    Args:
        count: Number of bands.
        top_hz: Where the last one ends.
        frequencies: Centres of the bins in Hz.

    Returns:
        Array `(bins, count)`, 1 at a band's centre.

    >>> triangular_bands(1, 100.0, np.array([0.0, 25.0, 50.0, 100.0])).ravel().tolist()
    [0.0, 0.5, 1.0, 0.0]
    """
    spacing = top_hz / (count + 1)
    centres = spacing * np.arange(1, count + 1)
    return np.maximum(0.0, 1.0 - np.abs(frequencies[:, None] - centres) / spacing).astype("float32")


def onset_correlation_loss(audio: Any, target: Any, window: int, bands: np.ndarray) -> Any:
    """What is missing to a full correlation of onset envelopes.

    An onset envelope is the rise of log-power from window to window (hop a quarter), averaged over bands.

    Args:
        audio: Predicted waveforms `(batch, samples)`.
        target: True ones.
        window: Samples of a window.
        bands: Weights `(bins, bands)` of the lowest bins.

    Returns:
        Scalar from 0 to 2.
    """
    envelopes = []
    for wave in (audio, target):
        real, imaginary = short_time_spectrum(wave, window, window // 4)
        power = (real * real + imaginary * imaginary)[..., : len(bands)]
        level = ops.log(ops.matmul(power, bands) + _POWER_FLOOR)
        rise = ops.mean(ops.relu(level[:, 1:] - level[:, :-1]), axis=-1)
        envelopes.append(rise - ops.mean(rise, axis=1, keepdims=True))
    ours, theirs = envelopes
    norm = ops.sum(ours * ours, axis=1) * ops.sum(theirs * theirs, axis=1)
    return 1.0 - ops.mean(ops.sum(ours * theirs, axis=1) * ops.rsqrt(norm + 1e-4))


class LowBandLoss:
    """Losses on the bins of the phase recurrence."""

    def __init__(self, config: Config):
        spectral = config.spectral
        self.bins = config.codec.compact.phase_recurrence
        length = 2 ** int(np.ceil(np.log2(2 * self.bins)))
        self.spectral = dataclasses.replace(
            spectral, fft_length=length, hop_length=length * spectral.hop_length // spectral.fft_length
        )
        self.sample_rate = config.sample_rate * length / spectral.fft_length
        weights = 1.0 / (1.0 + bin_frequencies(config)[: self.bins] / _WEIGHT_CORNER_HZ)
        self.weights = (weights / weights.mean()).astype("float32")

    def waveform(self, real: Any, imaginary: Any) -> Any:
        """What the lowest bins sound like at `sample_rate`, scaled by ``fft_length`` over that of the short transform.

        Args:
            real: Real part of a spectrum `(batch, frames, bins)`, of the recurrent bins.
            imaginary: Imaginary part.

        Returns:
            Waveforms `(batch, samples)`, without the outer samples that are not fully overlapped.
        """
        rest = ((0, 0), (0, 0), (0, self.spectral.bins - self.bins))
        wave = inverse_short_time_spectrum(ops.pad(real, rest), ops.pad(imaginary, rest), self.spectral)
        return wave[:, self.spectral.overlap : -self.spectral.overlap]

    def __call__(self, amplitude: Any, phasor: Any, real: Any, imaginary: Any) -> dict[str, Any]:
        """Compare predicted and true spectra.

        Args:
            amplitude: Predicted amplitudes `(batch, frames, bins)`, of all bins as in the rest.
            phasor: `[cos | sin]` of the predicted phase.
            real: Real part of the true spectrum.
            imaginary: Imaginary part.

        Returns:
            ``low_phasor``, ``low_waveform`` and ``low_onsets``, scalars.
        """
        cosine, sine = (part[..., : self.bins] for part in ops.split(phasor, 2, axis=-1))
        amplitude, real, imaginary = (part[..., : self.bins] for part in (amplitude, real, imaginary))
        ours, true = self.waveform(amplitude * cosine, amplitude * sine), self.waveform(real, imaginary)
        window = self._window(_ONSET_SECONDS)
        bands = triangular_bands(_ONSET_BANDS, _ONSET_TOP_HZ, np.arange(5) * self.sample_rate / window)
        return {
            "low_phasor": phase_distance(ops.concatenate([cosine, sine], axis=-1), real, imaginary, self.weights),
            "low_waveform": self._distance(ours, true),
            "low_onsets": onset_correlation_loss(ours, true, window, bands),
        }

    def _window(self, seconds: float) -> int:
        """The power of two of samples next to a time."""
        return max(8, 2 ** round(np.log2(seconds * self.sample_rate)))

    def _distance(self, audio: Any, target: Any) -> Any:
        """Spectral convergence plus log-magnitude L1 over several windows, the lowest bins once more."""
        windows = sorted({self._window(seconds) for seconds in _SECONDS_OF_WINDOWS})
        windows = [window for window in windows if 2 * window <= audio.shape[1]]
        total = 0.0
        for window in windows:
            parts = (short_time_spectrum(wave, window, window // 4) for wave in (audio, target))
            ours, true = (ops.sqrt(real * real + imaginary * imaginary + 1e-7) for real, imaginary in parts)
            difference = ops.sqrt(ops.sum(ops.square(ours - true), axis=(1, 2)) + 1e-8)
            norm = ops.sqrt(ops.sum(ops.square(true), axis=(1, 2)) + 1e-8)
            floor = window * _FLOOR
            error = ops.abs(ops.log(ours + floor) - ops.log(true + floor))
            lowest = round(_LOWEST_HZ * window / self.sample_rate) + 1
            total = total + _CONVERGENCE_WEIGHT * ops.mean(difference / (norm + 0.1)) + ops.mean(error)
            total = total + _LOWEST_WEIGHT * ops.mean(error[..., :lowest])
        return total / len(windows)
