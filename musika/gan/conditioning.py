"""Controls as the networks see them: channels a latent step, beside the coordinates and beside the critic's latents.

A number becomes its place in the learned range, from -1 to 1, with sine and cosine of its multiples, so that near
values can be told apart, and a flag that says whether it is given; all are zero where it is not. A class becomes a
column of its own. A tempo also drives the beat clock: cosine and sine of the beat's phase and of its double, the same
of the bar's phase, each with a flag. Two patches made alone read the same clock, so they agree on the beat. A density
of onsets drives an event clock: how many onsets fall into each quarter of a step, with a flag; and, where the control
has decays, what is left of the last onset's trace by each of them, with a flag.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from musika.checks import UserError
from musika.settings import Config, ControlConfig

SCALINGS = ("linear", "log")
VALUE_COLUMNS = 6  # place in the range, sine and cosine of 1 and 2 half turns over it, flag
PHASE_COLUMNS = 5  # cosine and sine of 1 and 2 turns, flag
EVENT_PARTS = 4  # of a step, in each of which onsets are counted
EVENT_COLUMNS = EVENT_PARTS + 1  # counts, flag
_MOST_EVENTS = 2.0  # in a part; notes struck together are one onset
_BEYOND = 1.5  # places outside the range are clipped here
_QUANTILES = 21  # of a control in the training music: every twentieth


@dataclass(frozen=True, eq=False)
class ControlTrack:
    """One control over consecutive latent steps; NaN where something is not known.

    Attributes:
        values: Its values, `(steps,)`; of a class, the number of the class.
        beats: Position in beats, `(steps,)`; whole numbers are beats. Empty when the control is no clock.
        bars: Position in bars, `(steps,)`; empty likewise.
        events: Onsets in each part of a step, `(steps, EVENT_PARTS)`; empty when they are not known.
        ages: Seconds since the last onset, `(steps,)`, infinite before the first; empty likewise.
    """

    values: np.ndarray
    beats: np.ndarray = field(default_factory=lambda: np.zeros(0))
    bars: np.ndarray = field(default_factory=lambda: np.zeros(0))
    events: np.ndarray = field(default_factory=lambda: np.zeros((0, EVENT_PARTS)))
    ages: np.ndarray = field(default_factory=lambda: np.zeros(0))


def check_controls(controls: tuple[ControlConfig, ...]) -> None:
    """Check declared controls.

    Args:
        controls: The controls.

    Raises:
        UserError: If a name is missing or used twice, a range is empty, or a setting is unknown.
    """
    names = [control.name for control in controls]
    for control in controls:
        where = f"generator.controls: {control.name or 'a control'}"
        if not control.name.isidentifier():
            raise UserError(f"{where}: a name of letters, digits and _ is needed. Received: name={control.name!r}")
        if names.count(control.name) > 1:
            raise UserError(f"{where} is declared twice. Give each control a name of its own.")
        if control.scaling not in SCALINGS:
            raise UserError(f"{where}: scaling must be linear or log. Received: scaling={control.scaling!r}")
        if control.per not in ("file", "step"):
            raise UserError(f"{where}: per must be file or step. Received: per={control.per!r}")
        if not control.classes and not control.low < control.high:
            raise UserError(f"{where}: low must be below high. Received: low={control.low}, high={control.high}")
        if control.clock and control.events:
            raise UserError(f"{where}: clock and events exclude each other. Received: both true")
        if control.decays and not control.events:
            raise UserError(f"{where}: decays need events: true. Received: decays={list(control.decays)}")
        if any(decay <= 0 for decay in control.decays):
            raise UserError(f"{where}: decays must be seconds above 0. Received: decays={list(control.decays)}")
        if (control.scaling == "log" or control.clock or control.events) and control.low <= 0:
            raise UserError(
                f"{where}: a tempo, a density or a log scale needs low above 0. Received: low={control.low}"
            )
        if not 0.0 <= control.drop <= 1.0:
            raise UserError(f"{where}: drop must be from 0 to 1. Received: drop={control.drop}")
        if control.quantiles and (len(control.quantiles) < 2 or any(np.diff(control.quantiles) < 0)):
            raise UserError(
                f"{where}: quantiles must be two values or more that do not fall; training measures them."
                f" Received: quantiles={list(control.quantiles)}"
            )


def control_columns(control: ControlConfig) -> int:
    """Channels that a control takes.

    Args:
        control: The control.

    Returns:
        The number of channels.

    >>> control_columns(ControlConfig("tempo", low=90, high=160, clock=True))
    16
    """
    if control.classes:
        return len(control.classes) + 1
    return sum(_widths(control))


def _widths(control: ControlConfig) -> list[int]:
    """Channels of each part of a number's control; the last of every part is its flag."""
    return [
        VALUE_COLUMNS,
        *([PHASE_COLUMNS, PHASE_COLUMNS] if control.clock else []),
        *([EVENT_COLUMNS] if control.events else []),
        *([len(control.decays) + 1] if control.decays else []),
    ]


def condition_columns(config: Config) -> int:
    """Channels that all controls of a config take; 0 without controls.

    Args:
        config: The config.

    Returns:
        The number of channels.
    """
    return sum(control_columns(control) for control in config.generator.controls)


def flag_columns(controls: Sequence[ControlConfig]) -> np.ndarray:
    """For every condition channel the one that says whether it is known.

    Args:
        controls: The controls.

    Returns:
        Numbers of channels, `(columns,)`; a flag stands for itself.

    >>> flag_columns([ControlConfig("genre", classes=("calm", "loud")), ControlConfig("x")]).tolist()
    [2, 2, 2, 8, 8, 8, 8, 8, 8]
    """
    widths: list[int] = []
    for control in controls:
        widths += [control_columns(control)] if control.classes else _widths(control)
    return np.repeat(np.cumsum(widths) - 1, widths).astype(np.int32)


def time_since(marks: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How long ago the last of some marks was.

    Args:
        marks: Times in seconds, rising.
        times: Times in seconds.

    Returns:
        Seconds, of the shape of ``times``; infinite before the first mark.

    >>> time_since(np.array([1.0, 2.0]), np.array([0.5, 1.0, 2.5])).tolist()
    [inf, 0.0, 0.5]
    """
    last = np.concatenate([[-np.inf], marks])[np.searchsorted(marks, times, side="right")]
    return times - last


def place_in_range(control: ControlConfig, values: np.ndarray) -> np.ndarray:
    """Where values lie in the learned range.

    Args:
        control: The control.
        values: Its values.

    Returns:
        -1 at the range's low end, 1 at its high end; same shape.

    >>> place_in_range(ControlConfig("x", low=1, high=16, scaling="log"), np.array([1.0, 4.0, 16.0])).tolist()
    [-1.0, 0.0, 1.0]
    """
    low, high = control.low, control.high
    if control.scaling == "log":
        low, high, values = np.log(low), np.log(high), np.log(np.maximum(values, 1e-9))
    return 2.0 * (values - low) / (high - low) - 1.0


def value_at_place(control: ControlConfig, place: float) -> float:
    """The inverse of `place_in_range` for one number.

    Args:
        control: The control.
        place: From -1 to 1.

    Returns:
        The value.
    """
    share = 0.5 * (place + 1.0)
    if control.scaling == "log":
        return float(control.low * (control.high / control.low) ** share)
    return float(control.low + share * (control.high - control.low))


def _waves(turns: np.ndarray) -> list[np.ndarray]:
    """Cosine and sine of one and two times an angle given in turns."""
    angle = 2.0 * np.pi * turns
    return [np.cos(angle), np.sin(angle), np.cos(2.0 * angle), np.sin(2.0 * angle)]


def _phase_columns(positions: np.ndarray, steps: int) -> list[np.ndarray]:
    """Columns of a clock's hand; positions are taken modulo 1 before anything is rounded."""
    positions = positions if len(positions) else np.full(steps, np.nan)
    return [*_waves(positions % 1.0), np.ones(steps)]


def encode_control(control: ControlConfig, track: ControlTrack) -> np.ndarray:
    """The channels of one control.

    Args:
        control: The control.
        track: What it does, step by step.

    Returns:
        `(steps, control_columns(control))` float32, zero where nothing is known.
    """
    steps = len(track.values)
    if control.classes:
        columns = [track.values == index for index in range(len(control.classes))]
        columns.append(np.isfinite(track.values))
        return np.stack(columns, axis=1).astype(np.float32)
    place = np.clip(place_in_range(control, track.values), -_BEYOND, _BEYOND)
    columns = [place, *_waves(0.5 * place), np.ones(steps)]
    known = [np.isfinite(track.values)] * VALUE_COLUMNS
    if control.clock:
        for positions in (track.beats, track.bars):
            columns += _phase_columns(positions, steps)
            finite = np.isfinite(positions) if len(positions) else np.zeros(steps, bool)
            known += [finite] * PHASE_COLUMNS
    if control.events:
        counts = track.events if len(track.events) else np.zeros((steps, EVENT_PARTS))
        columns += [*np.minimum(counts, _MOST_EVENTS).T, np.ones(steps)]
        known += [np.full(steps, len(track.events) > 0)] * EVENT_COLUMNS
    if control.decays:
        ages = track.ages if len(track.ages) else np.full(steps, np.inf)
        columns += [*(np.exp(-ages / decay) for decay in control.decays), np.ones(steps)]
        known += [np.full(steps, len(track.ages) > 0)] * (len(control.decays) + 1)
    return np.where(np.stack(known, axis=1), np.stack(columns, axis=1), 0.0).astype(np.float32)


def encode_controls(controls: tuple[ControlConfig, ...], tracks: Mapping[str, ControlTrack], steps: int) -> np.ndarray:
    """The channels of all controls.

    Args:
        controls: The controls, in the order of the config.
        tracks: What those that are given do; the others are left out.
        steps: Number of steps.

    Returns:
        `(steps, columns)` float32.
    """
    nothing = ControlTrack(np.full(steps, np.nan))
    parts = [encode_control(control, tracks.get(control.name, nothing)) for control in controls]
    return np.concatenate([*parts, np.zeros((steps, 0), np.float32)], axis=1)


def _with_first_columns(controls: Sequence[ControlConfig]) -> Iterator[tuple[ControlConfig, int]]:
    """Each control with the first of its channels among those of all."""
    first = 0
    for control in controls:
        yield control, first
        first += control_columns(control)


def without_unknown_bars(
    controls: tuple[ControlConfig, ...], conditions: Sequence[np.ndarray]
) -> tuple[ControlConfig, ...]:
    """Controls whose clock plays bars only if bars were known in some training music.

    A generator that never saw bars in training must not be told any when it plays.

    Args:
        controls: The controls.
        conditions: The channels of the training music, `(steps, columns)` each.

    Returns:
        The controls, with ``beats_per_bar`` 0 where no bar was known.
    """
    result, flag = [], VALUE_COLUMNS + 2 * PHASE_COLUMNS - 1
    for control, first in _with_first_columns(controls):
        if control.clock and control.beats_per_bar and not any(part[:, first + flag].any() for part in conditions):
            control = dataclasses.replace(control, beats_per_bar=0)
        result.append(control)
    return tuple(result)


def with_quantiles(controls: tuple[ControlConfig, ...], conditions: Sequence[np.ndarray]) -> tuple[ControlConfig, ...]:
    """Controls that know how often which of their values is met in the training music, where pieces draw them.

    Args:
        controls: The controls.
        conditions: The channels of the training music, `(steps, columns)` each.

    Returns:
        The controls, with ``quantiles`` as they are in that music; those of which nothing is known there as they were.
    """
    result, flag = [], VALUE_COLUMNS - 1
    for control, first in _with_first_columns(controls):
        if control.drawn and not control.classes:
            places = np.concatenate([part[part[:, first + flag] > 0, first] for part in conditions])
            if len(places):
                found = np.quantile(np.clip(places, -1.0, 1.0), np.linspace(0.0, 1.0, _QUANTILES))
                quantiles = tuple(float(f"{value_at_place(control, place):.4g}") for place in found)
                control = dataclasses.replace(control, quantiles=quantiles)
        result.append(control)
    return tuple(result)


def places_of_shares(control: ControlConfig, shares: np.ndarray) -> np.ndarray:
    """Where in the learned range the values lie that shares of the training music's time are below.

    Args:
        control: The control.
        shares: From 0 to 1.

    Returns:
        Places as from `place_in_range`, of the same shape, straight between quantiles; where these are not known, as if
        all of the learned range were met equally often.
    """
    if not control.quantiles:
        return 2.0 * shares - 1.0
    places = place_in_range(control, np.array(control.quantiles))
    return np.interp(shares, np.linspace(0.0, 1.0, len(places)), places)


def value_of_share(control: ControlConfig, share: float) -> float:
    """The value that a share of the training music's time is below.

    Args:
        control: The control.
        share: From 0 to 1.

    Returns:
        The value at the place that `places_of_shares` gives.
    """
    return value_at_place(control, float(places_of_shares(control, np.array(share))))


def drop_controls(rng: np.random.Generator, controls: tuple[ControlConfig, ...], count: int) -> np.ndarray:
    """Choose which training examples do without which control.

    Args:
        rng: Source of the choice.
        controls: The controls.
        count: Number of examples.

    Returns:
        Factors `(count, 1, columns)` float32, 0 for what is left out and 1 for the rest.
    """
    kept = rng.random((count, len(controls))) >= np.array([control.drop for control in controls])
    widths = [control_columns(control) for control in controls]
    return np.repeat(kept, widths, axis=1).astype(np.float32)[:, None]
