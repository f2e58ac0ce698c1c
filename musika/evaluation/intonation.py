"""Whether a recording is in tune and its tones stay where they are, from 40 to 400 Hz."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from musika.audio.spectral import analyse
from musika.settings import SpectralConfig

Floats = NDArray[np.float32]

_FFT_SECONDS, _OVERLAP = 0.186, 4  # 8192 samples at 44.1 kHz
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 400.0
_LOUD = math.log(100)  # partials within 40 dB of the loudest of their frame count
_LEAST_AMPLITUDE = 1e-3  # of a sine's; what is quieter is silence
_SAME_CENTS = 60.0  # a partial that is farther away in the next frame is another one
_SEMITONE = 100.0


def partials(audio: Floats, sample_rate: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Find the low partials of each frame: peaks of the spectrum, placed by a parabola through the logarithms.

    Args:
        audio: Waveform `(samples,)`.
        sample_rate: Samples a second.

    Returns:
        For each frame the pitches in cents above 440 Hz, and the amplitudes.
    """
    length = 2 ** round(math.log2(_FFT_SECONDS * sample_rate))
    if len(audio) < length:
        return []
    spectral = SpectralConfig(hop_length=length // _OVERLAP, fft_length=length)
    amplitudes = np.abs(analyse(audio, spectral)).astype(np.float64) * (4 / length)  # a sine's, by a Hann window
    first, last = (math.floor(edge * length / sample_rate) for edge in (_LOWEST_HZ, _HIGHEST_HZ))
    bins, found = np.arange(first, last + 1), []
    for amplitude in amplitudes:
        level = np.log(amplitude + 1e-9)
        below, here, above = (level[bins + offset] for offset in (-1, 0, 1))
        loud = max(level.max() - _LOUD, math.log(_LEAST_AMPLITUDE))
        peak = (here > below) & (here >= above) & (here > loud)
        place = bins + 0.5 * (below - above) / np.minimum(below - 2 * here + above, -1e-9)
        found.append((1200 * np.log2(place[peak] * sample_rate / length / 440), amplitude[bins[peak]]))
    return found


def intonation(audio: Floats, sample_rate: int) -> tuple[float, float]:
    """How far low partials lie from the semitones, and how far they move.

    The semitones are those of equal temperament in the recording's own tuning. Means are weighted by amplitudes.

    Args:
        audio: Waveform `(samples, channels)`; their mean is measured.
        sample_rate: Samples a second.

    Returns:
        Mean distance from the nearest semitone in cents, 25 for what has no tuning; mean move of a partial from frame
        to frame, 46 ms later, in cents. NaN without partials.
    """
    found = partials(audio.mean(axis=1), sample_rate)
    pitches = np.concatenate([np.zeros(0), *(frame for frame, _ in found)])
    weights = np.concatenate([np.zeros(0), *(amplitudes for _, amplitudes in found)])
    if not weights.sum():
        return math.nan, math.nan
    turns = np.exp(2j * np.pi * pitches / _SEMITONE)
    tuning = np.angle((weights * turns).sum()) / (2 * np.pi) * _SEMITONE
    away = np.abs((pitches - tuning + _SEMITONE / 2) % _SEMITONE - _SEMITONE / 2)
    moves, moving = [], []
    for (here, amplitudes), (there, _) in itertools.pairwise(found):
        if len(here) and len(there):
            nearest = np.abs(there[None] - here[:, None]).min(axis=1)
            same = nearest < _SAME_CENTS
            moves.append(nearest[same])
            moving.append(amplitudes[same])
    total = sum(part.sum() for part in moving)
    move = sum((part * weight).sum() for part, weight in zip(moves, moving, strict=True)) / total if total else math.nan
    return float((away * weights).sum() / weights.sum()), float(move)
