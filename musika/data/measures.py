"""How a control is measured: one function by name, from what is known and heard of an audio file.

A new control takes three things:

1. A measure: a function here, ``(recording, control) -> value``, under its name in ``MEASURES``. It gives one number a
   file, an array of one number a latent step, the name of a class, or None where it is not known. What it needs it
   asks of the recording: ``recording.events`` (tempo, beats, onsets, by the annotator), ``recording.audio``,
   ``recording.path``. An existing measure may do.
2. An entry under ``generator: controls:`` of the config: its name, unit, range, scaling, whether it is ``per: file`` or
   ``per: step``, and, where that is not its name, ``measure``.
3. ``musika annotate FOLDER --config NAME --again`` and a training run.

No other code changes: the generator, the command line (``--control NAME=VALUE``) and ``musika evaluate control`` read
the config.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from musika.checks import UserError
from musika.data.annotation import Array, Value

if TYPE_CHECKING:
    from musika.data.annotators import Recording
    from musika.settings import ControlConfig

    Measure = Callable[[Recording, ControlConfig], Value]

# Standard deviation of the kernel that makes a density of onsets. Where notes fall evenly the curve ripples by 1 % of
# its height at 1 onset a second and by nothing from 1.5 on; a change of density is over within about a second.
KERNEL_SECONDS = 0.5
SILENCE_DB = -60.0  # loudness of what is as good as silent
_BLOCK_STEPS = 256  # latent steps whose spectra are taken together


def event_density(onsets: Array, steps: int, latent_rate: float, seconds: float, kernel_seconds: float) -> Array:
    """Events a second at each latent step.

    Each event is a Gaussian of unit area; what falls over an end of the file is folded back at it. So a steady stream
    of events has its density up to the very ends, and the curve's integral over the file is the number of events.

    Args:
        onsets: Times of the events in seconds, shape ``(events,)``.
        steps: Latent steps.
        latent_rate: Latent steps a second.
        seconds: Length of the file in seconds.
        kernel_seconds: Standard deviation of the Gaussian in seconds.

    Returns:
        Mean density over each step in events a second, shape ``(steps,)``; steps after the file's end repeat the last.

    >>> event_density(np.arange(0.05, 20.0, 0.1), 4, 0.2, 20.0, 0.5).round(3).tolist()
    [10.0, 10.0, 10.0, 10.0]
    """
    from scipy.special import ndtr

    edges = np.minimum(np.arange(steps + 1) / latent_rate, seconds)
    counted = np.zeros(steps + 1)
    turns = int(np.ceil(4 * kernel_seconds / seconds))  # a short file folds a wide kernel more than once
    for turn in range(-turns, turns + 1):
        for image in (2 * turn * seconds + onsets, 2 * turn * seconds - onsets):
            counted += ndtr((edges[:, None] - image[None, :]) / kernel_seconds).sum(axis=1)
    widths = np.diff(edges)
    inside = np.maximum(np.flatnonzero(widths > 1e-9), 0)
    last = inside[-1] if len(inside) else 0
    density = np.diff(counted) / np.maximum(widths, 1e-9)
    density[last + 1 :] = density[last]
    return density


def tempo(recording: Recording, control: ControlConfig) -> Value:
    """Beats a minute.

    Args:
        recording: The file.
        control: The control.

    Returns:
        The tempo, or None.
    """
    return recording.events.tempo


def note_kernel(control: ControlConfig) -> float:
    """Standard deviation of a control's kernel.

    Args:
        control: The control.

    Returns:
        Its ``kernel_seconds``, or 0.5 s where that is 0.
    """
    return control.kernel_seconds or KERNEL_SECONDS


def note_density(recording: Recording, control: ControlConfig) -> Value:
    """Onsets a second, notes struck together counted once.

    Args:
        recording: The file.
        control: The control; its ``kernel_seconds`` is the kernel's standard deviation (0: 0.5 s).

    Returns:
        A curve of shape ``(steps,)``, or None where the annotator gives no onsets.
    """
    onsets = recording.events.onsets
    if onsets is None:
        return None
    return event_density(onsets, recording.steps, recording.latent_rate, recording.seconds, note_kernel(control))


def _step_spans(recording: Recording) -> Array:
    """First sample of each latent step, and the end of the last, within the audio, shape ``(steps + 1,)``."""
    edges = np.round(np.arange(recording.steps + 1) * recording.sample_rate / recording.latent_rate)
    return np.minimum(edges, len(recording.mono)).astype(np.int64)


def loudness(recording: Recording, control: ControlConfig) -> Value:
    """Root mean square of each step in decibels below full scale, not below -60.

    Args:
        recording: The file.
        control: The control.

    Returns:
        A curve of shape ``(steps,)``.
    """
    spans = _step_spans(recording)
    power = np.concatenate([[0.0], np.cumsum(np.mean(np.square(recording.audio, dtype=np.float64), axis=1))])
    mean = np.diff(power[spans]) / np.maximum(np.diff(spans), 1)
    return np.maximum(10 * np.log10(np.maximum(mean, 1e-12)), SILENCE_DB)


def brightness(recording: Recording, control: ControlConfig) -> Value:
    """Spectral centroid of each step in Hz, by power; a silent step has that of the step before it.

    Args:
        recording: The file.
        control: The control.

    Returns:
        A curve of shape ``(steps,)``.
    """
    spans = _step_spans(recording)
    length = round(recording.sample_rate / recording.latent_rate)
    hertz = np.fft.rfftfreq(length, 1 / recording.sample_rate)
    padded = np.pad(recording.mono, (0, length))
    centroids = np.zeros(recording.steps)
    for first in range(0, recording.steps, _BLOCK_STEPS):
        starts = spans[:-1][first : first + _BLOCK_STEPS]
        windows = padded[starts[:, None] + np.arange(length)] * np.hanning(length)
        power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
        total = power.sum(axis=1)
        centroids[first : first + len(starts)] = np.where(total > 1e-6, power @ hertz / np.maximum(total, 1e-6), np.nan)
    known = np.flatnonzero(np.isfinite(centroids))
    if not len(known):
        return None
    before = np.searchsorted(known, np.arange(recording.steps), side="right") - 1
    return centroids[known[np.maximum(before, 0)]]


def position(recording: Recording, control: ControlConfig) -> Value:
    """Place in the song: 0 at its first latent step, 1 at its last.

    Args:
        recording: The file.
        control: The control.

    Returns:
        A curve of shape ``(steps,)``.
    """
    return np.linspace(0.0, 1.0, recording.steps)


def folder(recording: Recording, control: ControlConfig) -> Value:
    """Class of a file by the name of the folder that it lies in.

    Args:
        recording: The file.
        control: The control; where it lists ``classes``, a folder of another name is an error.

    Returns:
        The folder's name.

    Raises:
        UserError: If the file has no folder, or one that is none of the classes.
    """
    name = recording.path.resolve().parent.name if recording.path else ""
    if not name or (control.classes and name not in control.classes):
        allowed = ", ".join(control.classes) or "any name"
        raise UserError(f"control {control.name}: its folder must be one of {allowed}. Received: folder={name!r}")
    return name


MEASURES: dict[str, Measure] = {
    "tempo": tempo,
    "note_density": note_density,
    "brightness": brightness,
    "loudness": loudness,
    "position": position,
    "folder": folder,
}
# Measures of a file's place, not of its sound: of generated music they say nothing.
NOT_HEARD = frozenset({"position", "folder"})


def measure_control(recording: Recording, control: ControlConfig) -> Value:
    """Measure a control.

    Args:
        recording: The file.
        control: The control; its ``measure``, or else its name, names the measure.

    Returns:
        A number, an array of shape ``(steps,)``, the name of a class, or None where it is not known.

    Raises:
        UserError: If there is no such measure, or it gives something that does not suit the control's ``per``.
    """
    name = control.measure or control.name
    if name not in MEASURES:
        raise UserError(
            f"control {control.name}: its measure must be one of {', '.join(MEASURES)}. Received: measure={name!r}"
        )
    value = MEASURES[name](recording, control)
    if isinstance(value, np.ndarray) and control.per == "file":
        return float(np.mean(value))
    return value
