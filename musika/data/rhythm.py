"""Finding onsets, tempo and beats in audio.

Tempo: the envelopes of onsets in three bands are correlated with themselves; a comb of the lags of 1 to 8 beats, times
how common a tempo is, is highest at the tempo. Bass counts most: a kick tells beats from what plays between them.

Beats: where one steady pulse from end to end meets the onsets nearly as well as beats that are free to move, the music
has a steady tempo, and that pulse gives tempo and beats far finer than a frame. Else the free beats stand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musika.data.annotation import Array

Floats = NDArray[np.float32]

TEMPO_RANGE = (60.0, 200.0)  # beats a minute that are looked for
COMMON_TEMPO, TEMPO_OCTAVES = 120.0, 0.6  # centre and standard deviation of how common a tempo is, in octaves
_TEMPO_STEP = 0.0025  # ratio between neighbouring tempi of the comb, less 1
_COMB_BEATS = 8
_FRAMES = 6000  # spectra that are held at once

# The steady pulse needs a finer envelope than notes do.
BEAT_HOP_SECONDS, ONSET_HOP_SECONDS = 0.01, 512 / 44100
_BEAT_BANDS, _ONSET_BANDS = 80, 128
_LOW, _HIGH = 8, 40  # of the 80 bands: below 160 Hz, above 1.7 kHz
# How late an envelope's peak is after the onset, found on practice music: half a window and the rise of a sound.
BEAT_DELAY_SECONDS, ONSET_DELAY_SECONDS = 0.0035, -0.003
_TIGHTNESS = 100.0  # how dearly free beats pay for leaving the tempo
_STEADY_SHARE = 0.7  # of the free beats' mean onset strength, that a steady pulse must reach
# What stands out from its surroundings as an onset: this share of the strongest onsets' height, or this rise of level.
_ONSET_SHARE, _ONSET_DECIBELS = 0.04, 0.4
_DEPTH_DECIBELS = 80.0  # below the loudest moment nothing is heard


def _mel(mono: Floats, sample_rate: int, hop: int, bands: int) -> Floats:
    """Power in mel bands, frames centred on multiples of the hop, shape ``(bands, frames)``."""
    import librosa.filters
    import scipy.fft

    length = 2048 if sample_rate > 30000 else 1024
    top = min(16000.0, sample_rate / 2)
    weights = librosa.filters.mel(sr=sample_rate, n_fft=length, n_mels=bands, fmin=27.5, fmax=top).astype(np.float32)
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    padded = np.pad(np.asarray(mono, np.float32), length // 2)
    frames = 1 + (len(padded) - length) // hop
    parts = []
    for first in range(0, frames, _FRAMES):
        part = padded[first * hop : (min(first + _FRAMES, frames) - 1) * hop + length]
        spectra = scipy.fft.rfft(np.lib.stride_tricks.sliding_window_view(part, length)[::hop] * window, axis=1)
        parts.append(weights @ np.square(np.abs(spectra)).T)
    return np.concatenate(parts, axis=1)


def _level(envelope: Array, width: int = 101) -> Array:
    """An envelope without its slow changes, at unit standard deviation."""
    rest = np.maximum(envelope - np.convolve(envelope, np.ones(width) / width, "same"), 0.0)
    return rest / (rest.std() + 1e-9)


def _smooth(envelope: Array) -> Array:
    """An envelope under a short Hann window."""
    window = np.hanning(7)[1:-1]
    return np.convolve(envelope, window / window.sum(), "same")


def beat_envelopes(mono: Floats, sample_rate: int) -> Array:
    """Onset envelopes of bass, middle and treble, 100 frames a second.

    Args:
        mono: Waveform of shape ``(samples,)``.
        sample_rate: Samples a second.

    Returns:
        Envelopes of shape ``(3, frames)``, each with unit standard deviation, or zero where nothing sounds.
    """
    power = _mel(mono, sample_rate, round(BEAT_HOP_SECONDS * sample_rate), _BEAT_BANDS)
    level = np.log10(1 + 1e3 * power / (power.max() + 1e-9))
    rise = np.zeros_like(level)
    rise[:, 2:] = np.maximum(level[:, 2:] - level[:, :-2], 0)
    bands = (rise[:_LOW], rise[_LOW:_HIGH], rise[_HIGH:])
    return np.stack([_level(band.sum(axis=0).astype(np.float64)) for band in bands])


def _autocorrelation(envelope: Array) -> Array:
    """Correlation of an envelope with itself by lag, 1 at lag 0."""
    count = len(envelope)
    spectrum = np.fft.rfft(envelope, 2 * count)
    raw = np.fft.irfft(np.abs(spectrum) ** 2)[:count] / (count - np.arange(count))
    return raw / (raw[0] + 1e-12)


def comb_tempo(envelopes: Array, frame_rate: float) -> tuple[float, float] | None:
    """Find the tempo of onset envelopes.

    Args:
        envelopes: What ``beat_envelopes`` gives, shape ``(3, frames)``.
        frame_rate: Frames a second.

    Returns:
        Beats a minute within a quarter of a percent, and a confidence from 0 to 1; None where nothing repeats.
    """
    count = envelopes.shape[1]
    low, high = TEMPO_RANGE
    if count < 2 * frame_rate * 60 / low or not envelopes.any():
        return None
    bass, middle, treble = (_autocorrelation(_smooth(envelope)) for envelope in envelopes)
    correlation = (2 * bass + middle + treble) / 4
    tempi = low * np.exp(np.arange(0.0, np.log(high / low), _TEMPO_STEP))
    lags = frame_rate * 60 / tempi * np.arange(1, _COMB_BEATS + 1)[:, None]
    usable = lags < count / 2
    found = np.where(usable, np.interp(lags, np.arange(count), correlation), 0.0)
    comb = found.sum(axis=0) / usable.sum(axis=0)
    common = np.exp(-0.5 * (np.log2(tempi / COMMON_TEMPO) / TEMPO_OCTAVES) ** 2)
    best = int(np.argmax(np.maximum(comb, 0.0) * common))
    confidence = float(np.clip(comb[best] - np.mean(correlation[: count // 2]), 0.0, 1.0))
    return (float(tempi[best]), confidence) if comb[best] > 0 else None


def steady_pulse(envelope: Array, frame_rate: float, tempo: float) -> tuple[float, float]:
    """Fit one steady pulse to a whole envelope.

    Args:
        envelope: Onset envelope of shape ``(frames,)``.
        frame_rate: Frames a second.
        tempo: Beats a minute, within about a percent.

    Returns:
        Beats a minute, and the time of the first beat in seconds.
    """
    count, period = len(envelope), 60 * frame_rate / tempo
    size = 8 * 2 ** int(np.ceil(np.log2(count)))
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(), size))
    reach = np.arange(int(size / period * 0.988), int(np.ceil(size / period * 1.012)) + 1)
    strength = sum(spectrum[np.minimum(reach * order, len(spectrum) - 1)] for order in (1, 2, 4))
    middle = reach[int(np.argmax(strength))] / size
    best = (-1.0, 1.0, 0.0)
    for frequency in middle + np.linspace(-1.5, 1.5, 61) / size:
        spacing = 1 / frequency
        phases = np.arange(0.0, spacing, 0.5)
        beats = phases[:, None] + np.arange(max(1, int((count - spacing) / spacing))) * spacing
        score = np.interp(beats, np.arange(count), envelope).mean(axis=1)
        place = int(np.argmax(score))
        best = max(best, (float(score[place]), frequency, float(phases[place])))
    return 60 * frame_rate * best[1], best[2] / frame_rate


def free_beats(envelope: Array, frame_rate: float, tempo: float) -> Array:
    """Beats that are free to move: they meet the onsets, and keep about the distance of the tempo.

    Source: Ellis 2007, "Beat tracking by dynamic programming", equations 5 to 8.

    Args:
        envelope: Onset envelope of shape ``(frames,)``.
        frame_rate: Frames a second.
        tempo: Beats a minute.

    Returns:
        Times in seconds, shape ``(beats,)``.
    """
    period = 60 * frame_rate / tempo
    gaps = np.arange(round(period / 2), round(2 * period) + 1)
    cost = -_TIGHTNESS * np.log(gaps / period) ** 2
    longest = int(gaps[-1])
    total, before = np.zeros(longest + len(envelope)), np.full(len(envelope), -1)
    strength = envelope / (envelope.std() + 1e-9)
    for frame in range(len(envelope)):
        chances = total[frame + longest - gaps] + cost
        best = int(np.argmax(chances))
        total[frame + longest] = strength[frame] + max(float(chances[best]), 0.0)
        before[frame] = frame - gaps[best] if chances[best] > 0 else -1
    frame = int(len(envelope) - 1 - np.argmax(total[::-1][: max(1, round(period))]))
    beats = []
    while frame >= 0:
        beats.append(frame)
        frame = int(before[frame])
    return np.array(beats[::-1]) / frame_rate


def find_beats(mono: Floats, sample_rate: int) -> tuple[float | None, float, Array]:
    """Find tempo and beats.

    Args:
        mono: Waveform of shape ``(samples,)``.
        sample_rate: Samples a second.

    Returns:
        Beats a minute or None, a confidence from 0 to 1, and the beats' times in seconds.
    """
    hop = round(BEAT_HOP_SECONDS * sample_rate)
    rate = sample_rate / hop
    envelopes = beat_envelopes(mono, sample_rate)
    found = comb_tempo(envelopes, rate)
    if found is None:
        return None, 0.0, np.zeros(0)
    envelope = _smooth(2 * envelopes[0] + envelopes[1] + 0.5 * envelopes[2])
    tempo, first = steady_pulse(envelope, rate, found[0])
    seconds = len(mono) / sample_rate
    pulse = np.arange(first, seconds, 60 / tempo)
    free = free_beats(envelope, rate, found[0])
    times = np.arange(len(envelope)) / rate
    if np.interp(pulse, times, envelope).mean() < _STEADY_SHARE * np.interp(free, times, envelope).mean():
        tempo, pulse = beats_tempo(free) or found[0], free
    beats = pulse - BEAT_DELAY_SECONDS
    return tempo, found[1], beats[(beats >= 0) & (beats < seconds)]


def beats_tempo(beats: Array) -> float | None:
    """Tempo of tracked beats by least squares, finer than the grid of frames that they lie on.

    A beat that was missed or added is passed over; so is a beat far from the line.

    Args:
        beats: Times in seconds, rising, shape ``(beats,)``.

    Returns:
        Beats a minute; None for fewer than 4 beats.

    >>> round(beats_tempo(np.array([0.0, 0.5, 1.0, 2.0, 2.5])), 1)
    120.0
    """
    if len(beats) < 4:
        return None
    gaps = np.diff(beats)
    gap = float(np.median(gaps))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(np.rint(gaps / gap), 1))])
    keep = np.ones(len(beats), bool)
    for _ in range(3):
        slope, start = np.polyfit(numbers[keep], beats[keep], 1)
        rest = np.abs(beats - start - slope * numbers)
        keep = rest <= max(3 * float(np.median(rest)), 1e-3)
        if keep.sum() < 4:
            return 60 / gap
    return float(60 / slope)


def onset_envelope(mono: Floats, sample_rate: int) -> tuple[Array, float]:
    """Mean rise of level over bands, in decibels a frame.

    Args:
        mono: Waveform of shape ``(samples,)``.
        sample_rate: Samples a second.

    Returns:
        Envelope of shape ``(frames,)`` and its frames a second.
    """
    hop = round(ONSET_HOP_SECONDS * sample_rate)
    level = 10 * np.log10(np.maximum(_mel(mono, sample_rate, hop, _ONSET_BANDS), 1e-10))
    level = np.maximum(level, level.max() - _DEPTH_DECIBELS)
    envelope = np.maximum(np.diff(level, axis=1, prepend=level[:, :1]), 0).mean(axis=0)
    return np.asarray(envelope, np.float64), sample_rate / hop


def find_onsets(mono: Floats, sample_rate: int) -> Array:
    """Find the onsets of notes; those struck together count once.

    Args:
        mono: Waveform of shape ``(samples,)``.
        sample_rate: Samples a second.

    Returns:
        Times in seconds, rising, shape ``(onsets,)``.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    envelope, rate = onset_envelope(mono, sample_rate)
    if not envelope.any():
        return np.zeros(0)
    threshold = max(_ONSET_SHARE * float(np.percentile(envelope, 99.5)), _ONSET_DECIBELS)
    near, wide = max(1, int(0.03 * rate)), int(0.1 * rate)
    highest = maximum_filter1d(envelope, 2 * near + 1, mode="nearest")
    mean = uniform_filter1d(envelope, 2 * wide + 1, mode="nearest")
    peaks = np.flatnonzero((envelope == highest) & (envelope >= mean + threshold))
    return np.unique(np.maximum(peaks / rate - ONSET_DELAY_SECONDS, 0.0))
