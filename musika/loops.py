"""Seamless loops: a stretch of music on a circle, so that its end runs into its beginning.

Everything goes round: the coordinates, the curves and the beat clock are functions of the place on the circle; patches
stand at equal distances around it, each made alone, and flow into their neighbours over a few steps; decoding,
overlap-add and noise wrap. The circle has a whole number of latent steps, the nearest to the length that was asked for.
Its waveform, a periodic signal, is brought to the exact number of samples by its Fourier series, so the loop is played
faster or slower than it was made by at most half a latent step in its whole length (0.3 % in a loop of 15 s).

    >>> from musika.config import load_config
    >>> from musika.presets import random_preset
    >>> loop = random_preset(load_config("debug")).piece(seed=7).loop(seconds=1.5)
    >>> loop.render().shape
    (66150, 2)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError, check_integer, check_number
from musika.gan.coordinates import circle_steps

if TYPE_CHECKING:
    from musika.piece import Piece

Floats = NDArray[np.float32]

SHORTEST_LOOP = 0.5  # seconds
LONGEST_LOOP = 600.0  # seconds: a loop is made as a whole, and ten minutes take a gigabyte
MOST_BARS = 1000
_BLOCK_SAMPLES = 1 << 17
# A 16th of a patch at either end of what is used of it fades into its neighbour: 4 steps where a patch has 64. Measured
# on piano and techno: the change from one step to the next is then what it is inside a patch (1.01 times).
_FADE_SHARE = 16
_CALM_BEATS = 0.125  # how long before beat one a loop may begin
_CALM_SECONDS = 0.5  # likewise where there are no beats
_CALM_PLACES = 512  # moments of the whole loop that they are compared with
_CALM_STEP = 64  # samples between two moments that are tried
_FLUX_LENGTH = 2048  # samples of a frame whose spectrum is compared with the next
_FLUX_HOP = 512


class Loop:
    """A loop of a piece; it plays as a piece does, turn after turn.

    Args:
        piece: The piece: its seed, truncation, controls and path.
        seconds: The loop's length; or
        bars: its length in bars of the piece's tempo.
        on_beat: Whether the loop begins exactly on beat one (with music without beats: where its circle begins). When
            not, it begins in the calmest moment shortly before, so that no attack is cut by the join.

    Attributes:
        piece: The piece.
        seconds: Length as asked for.
        bars: Bars in it, or None where bars are not known.
        beats: Beats in it; 0 without a tempo.
        tempo: Beats a minute, exact for the loop; None without a tempo.
        samples: Length in samples, the nearest whole number.
        steps: Latent steps of the circle.
        on_beat: As given.
        by_bars: Whether its length was given in bars.

    Raises:
        UserError: If a length is impossible, bars are asked for without a tempo, or a curve does not close.
    """

    def __init__(
        self, piece: Piece, seconds: float | None = None, bars: int | None = None, on_beat: bool = False
    ) -> None:
        self.piece = piece
        self.preset, self.seed, self.truncation = piece.preset, piece.seed, piece.truncation
        self.controls, self.path, self.sample_rate = piece.controls.steady(), piece.path, piece.sample_rate
        self.on_beat, self.by_bars = on_beat, bars is not None
        self.seconds, self.beats, self.bars = _length(piece, seconds, bars)
        self.tempo = 60.0 * self.beats / self.seconds if self.beats else None
        self.controls.check_circular(self.seconds)
        self.samples = round(self.seconds * self.sample_rate)
        self.steps = circle_steps(self.preset.config, self.seconds)

    @property
    def turn_seconds(self) -> float:
        """The exact length of a turn, in seconds."""
        return self.samples / self.sample_rate

    @property
    def lead(self) -> float:
        """Seconds from the loop's beginning to beat one (with music without beats: to where its circle begins)."""
        return self._turn[1] / self.sample_rate

    def describe(self) -> dict[str, Any]:
        """What makes it again, and what a player wants to know, for a sidecar.

        Returns:
            Plain values by name.
        """
        return {
            "seconds": self.seconds,
            "bars": self.bars,
            "by_bars": self.by_bars,
            "beats": self.beats,
            "tempo": self.tempo,
            "on_beat": self.on_beat,
            "first_beat": self.lead,
        }

    @functools.cached_property
    def circle(self) -> Floats:
        """The latents of one turn from beat one, float32 of shape ``(steps, 2 * latent_channels)``."""
        parts = _parts(self.steps, self.preset.config.generator.patch_latents)
        made = np.zeros((self.steps, 2 * self.preset.config.codec.latent_channels), np.float32)
        for index, part in enumerate(parts):
            places = part.start + np.arange(part.patch)
            turns = (places + 0.5) / self.steps
            condition = self.controls.circular_condition(turns, self.seconds, self.beats)
            latents = self.piece.circular_patch(index, turns, self.steps, condition)
            np.add.at(made, places[part.used] % self.steps, latents[part.used] * part.weights[:, None])
        return self.piece.refine_circle(made)

    def latents(self, start_step: int, steps: int) -> Floats:
        """Any stretch of the loop's latents, turn after turn, counted from beat one.

        Args:
            start_step: First latent step; may be negative.
            steps: Number of steps.

        Returns:
            float32 array of shape ``(steps, 2 * latent_channels)``.
        """
        return self.circle[np.arange(start_step, start_step + steps) % self.steps]

    @functools.cached_property
    def _turn(self) -> tuple[Floats, int]:
        """The samples of one turn, and how many lie before beat one."""
        from musika.audio.limiter import soft_limit
        from musika.autoencoder.circular import decode_circular

        audio = decode_circular(self.preset.codec, self.circle, self.seed)
        audio = soft_limit(resample_circle(audio, self.samples))
        if self.on_beat:
            lead = 0
        else:
            longest = _CALM_BEATS * self.seconds / self.beats if self.beats else _CALM_SECONDS
            lead = calmest_lead(audio, min(round(longest * self.sample_rate), self.samples // 8))
        return np.roll(audio, lead, axis=0), lead

    def play(self, start: int = 0, stop: int | None = None) -> Generator[Floats, None, None]:
        """Play from one sample to another, turn after turn.

        Args:
            start: First sample.
            stop: Sample to stop before; None to go on for ever.

        Yields:
            Consecutive blocks, float32 of shape ``(samples, 2)``.
        """
        audio = self._turn[0]
        while stop is None or start < stop:
            place = start % self.samples
            end = min(self.samples, place + _BLOCK_SAMPLES)
            block = audio[place : end if stop is None else min(end, place + stop - start)]
            yield block.copy()
            start += len(block)

    def render(self, start: float = 0.0, seconds: float | None = None) -> Floats:
        """Render a stretch into one array.

        Args:
            start: Where it begins, in seconds.
            seconds: Its length, at most three hours; exactly one turn when left out.

        Returns:
            float32 waveform of shape ``(samples, 2)`` within [-1, 1].

        Raises:
            UserError: If ``start`` or ``seconds`` is out of range.
        """
        from musika.piece import LATEST_START, LONGEST_RENDER

        check_number(start, "start", 0.0, LATEST_START)
        first, samples = round(start * self.sample_rate), self.samples
        if seconds is not None:
            check_number(seconds, "seconds", above=0.0, high=LONGEST_RENDER)
            samples = round(seconds * self.sample_rate)
        return np.concatenate([np.zeros((0, 2), np.float32), *self.play(first, first + samples)])

    def stream(self, start: float = 0.0) -> Generator[Floats, None, None]:
        """Play for ever.

        Args:
            start: Where to begin, in seconds.

        Returns:
            Endless iterator over consecutive blocks, float32 of shape ``(samples, 2)``.

        Raises:
            UserError: If ``start`` is out of range.
        """
        from musika.piece import LATEST_START

        check_number(start, "start", 0.0, LATEST_START)
        return self.play(round(start * self.sample_rate))


def _length(piece: Piece, seconds: float | None, bars: int | None) -> tuple[float, int, int | None]:
    """Seconds, beats and bars of a loop; 0 beats without a tempo, None for bars where they are not known."""
    if (seconds is None) == (bars is None):
        raise UserError(f"a loop needs its length in bars or in seconds, one of the two. Received: {bars=}, {seconds=}")
    clock = piece.controls.clock
    beats_per_bar = clock[0].beats_per_bar if clock else 0
    tempo = float(clock[1].at(np.zeros(1))[0]) if clock else 0.0
    if bars is not None:
        bars = check_integer(bars, "bars", 1, MOST_BARS)
        if not beats_per_bar:
            raise UserError(
                f"a loop in bars needs a tempo, and {piece.preset.name!r} is not asked for one. Give its length in"
                " seconds, or a preset with a tempo."
            )
        beats = bars * beats_per_bar
        name = f"the length of {bars} bars at {tempo:g} beats a minute, in seconds,"
        return check_number(60.0 * beats / tempo, name, SHORTEST_LOOP, LONGEST_LOOP), beats, bars
    length = check_number(float("nan") if seconds is None else seconds, "seconds", SHORTEST_LOOP, LONGEST_LOOP)
    if not clock:
        return length, 0, None
    beats = max(1, round(length * tempo / 60.0))
    if beats_per_bar and beats >= beats_per_bar:
        bars = round(length * tempo / 60.0 / beats_per_bar)
        return length, bars * beats_per_bar, bars
    return length, beats, None


@dataclass(frozen=True)
class _Part:
    """A patch on the circle.

    Attributes:
        start: Step on which the patch begins; may be negative.
        patch: Steps of the patch.
        used: The middle of it that is used.
        weights: How much each of those steps counts, fading in and out.
    """

    start: int
    patch: int
    used: slice
    weights: Floats


def _parts(steps: int, patch: int) -> list[_Part]:
    """Lay patches at equal distances around a circle; their weights sum to 1 at every step.

    The first is centred on step 0, so that the join does not lie where two patches meet.
    """
    fade = min(patch // _FADE_SHARE, steps // 2)
    count = math.ceil(steps / (patch - fade))
    joints = [round((index - 0.5) * steps / count) for index in range(count)]
    joints.append(joints[0] + steps)
    ramp = ((np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)
    parts = []
    for left, right in pairwise(joints):
        length = right - left + fade
        before = (patch - length) // 2  # steps of the patch that are made but not used
        weights = np.concatenate([ramp, np.ones(length - 2 * fade, np.float32), 1.0 - ramp])
        parts.append(_Part(left - fade // 2 - before, patch, slice(before, before + length), weights))
    return parts


def resample_circle(audio: Floats, samples: int) -> Floats:
    """Bring a periodic signal to another number of samples a period, by its Fourier series.

    Args:
        audio: One period, ``(samples, channels)``.
        samples: How many samples the period shall have.

    Returns:
        float32 array of shape ``(samples, channels)``.

    >>> wave = np.cos(2 * np.pi * np.arange(8) / 8)[:, None].astype(np.float32)
    >>> resample_circle(wave, 4)[:3:2, 0].round(6).tolist()
    [1.0, -1.0]
    """
    import scipy.fft

    if len(audio) == samples:
        return audio
    spectrum = scipy.fft.rfft(audio, axis=0)
    kept = spectrum[: samples // 2 + 1]
    resampled = scipy.fft.irfft(kept, samples, axis=0)  # fills up with zeros where there are more bins
    return (resampled * (samples / len(audio))).astype(np.float32)


def circular_flux(audio: Floats, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spectral flux at places of a periodic signal: how much louder each frequency becomes from a frame to the next.

    Args:
        audio: One period, ``(samples, channels)``.
        places: Samples; the two frames that are compared lie with their centres half a hop before and after each.

    Returns:
        Sum over frequencies of the rise in magnitude, relative to the signal's mean magnitude; `(places,)`.
    """
    import scipy.fft

    mono, window = audio.mean(axis=1), np.hanning(_FLUX_LENGTH + 1)[:-1]
    offsets = np.arange(_FLUX_LENGTH) - _FLUX_LENGTH // 2
    flux = np.empty(len(places))
    for index, place in enumerate(places):
        frames = [mono[(place + side + offsets) % len(mono)] * window for side in (-_FLUX_HOP // 2, _FLUX_HOP // 2)]
        before, after = np.abs(scipy.fft.rfft(np.stack(frames), axis=-1))
        flux[index] = np.maximum(after - before, 0.0).sum()
    return flux / max(float(np.abs(mono).mean()), 1e-9)


def calmest_lead(audio: Floats, longest: int) -> int:
    """Find the calmest moment shortly before a loop's beginning.

    Args:
        audio: One turn, ``(samples, channels)``.
        longest: Samples before the beginning that are searched. Where nothing there is calmer than the middle of all
            the loop's moments, the search goes further back, to twice as far at a time and four times at most.

    Returns:
        How many samples before the beginning the spectral flux, there and within a hop around, is least.
    """
    margin = _FLUX_HOP // _CALM_STEP
    usual = np.median(circular_flux(audio, np.linspace(0, len(audio), _CALM_PLACES, endpoint=False).astype(np.int64)))
    for length in (longest, 2 * longest, 4 * longest):
        leads = np.arange(-margin, length // _CALM_STEP + margin + 1) * _CALM_STEP
        flux = circular_flux(audio, -leads)
        around = np.lib.stride_tricks.sliding_window_view(flux, 2 * margin + 1).max(axis=1)
        own = flux[margin : len(flux) - margin]
        best = int(np.argmin(np.where(own <= usual, around, around + own.max())))
        if own[best] <= usual:
            break
    return int(leads[margin + best])
