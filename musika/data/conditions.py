"""From annotations to what the networks are told of real music: the channels of ``gan/conditioning.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musika.checks import UserError
from musika.data.annotation import Annotation
from musika.gan.conditioning import EVENT_PARTS, ControlTrack, encode_controls, time_since
from musika.settings import ControlConfig


def clock_positions(marks: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Where a clock that ticks at some marks stands at some times.

    Args:
        marks: Times of beats (or bars) in seconds, rising.
        times: Times in seconds.

    Returns:
        Position in beats, linear between marks; before the first and after the last the nearest beat's length goes on.
        NaN where there are fewer than two marks.

    >>> clock_positions(np.array([1.0, 1.5, 2.0]), np.array([0.75, 1.25, 2.25])).tolist()
    [-0.5, 0.5, 2.5]
    """
    if len(marks) < 2:
        return np.full(len(times), np.nan)
    inside = np.interp(times, marks, np.arange(len(marks)))
    before = np.minimum(times - marks[0], 0.0) / (marks[1] - marks[0])
    after = np.maximum(times - marks[-1], 0.0) / (marks[-1] - marks[-2])
    return inside + before + after


def annotated_tracks(
    controls: Sequence[ControlConfig], annotation: Annotation, steps: int, latent_rate: float
) -> dict[str, ControlTrack]:
    """What an annotation says of each control.

    Args:
        controls: The controls.
        annotation: The annotation.
        steps: Latent steps of the file.
        latent_rate: Latent steps a second.

    Returns:
        Tracks by name, of those controls that are known.

    Raises:
        UserError: If a class is not among those of the control.
    """
    times = (np.arange(steps) + 0.5) / latent_rate
    tracks = {}
    for control in controls:
        value = annotation.controls.get(control.name)
        if control.classes and value is not None:
            if value not in control.classes:
                allowed = ", ".join(control.classes)
                raise UserError(f"{annotation.source}: {control.name} must be one of {allowed}. Received: {value!r}")
            value = float(control.classes.index(str(value)))
        if value is None and not control.clock:
            continue
        if isinstance(value, str):
            raise UserError(f"{annotation.source}: {control.name} must be a number. Received: {value!r}")
        values = np.broadcast_to(np.asarray(np.nan if value is None else value, float), (steps,))
        none = np.zeros(0)
        beats = clock_positions(annotation.beats, times) if control.clock else none
        bars = clock_positions(annotation.bars, times) if control.clock and control.beats_per_bar else none
        events = _event_counts(control, annotation, steps, latent_rate)
        ages = none if annotation.onsets is None or not len(events) else time_since(annotation.onsets, times)
        tracks[control.name] = ControlTrack(values, beats, bars, events, ages)
    return tracks


def _event_counts(control: ControlConfig, annotation: Annotation, steps: int, latent_rate: float) -> np.ndarray:
    """Onsets in each part of a step; nothing where the annotation has no onsets."""
    if not control.events or annotation.onsets is None:
        return np.zeros((0, EVENT_PARTS))
    edges = np.arange(steps * EVENT_PARTS + 1) / (EVENT_PARTS * latent_rate)
    return np.histogram(annotation.onsets, edges)[0].reshape(steps, EVENT_PARTS).astype(float)


def annotated_condition(
    controls: Sequence[ControlConfig], annotation: Annotation | None, steps: int, latent_rate: float
) -> np.ndarray:
    """The condition channels of a file.

    Args:
        controls: The controls.
        annotation: Its annotation; None where there is none.
        steps: Its latent steps.
        latent_rate: Latent steps a second.

    Returns:
        `(steps, columns)` float32, zero where nothing is known.
    """
    tracks = {} if annotation is None else annotated_tracks(controls, annotation, steps, latent_rate)
    return encode_controls(tuple(controls), tracks, steps)
