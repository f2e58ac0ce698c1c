"""What the measuring of controls makes of practice music, whose tempo and onsets are known.

It stands beside the scores of pieces, with the music as it is and through the preset's codec: no generator can be
measured to follow better than music that needs no asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from musika.data.measures import event_density, note_kernel
from musika.evaluation.annotators import PRACTICE_SEED, Practice, onset_score, practice_tracks
from musika.evaluation.control import (
    Findings,
    Study,
    as_recording,
    curve_row,
    mean_spearman,
    measured_curve,
    tempo_row,
    tempo_scores,
    value_scores,
)
from musika.settings import ControlConfig

if TYPE_CHECKING:
    from musika.presets import Preset

Progress = Callable[[], Any]


def study_practice(
    preset: Preset, control: ControlConfig, study: Study, tracks: Iterable[Practice], progress: Progress = lambda: None
) -> Findings:
    """Measure practice music in the same way: what is true takes the place of what was requested.

    Args:
        preset: Says the latent rate.
        control: A tempo, or a note density.
        study: Says the annotator.
        tracks: The music.
        progress: Called after every track.

    Returns:
        The scores of ``study_tempo`` or ``study_values``, without lines.
    """
    findings, hits = Findings(), []
    for track in tracks:
        recording = as_recording(preset, track.audio, study.annotator)
        if control.clock:
            row = tempo_row(recording.events, float(track.labels.tempo or 0.0), track.labels.beats)
        else:
            true = event_density(
                track.labels.distinct_onsets,
                recording.steps,
                recording.latent_rate,
                recording.seconds,
                note_kernel(control),
            )
            found = measured_curve(recording, control)
            times = np.asarray((np.arange(len(true)) + 0.5) / recording.latent_rate, np.float64)
            findings.curves.append(curve_row(0, times, true, found))
            row = {"requested": float(np.mean(true)), "measured": float(np.mean(found))}
            if recording.events.onsets is not None:
                hits.append(onset_score(track.labels.distinct_onsets, recording.events.onsets))
        findings.constants.append({"track": track.name, **row})
        progress()
    findings.scores = tempo_scores(findings.constants) if control.clock else value_scores(findings.constants)
    if findings.curves:
        findings.scores["curve_spearman"] = mean_spearman(findings.curves)
    if control.events and hits:
        findings.scores["onset_f"] = round(float(np.mean(hits)), 4)
    return findings


def practice_kind(control: ControlConfig) -> str | None:
    """Which practice music has the truth about a control.

    Args:
        control: The control.

    Returns:
        ``techno`` for a tempo, ``piano`` for a note density, None for others.
    """
    if control.clock:
        return "techno"
    return "piano" if (control.measure or control.name) == "note_density" else None


def practice_music(preset: Preset, control: ControlConfig, study: Study, through_codec: bool) -> Iterable[Practice]:
    """The practice music that a study is compared with.

    Args:
        preset: The preset; gives the codec.
        control: The control.
        study: As many tracks as it has pieces, as long as those.
        through_codec: Whether the music has passed the preset's codec.

    Yields:
        The tracks.
    """
    kind = practice_kind(control)
    if kind is None:
        return
    minutes = study.pieces * study.seconds / 60 + 1e-3
    for track in islice(practice_tracks(kind, minutes, PRACTICE_SEED, study.seconds), study.pieces):
        if through_codec:
            audio = preset.codec.decode(preset.codec.encode(track.audio), samples=len(track.audio))
            yield Practice(track.name, np.asarray(audio, np.float32), track.labels)
        else:
            yield track
