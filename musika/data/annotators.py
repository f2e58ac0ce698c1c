"""Annotators: what hears tempo, beats, bars and onsets in an audio file, by name.

An annotator is a function ``(recording) -> Events``. What it does not give, it leaves out. ``ANNOTATORS`` holds them
with the licence of what they need and where to get it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import SAMPLE_RATE, read_audio, show_path
from musika.checks import UserError, check_choice
from musika.corpus.labels import Labels, labels_path, read_labels
from musika.data import rhythm
from musika.data.annotation import Array

Floats = NDArray[np.float32]

_LIBROSA_DELAY_SECONDS = -0.0065  # of its beats, found on practice music
_TEMPOCNN_LOWEST = 30  # beats a minute of its first class; one a class


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
    return label_events(read_labels(labels_path(recording.path)))


def label_events(labels: Labels) -> Events:
    """Take the events from labels.

    Args:
        labels: The labels.

    Returns:
        The events. Without notes the onsets are unknown; without a tempo the tempo is.
    """
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

    mono, rate = recording.mono, recording.sample_rate
    onsets = rhythm.find_onsets(mono, rate)
    envelope, frames = rhythm.onset_envelope(mono, rate)
    if not len(onsets):
        return Events(onsets=onsets)
    hop = round(rate / frames)
    rough = float(librosa.feature.tempo(onset_envelope=envelope, sr=rate, hop_length=hop)[0])
    tracked = librosa.beat.beat_track(
        onset_envelope=envelope, sr=rate, hop_length=hop, bpm=rough, trim=False, units="time"
    )[1]
    return _from_beats(np.asarray(tracked, np.float64) - _LIBROSA_DELAY_SECONDS, onsets=onsets)


def _from_beats(beats: Array, bars: Array | None = None, onsets: Array | None = None) -> Events:
    """Events of tracked beats: the tempo is that of a line through them, the surer the more even they are."""
    beats = np.unique(beats[beats >= 0])
    tempo = rhythm.beats_tempo(beats)
    gaps = np.diff(beats)
    uneven = float(np.median(np.abs(gaps / np.median(gaps) - 1))) if tempo else 1.0
    bars = np.zeros(0) if bars is None else np.unique(bars[bars >= 0])
    return Events(tempo, float(np.clip(1 - 10 * uneven, 0.0, 1.0)), beats, bars, onsets)


def hear_comb(recording: Recording) -> Events:
    """Listen with this package's own comb over tempi and steady pulse, see ``rhythm.py``.

    Args:
        recording: The file.

    Returns:
        Tempo, beats and onsets.
    """
    tempo, confidence, beats = rhythm.find_beats(recording.mono, recording.sample_rate)
    return Events(tempo, confidence, beats, onsets=rhythm.find_onsets(recording.mono, recording.sample_rate))


def _missing(package: str, error: ImportError) -> UserError:
    """The error for an annotator whose package is not installed, or does not work here."""
    return UserError(
        f"this annotator needs the package {package}, which cannot be imported ({error})."
        f" `pip install {package}`, or choose another --annotator."
    )


def _audio_file(recording: Recording, folder: str) -> str:
    """The recording as a file, for listeners that read files."""
    if recording.path is not None:
        return str(recording.path)
    from musika.audio.writing import write_audio

    return str(write_audio(Path(folder) / "recording.wav", recording.audio, recording.sample_rate))


def hear_tempocnn(recording: Recording) -> Events:
    """Listen with Tempo-CNN (Schreiber and Mueller, ISMIR 2018), one of the detectors of the original paper.

    Args:
        recording: The file.

    Returns:
        The tempo only.

    Raises:
        UserError: If it is not installed.
    """
    try:
        from tempocnn.classifier import TempoClassifier
        from tempocnn.feature import read_features
    except ImportError as error:
        raise _missing("tempocnn", error) from None
    with TemporaryDirectory(prefix="musika-") as folder:
        features = read_features(_audio_file(recording, folder))
    shares = np.asarray(TempoClassifier("fcn").estimate(features)).mean(axis=0)
    best = int(np.argmax(shares))
    return Events(float(best + _TEMPOCNN_LOWEST), float(np.clip(shares[max(best - 2, 0) : best + 3].sum(), 0.0, 1.0)))


def hear_madmom(recording: Recording) -> Events:
    """Listen with madmom (Boeck and others, 2016), the other detector of the original paper.

    Args:
        recording: The file.

    Returns:
        Tempo, beats, bars and onsets.

    Raises:
        UserError: If it is not installed.
    """
    try:
        from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor
        from madmom.features.onsets import CNNOnsetProcessor, OnsetPeakPickingProcessor
    except ImportError as error:
        raise _missing("madmom", error) from None
    with TemporaryDirectory(prefix="musika-") as folder:
        file = _audio_file(recording, folder)
        rows = DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=100)(RNNDownBeatProcessor()(file))
        onsets = OnsetPeakPickingProcessor(threshold=0.54, fps=100)(CNNOnsetProcessor()(file))
    rows = np.asarray(rows, np.float64).reshape(-1, 2)
    return _from_beats(rows[:, 0], rows[rows[:, 1] == 1, 0], np.unique(np.asarray(onsets, np.float64)))


def hear_beat_this(recording: Recording) -> Events:
    """Listen with Beat This! (Foscarin, Schlueter and Widmer, ISMIR 2024). It fetches its weights at its first use.

    Args:
        recording: The file.

    Returns:
        Tempo, beats and bars.

    Raises:
        UserError: If it is not installed.
    """
    try:
        from beat_this.inference import Audio2Beats
    except ImportError as error:
        raise _missing("beat-this", error) from None
    beats, bars = Audio2Beats(checkpoint_path="final0", device="cpu", dbn=False)(recording.mono, recording.sample_rate)
    return _from_beats(np.asarray(beats, np.float64), np.asarray(bars, np.float64))


ANNOTATORS: dict[str, Annotator] = {
    "librosa": Annotator(hear_librosa, "tempo, beats, onsets", "ISC"),
    "comb": Annotator(hear_comb, "tempo, beats, onsets", "MIT (this package)"),
    "labels": Annotator(read_events, "what NAME.labels.csv beside the audio tells", "none"),
    "tempocnn": Annotator(hear_tempocnn, "tempo", "AGPL-3.0, code and weights", "tempocnn"),
    "madmom": Annotator(hear_madmom, "tempo, beats, bars, onsets", "BSD; weights CC BY-NC-SA 4.0", "madmom"),
    "beat_this": Annotator(hear_beat_this, "tempo, beats, bars", "MIT", "beat_this"),
}


def is_installed(name: str) -> bool:
    """Whether what an annotator needs is installed.

    Args:
        name: Its name in ``ANNOTATORS``.

    Returns:
        True if it is.

    >>> is_installed("librosa")
    True
    """
    package = ANNOTATORS[name].package
    return not package or importlib.util.find_spec(package) is not None
