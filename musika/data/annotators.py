"""Annotators: what hears tempo, beats, bars and onsets in an audio file, by name.

An annotator is a function ``(recording) -> Events``. What it does not give, it leaves out. ``ANNOTATORS`` holds them
with the licence of what they need and where to get it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import SAMPLE_RATE, read_audio, show_path
from musika.checks import UserError, check_choice
from musika.corpus.labels import labels_path, read_labels
from musika.data import rhythm
from musika.data.annotation import Array

Floats = NDArray[np.float32]

_LIBROSA_OCTAVES = 1.0  # standard deviation of its prior over tempi


@dataclass(frozen=True, eq=False)
class Events:
    """What an annotator hears in a file.

    Attributes:
        tempo: Beats a minute, or None.
        tempo_confidence: How sure it is of the tempo, 0 to 1.
        beats: Times of the beats in seconds, rising, shape ``(beats,)``.
        bars: Times at which bars begin in seconds, rising, shape ``(bars,)``.
        onsets: Times of note onsets in seconds, rising, those struck together once, shape ``(onsets,)``; None where
            the annotator does not listen for them.
    """

    tempo: float | None = None
    tempo_confidence: float = 0.0
    beats: Array = field(default_factory=lambda: np.zeros(0))
    bars: Array = field(default_factory=lambda: np.zeros(0))
    onsets: Array | None = None


class Recording:
    """One audio file to be measured: read, and listened to, only when something is asked of it.

    Args:
        path: The audio file; None for audio that is in memory.
        steps: Its latent steps.
        latent_rate: Latent steps a second.
        samples: Its length in samples.
        sample_rate: Samples a second.
        annotator: Name of the annotator that listens.
        audio: The waveform where it is in memory, of shape ``(samples, 2)``.
    """

    def __init__(
        self,
        path: Path | None,
        steps: int,
        latent_rate: float,
        samples: int,
        sample_rate: int = SAMPLE_RATE,
        annotator: str = "librosa",
        audio: Floats | None = None,
    ) -> None:
        self.path, self.steps, self.latent_rate = path, steps, latent_rate
        self.samples, self.sample_rate, self.annotator = samples, sample_rate, annotator
        if audio is not None:
            self.audio = audio

    @property
    def seconds(self) -> float:
        """Length of the audio in seconds."""
        return self.samples / self.sample_rate

    @cached_property
    def audio(self) -> Floats:
        """The waveform, float32 of shape ``(samples, 2)``."""
        if self.path is None:
            raise UserError("a recording needs a path or audio. Received: neither")
        return read_audio(self.path, self.sample_rate)

    @cached_property
    def mono(self) -> Floats:
        """Mean of the channels, float32 of shape ``(samples,)``."""
        return np.asarray(self.audio.mean(axis=1), np.float32)

    @cached_property
    def events(self) -> Events:
        """What the annotator hears."""
        check_choice(self.annotator, "annotator", list(ANNOTATORS))
        return ANNOTATORS[self.annotator].listen(self)


@dataclass(frozen=True)
class Annotator:
    """An annotator.

    Attributes:
        listen: Hears the events of a recording.
        gives: What it gives, for people.
        licence: Licence of what it needs beyond this package.
        package: Package to be installed for it; empty where nothing is missing.
    """

    listen: Callable[[Recording], Events]
    gives: str
    licence: str
    package: str = ""


def read_events(recording: Recording) -> Events:
    """Take the events from the labels beside the audio, ``NAME.labels.csv``.

    Args:
        recording: The file; its audio itself may be missing.

    Returns:
        The events. Without a row ``note`` the onsets are unknown; without a row ``tempo`` the tempo is.

    Raises:
        UserError: If there are no labels, or they cannot be read.
    """
    if recording.path is None or not labels_path(recording.path).is_file():
        name = show_path(labels_path(recording.path)) if recording.path else "a label file"
        raise UserError(f"there is no {name}. Write one, or choose another --annotator.")
    labels = read_labels(labels_path(recording.path))
    known = labels.tempo is not None
    onsets = labels.distinct_onsets if len(labels.onsets) else None
    return Events(labels.tempo, float(known), np.unique(labels.beats), np.unique(labels.bars), onsets)


def hear_librosa(recording: Recording) -> Events:
    """Listen with librosa: its beat tracker, and its onset envelope.

    Its tempo, which knows some 20 values from 80 to 160 BPM, is refined by a line through the beats.

    Args:
        recording: The file.

    Returns:
        Tempo, beats and onsets.
    """
    import librosa
    import scipy.stats

    mono, rate = recording.mono, recording.sample_rate
    envelope, frames = rhythm.onset_envelope(mono, rate)
    prior = scipy.stats.lognorm(scale=rhythm.COMMON_TEMPO, s=_LIBROSA_OCTAVES * np.log(2))
    hop = round(rate / frames)
    tempo, beats = librosa.beat.beat_track(
        onset_envelope=envelope, sr=rate, hop_length=hop, prior=prior, trim=False, units="time"
    )
    onsets = rhythm.find_onsets(mono, rate)
    beats = np.maximum(np.asarray(beats, float) - rhythm.ONSET_DELAY_SECONDS, 0.0)
    beats = np.unique(beats)
    if len(beats) < 4:
        return Events(onsets=onsets)
    spread = np.median(np.abs(np.diff(beats) / np.median(np.diff(beats)) - 1))
    return Events(rhythm.beats_tempo(beats), float(np.clip(1 - 10 * spread, 0, 1)), beats, onsets=onsets)


def hear_comb(recording: Recording) -> Events:
    """Listen with this package's own comb over tempi and steady pulse, see ``rhythm.py``.

    Args:
        recording: The file.

    Returns:
        Tempo, beats and onsets.
    """
    tempo, confidence, beats = rhythm.find_beats(recording.mono, recording.sample_rate)
    return Events(tempo, confidence, beats, onsets=rhythm.find_onsets(recording.mono, recording.sample_rate))


ANNOTATORS: dict[str, Annotator] = {
    "labels": Annotator(read_events, "tempo, beats, bars, onsets", "none: the labels beside the audio"),
    "librosa": Annotator(hear_librosa, "tempo, beats, onsets", "ISC"),
    "comb": Annotator(hear_comb, "tempo, beats, onsets", "MIT: this package's own"),
}
