"""What a recording sounds like in a few numbers: treble, width, loudness and its range, pitch, the seams of patches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from musika.evaluation.intonation import intonation
from musika.evaluation.reconstruction import border_flux
from musika.settings import Config

Floats = NDArray[np.float32]

TREBLE_HZ = 8000.0  # VGGish and most speech front ends hear nothing above it
_FFT_LENGTH = 4096
_GROUP_FRAMES = 256
_TINY = 1e-12  # mean square of -120 dB
# EBU Tech 3342: short-term loudness over 3 s, here every second; gates in LUFS and LU.
_SHORT_SECONDS, _SHORT_HOP_SECONDS = 3.0, 1.0
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -20.0
_RANGE_PERCENTILES = (10, 95)


def treble_level(audio: Floats, sample_rate: int) -> float:
    """Energy above 8 kHz in relation to all energy.

    Args:
        audio: Waveform `(samples, channels)`.
        sample_rate: Samples a second.

    Returns:
        Decibels, at most 0; NaN in silence.
    """
    window = np.hanning(_FFT_LENGTH).astype(np.float32)
    power = np.zeros(_FFT_LENGTH // 2 + 1)
    step = _GROUP_FRAMES * _FFT_LENGTH
    for channel in audio.T:
        for start in range(0, len(channel) - _FFT_LENGTH + 1, step):
            part = channel[start : start + step]
            frames = part[: len(part) // _FFT_LENGTH * _FFT_LENGTH].reshape(-1, _FFT_LENGTH)
            power += np.square(np.abs(np.fft.rfft(frames * window, axis=1))).sum(axis=0)
    if power.sum() <= _TINY:
        return math.nan
    first = math.ceil(TREBLE_HZ * _FFT_LENGTH / sample_rate)
    return float(10 * np.log10(power[first:].sum() / power.sum() + _TINY))


def stereo_width(audio: Floats) -> float:
    """Energy of side, (left - right) / 2, in relation to middle, (left + right) / 2.

    Args:
        audio: Waveform `(samples, 2)`.

    Returns:
        Decibels: very low for mono, 0 for channels without relation; NaN in silence.

    >>> noise = np.random.default_rng(0).standard_normal((4000, 2)).astype(np.float32)
    >>> abs(stereo_width(noise)) < 1
    True
    """
    left, right = audio[:, 0].astype(np.float64), audio[:, 1].astype(np.float64)
    middle, side = np.square(left + right).mean() / 4, np.square(left - right).mean() / 4
    if middle + side <= _TINY:
        return math.nan
    return float(10 * np.log10((side + _TINY) / (middle + _TINY)))


def k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """The filter before loudness is measured, at any sample rate.

    Source: ITU-R BS.1770, tables 1 and 2, whose 48 kHz coefficients are those of a high shelf (1682 Hz, 4 dB) and a
    high-pass (38 Hz) by the bilinear transform.

    Args:
        sample_rate: Samples a second.

    Returns:
        Two second-order sections, `(2, 6)`.
    """
    shelf = math.tan(math.pi * 1681.974450955533 / sample_rate)
    gain, quality = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle = gain**0.4996667741545416
    norm = 1 + shelf / quality + shelf**2
    first = [
        (gain + middle * shelf / quality + shelf**2) / norm,
        2 * (shelf**2 - gain) / norm,
        (gain - middle * shelf / quality + shelf**2) / norm,
        1.0,
        2 * (shelf**2 - 1) / norm,
        (1 - shelf / quality + shelf**2) / norm,
    ]
    low, quality = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    norm = 1 + low / quality + low**2
    second = [1.0, -2.0, 1.0, 1.0, 2 * (low**2 - 1) / norm, (1 - low / quality + low**2) / norm]
    return np.array([first, second])


def short_term_loudness(audio: Floats, sample_rate: int) -> NDArray[np.float64]:
    """Loudness over 3 s, every second.

    Source: ITU-R BS.1770 and EBU Tech 3341.

    Args:
        audio: Waveform `(samples, channels)`.
        sample_rate: Samples a second.

    Returns:
        LUFS, `(windows,)`; of audio below 3 s the loudness of all of it.
    """
    from scipy.signal import sosfilt

    weighted = sosfilt(k_weighting(sample_rate), audio.astype(np.float64), axis=0)
    power = np.concatenate([[0.0], np.cumsum(np.square(weighted).sum(axis=1))])
    length = min(round(_SHORT_SECONDS * sample_rate), len(audio))
    starts = np.arange(0, len(audio) - length + 1, round(_SHORT_HOP_SECONDS * sample_rate))
    return -0.691 + 10 * np.log10((power[starts + length] - power[starts]) / length + _TINY)


def loudness_range(audio: Floats, sample_rate: int) -> float:
    """Loudness range.

    Source: EBU Tech 3342: from the 10th to the 95th percentile of the short-term loudness above -70 LUFS and above
    20 LU below the mean of what is above -70 LUFS.

    Args:
        audio: Waveform `(samples, channels)`.
        sample_rate: Samples a second.

    Returns:
        LU; NaN in silence.
    """
    loudness = short_term_loudness(audio, sample_rate)
    loudness = loudness[loudness > _ABSOLUTE_GATE]
    if not len(loudness):
        return math.nan
    mean = 10 * np.log10(np.mean(10 ** (loudness / 10)))
    low, high = np.percentile(loudness[loudness > mean + _RELATIVE_GATE], _RANGE_PERCENTILES)
    return float(high - low)


def seam_flux(audio: Floats, config: Config) -> float:
    """Spectral flux where the generator's patches meet, against that elsewhere.

    Args:
        audio: Waveform `(samples, 2)` of a piece from time zero on; of other music, the same places are compared.
        config: The preset's config.

    Returns:
        The ratio, 1 where no seam can be told; NaN where the audio is too short to hold a seam.
    """
    period = config.generator.patch_spacing * config.latent_hop
    if len(audio) < 1.1 * period:
        return math.nan
    # frame t of the analysis is centred here; a seam lies half a hop before the first frame of a patch
    first = config.spectral.fft_length // 2 - config.spectral.hop_length // 2 - config.spectral.overlap
    return border_flux(audio.mean(axis=1), period, first)


def seam_step(latents: Floats, patch_latents: int) -> float:
    """Size of the step between latents where patches meet, against that elsewhere.

    Args:
        latents: Latents `(steps, channels)` of a piece from step 0 on.
        patch_latents: Steps in a patch.

    Returns:
        The ratio, 1 where no seam can be told; NaN where the latents hold no seam.

    >>> seam_step(np.array([[0.0], [1.0], [3.0], [4.0]]), 2)
    2.0
    """
    steps = np.linalg.norm(np.diff(latents, axis=0), axis=1)
    seams = np.arange(1, len(steps) + 1) % patch_latents == 0
    if not seams.any() or seams.all():
        return math.nan
    return float(steps[seams].mean() / max(steps[~seams].mean(), _TINY))


def sound_measures(audio: Floats, latents: Floats, config: Config) -> dict[str, float]:
    """All of them.

    Args:
        audio: Waveform `(samples, 2)`.
        latents: Its latents `(steps, channels)`.
        config: The preset's config.

    Returns:
        ``treble_db``, ``width_db``, ``loudness_lufs`` (median short-term), ``loudness_range_lu``, ``pitch_off_cents``,
        ``pitch_moves_cents``, ``seam_flux`` and ``seam_step``; NaN where one cannot be had.
    """
    rate = config.sample_rate
    away, moves = intonation(audio, rate)
    return {
        "treble_db": treble_level(audio, rate),
        "width_db": stereo_width(audio),
        "loudness_lufs": float(np.median(short_term_loudness(audio, rate))),
        "loudness_range_lu": loudness_range(audio, rate),
        "pitch_off_cents": away,
        "pitch_moves_cents": moves,
        "seam_flux": seam_flux(audio, config),
        "seam_step": seam_step(latents, config.generator.patch_spacing),
    }
