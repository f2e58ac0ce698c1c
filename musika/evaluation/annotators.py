"""How well annotators hear: their tempi, beats and onsets against the labels of practice music.

The scores are those of mir_eval: Accuracy1 (tempo within 4 %), Accuracy2 (also its double, triple, half or third), beat
F-measure (70 ms, the first 5 s left out, as is usual), onset F-measure (50 ms); and the correlation of note densities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import SAMPLE_RATE
from musika.checks import UserError
from musika.data.annotators import ANNOTATORS, Events, Recording, is_installed
from musika.data.measures import KERNEL_SECONDS, event_density

if TYPE_CHECKING:
    from musika.corpus.labels import Labels

Array = NDArray[np.float64]

PRACTICE_SEED = 7  # of the music that is listened to; the shipped presets were trained on 0
TEMPO_TOLERANCE = 0.04  # of the tempo
_FACTORS = (1.0, 2.0, 3.0, 1 / 2, 1 / 3)
_DENSITY_RATE = 44100 / 4096  # latent steps a second of the shipped codecs
SCORES = (
    "accuracy1",
    "accuracy2",
    "tempo_error_percent",
    "beat_f",
    "beat_offset_ms",
    "onset_f",
    "density_correlation",
)


@dataclass(frozen=True, eq=False)
class Practice:
    """A practice track.

    Attributes:
        name: Its name.
        audio: Waveform of shape ``(samples, 2)``.
        labels: What is exactly known of it.
    """

    name: str
    audio: NDArray[np.float32]
    labels: Labels


def practice_tracks(kind: str, minutes: float, seed: int, track_seconds: float = 32.0) -> Iterable[Practice]:
    """Make practice tracks one by one.

    Args:
        kind: ``techno`` or ``piano``.
        minutes: Length of all together in minutes.
        seed: Seed of the corpus; the shipped presets were trained on seed 0.
        track_seconds: Length of a track in seconds.

    Yields:
        The tracks.
    """
    from musika.corpus.folder import track_lengths
    from musika.corpus.tracks import render_track

    for index, seconds in enumerate(track_lengths(minutes, track_seconds)):
        track = render_track(kind, seed, index, seconds)
        yield Practice(f"{kind}_{index:05d}", track.audio, track.labels)


def _mir_eval() -> Any:
    """The package mir_eval."""
    try:
        import mir_eval.beat
        import mir_eval.onset
        import mir_eval.tempo
        import mir_eval.util
    except ImportError as error:
        raise UserError(f"this measurement needs the package mir_eval ({error}). `pip install mir_eval`.") from None
    return mir_eval


def tempo_hits(reference: float, measured: float | None) -> tuple[bool, bool]:
    """Whether a measured tempo counts as right.

    Args:
        reference: The true tempo in beats a minute.
        measured: The measured one; None counts as wrong.

    Returns:
        Accuracy1 (within 4 %) and Accuracy2 (of the true tempo, its double, triple, half or third).

    >>> tempo_hits(120.0, 123.0), tempo_hits(120.0, 59.0), tempo_hits(120.0, 90.0)
    ((True, True), (False, True), (False, False))
    """
    if not measured:
        return False, False
    detection = _mir_eval().tempo.detection
    found = np.array([measured, measured])
    hits = [bool(detection(np.full(2, reference * factor), 1.0, found, tol=TEMPO_TOLERANCE)[1]) for factor in _FACTORS]
    return hits[0], any(hits)


def beat_score(reference: Array, measured: Array) -> float:
    """F-measure of beats within 70 ms, the first 5 s left out.

    Args:
        reference: Times of the true beats in seconds.
        measured: Times of the measured beats.

    Returns:
        The F-measure, 0 to 1.
    """
    beat = _mir_eval().beat
    reference, measured = beat.trim_beats(reference), beat.trim_beats(measured)
    return float(beat.f_measure(reference, measured)) if len(reference) and len(measured) else 0.0


def onset_score(reference: Array, measured: Array) -> float:
    """F-measure of onsets within 50 ms.

    Args:
        reference: Times of the true onsets in seconds.
        measured: Times of the measured onsets.

    Returns:
        The F-measure, 0 to 1.
    """
    if not len(reference) or not len(measured):
        return 0.0
    return float(_mir_eval().onset.f_measure(reference, measured, window=0.05)[0])


def _offset(reference: Array, measured: Array) -> float:
    """Median lateness of the beats that match, in milliseconds."""
    pairs = _mir_eval().util.match_events(reference, measured, 0.07)
    return 1000 * float(np.median([measured[found] - reference[true] for true, found in pairs])) if pairs else np.nan


def _density_correlation(reference: Array, measured: Array, seconds: float) -> float:
    """Pearson correlation of the density curves of true and measured onsets."""
    steps = int(seconds * _DENSITY_RATE)
    true, found = (
        event_density(onsets, steps, _DENSITY_RATE, seconds, KERNEL_SECONDS) for onsets in (reference, measured)
    )
    return float(np.corrcoef(true, found)[0, 1]) if true.std() > 0 and found.std() > 0 else 0.0


def score_events(events: Events, labels: Labels, seconds: float) -> dict[str, float]:
    """Score what was heard of one track.

    Args:
        events: What an annotator heard.
        labels: What is true.
        seconds: Length of the track.

    Returns:
        Scores by name, of all that the track has and the annotator gives.
    """
    scores: dict[str, float] = {}
    if labels.tempo is not None:
        first, second = tempo_hits(labels.tempo, events.tempo)
        scores |= {"accuracy1": float(first), "accuracy2": float(second)}
        if first and events.tempo:
            scores["tempo_error_percent"] = 100 * abs(events.tempo / labels.tempo - 1)
        if len(events.beats):
            scores["beat_f"] = beat_score(labels.beats, events.beats)
            scores["beat_offset_ms"] = _offset(labels.beats, events.beats)
    if len(labels.onsets) and events.onsets is not None:
        scores["onset_f"] = onset_score(labels.distinct_onsets, events.onsets)
        scores["density_correlation"] = _density_correlation(labels.distinct_onsets, events.onsets, seconds)
    return scores


def _summary(rows: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """Means over tracks, medians of errors; None where there is nothing."""
    result: dict[str, float | None] = {}
    for name in SCORES:
        values = [row[name] for row in rows if name in row and np.isfinite(row[name])]
        middle = np.median if name in ("tempo_error_percent", "beat_offset_ms") else np.mean
        result[name] = round(float(middle(values)), 4) if values else None
    return result


def available_annotators(names: Sequence[str] | None = None) -> list[str]:
    """The annotators that listen to audio and are installed.

    Args:
        names: Those wanted; None for all.

    Returns:
        Their names.

    Raises:
        UserError: If one that is wanted does not exist, or listens to nothing.
    """
    listening = [name for name in ANNOTATORS if name != "labels"]
    for name in names or []:
        if name not in listening:
            raise UserError(f"annotator must be one of {', '.join(listening)}. Received: annotator={name!r}")
    return list(names) if names else [name for name in listening if is_installed(name)]


def evaluate_annotators(
    tracks: Iterable[Practice], names: Sequence[str], progress: Callable[[], Any] = lambda: None
) -> dict[str, dict[str, float | None]]:
    """Let annotators listen to practice tracks.

    Args:
        tracks: The tracks.
        names: The annotators.
        progress: Called after every track.

    Returns:
        By annotator the scores of ``SCORES``: means over the tracks, the median of ``tempo_error_percent`` (over tracks
        with the right tempo) and of ``beat_offset_ms``; None where it gives nothing.

    Raises:
        UserError: If an annotator is not installed.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for track in tracks:
        seconds = len(track.audio) / SAMPLE_RATE
        for name in names:
            recording = Recording(
                None, int(seconds * _DENSITY_RATE), _DENSITY_RATE, len(track.audio), annotator=name, audio=track.audio
            )
            rows[name].append(score_events(recording.events, track.labels, seconds))
        progress()
    return {name: _summary(found) for name, found in rows.items()}
