"""What the practice piano plays: chord progressions, melodies and broken chords, from sparse to dense in one piece.

A piece is written bar by bar. A density curve says how many onsets a bar has; they fall on the coarsest metric grid
that holds them, strong places first, and each becomes a bass note, a chord, a melody note or a note of a broken chord.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musika.corpus.synth import Array

SPARSEST = (0.5, 0.8)  # onsets a second at the emptiest place of a piece, drawn from this range
DENSEST = (8.0, 10.5)  # and at the fullest
BEATS_PER_BAR = 4
GRIDS = (2, 4, 8, 12, 16, 24, 32, 48)  # places a bar
LEAD_IN = 0.1  # seconds before the first note
TIMING_SPREAD = 0.004  # seconds: the hand's unevenness
KEYS = (0, 2, 5, 7, 9)  # C, D, F, G, A
MODES = {
    "major": ((0, 2, 4, 5, 7, 9, 11), ((0, 5, 3, 4), (0, 4, 5, 3), (0, 3, 1, 4), (5, 3, 0, 4), (0, 2, 3, 4))),
    "minor": ((0, 2, 3, 5, 7, 8, 10), ((0, 5, 2, 6), (0, 3, 6, 2), (0, 6, 5, 6), (0, 3, 5, 4), (5, 6, 0, 0))),
}


@dataclass(frozen=True)
class Note:
    """A note of the score.

    Attributes:
        start: Onset in seconds.
        length: Time until its damper falls in seconds.
        pitch: MIDI pitch.
        velocity: MIDI velocity, 1 to 127.
    """

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class _Harmony:
    """A key and its progression; a chord lasts a bar."""

    key: int
    intervals: tuple[int, ...]
    progression: tuple[int, ...]

    def pitch_class(self, degree: int) -> int:
        """The pitch class of a degree of the scale, 0 to 11; degrees beyond 6 go on above."""
        return (self.key + self.intervals[degree % 7]) % 12

    def chord(self, bar: int) -> list[int]:
        """Pitch classes of a bar's triad, the root first."""
        degree = self.progression[bar % len(self.progression)]
        return [self.pitch_class(degree + third) for third in (0, 2, 4)]

    def scale(self, lowest: int, highest: int) -> list[int]:
        """The scale's pitches in a range."""
        classes = {self.pitch_class(degree) for degree in range(7)}
        return [pitch for pitch in range(lowest, highest + 1) if pitch % 12 in classes]


def density_curve(rng: np.random.Generator, bars: int) -> Array:
    """Onsets a second of each bar: between a sparse and a dense end, evenly in ratio.

    Args:
        rng: Picks the ends and the curve: rise, fall, arch, valley or two waves.
        bars: Number of bars.

    Returns:
        Densities in onsets a second, shape `(bars,)`; with three bars or more both ends are reached.
    """
    place = np.linspace(0, 1, max(bars, 2))[:bars]
    arch = 1 - np.abs(2 * place - 1)
    curves = (place, 1 - place, arch, 1 - arch, np.abs(np.sin(2 * np.pi * place)))
    curve = curves[rng.integers(len(curves))]
    curve = (curve - curve.min()) / max(curve.max() - curve.min(), 1e-9)
    low, high = rng.uniform(*SPARSEST), rng.uniform(*DENSEST)
    return low * (high / low) ** curve


def _bar_places(rng: np.random.Generator, onsets: int) -> Array:
    """Where in a bar its onsets fall, 0 to 1: on the coarsest grid that holds them, stronger places more likely."""
    grid = next(size for size in GRIDS if size >= onsets)
    places = np.arange(grid)
    strength = sum((places % max(1, grid // parts) == 0).astype(float) for parts in (1, 2, 4, 8, 16))
    weights = (0.3 + strength[1:]) / np.sum(0.3 + strength[1:]) if grid > 1 else None
    rest = rng.choice(places[1:], onsets - 1, replace=False, p=weights)
    return np.sort(np.append(rest, 0)) / grid


def _step_melody(rng: np.random.Generator, previous: int, allowed: list[int]) -> int:
    """The melody's next note: a small step to another allowed pitch near the previous one."""
    near = sorted(allowed, key=lambda pitch: abs(pitch - previous))
    candidates = [pitch for pitch in near if pitch != previous][:4]
    return int(candidates[min(len(candidates) - 1, rng.geometric(0.45) - 1)])


def _figure(rng: np.random.Generator, chord: list[int], dense: bool) -> list[int]:
    """The pitches of a broken chord, in the order in which they return."""
    lowest, highest = (48, 84) if dense else (50, 70)
    tones = [pitch for pitch in range(lowest, highest + 1) if pitch % 12 in chord]
    orders = {
        "up": tones,
        "down": tones[::-1],
        "wave": tones + tones[-2:0:-1],
        "rocking": [tones[index] for index in (0, 2, 1, 2, 1, 3, 2, 3)],
    }
    return orders[str(rng.choice(list(orders)))]


class _Writer:
    """Writes the notes of one piece, bar by bar."""

    def __init__(self, rng: np.random.Generator, harmony: _Harmony, bar_seconds: float) -> None:
        self.rng, self.harmony, self.bar_seconds = rng, harmony, bar_seconds
        self.notes: list[Note] = []
        self.melody = 74

    def strike(self, start: float, length: float, pitches: list[int], loudness: float) -> None:
        """Write notes that begin together."""
        for pitch in sorted(set(pitches)):
            velocity = int(np.clip(round(loudness + self.rng.normal(0, 3)), 20, 120))
            self.notes.append(Note(start, length, int(pitch), velocity))

    def bar(self, number: int, density: float, loudness: float) -> None:
        """Write a bar of about `density` onsets a second."""
        rng, chord = self.rng, self.harmony.chord(number)
        begin = LEAD_IN + number * self.bar_seconds
        onsets = int(np.clip(round(density * self.bar_seconds), 1, GRIDS[-1]))
        places = _bar_places(rng, onsets)
        figure = _figure(rng, chord, dense=onsets > 12)
        as_chords = onsets <= 10 and rng.random() < 0.4
        dry = onsets > 6 and rng.random() < 0.25
        close = [pitch for pitch in range(53, 65) if pitch % 12 in chord]
        for count, place in enumerate(places):
            start = begin + place * self.bar_seconds + float(np.clip(rng.normal(0, TIMING_SPREAD), -0.01, 0.01))
            until_next = (places[count + 1] if count + 1 < onsets else 1.0) - place
            length = self.bar_seconds * (until_next if dry else 1.0 - place) + 0.05
            on_beat = place * BEATS_PER_BAR % 1 == 0
            if count == 0:
                bass = next(pitch for pitch in range(36, 48) if pitch % 12 == chord[0])
                low = [bass] if rng.random() < 0.6 else [bass, bass + 12]
                self.strike(start, self.bar_seconds, low, loudness)
                if onsets <= 8:
                    self.strike(start, self.bar_seconds, close, loudness - 10)
            if count == 0 or (on_beat and rng.random() < 0.5) or (onsets <= 8 and not as_chords):
                tones = [pitch for pitch in self.harmony.scale(67, 86) if not on_beat or pitch % 12 in chord]
                self.melody = _step_melody(rng, self.melody, tones)
                self.strike(start, length, [self.melody], loudness + 10)
            if count > 0 and as_chords:
                self.strike(start, length, close, loudness - 6)
            elif count > 0 and onsets > 8:
                accent = 4.0 if on_beat else -6.0
                self.strike(start, length, [figure[count % len(figure)]], loudness + accent)


def _damp_repeats(notes: list[Note]) -> list[Note]:
    """End each note where its own key is struck again; of two at once on a key the louder stays."""
    following: dict[int, float] = {}
    result = []
    for note in sorted(notes, key=lambda note: (-note.start, -note.velocity)):
        stop = following.get(note.pitch, np.inf)
        if note.start < stop:
            result.append(Note(note.start, min(note.length, stop - note.start), note.pitch, note.velocity))
            following[note.pitch] = note.start
    return sorted(result, key=lambda note: (note.start, note.pitch))


def compose(rng: np.random.Generator, seconds: float) -> list[Note]:
    """Write a piece.

    Args:
        rng: Decides everything.
        seconds: Length in seconds; no note begins in the last twentieth of a second.

    Returns:
        Its notes, by onset, then pitch. Notes struck together have equal onsets; no key sounds twice at once.
    """
    bar_seconds = BEATS_PER_BAR * 60 / rng.uniform(64, 96)
    intervals, progressions = MODES[str(rng.choice(list(MODES)))]
    harmony = _Harmony(int(rng.choice(KEYS)), intervals, progressions[rng.integers(len(progressions))])
    bars = int(np.ceil((seconds - LEAD_IN) / bar_seconds))
    curve = density_curve(rng, bars)
    writer = _Writer(rng, harmony, bar_seconds)
    phrase = rng.uniform(0, 2 * np.pi)
    for number in range(bars):
        writer.bar(number, float(curve[number]), 62 + 14 * float(np.sin(2 * np.pi * number / 8 + phrase)))
    return _damp_repeats([note for note in writer.notes if 0 <= note.start < seconds - 0.05])
