"""How loud and how wide what a codec makes of its training music must be made to be as loud and as wide as that.

A decoder that was trained to expect logarithms of magnitudes is too quiet where they cannot be foreseen, as in hats:
the mean logarithm of noise lies 2.5 dB below its mean power. And what is different in left and right, but has no place
in the latents, as the tail of a room, comes out the same in both. Both is measured on the decoded waveform: power bin
by bin, the side's share of it bin by bin and level by level, and corrected in some rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter

from musika.audio.spectral import analyse, log_magnitude
from musika.audio.stereo import DEEPEST_SWING, side_share_of_swing, swing_depth
from musika.autoencoder import decoded
from musika.config import Config
from musika.evaluation.reconstruction import clip_samples

_EXCERPTS = 32
_ROUNDS = 3
_STEP = 0.7  # nepers from one class of levels to the next
_CLASSES = 14  # from the soft floor on; the last one has no upper end
_REACH = (3, 25)  # frames and bins over which powers are averaged: the latter is a wave of the swing and more
_BLUR = 6.0  # bins, of what was measured
_SILENT_SIDE = 1e-3  # of the power: a side that is not there
_LOUDEST_GAIN = 0.7  # nepers either way
_TINY = 1e-12


@dataclass
class _Measured:
    """Powers of music and their sides, classed by level, `(classes, bins)` each but the first, `(bins,)`."""

    power: NDArray[np.float64]
    frames: NDArray[np.float64]
    side_level: NDArray[np.float64]  # sum of logarithms of the side's share
    side: NDArray[np.float64]
    whole: NDArray[np.float64]

    @classmethod
    def nothing(cls, bins: int) -> _Measured:
        """Of no music."""
        return cls(np.zeros(bins), *(np.zeros((_CLASSES, bins)) for _ in range(4)))

    def add(self, spectra: NDArray[np.complex64], above_floor: NDArray[np.float32]) -> None:
        """Count an excerpt in.

        Args:
            spectra: Left and right, `(2, frames, bins)`.
            above_floor: What makes logarithms of amplitudes levels above the soft floor, `(bins,)`.
        """
        left, right = spectra
        self.power += np.square(np.abs(spectra)).sum(axis=(0, 1), dtype=np.float64)
        middle, side = (uniform_filter(np.square(np.abs(part)), _REACH) for part in (left + right, left - right))
        whole = middle + side + _TINY
        level = 0.5 * np.log(whole / 4) + above_floor
        classes = np.where(level > 0, np.minimum(level / _STEP, _CLASSES - 1), -1).astype(int)
        logarithm = np.log(side / whole + _SILENT_SIDE)
        for index in range(_CLASSES):
            chosen = classes == index
            self.frames[index] += chosen.sum(axis=0)
            for total, values in ((self.side_level, logarithm), (self.side, side), (self.whole, whole)):
                total[index] += np.where(chosen, values, 0.0).sum(axis=0, dtype=np.float64)

    @property
    def share(self) -> NDArray[np.float64]:
        """The side's share of the power, 0 to 1."""
        return self.side / (self.whole + _TINY)

    @property
    def typical(self) -> NDArray[np.float64]:
        """Mean logarithm of the share: one wide track among narrow ones moves it little."""
        return self.side_level / np.maximum(self.frames, 1)


def measure_match(networks: dict[str, keras.Model], config: Config, tracks: Sequence[NDArray[np.int16]]) -> None:
    """Set the loudness and the width of a compact decoder whose config asks for it.

    Args:
        networks: The four networks by name.
        config: Their config.
        tracks: Training music, `(samples, 2)` each.
    """
    decoder = networks["level1_decoder"]
    if not config.codec.compact.match:
        return
    soft_floor, bins = decoder.soft_floor, config.spectral.bins
    above_floor = soft_floor.emphasis - np.float32(soft_floor.floor)
    wanted, coded = _Measured.nothing(bins), []
    for excerpt in _excerpts(tracks, clip_samples(config)):
        spectra = analyse(excerpt, config.spectral)
        wanted.add(spectra, above_floor)
        latents: Any = log_magnitude(spectra, config.spectral)
        for name in ("level1_encoder", "level2_encoder", "level2_decoder"):
            latents = networks[name](latents)
        coded.append(tuple(keras.ops.convert_to_numpy(part) for part in decoder.heads(latents)))
    heights = (np.arange(_CLASSES) + 0.5)[:, None] * _STEP
    match = np.zeros((3, bins))
    for _ in range(_ROUNDS):
        decoder.match.assign(match)
        found = _Measured.nothing(bins)
        for parts in coded:
            found.add(analyse(decoded.waveform_of(parts, decoder, config.spectral), config.spectral), above_floor)
        powers = (gaussian_filter1d(measured.power, _BLUR) + _TINY for measured in (wanted, found))
        gain = match[0] + 0.5 * np.subtract(*map(np.log, powers))
        now = np.clip(match[1] + match[2] * heights, 0.0, DEEPEST_SWING)
        match = np.stack([np.clip(gain, -_LOUDEST_GAIN, _LOUDEST_GAIN), *_line(heights, _swing(wanted, found, now))])
    decoder.match.assign(match)


def _excerpts(tracks: Sequence[NDArray[np.int16]], length: int) -> list[NDArray[np.float32]]:
    """The middles of some tracks, `(length, 2)` each; shorter ones with silence after them."""
    excerpts = []
    for index in np.linspace(0, len(tracks) - 1, min(_EXCERPTS, len(tracks))).round().astype(int):
        start = max(len(tracks[index]) - length, 0) // 2
        music = tracks[index][start : start + length]
        excerpts.append(np.zeros((length, 2), np.float32))
        excerpts[-1][: len(music)] = music / np.float32(32768)
    return excerpts


def _swing(wanted: _Measured, found: _Measured, now: NDArray) -> tuple[NDArray, NDArray]:
    """The depth that each class of levels needs, when it has one now, and how much it is known by."""
    from_swing = side_share_of_swing(now)
    decoded_share = np.clip((found.share - from_swing) / np.maximum(1.0 - 2.0 * from_swing, 0.1), 0.0, 0.5)
    share = np.clip(found.share * np.exp(wanted.typical - found.typical), 0.0, 0.5)
    return swing_depth(decoded_share, share), np.sqrt(np.minimum(wanted.frames, found.frames))


def _line(heights: NDArray, points: tuple[NDArray, NDArray]) -> tuple[NDArray, NDArray]:
    """The line through weighted points that does not rise: where it is at the floor, and its slope, `(bins,)` each."""
    values, weights = (gaussian_filter1d(part, _BLUR, axis=-1) for part in points)
    total = weights.sum(axis=0) + _TINY
    centre, mean = ((weights * part).sum(axis=0) / total for part in (heights, values))
    apart = heights - centre
    slope = (weights * apart * values).sum(axis=0) / ((weights * apart * apart).sum(axis=0) + _TINY)
    slope = np.minimum(slope, 0.0)
    return mean - slope * centre, slope
