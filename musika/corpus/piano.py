"""A struck-string piano: stiff strings in slightly detuned pairs, a hammer, a stereo image by pitch and a soft room."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from musika.corpus.labels import Labels
from musika.corpus.piano_score import Note, compose
from musika.corpus.synth import (
    SAMPLE_RATE,
    Array,
    band,
    damped_partials,
    decay,
    fade,
    master,
    midi_to_hertz,
    mix_in,
    reverb,
)

VELOCITY_LAYERS = 8  # timbres between soft and loud: a note is made once a pitch and layer, then scaled
RELEASE_SECONDS = 0.12  # how long a damper takes
LOUDNESS = 0.13  # a piano's peaks stand higher above its mean than a drum machine's
QUIETEST_PARTIAL = 1e-3  # of the strongest: what lies 60 dB below is left out


def string_partials(pitch: int, count: int = 48) -> Array:
    """Frequencies of a stiff string, which lie ever sharper than harmonics: ``k f sqrt(1 + B k^2)``.

    The stiffness B over the keyboard follows the compass model of Rigaud, David and Daudet (2013).

    Args:
        pitch: MIDI pitch.
        count: Number of partials.

    Returns:
        Frequencies in Hz, shape `(count,)`.

    >>> (string_partials(69, 2) / 440).round(3).tolist()
    [1.0, 2.002]
    """
    order = np.arange(1, count + 1)
    stiffness = np.exp(0.0926 * pitch - 13.64) + np.exp(-0.0847 * pitch - 3.73)
    return midi_to_hertz(pitch) * order * np.sqrt((1 + stiffness * order**2) / (1 + stiffness))


def _strings(pitch: int, force: float, samples: int, rng: np.random.Generator) -> Array:
    """The strings' sound, stereo: each partial has a loud part that dies fast and a quiet one that rings on."""
    hertz = string_partials(pitch)
    order = np.arange(1, len(hertz) + 1)
    bright = (450 + 1500 * force**1.5) * 2 ** ((pitch - 60) / 28)  # Hz: a harder blow excites higher partials
    strike = np.abs(np.sin(np.pi * order / 8.3))  # a hammer an eighth along the string silences its nodes
    board = hertz**2 / (hertz**2 + 80.0**2)  # the soundboard hardly radiates the lowest tones
    amplitudes = strike * board * np.exp(-hertz / bright)
    heard = amplitudes > QUIETEST_PARTIAL * amplitudes.max()
    hertz, amplitudes = hertz[heard], amplitudes[heard] / np.sqrt(np.sum(amplitudes[heard] ** 2))
    ring = 1.8 * 2 ** ((60 - pitch) / 20) / (1 + hertz / 1500)
    sides = []
    for _ in range(2):
        split = rng.uniform(0.75, 0.88, len(hertz))
        detune = 1 + rng.uniform(-2e-4, 2e-4, len(hertz))
        sides.append(
            damped_partials(
                np.concatenate([hertz, hertz * detune]),
                np.concatenate([split * amplitudes, (1 - split) * amplitudes]),
                np.concatenate([0.22 * ring, ring]),
                samples,
            )
        )
    return np.stack(sides)


def _hammer(pitch: int, force: float, samples: int, rng: np.random.Generator) -> Array:
    """The knock of the key and the felt on the string, mono."""
    length = min(samples, int(0.12 * SAMPLE_RATE))
    noise = rng.standard_normal(length)
    knock = band(noise, 90, 500) * decay(length, 0.022)
    felt = band(noise, 800, 2500 + 3500 * force) * decay(length, 0.005)
    sound = np.zeros(samples, np.float32)
    sound[:length] = (0.09 + 0.08 * force) * knock + (0.05 + 0.2 * force) * felt
    return sound * np.float32(0.6 + 0.4 * (pitch - 36) / 48)


def strike_note(pitch: int, layer: int, samples: int, rng: np.random.Generator) -> Array:
    """Sound of one key at one strength, at unit loudness.

    Args:
        pitch: MIDI pitch.
        layer: Strength, 0 (softest) to `VELOCITY_LAYERS` - 1.
        samples: Length.
        rng: Small differences between strings, and the hammer's noise.

    Returns:
        The sound, shape `(2, samples)`, low keys to the left and high keys to the right.
    """
    force = (layer + 0.5) / VELOCITY_LAYERS
    place = np.clip((pitch - 60) / 40, -0.7, 0.7)
    sides = np.sqrt(np.array([[1 - place], [1 + place]], np.float32))
    sound = _strings(pitch, force, samples, rng) + _hammer(pitch, force, samples, rng)
    return fade(sides * sound, 0.004 - 0.003 * force, 0.0)


def _layer(note: Note) -> int:
    return note.velocity * VELOCITY_LAYERS // 128


def _play(notes: list[Note], samples: int, rng: np.random.Generator) -> Array:
    """Play a score, without the room."""
    by_key: dict[tuple[int, int], list[Note]] = defaultdict(list)
    for note in notes:
        by_key[note.pitch, _layer(note)].append(note)
    stem = np.zeros((2, samples), np.float32)
    for (pitch, layer), struck in sorted(by_key.items()):
        longest = max(note.length for note in struck)
        sound = strike_note(pitch, layer, int((longest + RELEASE_SECONDS) * SAMPLE_RATE), rng)
        for note in struck:
            length = int((note.length + RELEASE_SECONDS) * SAMPLE_RATE)
            gain = (note.velocity / 127) ** 1.6
            mix_in(stem, fade(sound[:, :length], 0.0, RELEASE_SECONDS), round(note.start * SAMPLE_RATE), gain)
    return stem


def render_piano(rng: np.random.Generator, samples: int) -> tuple[Array, Labels]:
    """Write and play a piano piece.

    Args:
        rng: Decides everything.
        samples: Length at 44.1 kHz.

    Returns:
        The audio, shape `(samples, 2)`, float32, and its labels, with onsets at the very sample of the strike.
    """
    notes = compose(rng, samples / SAMPLE_RATE)
    dry = _play(notes, samples, rng)
    room = reverb(dry, rng, rng.uniform(1.2, 2.2), 150, 5000)
    audio = master(dry + np.float32(rng.uniform(0.12, 0.25)) * room, LOUDNESS)
    onsets = np.array([round(note.start * SAMPLE_RATE) / SAMPLE_RATE for note in notes])
    pitches = np.array([float(note.pitch) for note in notes])
    return audio, Labels(onsets=onsets, pitches=pitches, velocities=np.array([float(note.velocity) for note in notes]))
