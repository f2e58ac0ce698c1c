"""The controls of one piece: what it was asked for, as curves over time and as the generator's channels."""

from __future__ import annotations

import copy
import math
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from musika.checks import UserError
from musika.curves import BY_SEED, Curve, PeriodicCurve, PointCurve, make_curve, points_curve
from musika.gan.conditioning import (
    EVENT_PARTS,
    ControlTrack,
    encode_controls,
    places_of_shares,
    time_since,
    value_at_place,
    value_of_share,
)
from musika.gan.coordinates import circle_steps, counter_generator
from musika.settings import Config, ControlConfig

STREAM_CONTROL = 4  # of the counter-based generator: the values that a piece draws for itself
STREAM_EVENTS = 5  # and the places of its onsets
_EVENT_CHUNK = 64  # onsets whose places are drawn together
# Onsets stand on a lattice that the density's integral runs through, a little finer than one, some of them silent: so
# they are as regular as those of the practice piano, whose steps deviate by .28 of their mean, and on average as many
# as asked for.
_SILENT = 0.07
_JITTER = 0.08
_LOOK_BACK = 8.0  # places behind which an onset is forgotten
# What a piece draws for itself of a control that may change all the time goes to and fro, as it does in practice music,
# only slower. Turning points lie on either side of the median, where so small a share of the music is farther out, so
# that a piece has every value about as often as the music, and so many seconds apart.
_TURNS = 48  # then it begins anew
_TURN_SHARES = (0.0, 0.06)
_TURN_SECONDS = (10.0, 25.0)
_LEG_POINTS = 16  # between two of them, so that it goes evenly on the control's own scale
_MOST_TIMES = 10.0  # a value so many times the learned range's end is no tempo or density at all


class OutOfRangeWarning(UserWarning):
    """A control is asked for what the generator has not learned."""


class PieceControls:
    """What a piece is asked for.

    Attributes:
        curves: The curve of each control that is given; controls that are left out are missing.
    """

    def __init__(self, config: Config, seed: int, given: Mapping[str, Any], seconds: float | None = None) -> None:
        """Make the curves.

        Args:
            config: The preset's config; ``generator.controls`` are what can be asked for.
            seed: The piece's seed, for controls that draw a value when none is given.
            given: Values by name, as `musika.curves.make_curve` takes them; None leaves a control out, and
                `musika.curves.BY_SEED` draws it.
            seconds: Length over which a line such as ``90:160`` goes.

        Raises:
            UserError: If there is no such control, or its value is impossible.
        """
        self._config, self._seed = config, seed
        self._declared = {control.name: control for control in config.generator.controls}
        for name in given:
            if name not in self._declared:
                known = ", ".join(self._declared) or "none"
                raise UserError(
                    f"this preset has no control {name!r}; it has: {known}. Choose another preset or control."
                )
        self.curves: dict[str, Curve] = {}
        for name, control in self._declared.items():
            value = given.get(name, BY_SEED if control.drawn else None)
            if isinstance(value, str) and value == BY_SEED:
                self.curves[name] = drawn_curve(control, seed)
            elif value is not None:
                self.curves[name] = make_curve(value, name, seconds, config.latent_rate, control.classes)
                _check_curve(control, self.curves[name])

    @property
    def clock(self) -> tuple[ControlConfig, Curve] | None:
        """The control that drives the beat clock, with its curve; None when there is none."""
        for name, curve in self.curves.items():
            if self._declared[name].clock:
                return self._declared[name], curve
        return None

    def beats(self, start: float, seconds: float) -> np.ndarray:
        """The times of the requested beats: beat 0 is the piece's start.

        Args:
            start: Where to begin, in seconds.
            seconds: How far.

        Returns:
            Seconds from the piece's start, rising; empty without a tempo.
        """
        if self.clock is None:
            return np.zeros(0)
        curve = self.clock[1]
        grid = np.linspace(start, start + seconds, max(2, math.ceil(seconds * 32) + 1))
        positions = curve.integral(grid) / 60.0
        wanted = np.arange(math.ceil(positions[0] - 1e-9), math.floor(positions[-1] + 1e-9) + 1)
        return _find_times(curve, wanted, grid, positions)

    def onsets(self, start: float, seconds: float) -> np.ndarray:
        """The times of the onsets that the generator is told, where a density drives an event clock.

        Args:
            start: Where to begin, in seconds.
            seconds: How far.

        Returns:
            Seconds from the piece's start, rising; empty without such a control.
        """
        for name, curve in self.curves.items():
            if self._declared[name].events:
                grid = np.linspace(start, start + seconds, max(2, math.ceil(seconds * 256) + 1))
                counts = curve.integral(grid)
                return np.interp(event_places(self._seed, name, counts[0], counts[-1]), counts, grid)
        return np.zeros(0)

    def condition(self, start_step: int, steps: int) -> np.ndarray:
        """The generator's channels for a stretch of the piece.

        Args:
            start_step: First latent step; may be negative.
            steps: Number of steps.

        Returns:
            `(steps, columns)` float32.
        """
        times = (np.arange(start_step, start_step + steps) + 0.5) / self._config.latent_rate
        beats = np.zeros(steps) if self.clock is None else self.clock[1].integral(times) / 60.0
        return self._encode(times, beats)

    def circular_condition(self, turns: np.ndarray, seconds: float, beats: float) -> np.ndarray:
        """The generator's channels for places on a loop.

        Args:
            turns: The places, `(steps,)`, in turns of the loop; whole numbers are its beginning.
            seconds: The loop's length.
            beats: Beats of a clock in one turn.

        Returns:
            `(steps, columns)` float32.
        """
        share = turns % 1.0
        return self._encode(share * seconds, share * beats, seconds, 60.0 * beats / seconds)

    def _encode(
        self, times: np.ndarray, beats: np.ndarray, turn: float | None = None, tempo: float | None = None
    ) -> np.ndarray:
        """The channels at some times and positions in beats; a loop has seconds of a turn, and its own tempo."""
        tracks = {}
        for name, curve in self.curves.items():
            control = self._declared[name]
            if not control.clock:
                told = {"events": self._events(name, curve, times, turn)} if control.events else {}
                if control.decays:
                    told["ages"] = self._ages(name, curve, times, turn)
                tracks[name] = ControlTrack(curve.at(times), **told)
                continue
            values = curve.at(times) if tempo is None else np.full(len(times), tempo)
            bars = beats / control.beats_per_bar if control.beats_per_bar else np.full(len(times), np.nan)
            tracks[name] = ControlTrack(values, beats, bars)
        return encode_controls(self._config.generator.controls, tracks, len(times))

    def _places(self, name: str, curve: Curve, first: float, last: float, turn: float | None) -> np.ndarray:
        """Where onsets stand; those of a loop's one turn go round."""
        if turn is None:
            return event_places(self._seed, name, first, last)
        whole = float(curve.integral(np.array(turn)))
        own = event_places(self._seed, name, 0.0, whole)
        return np.concatenate([own - whole, own, own + whole])

    def _events(self, name: str, curve: Curve, times: np.ndarray, turn: float | None) -> np.ndarray:
        """Onsets in each part of the steps around some times."""
        step = 1.0 / self._config.latent_rate if turn is None else turn / circle_steps(self._config, turn)
        edges = curve.integral(times[:, None] + step * (np.arange(EVENT_PARTS + 1) / EVENT_PARTS - 0.5))
        places = self._places(name, curve, float(edges.min()), float(edges.max()), turn)
        return np.diff(np.searchsorted(places, edges), axis=1).astype(float)

    def _ages(self, name: str, curve: Curve, times: np.ndarray, turn: float | None) -> np.ndarray:
        """Seconds since the last onset at some times, by the density there; infinite after a long silence."""
        positions = curve.integral(times)
        first, last = float(positions.min()) - _LOOK_BACK, float(positions.max()) + 1.0
        places = self._places(name, curve, first, last, turn)
        since = time_since(places, positions)
        return np.where(since < _LOOK_BACK, since / np.maximum(curve.at(times), 1e-9), np.inf)

    def steady(self) -> PieceControls:
        """The same for a loop, which has no room to wander in.

        Returns:
            Controls whose curves that were drawn to go to and fro stay at one value, which the seed draws.
        """
        other = copy.copy(self)
        other.curves = {
            name: _constant(self._declared[name], self._seed) if isinstance(curve, PeriodicCurve) else curve
            for name, curve in self.curves.items()
        }
        return other

    def check_circular(self, seconds: float) -> None:
        """Check that curves end where they begin.

        Args:
            seconds: Length of the loop.

        Raises:
            UserError: If a tempo changes or another control jumps at the join.
        """
        for name, curve in self.curves.items():
            control = self._declared[name]
            values = curve.at(np.linspace(0.0, seconds, 65))
            if control.clock and np.ptp(values) > 1e-6:
                asked = f"{values[0]:g} to {values[-1]:g}"
                raise UserError(f"{name} must stay the same during a loop: give one number. Received: {asked}")
            if not control.classes and abs(values[-1] - values[0]) > 1e-3 * (control.high - control.low):
                raise UserError(
                    f"{name} must end where it begins, for a loop: give one number, or a line there and back such as"
                    f" {values[0]:g}:{values[-1]:g}:{values[0]:g}. Received: {values[0]:g} to {values[-1]:g}"
                )

    def describe(self) -> dict[str, Any]:
        """What was asked for, for a sidecar.

        Returns:
            For each declared control its points, a single number, a class's name, `musika.curves.BY_SEED` where it
            goes to and fro as the seed will have it, or None where it is left out or was given by a function.
        """
        return {name: self._describe(name) for name in self._declared}

    def _describe(self, name: str) -> Any:
        curve, control = self.curves.get(name), self._declared[name]
        if isinstance(curve, PeriodicCurve):
            return BY_SEED
        points: list[list[Any]] | None = None if curve is None else curve.points()
        if points is None:
            return None
        if control.classes:
            points = [[at, control.classes[int(value)]] for at, value in points]
        return points[0][1] if len(points) == 1 else points


def drawn_value(control: ControlConfig, seed: int) -> float:
    """The value that a piece draws for itself.

    Args:
        control: The control.
        seed: The piece's seed.

    Returns:
        A value in the middle nine tenths of what the music has, a whole number where the range is wide; of a class, its
        number.
    """
    random = counter_generator(seed, STREAM_CONTROL, zlib.crc32(control.name.encode()))
    if control.classes:
        return float(random.integers(len(control.classes)))
    value = value_of_share(control, random.uniform(0.05, 0.95))
    return float(round(value)) if control.high - control.low >= 20 else value


def _constant(control: ControlConfig, seed: int) -> PointCurve:
    """The value that a piece draws for itself, as a curve."""
    return points_curve([(0.0, drawn_value(control, seed))], control.name, bool(control.classes))


def drawn_curve(control: ControlConfig, seed: int) -> Curve:
    """What a piece draws for itself.

    Args:
        control: The control.
        seed: The piece's seed.

    Returns:
        One value, see `drawn_value`; of a control that may change from step to step, and is neither a clock nor a
        choice, a curve that goes to and fro without end.
    """
    if control.per != "step" or control.clock or control.classes:
        return _constant(control, seed)
    random = counter_generator(seed, STREAM_CONTROL, zlib.crc32(control.name.encode()))
    high = (np.arange(_TURNS) + random.integers(2)) % 2 == 1
    shares = random.uniform(*_TURN_SHARES, _TURNS)
    shares = np.where(high, 1.0 - shares, shares)
    times = np.concatenate([[0.0], random.uniform(*_TURN_SECONDS, _TURNS).cumsum()])
    fine = np.interp(np.arange(_TURNS * _LEG_POINTS + 1) / _LEG_POINTS, np.arange(_TURNS + 1), times)
    way = np.interp(fine, times, np.append(shares, shares[0]))
    values = np.array([value_at_place(control, place) for place in places_of_shares(control, way)])
    return PeriodicCurve(PointCurve(fine, values))


def event_places(seed: int, name: str, first: float, last: float) -> np.ndarray:
    """Where onsets stand, on the scale of their density's integral: any stretch of an endless row.

    Args:
        seed: The piece's seed.
        name: The control's name.
        first: Where the stretch begins; may be negative.
        last: Where it ends.

    Returns:
        Places from ``first`` up to ``last``, rising; on average one a unit.
    """
    spacing = 1.0 - _SILENT
    begin, end = math.floor(first / spacing) - 1, math.ceil(last / spacing) + 1
    places = []
    for chunk in range(begin // _EVENT_CHUNK, end // _EVENT_CHUNK + 1):
        random = counter_generator(seed, STREAM_EVENTS + 256 * zlib.crc32(name.encode()), chunk)
        row = np.arange(_EVENT_CHUNK) + chunk * _EVENT_CHUNK + random.uniform(-_JITTER, _JITTER, _EVENT_CHUNK)
        places.append(row[random.random(_EVENT_CHUNK) >= _SILENT] * spacing)
    row = np.concatenate(places)
    return row[(row >= first) & (row < last)]


def _check_curve(control: ControlConfig, curve: Curve) -> None:
    """Refuse impossible values and warn about unlearned ones."""
    if control.classes:
        return  # a class that does not exist is no curve
    values = curve.values if isinstance(curve, PointCurve) else curve.at(np.linspace(0.0, 60.0, 61))
    low, high = float(values.min()), float(values.max())
    unit = f" {control.unit}" if control.unit else ""
    learned = f"{control.low:g} to {control.high:g}{unit}"
    positive = control.low > 0 and (control.clock or control.scaling == "log")
    impossible = low <= 0 if positive else (control.low >= 0 and low < 0)
    most = _MOST_TIMES * max(abs(control.high), abs(control.low), 1e-9)
    if impossible or high > most:
        least = "" if control.low < 0 else f"{'above' if positive else 'from'} 0 and "
        raise UserError(
            f"{control.name} must be {least}at most {most:g}{unit}; learned are {learned}. Received:"
            f" {low if impossible else high:g}"
        )
    if low < control.low or high > control.high:
        asked = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        warnings.warn(
            f"{control.name} {asked} lies outside the learned range, {learned}: it may not be followed.",
            OutOfRangeWarning,
            stacklevel=4,
        )


def _find_times(curve: Curve, wanted: np.ndarray, grid: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Times at which the clock reaches whole beats: linear first, then two steps of Newton's method."""
    times = np.interp(wanted, beats, grid)
    for _ in range(2):
        times = times - (curve.integral(times) / 60.0 - wanted) / np.maximum(curve.at(times) / 60.0, 1e-6)
    return times
