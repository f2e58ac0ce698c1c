"""What is exactly known about a practice track, and its file form.

Beside ``NAME.flac`` lies ``NAME.labels.csv`` with the columns ``seconds,label,value,velocity``, a row an event:

==========  ========  ==========================  ===================
seconds     label     value                       velocity
==========  ========  ==========================  ===================
0           tempo     beats per minute            (empty)
its time    beat      place in the bar, from 1    (empty)
its time    note      MIDI pitch                  MIDI velocity
==========  ========  ==========================  ===================

A bar begins at every beat with value 1. Notes struck together have equal times. Numbers are written so that reading
gives the very same floating-point values. Labels made by hand may leave the value of a beat or a note empty.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from musika.checks import UserError, check_exists

COLUMNS = ["seconds", "label", "value", "velocity"]


def _none() -> np.ndarray:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known of a track; a kind of music that lacks a label leaves it empty.

    Attributes:
        tempo: Beats per minute, or None.
        beats: Times of the beats in seconds, shape `(beats,)`.
        places: Place of each beat in its bar, from 1, shape `(beats,)`.
        onsets: Time of each note in seconds, rising, shape `(notes,)`.
        pitches: MIDI pitch of each note, shape `(notes,)`.
        velocities: MIDI velocity of each note, 1 to 127, shape `(notes,)`.
    """

    tempo: float | None = None
    beats: np.ndarray = field(default_factory=_none)
    places: np.ndarray = field(default_factory=_none)
    onsets: np.ndarray = field(default_factory=_none)
    pitches: np.ndarray = field(default_factory=_none)
    velocities: np.ndarray = field(default_factory=_none)

    @property
    def bars(self) -> np.ndarray:
        """Times at which a bar begins in seconds, shape `(bars,)`."""
        return self.beats[self.places == 1]

    @property
    def distinct_onsets(self) -> np.ndarray:
        """Onset times in seconds with notes struck together counted once, shape `(events,)`."""
        return np.unique(self.onsets)


def labels_path(audio_path: str | Path) -> Path:
    """Where the labels of an audio file lie.

    Args:
        audio_path: The audio file.

    Returns:
        The path of its label file.

    >>> labels_path("music/techno_00003.flac").name
    'techno_00003.labels.csv'
    """
    return Path(audio_path).with_suffix(".labels.csv")


def write_labels(path: str | Path, labels: Labels) -> None:
    """Write labels as CSV.

    Args:
        path: The file to write.
        labels: What to write.
    """
    rows: list[tuple[float, str, object, object]] = []
    if labels.tempo is not None:
        rows.append((0.0, "tempo", labels.tempo, ""))
    for seconds, place in zip(labels.beats.tolist(), labels.places.tolist(), strict=True):
        rows.append((seconds, "beat", int(place), ""))
    notes = (labels.onsets.tolist(), labels.pitches.tolist(), labels.velocities.tolist())
    for seconds, pitch, velocity in zip(*notes, strict=True):
        rows.append((seconds, "note", int(pitch), int(velocity)))
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def read_labels(path: str | Path) -> Labels:
    """Read labels that `write_labels` wrote.

    Args:
        path: A ``.labels.csv`` file.

    Returns:
        The labels.

    Raises:
        UserError: If the file is missing or is no label file.
    """
    try:
        with open(check_exists(path, "Label file"), newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"The label file {path} cannot be read as text ({error}). Save it as CSV in UTF-8.") from None
    if not rows or rows[0] != COLUMNS:
        header = ",".join(rows[0]) if rows else "an empty file"
        raise UserError(f"A label file begins with {','.join(COLUMNS)}. Received: {header} in {path}")
    try:
        tempo = [float(value) for _, label, value, _ in rows[1:] if label == "tempo"]
        beats = [(float(seconds), int(value or 0)) for seconds, label, value, _ in rows[1:] if label == "beat"]
        notes = [
            (float(at), int(value or 0), int(force or 0)) for at, label, value, force in rows[1:] if label == "note"
        ]
    except ValueError as error:
        raise UserError(f"A row of the label file {path} cannot be read ({error}). Make the corpus again.") from None
    beat_columns = np.array(beats, dtype=float).reshape(-1, 2).T
    note_columns = np.array(notes, dtype=float).reshape(-1, 3).T
    return Labels(tempo[0] if tempo else None, *beat_columns, *note_columns)
