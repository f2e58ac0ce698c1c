"""Values over time: what a control is asked to do during a piece.

A curve is a number, a line through points, or a function of seconds. A tempo's integral is the beat clock; of points it
is exact at any time, however far from the start.

    >>> make_curve("90:150", "tempo", seconds=60.0).at(np.array([0.0, 30.0, 90.0])).tolist()
    [90.0, 120.0, 150.0]
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musika.checks import UserError, check_may_open

BY_SEED = "by seed"  # in the place of a control's value: the piece draws it from its seed
GRID = 32  # values a second at which a function is integrated
LAST_SECOND = 30 * 86400.0  # of a function: its integral is summed from the start


@dataclass(frozen=True, eq=False)
class PointCurve:
    """A curve through points: straight between them, level outside.

    Attributes:
        seconds: Times of the points, rising, `(points,)`.
        values: Values there, `(points,)`.
        steps: Whether a value holds until the next point instead of moving towards it.
    """

    seconds: np.ndarray
    values: np.ndarray
    steps: bool = False

    def at(self, times: np.ndarray) -> np.ndarray:
        """The values at some times.

        Args:
            times: Seconds from the piece's start.

        Returns:
            Values of the same shape.
        """
        if self.steps:
            return self.values[np.maximum(np.searchsorted(self.seconds, times, side="right") - 1, 0)]
        return np.interp(times, self.seconds, self.values)

    def integral(self, times: np.ndarray) -> np.ndarray:
        """The integral from time zero.

        Args:
            times: Seconds from the piece's start; may be negative.

        Returns:
            Value times seconds, same shape.
        """
        return self._area(np.asarray(times, float)) - self._area(np.zeros(()))

    def _area(self, times: np.ndarray) -> np.ndarray:
        """The integral from the first point."""
        knots, values = self.seconds, self.values
        if len(knots) == 1:
            return (times - knots[0]) * values[0]
        widths = np.diff(knots)
        heights = values[:-1] if self.steps else 0.5 * (values[1:] + values[:-1])
        sums = np.concatenate([[0.0], np.cumsum(widths * heights)])
        index = np.clip(np.searchsorted(knots, times, side="right") - 1, 0, len(knots) - 1)
        inside = np.clip(times, knots[0], knots[-1])
        ends = values[index] if self.steps else np.interp(inside, knots, values)
        area = sums[index] + 0.5 * (values[index] + ends) * (inside - knots[index])
        return area + np.minimum(times - knots[0], 0.0) * values[0] + np.maximum(times - knots[-1], 0.0) * values[-1]

    def points(self) -> list[list[float]]:
        """The points as lists, for JSON."""
        return [[float(at), float(value)] for at, value in zip(self.seconds, self.values, strict=True)]


class FunctionCurve:
    """A curve given by a function of seconds; before time zero it has its value there."""

    def __init__(self, function: Callable[[float], float], name: str) -> None:
        """Keep the function.

        Args:
            function: Gives a value for a time in seconds.
            name: The control's name, for messages.
        """
        self._function, self._name = function, name
        self._sums = np.zeros(1)

    def at(self, times: np.ndarray) -> np.ndarray:
        """The values at some times. See `PointCurve.at`.

        Args:
            times: Seconds from the piece's start.

        Returns:
            Values of the same shape.

        Raises:
            UserError: If the function gives something that is no finite number.
        """
        flat = np.maximum(np.asarray(times, float), 0.0)
        try:
            values = np.array([float(self._function(float(at))) for at in flat.ravel()]).reshape(flat.shape)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self._name}: the function of seconds must give a number ({error}).") from None
        if not np.isfinite(values).all():
            raise UserError(
                f"{self._name}: the function of seconds must give finite numbers. Received: NaN or infinity"
            )
        return values

    def integral(self, times: np.ndarray) -> np.ndarray:
        """The integral from time zero, by the trapezoidal rule on a fixed grid. See `PointCurve.integral`.

        Args:
            times: Seconds from the piece's start, at most 30 days.

        Returns:
            Value times seconds, same shape.

        Raises:
            UserError: If a time is beyond 30 days.
        """
        times = np.asarray(times, float)
        last = float(times.max(initial=0.0))
        if last > LAST_SECOND:
            raise UserError(f"{self._name}: a function can be followed for 30 days; give points for what lies beyond.")
        sums = self._summed(math.ceil(max(last, 0.0) * GRID) + 1)
        places = np.maximum(times, 0.0) * GRID
        inside = np.interp(places, np.arange(len(sums)), sums)
        return inside + np.minimum(times, 0.0) * self.at(np.zeros(()))

    def _summed(self, count: int) -> np.ndarray:
        """The function's sums along its grid, more than ``count``; another thread may sum at the same time."""
        sums = self._sums
        if len(sums) <= count:
            values = self.at(np.arange(len(sums) - 1, count + 1) / GRID)
            more = np.cumsum(0.5 * (values[1:] + values[:-1])) / GRID
            self._sums = sums = np.concatenate([sums, sums[-1] + more])
        return sums

    def points(self) -> list[list[float]] | None:
        """None: a function cannot be written down."""
        return None


class PeriodicCurve:
    """A curve through points that begins anew whenever it has ended, before time zero too.

    >>> curve = PeriodicCurve(PointCurve(np.array([0.0, 2.0, 4.0]), np.array([1.0, 3.0, 1.0])))
    >>> curve.at(np.array([-1.0, 1.0, 4001.0])).tolist(), float(curve.integral(np.array(4000.0)))
    ([2.0, 2.0, 2.0], 8000.0)
    """

    def __init__(self, turn: PointCurve) -> None:
        """Keep one turn.

        Args:
            turn: Its points, the first at time zero, the last one as high.
        """
        self._turn, self._period = turn, float(turn.seconds[-1])
        self._area = float(turn.integral(turn.seconds[-1]))

    def at(self, times: np.ndarray) -> np.ndarray:
        """The values at some times. See `PointCurve.at`.

        Args:
            times: Seconds from the piece's start.

        Returns:
            Values of the same shape.
        """
        return self._turn.at(np.mod(times, self._period))

    def integral(self, times: np.ndarray) -> np.ndarray:
        """The integral from time zero. See `PointCurve.integral`.

        Args:
            times: Seconds from the piece's start; may be negative.

        Returns:
            Value times seconds, same shape.
        """
        turns, rest = np.divmod(np.asarray(times, float), self._period)
        return turns * self._area + self._turn.integral(rest)

    def points(self) -> None:
        """None: it has no end."""


Curve = PointCurve | FunctionCurve | PeriodicCurve


def points_curve(points: Any, name: str, steps: bool = False) -> PointCurve:
    """A curve through points.

    Args:
        points: Pairs (seconds, value), at least one, in the order of time.
        name: The control's name, for messages.
        steps: Whether values are held until the next point.

    Returns:
        The curve.

    Raises:
        UserError: If they are not such pairs.
    """
    try:
        table = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.zeros(0)
    if table.ndim != 2 or table.shape[1] != 2 or not len(table) or not np.isfinite(table).all():
        raise UserError(f"{name}: points must be pairs (seconds, value) of finite numbers. Received: {points!r}"[:300])
    if (np.diff(table[:, 0]) <= 0).any() or table[0, 0] < 0:
        raise UserError(
            f"{name}: the seconds of points must rise, from 0 or later. Received: {table[:, 0].tolist()[:8]}"
        )
    return PointCurve(table[:, 0], table[:, 1], steps)


def _number(text: str, name: str) -> float:
    """Read a number of the command line."""
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f"{name} must be a number (128), a line over the piece (90:160), a .csv file with rows seconds,value,"
            f" or none. Received: {text!r}"
        ) from None


def _read_csv(path: Path, name: str, files: bool) -> list[tuple[float, str]]:
    """Rows (seconds, value) of a curve file; a heading is allowed."""
    check_may_open(path, files)
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, row) for row in reader if row and not row[0].lstrip().startswith("#")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{name}: cannot read the curve {path} ({error}). Give a .csv with rows seconds,value."
        ) from None
    found = []
    for number, row in rows:
        try:
            found.append((float(row[0]), row[1].strip()))
        except (ValueError, IndexError):
            heading = number == rows[0][0] and not any(sign.isdigit() for sign in row[0])
            if not heading:
                raise UserError(f"{name}: row {number} of {path} is not seconds,value: {','.join(row)}") from None
    if not found:
        raise UserError(f"{name}: the curve {path} holds no rows seconds,value.")
    return found


def make_curve(
    value: Any,
    name: str,
    seconds: float | None = None,
    latent_rate: float = 1.0,
    classes: tuple[str, ...] = (),
    files: bool = True,
) -> Curve:
    """Make a curve of what a user gave.

    Args:
        value: A number; text: a number, a line such as ``90:160`` (more parts make more corners) or the name of a
            ``.csv`` file with rows ``seconds,value``; points, an array `(points, 2)`; an array `(steps,)` with a value
            a latent step from the piece's start; a function of seconds; or a curve. Of a class: its name, or points.
        name: The control's name, for messages.
        seconds: Length over which a line goes.
        latent_rate: Latent steps a second, for an array of steps.
        classes: Names of the classes, if the control is a choice.
        files: Whether a file may be named.

    Returns:
        The curve.

    Raises:
        UserError: If it is none of these, or a file that may not be named.
    """
    if isinstance(value, Curve):
        return value
    if classes:
        return _class_curve(value, name, classes, files)
    if isinstance(value, str):
        if value.lower().endswith(".csv"):
            rows = _read_csv(Path(value), name, files)
            return points_curve([(at, _number(text, name)) for at, text in rows], name)
        corners = [_number(part, name) for part in value.split(":")]
        if len(corners) == 1:
            return points_curve([(0.0, corners[0])], name)
        if not seconds or seconds <= 0:
            raise UserError(
                f"{name}: the line {value!r} needs the piece's length; give points (seconds, value) instead."
            )
        return points_curve(list(zip(np.linspace(0.0, seconds, len(corners)), corners, strict=True)), name)
    if callable(value):
        return FunctionCurve(value, name)
    try:
        table = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{name} must be a number, points, an array or a function. Received: {value!r}"[:300]) from None
    if table.ndim == 0:
        return points_curve([(0.0, float(table))], name)
    if table.ndim == 1:
        times = (np.arange(len(table)) + 0.5) / latent_rate
        return points_curve(np.stack([times, table], axis=1), name)
    return points_curve(table, name)


def _class_curve(value: Any, name: str, classes: tuple[str, ...], files: bool) -> PointCurve:
    """The curve of a choice: the number of the class."""
    if isinstance(value, str):
        value = _read_csv(Path(value), name, files) if value.lower().endswith(".csv") else [(0.0, value)]
    known, points = ", ".join(classes), []
    try:
        pairs = [(at, str(choice)) for at, choice in value]
    except (TypeError, ValueError):
        raise UserError(
            f"{name} must be one of {known}, or points (seconds, one of them). Received: {value!r}"
        ) from None
    for at, choice in pairs:
        if choice not in classes:
            raise UserError(f"{name} must be one of {known}. Received: {choice!r}")
        points.append((at, classes.index(choice)))
    return points_curve(points, name, steps=True)
