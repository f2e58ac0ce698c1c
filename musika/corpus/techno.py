"""Techno with an exactly known beat: a song is drawn from a disciplined palette, then each part is played onto a stem.

Time is counted in steps of a sixteenth note from step 0 at time 0. A few roots, scales, chord progressions, patterns
and waveforms (`palettes`) keep the music varied yet narrow enough for a small codec to learn its pitches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musika.corpus import drums
from musika.corpus.labels import Labels
from musika.corpus.palettes import STEPS_PER_BAR, Palette
from musika.corpus.synth import (
    SAMPLE_RATE,
    Array,
    band,
    damped_partials,
    decay,
    fade,
    harmonic_amplitudes,
    master,
    midi_to_hertz,
    mix_in,
    normalise,
    oscillate,
    pan,
    ping_pong,
    reverb,
    swept_lowpass,
)

# What plays in each kind of section, and what may follow it.
SECTIONS = {
    "opening": ("kick", "hat", "percussion", "bass", "pad"),
    "groove": ("kick", "hat", "open_hat", "clap", "percussion", "bass", "stab"),
    "melodic": ("kick", "hat", "clap", "bass", "pad", "arpeggio"),
    "break": ("hat", "pad", "arpeggio", "riser"),
    "drop": ("kick", "hat", "open_hat", "clap", "percussion", "bass", "stab", "pad", "arpeggio", "crash"),
}
FOLLOWING = {
    "opening": ("groove", "melodic"),
    "groove": ("melodic", "break", "drop"),
    "melodic": ("break", "drop", "groove"),
    "break": ("drop",),
    "drop": ("melodic", "groove", "break"),
}


@dataclass(frozen=True)
class Song:
    """The plan that every part follows.

    Attributes:
        samples: Length of the track.
        step: Samples in a sixteenth note.
        swing: Delay of every second step, as a part of a step.
        root: MIDI pitch of the lowest root.
        intervals: The scale, semitones above the root.
        progression: Scale degree of each chord.
        chord_steps: Steps that a chord lasts.
        sections: Kind of each section.
        section_steps: Steps that a section lasts.
        cast: Parts that this song has at all.
        kicks: Steps of the bar with a kick.
        claps: Steps of the bar with a clap.
    """

    samples: int
    step: float
    swing: float
    root: int
    intervals: tuple[int, ...]
    progression: tuple[int, ...]
    chord_steps: int
    sections: tuple[str, ...]
    section_steps: int
    cast: frozenset[str]
    kicks: tuple[int, ...]
    claps: tuple[int, ...]

    @property
    def steps(self) -> range:
        """All steps that begin inside the track."""
        return range(int(np.ceil(self.samples / self.step)))

    def start(self, step: int, swung: bool = True) -> int:
        """Sample at which a step begins.

        Args:
            step: Step number.
            swung: Whether the song's swing delays it.

        Returns:
            The sample.
        """
        return round((step + (self.swing if swung and step % 2 else 0.0)) * self.step)

    def plays(self, part: str, step: int) -> bool:
        """Whether a part plays at a step.

        Args:
            part: Its name.
            step: Step number.

        Returns:
            True if it does.
        """
        return part in self.cast and part in SECTIONS[self.sections[step // self.section_steps]]

    def pitch(self, degree: int) -> int:
        """MIDI pitch of a scale degree above the lowest root; degrees go on past an octave.

        Args:
            degree: Scale degree, 0 the root.

        Returns:
            The pitch.
        """
        octave, place = divmod(degree, len(self.intervals))
        return self.root + 12 * octave + self.intervals[place]

    def chord(self, step: int) -> int:
        """Scale degree of the chord at a step.

        Args:
            step: Step number.

        Returns:
            The degree.
        """
        return self.progression[step // self.chord_steps % len(self.progression)]


def fold_pitch(pitch: int, lowest: int) -> int:
    """Move a pitch by octaves into the octave that begins at another.

    Args:
        pitch: MIDI pitch.
        lowest: First pitch of the octave.

    Returns:
        The pitch inside it.

    >>> fold_pitch(76, 48)
    52
    """
    return lowest + (pitch - lowest) % 12


def _draw_song(rng: np.random.Generator, palette: Palette, tempo: float, samples: int) -> Song:
    """Draw the plan of a song."""
    step = 60 / tempo / 4 * SAMPLE_RATE
    intervals, progressions = palette.scales[rng.choice(palette.scale_names)]
    tonal = rng.choice(
        ["pad", "pad", "arpeggio", "arpeggio", "stab"], 2, replace=False
    )  # at most two, so each is heard
    chances = {"open_hat": 0.7, "clap": 0.8, "percussion": 0.6}
    cast = {"kick", "hat", "bass", "riser", "crash", *map(str, tonal)}
    cast |= {part for part, chance in chances.items() if rng.random() < chance}
    section_steps = STEPS_PER_BAR * (4 if samples < 64 * SAMPLE_RATE else 8)
    sections = [str(rng.choice(["opening", "groove", "melodic", "drop"]))]
    while len(sections) * section_steps * step < samples:
        sections.append(str(rng.choice(FOLLOWING[sections[-1]])))
    # A lone pattern is not drawn: the base's numbers stay what they were before there were variants.
    places = palette.drum_places
    kicks, claps = places[0] if len(places) == 1 else places[rng.integers(len(places))]
    return Song(
        samples=samples,
        step=step,
        swing=float(rng.choice([0.0, 0.0, rng.uniform(0.08, 0.25)])),
        root=int(rng.choice(palette.roots)),
        intervals=intervals,
        progression=progressions[rng.integers(len(progressions))],
        chord_steps=STEPS_PER_BAR * int(rng.choice([1, 1, 2])),
        sections=tuple(sections),
        section_steps=section_steps,
        cast=frozenset(cast),
        kicks=kicks,
        claps=claps,
    )


def _euclid(hits: int, steps: int, shift: int) -> list[bool]:
    """Spread hits as evenly as possible over steps (Bjorklund's rhythms)."""
    return [(step + shift) * hits % steps < hits for step in range(steps)]


def _tone(shape: str, pitch: int, seconds: float, ring: float, cutoff: float, detune: float) -> Array:
    """A plucked note, stereo: harmonics under a low-pass that closes as the note rings, detuned between the sides."""
    samples = int(seconds * SAMPLE_RATE)
    hertz = midi_to_hertz(pitch)
    order = np.arange(1, int(np.clip(14000 / hertz, 1, 48)) + 1)
    amplitudes = harmonic_amplitudes(shape, len(order)) / (1 + (order * hertz / cutoff) ** 2)
    rings = ring / (1 + order * hertz / (2 * cutoff))
    sides = [
        damped_partials(
            np.concatenate([order * hertz * (1 - low), order * hertz * (1 + high)]),
            np.tile(amplitudes, 2),
            np.tile(rings, 2),
            samples,
        )
        for low, high in ((detune, 0.5 * detune), (0.5 * detune, detune))
    ]
    return fade(np.stack(sides), 0.002, min(0.03, seconds / 3))


def _drum_stem(song: Song, palette: Palette, rng: np.random.Generator) -> Array:
    """Kick, hats and clap."""
    stem = np.zeros((2, song.samples), np.float32)
    kick, clap = drums.kick(rng), drums.clap(rng)
    closed, opened = drums.hat(rng, rng.uniform(0.02, 0.05)), drums.hat(rng, 0.14)
    pattern = palette.hat_patterns[rng.integers(len(palette.hat_patterns))]
    hat_gain, clap_gain = rng.uniform(0.28, 0.42), rng.uniform(0.3, 0.45)
    ghost = int(rng.choice([7, 10, 14, 15])) if rng.random() < 0.4 else -1
    fill = set(rng.choice([10, 11, 13, 14, 15], 3, replace=False).tolist())
    for step in song.steps:
        place = step % STEPS_PER_BAR
        if song.plays("kick", step) and (place in song.kicks or place == ghost):
            mix_in(stem, kick, song.start(step), 0.95 if place in song.kicks else 0.55)
        if song.plays("hat", step) and pattern[place % 4]:
            mix_in(stem, closed, song.start(step), hat_gain * pattern[place % 4] * rng.uniform(0.85, 1))
        if song.plays("open_hat", step) and place % 4 == 2:
            mix_in(stem, opened, song.start(step), 0.9 * hat_gain)
        last_bar = step % song.section_steps >= song.section_steps - STEPS_PER_BAR
        if song.plays("clap", step) and (place in song.claps or (last_bar and place in fill)):
            mix_in(stem, clap, song.start(step), clap_gain * (1 if place in song.claps else 0.5))
    return stem


def _effects_stem(song: Song, rng: np.random.Generator) -> Array:
    """Percussion, crashes and risers."""
    stem = np.zeros((2, song.samples), np.float32)
    hit = drums.percussion(rng, midi_to_hertz(song.pitch(14 + int(rng.integers(0, 7)))))
    rhythm = _euclid(int(rng.integers(3, 8)), STEPS_PER_BAR, int(rng.integers(STEPS_PER_BAR)))
    width, crash = rng.uniform(0.2, 0.7), drums.crash(rng)
    for step in song.steps:
        if song.plays("percussion", step) and rhythm[step % STEPS_PER_BAR]:
            place = width if step % 4 < 2 else -width
            mix_in(stem, pan(hit, place), song.start(step), 0.2 * rng.uniform(0.6, 1))
        if step % song.section_steps == 0 and song.plays("crash", step):
            mix_in(stem, crash, song.start(step), 0.22)
        if song.plays("riser", step) and step % song.section_steps == song.section_steps // 2:
            mix_in(stem, drums.riser(rng, round(song.section_steps / 2 * song.step)), song.start(step), 0.25)
    return stem


def _bass_stem(song: Song, palette: Palette, rng: np.random.Generator) -> Array:
    """The bass line; its highs breathe slowly."""
    stem = np.zeros((2, song.samples), np.float32)
    pattern = palette.bass_patterns[rng.integers(len(palette.bass_patterns))]
    shape = str(rng.choice(palette.bass_shapes))
    cutoff, ring, length = rng.uniform(250, 1200), rng.uniform(0.12, 0.4), rng.uniform(0.9, 1.6)
    above = {"1": 0, "5": 7, "8": 12}
    notes: dict[int, Array] = {}
    for step in song.steps:
        mark = pattern[step % STEPS_PER_BAR]
        if mark == "." or not song.plays("bass", step):
            continue
        pitch = fold_pitch(song.pitch(song.chord(step)), 28) + above[mark]
        if pitch not in notes:
            tone = _tone(shape, pitch, length * song.step / SAMPLE_RATE, ring, cutoff, 0.0)
            notes[pitch] = normalise(tone.mean(axis=0))
        mix_in(stem, notes[pitch], song.start(step))
    return stem


def _chord_pitches(song: Song, degree: int, voices: int, lowest: int) -> list[int]:
    """A chord in close position: triad, or seventh chord for four voices, folded into one octave."""
    return sorted(fold_pitch(song.pitch(degree + 2 * voice), lowest) for voice in range(voices))


def _arpeggio_stem(song: Song, palette: Palette, rng: np.random.Generator) -> Array:
    """A running figure over the chord's notes, with echoes from side to side."""
    stem = np.zeros((2, song.samples), np.float32)
    length = int(rng.choice([6, 8, 12, 16]))
    free = rng.integers(0, 5, length).tolist()
    figure = ([0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3, 2, 1], free)[rng.integers(4)]
    rhythm = _euclid(int(rng.integers(length // 2, length + 1)), length, int(rng.integers(length)))
    shape, lowest = str(rng.choice(palette.arpeggio_shapes)), int(rng.choice([57, 62]))
    ring, cutoff = rng.uniform(0.12, 0.4), rng.uniform(1200, 5000)
    swell, swell_phase = 2 * np.pi / (STEPS_PER_BAR * rng.choice([2, 4, 8])), rng.uniform(0, 6.28)
    notes: dict[int, Array] = {}
    for step in song.steps:
        if not rhythm[step % length] or not song.plays("arpeggio", step):
            continue
        chord = _chord_pitches(song, song.chord(step), 3, lowest)
        octave, voice = divmod(figure[step % length % len(figure)], 3)
        pitch = chord[voice] + 12 * octave
        if pitch not in notes:
            notes[pitch] = normalise(_tone(shape, pitch, min(0.7, 3 * ring), ring, cutoff, 0.002))
        side = np.array([[1 + 0.5 * np.sin(1.7 * step)], [1 - 0.5 * np.sin(1.7 * step)]], np.float32)
        mix_in(stem, side * notes[pitch], song.start(step), 0.7 + 0.3 * np.sin(swell * step + swell_phase))
    return ping_pong(stem, round(3 * song.step), rng.uniform(0.25, 0.45))


def _stab_stem(song: Song, palette: Palette, rng: np.random.Generator) -> Array:
    """Short chords off the beat, in the manner of dub techno, with long echoes."""
    stem = np.zeros((2, song.samples), np.float32)
    pattern = palette.stab_patterns[rng.integers(len(palette.stab_patterns))]
    shape, cutoff, ring = str(rng.choice(palette.stab_shapes)), rng.uniform(800, 2500), rng.uniform(0.12, 0.25)
    chords: dict[int, Array] = {}
    for step in song.steps:
        if pattern[step % STEPS_PER_BAR] == "." or not song.plays("stab", step):
            continue
        degree = song.chord(step)
        if degree not in chords:
            voices = [_tone(shape, pitch, 0.5, ring, cutoff, 0.003) for pitch in _chord_pitches(song, degree, 4, 52)]
            chords[degree] = normalise(np.sum(voices, axis=0))
        mix_in(stem, chords[degree], song.start(step))
    return ping_pong(stem, round(3 * song.step), rng.uniform(0.4, 0.6), repeats=6)


def _pad_stem(song: Song, palette: Palette, rng: np.random.Generator) -> Array:
    """Held chords of detuned oscillators under a slowly moving filter."""
    stem = np.zeros((2, song.samples), np.float32)
    shape, detune = str(rng.choice(palette.pad_shapes)), rng.uniform(0.001, 0.005)
    voices, lowest = int(rng.choice([3, 4])), int(rng.choice([50, 55]))
    samples = round(song.chord_steps * song.step) + int(0.08 * SAMPLE_RATE)
    chords: dict[int, Array] = {}
    for step in song.steps[:: song.chord_steps]:
        degree = song.chord(step)
        if not song.plays("pad", step):
            continue
        if degree not in chords:
            chord = np.zeros((2, samples), np.float32)
            for pitch in _chord_pitches(song, degree, voices, lowest):
                for side in chord:
                    for cents in (-detune, detune):
                        hertz = midi_to_hertz(pitch) * (1 + cents * rng.uniform(0.7, 1.3))
                        side += oscillate(shape, hertz, samples, rng.random(), 8000)
            chords[degree] = fade(chord, 0.08, 0.08)
        mix_in(stem, chords[degree], song.start(step))
    if not chords:
        return stem
    beats = np.arange(song.samples, dtype=np.float32) * np.float32(1 / (4 * song.step))
    period = float(rng.choice([8, 16, 32]))
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * (beats / period + rng.random()))
    return swept_lowpass(stem, sweep, rng.uniform(400, 800), rng.uniform(2500, 6000))


def _duck(song: Song, depth: float, seconds: float) -> Array:
    """Gain that dips at every kick and swings back, shape `(samples,)`."""
    gain = np.ones(song.samples, np.float32)
    dip = 1 - np.float32(depth) * decay(int(5 * seconds * SAMPLE_RATE), seconds)
    for step in song.steps:
        if step % STEPS_PER_BAR in song.kicks and song.plays("kick", step):
            start = song.start(step)
            length = min(len(dip), song.samples - start)
            gain[start : start + length] = np.minimum(gain[start : start + length], dip[:length])
    return gain


def _level(stem: Array, target: float) -> Array:
    """Scale a stem so that the loudest fifth of its moments reach a root mean square."""
    frames = stem[:, : stem.shape[1] // 4096 * 4096].reshape(2, -1, 4096)
    loud = np.quantile(np.sqrt(np.mean(frames**2, axis=(0, 2))), 0.8) if frames.size else 0.0
    return stem * np.float32(target / max(loud, 1e-3))


def render_techno(rng: np.random.Generator, palette: Palette, tempo: float, samples: int) -> tuple[Array, Labels]:
    """Draw and play a techno track.

    Args:
        rng: Decides everything but the tempo.
        palette: What is drawn from.
        tempo: Beats per minute.
        samples: Length at 44.1 kHz.

    Returns:
        The audio, shape `(samples, 2)`, float32, and its labels. Beat 0 and bar 0 are at time 0.
    """
    song = _draw_song(rng, palette, tempo, samples)
    drum, effects = _drum_stem(song, palette, rng), _effects_stem(song, rng)
    bass = _level(_bass_stem(song, palette, rng), rng.uniform(0.12, 0.19))
    pad = _level(_pad_stem(song, palette, rng), rng.uniform(0.08, 0.13))
    arpeggio = _level(_arpeggio_stem(song, palette, rng), rng.uniform(0.08, 0.13))
    stab = _level(_stab_stem(song, palette, rng), rng.uniform(0.07, 0.12))
    duck = _duck(song, rng.uniform(0.5, 0.9), rng.uniform(0.08, 0.15))
    send = arpeggio + 0.8 * stab + 0.5 * pad + 0.6 * effects + 0.06 * drum
    room = reverb(send, rng, rng.uniform(0.6, 2.0), 300, 6000) * np.float32(rng.uniform(0.15, 0.35))
    high = band(pad + arpeggio + stab, low=120)  # leaves the lows to kick and bass
    audio = master(drum + effects + duck * (bass + high + room))
    beats = np.arange(np.ceil(samples / SAMPLE_RATE * tempo / 60)) * (60 / tempo)
    return audio, Labels(tempo=tempo, beats=beats, places=np.arange(len(beats)) % 4 + 1.0)
