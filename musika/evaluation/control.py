"""Whether music does what it is asked: pieces are asked for values of a control, rendered, and measured.

A tempo is asked for as a number, where the beats must also lie on the grid that begins with the piece, and as a line,
measured in windows of 12 s. Any other control is asked for as a number and, where it may change from step to step, as a
curve through random points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError
from musika.data.annotators import Events, Recording
from musika.data.measures import NOT_HEARD, measure_control
from musika.evaluation.annotators import onset_score, tempo_hits
from musika.gan.conditioning import value_at_place
from musika.settings import ControlConfig

if TYPE_CHECKING:
    from musika.presets import Preset

Array = NDArray[np.float64]
Progress = Callable[[], Any]

WINDOW_SECONDS, WINDOW_HOP_SECONDS = 12.0, 6.0  # in which a changing tempo is measured
CURVE_SECONDS = 96.0  # of a piece with a line or a curve
CORNER_SECONDS = 6.0  # between the random points of a curve
_EDGE = 6 / 7  # constants go from place -6/7 to 6/7 of the learned range: 95 to 155 of 90 to 160
_LINE = 5 / 7  # lines go from place -5/7 to 5/7: 100 to 150 of 90 to 160
_STREAM = 11  # of the random curves


@dataclass(frozen=True)
class Study:
    """What is rendered.

    Attributes:
        annotator: What listens.
        pieces: Pieces with a constant value.
        curves: Pieces with a line or a curve.
        seconds: Length of a piece with a constant value.
        curve_seconds: Length of a piece with a line or a curve.
        seeds: Seeds of the pieces, in turn.
        low: Least constant value; None for a little within the learned range.
        high: Greatest constant value, likewise.
    """

    annotator: str = "comb"
    pieces: int = 40
    curves: int = 6
    seconds: float = 30.0
    curve_seconds: float = CURVE_SECONDS
    seeds: tuple[int, ...] = tuple(range(1, 9))
    low: float | None = None
    high: float | None = None

    def constants(self, control: ControlConfig) -> list[float]:
        """The constant values that are asked for, evenly over the range.

        Args:
            control: The control.

        Returns:
            One a piece, rising.
        """
        low = value_at_place(control, -_EDGE) if self.low is None else self.low
        high = value_at_place(control, _EDGE) if self.high is None else self.high
        shares = np.linspace(0.0, 1.0, self.pieces)
        if control.scaling == "log":
            return [float(low * (high / low) ** share) for share in shares]
        return [float(low + share * (high - low)) for share in shares]

    def seed(self, index: int) -> int:
        """The seed of a piece.

        Args:
            index: Its number.

        Returns:
            The seed.
        """
        return self.seeds[index % len(self.seeds)]


@dataclass
class Findings:
    """What was found of one control.

    Attributes:
        scores: Scores by name.
        constants: A row a piece with a constant value: ``seed``, ``requested``, ``measured`` and more.
        curves: A row a piece with a curve: ``seed``, and the lists ``seconds``, ``requested`` and ``measured``.
    """

    scores: dict[str, float | None] = field(default_factory=dict)
    constants: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)


def spearman(requested: Sequence[float] | Array, measured: Sequence[float] | Array) -> float | None:
    """Rank correlation; what could not be measured (NaN) counts as the lowest.

    Args:
        requested: What was asked for.
        measured: What was measured.

    Returns:
        Spearman's coefficient; None where one of them is constant or there are fewer than three.

    >>> spearman([1, 2, 3, 4], [2, 3, 5, 4])
    0.8
    """
    from scipy.stats import spearmanr

    asked, found = np.asarray(requested, float), np.asarray(measured, float)
    found = np.where(np.isfinite(found), found, -np.inf)
    if len(asked) < 3 or len(np.unique(asked)) < 2 or len(np.unique(found)) < 2:
        return None
    return round(float(spearmanr(asked, found).statistic), 4)


def grid_distances(beats: Array, grid: Array) -> Array:
    """How far beats lie from the nearest beat of a grid.

    Args:
        beats: Measured times in seconds, shape ``(beats,)``.
        grid: Requested times in seconds, rising, shape ``(requested,)``.

    Returns:
        Distances in milliseconds, shape ``(beats,)``.

    >>> grid_distances(np.array([0.51, 0.99]), np.array([0.0, 0.5, 1.0])).round(3).tolist()
    [10.0, 10.0]
    """
    if not len(grid):
        return np.zeros(0)
    after = np.clip(np.searchsorted(grid, beats), 1, len(grid) - 1) if len(grid) > 1 else np.zeros(len(beats), int)
    nearest = np.minimum(np.abs(beats - grid[after]), np.abs(beats - grid[np.maximum(after - 1, 0)]))
    return np.asarray(1000 * nearest)


def as_recording(preset: Preset, audio: NDArray[np.float32], annotator: str) -> Recording:
    """Audio in memory as something to be measured."""
    config = preset.config
    steps = int(len(audio) / config.latent_hop)
    return Recording(None, steps, config.latent_rate, len(audio), config.sample_rate, annotator, audio)


def tempo_row(events: Events, requested: float, grid: Array) -> dict[str, Any]:
    """What was heard of a piece or track with a steady tempo.

    Args:
        events: What was heard.
        requested: The tempo that was asked for, or is true.
        grid: The beats that were asked for, or are true, in seconds.

    Returns:
        A row for the report, and under ``distances`` how far each beat lies from the grid, in milliseconds.
    """
    first, second = tempo_hits(requested, events.tempo)
    away = grid_distances(events.beats, grid)
    distance = round(float(np.median(away)), 3) if len(away) else None
    return {
        "requested": requested,
        "measured": None if events.tempo is None else round(float(events.tempo), 4),
        "accuracy1": first,
        "accuracy2": second,
        "beat_distance_ms": distance,
        "distances": away,
    }


def tempo_scores(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Scores over pieces of steady tempo; takes the single distances out of the rows.

    Args:
        rows: What ``tempo_row`` gave.

    Returns:
        ``accuracy1``, ``accuracy2`` and ``beat_distance_ms``, the median over all beats.
    """
    away = np.concatenate([row.pop("distances") for row in rows])
    return {
        "accuracy1": round(float(np.mean([row["accuracy1"] for row in rows])), 4),
        "accuracy2": round(float(np.mean([row["accuracy2"] for row in rows])), 4),
        "beat_distance_ms": round(float(np.median(away)), 3) if len(away) else None,
    }


def study_tempo(preset: Preset, control: ControlConfig, study: Study, progress: Progress = lambda: None) -> Findings:
    """Ask for tempi, and for lines of tempo.

    Args:
        preset: The preset.
        control: Its control that drives the beat clock.
        study: What is rendered.
        progress: Called after every piece.

    Returns:
        ``accuracy1``, ``accuracy2``, ``beat_distance_ms`` (median over all beats) and ``line_spearman``.
    """
    findings = Findings()
    for index, tempo in enumerate(study.constants(control)):
        piece = preset.piece(study.seed(index), **{control.name: tempo})
        events = as_recording(preset, piece.render(0.0, study.seconds), study.annotator).events
        row = tempo_row(events, tempo, piece.controls.beats(0.0, study.seconds))
        findings.constants.append({"seed": study.seed(index), **row})
        progress()
    findings.scores = tempo_scores(findings.constants)
    ends = [value_at_place(control, place) for place in (-_LINE, _LINE)]
    for index in range(study.curves):
        asked: dict[str, Any] = {control.name: [(0.0, ends[0]), (study.curve_seconds, ends[1])]}
        piece = preset.piece(study.seed(index), **asked)
        audio = piece.render(0.0, study.curve_seconds)
        starts = np.arange(0.0, study.curve_seconds - WINDOW_SECONDS + 1e-6, WINDOW_HOP_SECONDS)
        middles = starts + WINDOW_SECONDS / 2
        rate = piece.sample_rate
        windows = [audio[round(start * rate) : round((start + WINDOW_SECONDS) * rate)] for start in starts]
        heard = [as_recording(preset, window, study.annotator).events.tempo for window in windows]
        tempi = np.interp(middles, (0.0, study.curve_seconds), ends)
        findings.curves.append(curve_row(study.seed(index), middles, tempi, [tempo or np.nan for tempo in heard]))
        progress()
    if study.curves:
        findings.scores["line_spearman"] = mean_spearman(findings.curves)
    return findings


def curve_row(seed: int, seconds: Array, requested: Array, measured: Sequence[float] | Array) -> dict[str, Any]:
    """A row for a piece or track with a curve.

    Args:
        seed: Seed of the piece.
        seconds: Times of the values.
        requested: Values that were asked for, or are true.
        measured: Values that were measured; NaN where nothing was.

    Returns:
        A row for the report.
    """
    found = [None if not np.isfinite(value) else round(float(value), 3) for value in measured]
    return {
        "seed": seed,
        "spearman": spearman(requested, measured),
        "seconds": np.round(seconds, 3).tolist(),
        "requested": np.round(requested, 3).tolist(),
        "measured": found,
    }


def mean_spearman(rows: list[dict[str, Any]]) -> float | None:
    """Mean of the rows' coefficients; one that is not defined counts as 0.

    Args:
        rows: What ``curve_row`` gave.

    Returns:
        The mean; None without rows.
    """
    return round(float(np.mean([row["spearman"] or 0.0 for row in rows])), 4) if rows else None


def random_curve(control: ControlConfig, study: Study, index: int, steps: int, latent_rate: float) -> Array:
    """A curve through points every 6 s: evenly spread values of the range that is studied, in random order.

    Args:
        control: The control.
        study: The study.
        index: Number of the curve.
        steps: Latent steps.
        latent_rate: Latent steps a second.

    Returns:
        Values of shape ``(steps,)``.
    """
    random = np.random.Generator(np.random.Philox(key=[index, _STREAM]))
    ends = study.constants(control)
    corners = random.permutation(np.linspace(0.0, 1.0, int(np.ceil(steps / latent_rate / CORNER_SECONDS)) + 1))
    times = (np.arange(steps) + 0.5) / latent_rate
    shares = np.interp(times, CORNER_SECONDS * np.arange(len(corners)), corners)
    low, high = ends[0], ends[-1]
    return low * (high / low) ** shares if control.scaling == "log" else low + shares * (high - low)


def measured_curve(recording: Recording, control: ControlConfig) -> Array:
    """A control measured at every step.

    Args:
        recording: What is measured.
        control: The control.

    Returns:
        Values of shape ``(steps,)``; NaN where there is nothing.
    """
    value = measure_control(recording, control)
    if value is None or isinstance(value, str):
        return np.full(recording.steps, np.nan)
    return np.broadcast_to(np.asarray(value, float), (recording.steps,))


def study_values(preset: Preset, control: ControlConfig, study: Study, progress: Progress = lambda: None) -> Findings:
    """Ask for values of a control that is a number, and for curves where it may change from step to step.

    Args:
        preset: The preset.
        control: The control.
        study: What is rendered.
        progress: Called after every piece.

    Returns:
        ``spearman`` of constants, ``median_ratio`` of measured to requested, ``curve_spearman``, step by step, and
        ``onset_f``, where the generator is told single onsets: the F-measure of those that are heard.
    """
    findings, rate = Findings(), preset.config.latent_rate
    hits: list[float] = []
    for index, value in enumerate(study.constants(control)):
        piece = preset.piece(study.seed(index), **{control.name: value})
        recording = as_recording(preset, piece.render(0.0, study.seconds), study.annotator)
        mean = float(np.mean(measured_curve(recording, control)))
        hits.append(_event_score(piece.controls.onsets(0.0, study.seconds), recording, control))
        findings.constants.append({"seed": study.seed(index), "requested": round(value, 4), "measured": round(mean, 4)})
        progress()
    findings.scores = value_scores(findings.constants)
    if control.events:
        findings.scores["onset_f"] = round(float(np.mean(hits)), 4)
    for index in range(study.curves if control.per == "step" else 0):
        steps = int(study.curve_seconds * rate)
        times = np.asarray((np.arange(steps) + 0.5) / rate, np.float64)
        asked = random_curve(control, study, index, steps, rate)
        told: dict[str, Any] = {control.name: asked}
        piece = preset.piece(study.seed(index), **told)
        recording = as_recording(preset, piece.render(0.0, study.curve_seconds), study.annotator)
        found = measured_curve(recording, control)[:steps]
        findings.curves.append(curve_row(study.seed(index), times, asked[: len(found)], found))
        progress()
    if findings.curves:
        findings.scores["curve_spearman"] = mean_spearman(findings.curves)
    return findings


def _event_score(told: Array, recording: Recording, control: ControlConfig) -> float:
    """F-measure of the onsets that the generator was told and those that are heard; 0 where it is told none."""
    if not control.events or recording.events.onsets is None:
        return 0.0
    return onset_score(told, recording.events.onsets)


def value_scores(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Scores over pieces of constant value.

    Args:
        rows: Rows with ``requested`` and ``measured``.

    Returns:
        ``spearman`` and ``median_ratio``, of measured to requested.
    """
    requested, measured = (np.array([row[key] for row in rows], float) for key in ("requested", "measured"))
    good = np.isfinite(measured) & (requested != 0)
    ratio = round(float(np.median(measured[good] / requested[good])), 4) if good.any() else None
    return {"spearman": spearman(requested, measured), "median_ratio": ratio}


def check_measurable(control: ControlConfig) -> None:
    """Refuse a control that cannot be heard in rendered music.

    Args:
        control: The control.

    Raises:
        UserError: If it is a class, or its measure says nothing of how music sounds.
    """
    measure = control.measure or control.name
    if control.classes or measure in NOT_HEARD:
        raise UserError(
            f"control {control.name} cannot be measured in rendered music ({measure}); numbers that can be heard can."
        )
