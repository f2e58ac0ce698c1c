"""What a techno song may be made of: tempi, scales, patterns, waveforms. The base palette, and variants of it.

A variant is music that a generator of the base has never heard, to fine-tune on. ``techno@breaks`` differs from
``techno`` in its tempi (165 to 180 BPM, not 90 to 160), its scales and roots, its drum patterns (broken, not four to
the floor) and its waveforms.
"""

from __future__ import annotations

from dataclasses import dataclass

STEPS_PER_BAR = 16
Progressions = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Palette:
    """What a song is drawn from. A list may name an entry several times, to have it more often.

    Attributes:
        tempo_range: Lowest and highest tempo in beats a minute.
        roots: MIDI pitches of the lowest root, in the octave of the bass.
        scales: By name, the semitones above the root and the chord progressions in scale degrees.
        scale_names: The scales that are drawn from.
        drum_places: Steps of the bar with a kick, and those with a clap.
        hat_patterns: Loudness of the closed hat on the four steps of a beat.
        bass_patterns: A character a step: . rests, 1 the root, 5 the fifth, 8 the octave.
        stab_patterns: A character a step: . rests, x plays.
        bass_shapes: Waveforms of the bass, see `synth.harmonic_amplitudes`.
        arpeggio_shapes: Waveforms of the arpeggio.
        stab_shapes: Waveforms of the stabs.
        pad_shapes: Waveforms of the pad.
    """

    tempo_range: tuple[float, float]
    roots: tuple[int, ...]
    scales: dict[str, tuple[tuple[int, ...], Progressions]]
    scale_names: tuple[str, ...]
    drum_places: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    hat_patterns: tuple[tuple[float, ...], ...]
    bass_patterns: tuple[str, ...]
    stab_patterns: tuple[str, ...]
    bass_shapes: tuple[str, ...]
    arpeggio_shapes: tuple[str, ...]
    stab_shapes: tuple[str, ...]
    pad_shapes: tuple[str, ...]


BASE = Palette(
    tempo_range=(90.0, 160.0),
    roots=(28, 31, 33, 36, 38),  # E, G, A, C, D
    scales={
        "minor": (
            (0, 2, 3, 5, 7, 8, 10),
            ((0,), (0, 5), (0, 3), (0, 5, 2, 6), (0, 6, 5, 6), (0, 0, 5, 6), (0, 3, 5, 4)),
        ),
        "dorian": ((0, 2, 3, 5, 7, 9, 10), ((0,), (0, 3), (0, 0, 3, 3), (0, 6), (0, 2, 3, 6))),
        "phrygian": ((0, 1, 3, 5, 7, 8, 10), ((0,), (0, 1), (0, 0, 5, 1), (0, 1, 2, 1))),
    },
    scale_names=("minor", "minor", "dorian", "phrygian"),
    drum_places=(((0, 4, 8, 12), (4, 12)),),
    hat_patterns=((0, 0, 1, 0), (0.5, 0.3, 1, 0.3), (0.8, 0, 0.8, 0), (0.5, 0.25, 0.8, 0.5)),
    bass_patterns=(
        "..1...1...1...1.",
        ".111.111.111.118",
        "1..1..1.1..1..1.",
        "1...1.8.1...1.8.",
        "..11..11..11..81",
        "1.1.11.11.1.15.8",
        "1..1..8..1..5.1.",
        "1111111111111111",
    ),
    stab_patterns=("...x......x.....", "..x...x...x...x.", "x..x..x.........", "......x..x......", "x.....x...x....."),
    bass_shapes=("saw", "square", "triangle"),
    arpeggio_shapes=("saw", "square", "triangle", "organ"),
    stab_shapes=("saw", "square"),
    pad_shapes=("saw", "saw", "square", "organ"),
)

BREAKS = Palette(
    tempo_range=(165.0, 180.0),
    roots=(29, 30, 32, 34, 35),  # F, F sharp, G sharp, A sharp, B: none of the base's
    scales={
        "lydian": ((0, 2, 4, 6, 7, 9, 11), ((0,), (0, 1), (0, 4), (0, 1, 4, 5), (0, 5, 1, 4))),
        "double_harmonic": ((0, 1, 4, 5, 7, 8, 11), ((0,), (0, 1), (0, 3), (0, 0, 1, 3))),
    },
    scale_names=("lydian", "double_harmonic"),
    drum_places=(
        ((0, 10), (4, 12)),
        ((0, 2, 10), (4, 12)),
        ((0, 2, 10, 11), (4, 7, 9, 12)),
        ((0, 6, 10), (4, 12, 15)),
    ),
    hat_patterns=((0.9, 0, 0.6, 0), (0.8, 0.3, 0.6, 0.3), (0.4, 0, 0.9, 0.5), (0.7, 0.4, 0, 0.4)),
    bass_patterns=(
        "1.......1.....5.",
        "1..........1..8.",
        "1.....1...5.....",
        "1..1......1.....",
        "1...........5.8.",
    ),
    stab_patterns=("x.......x.......", "x..............x", "....x.....x.....", "x.....x........."),
    bass_shapes=("sine", "pulse"),
    arpeggio_shapes=("pulse", "reed"),
    stab_shapes=("pulse", "reed"),
    pad_shapes=("reed", "sine", "pulse"),
)

PALETTES = {"techno": BASE, "techno@breaks": BREAKS}
