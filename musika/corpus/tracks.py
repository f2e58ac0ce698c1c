"""A numbered track, made from its seed and index alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musika.checks import check_choice, check_integer, check_number
from musika.corpus.labels import Labels
from musika.corpus.palettes import PALETTES
from musika.corpus.piano import render_piano
from musika.corpus.synth import SAMPLE_RATE
from musika.corpus.techno import render_techno

KINDS = ["techno", "piano", "techno@breaks"]  # a number of their own each: new ones go to the end
_TEMPO_STREAM = 2
LARGEST_SEED = 2**63 - 1
SHORTEST_TRACK, LONGEST_TRACK = 1.0, 600.0  # seconds; a track is made in memory


@dataclass(frozen=True, eq=False)
class Track:
    """A practice track.

    Attributes:
        audio: Stereo at 44.1 kHz, shape `(samples, 2)`, float32, within [-1, 1].
        labels: What is exactly known of it.
    """

    audio: np.ndarray
    labels: Labels


def track_tempo(seed: int, index: int, kind: str = "techno") -> float:
    """Tempo of a techno track.

    Tempi follow a golden-ratio sequence, so that even a few tracks cover the whole range evenly.

    Args:
        seed: Seed of the corpus.
        index: Number of the track.
        kind: ``techno`` or a variant of it.

    Returns:
        Beats per minute within the palette's range (``techno``: 90 to 160), in tenths.
    """
    offset = np.random.default_rng([seed, _TEMPO_STREAM]).random()
    low, high = PALETTES[kind].tempo_range
    return round(low + (high - low) * ((offset + index * 0.6180339887498949) % 1.0), 1)


def render_track(kind: str, seed: int, index: int, seconds: float = 32.0) -> Track:
    """Make one track; equal arguments give equal bytes.

    Args:
        kind: ``techno``, its variant ``techno@breaks``, or ``piano``.
        seed: Seed of the corpus, 0 or more.
        index: Number of the track in the corpus, 0 or more.
        seconds: Length in seconds, from 1 to 600.

    Returns:
        The track.

    Raises:
        UserError: If an argument is out of its range.
    """
    check_choice(kind, "kind", KINDS)
    check_integer(seed, "seed", 0, LARGEST_SEED)
    check_integer(index, "index", 0, 10**9)
    samples = round(check_number(seconds, "seconds", SHORTEST_TRACK, LONGEST_TRACK) * SAMPLE_RATE)
    rng = np.random.default_rng([seed, index, KINDS.index(kind)])
    if kind in PALETTES:
        return Track(*render_techno(rng, PALETTES[kind], track_tempo(seed, index, kind), samples))
    return Track(*render_piano(rng, samples))
