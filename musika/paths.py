"""Paths: a piece that travels between points, such as from one seed's music to another's and back.

A point is a place in the generator's space: a seed, from which its anchors come, and a style. A path stays at a point,
glides to the next, and so on. Where it stays, the music is that of the point alone, step for step; where it glides,
coordinates and style turn from one point's to the other's. Both are normal vectors of many numbers, which lie near a
sphere: turning keeps their length, where a straight line would cut through the untrained middle.

    >>> path = make_path([7, 12, 7], seconds=60.0)
    >>> [(stop.point.seed, stop.glide) for stop in path.stops]
    [(7, 0.0), (12, 30.0), (7, 30.0)]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from musika.checks import UserError, check_choice, check_known, check_may_open, check_number
from musika.gan.coordinates import circular_coordinates, coordinates
from musika.points import Point, make_point
from musika.settings import Config

CURVES = ["linear", "smooth"]
DEFAULT_GLIDE = 30.0  # seconds, where nothing says how long
LONGEST_STAY = 30 * 86400.0  # seconds, as long as a render may be
_STOP_KEYS = ("point", "hold", "glide", "curve")
_PATH_KEYS = ("points", "path", "repeat")


@dataclass(frozen=True)
class Stop:
    """A station of a path.

    Attributes:
        point: Where it is.
        hold: Seconds that the path stays.
        glide: Seconds in which the path has come here from the station before; 0 is a jump.
        curve: ``linear``, or ``smooth``: setting off and arriving gently.
    """

    point: Point
    hold: float = 0.0
    glide: float = 0.0
    curve: str = "smooth"


def slerp(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Turn from one vector to another: the direction goes along a great circle, the length from one to the other.

    Args:
        first: Vectors `(..., channels)`.
        second: Vectors of the same shape.
        share: How far, 0 to 1, `(...,)`.

    Returns:
        Vectors of the same shape. Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.

    >>> slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array(0.5)).round(4).tolist()
    [0.7071, 0.7071]
    """
    lengths = [np.linalg.norm(side, axis=-1, keepdims=True) for side in (first, second)]
    units = [side / np.maximum(length, 1e-12) for side, length in zip((first, second), lengths, strict=True)]
    angle = np.arccos(np.clip((units[0] * units[1]).sum(axis=-1, keepdims=True), -1.0, 1.0))
    part = np.asarray(share)[..., None]
    sine = np.sin(angle)
    round_way = (np.sin((1.0 - part) * angle) * units[0] + np.sin(part * angle) * units[1]) / np.maximum(sine, 1e-6)
    straight = (1.0 - part) * units[0] + part * units[1]  # of equal or opposite directions, which have no great circle
    direction = np.where(sine > 1e-4, round_way, straight)
    return direction * ((1.0 - part) * lengths[0] + part * lengths[1])


class Path:
    """Stations one after another.

    Args:
        stops: The stations, at least one.
        repeat: Whether the path begins again after the last one, gliding to the first in that one's ``glide``.

    Attributes:
        stops: The stations.
        repeat: As given.
        seconds: From the start to the end of the last station, or of one round.

    Raises:
        UserError: If there is no station, or the path repeats and takes no time.
    """

    def __init__(self, stops: Sequence[Stop], repeat: bool = False) -> None:
        if not stops:
            raise UserError("a path needs at least one point.")
        self.stops, self.repeat = tuple(stops), repeat
        begins, clock = [], 0.0  # of each glide
        for index, stop in enumerate(self.stops):
            begins.append(clock)
            clock += (stop.glide if index else 0.0) + stop.hold
        self.seconds = clock + (self.stops[0].glide if repeat else 0.0)
        self._begins = np.array(begins)
        if repeat and self.seconds <= 0:
            raise UserError("a path that repeats must take some time: give hold or glide seconds.")

    def between(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the path is.

        Args:
            times: Seconds from the piece's start, `(times,)`.

        Returns:
            Number of the station it comes from, of the one it goes to, and how far it is, 0 to 1; each `(times,)`.
        """
        count = len(self.stops)
        times = np.asarray(times, float)
        times = times % self.seconds if self.repeat else np.maximum(times, 0.0)
        to = np.searchsorted(self._begins, times, side="right") - 1
        ends = self.seconds - self.stops[0].glide if self.repeat else np.inf
        back = times >= ends
        since = np.where(back, times - ends, times - self._begins[to])
        to = np.where(back, 0, to)
        first = (to == 0) & ~back
        glides = np.where(first, 0.0, np.array([stop.glide for stop in self.stops])[to])
        far = np.where(glides > 0, np.minimum(since / np.where(glides > 0, glides, 1.0), 1.0), 1.0)
        smooth = np.array([stop.curve == "smooth" for stop in self.stops])[to]
        return (to - 1) % count, to, np.where(smooth, far * far * (3.0 - 2.0 * far), far)

    def _blend(
        self, make: Callable[..., np.ndarray], config: Config, truncation: float | None, times: np.ndarray
    ) -> np.ndarray:
        """Coordinates of a stretch: ``make`` gives those of one point alone."""
        channels = config.generator.coordinate_channels
        before, after, far = self.between(times)
        made: dict[int, np.ndarray] = {}

        def of(index: int) -> np.ndarray:
            """The coordinates of a stop's point, made once."""
            if index not in made:
                point = self.stops[index].point
                bound = truncation if point.truncation is None else point.truncation
                made[index] = make(point.seed, bound)
                made[index][:, :channels] = point.anchors(made[index][:, :channels], truncation)
                made[index][:, channels:] = point.style_numbers(channels, truncation)
            return made[index]

        result = np.empty((len(times), 2 * channels), np.float32)
        for pair in np.unique(np.stack([before, after], axis=1), axis=0):
            here = (before == pair[0]) & (after == pair[1])
            there, on_way = here & (far >= 1.0), here & (far < 1.0)
            if there.any():
                result[there] = of(int(pair[1]))[there]
            if on_way.any():
                ends = [of(int(index))[on_way].astype(np.float64) for index in pair]
                halves = slice(0, channels), slice(channels, None)  # anchors, style
                turned = [slerp(ends[0][:, part], ends[1][:, part], far[on_way]) for part in halves]
                result[on_way] = np.concatenate(turned, axis=1)
        return result

    def coordinates(
        self, config: Config, start_step: int, steps: int, truncation: float | None, place: int | None = None
    ) -> np.ndarray:
        """The coordinates of any stretch of a piece on this path. See `musika.gan.coordinates.coordinates`.

        Args:
            config: The config.
            start_step: First latent step; may be negative.
            steps: Number of latent steps.
            truncation: Bound for points that have none of their own.
            place: The step whose coordinates the music of each point alone would have first; ``start_step`` when left
                out.

        Returns:
            `(steps, 2 * coordinate_channels)` float32.
        """
        first = start_step if place is None else place
        times = (np.arange(start_step, start_step + steps) + 0.5) / config.latent_rate

        def make(seed: int, bound: float | None) -> np.ndarray:
            """The coordinates of a stretch."""
            return coordinates(config, seed, first, steps, bound)

        return self._blend(make, config, truncation, times)

    def circular_coordinates(
        self, config: Config, turns: np.ndarray, steps: int, truncation: float | None
    ) -> np.ndarray:
        """The coordinates of places on a loop, in one turn of which the path goes round once.

        Args:
            config: The config.
            turns: The places, in turns of the loop.
            steps: Latent steps of one turn.
            truncation: Bound for points that have none of their own.

        Returns:
            `(places, 2 * coordinate_channels)` float32.
        """
        round_path = self.closed()

        def make(seed: int, bound: float | None) -> np.ndarray:
            """The coordinates of places on a loop."""
            return circular_coordinates(config, seed, turns, steps, bound)

        return round_path._blend(make, config, truncation, (turns % 1.0) * round_path.seconds)

    def closed(self) -> Path:
        """The path as one that repeats: back to its first point, unless it ends there already."""
        if self.repeat:
            return self
        first, last = self.stops[0], self.stops[-1]
        if len(self.stops) == 1 or self.seconds <= 0:
            return Path([Stop(first.point, 1.0)], repeat=True)
        if first.point == last.point:
            return Path([Stop(first.point, first.hold + last.hold, last.glide, last.curve), *self.stops[1:-1]], True)
        return Path([Stop(first.point, first.hold, last.glide, last.curve), *self.stops[1:]], repeat=True)

    def check_styles(self, config: Config, truncation: float | None) -> None:
        """Check that saved styles are of a preset's size.

        Args:
            config: The preset's config.
            truncation: The piece's bound.

        Raises:
            UserError: If one has another number of channels.
        """
        for stop in self.stops:
            stop.point.style_numbers(config.generator.coordinate_channels, truncation)

    def describe(self) -> dict[str, Any]:
        """The path as plain values, which `make_path` takes."""
        stops = [
            {"point": stop.point.describe(), "hold": stop.hold, "glide": stop.glide, "curve": stop.curve}
            for stop in self.stops
        ]
        return {"path": stops, "repeat": self.repeat}


def _make_stop(given: Any, names: Mapping[str, Any], folder: FilePath, length: float, files: bool) -> Stop:
    """A station of what a user gave; ``length`` is its glide when it says nothing."""
    if isinstance(given, Stop):
        return given
    if not isinstance(given, Mapping) or "point" not in given:
        return Stop(make_point(given, names, folder, files), glide=length)
    check_known(given, _STOP_KEYS, "a stop of a path")
    hold = check_number(given.get("hold", 0.0), "hold", 0.0, LONGEST_STAY)
    usual = 0.0 if "hold" in given else length
    glide = check_number(given.get("glide", usual), "glide", 0.0, LONGEST_STAY)
    curve = check_choice(given.get("curve", "smooth"), "curve", CURVES)
    return Stop(make_point(given["point"], names, folder, files), hold, glide, curve)


def make_path(given: Any, seconds: float | None = None, folder: str | FilePath = ".", files: bool = True) -> Path:
    """Make a path of what a user gave.

    Args:
        given: A path; a list of points as `musika.points.make_point` takes them, or of stops, which say more:
            ``{"point": 7, "hold": 20, "glide": 10, "curve": "linear"}`` (glides come before holds); a mapping
            ``{"points": {name: point}, "path": list, "repeat": false}``; text such as ``7,12,7``; or the name of a
            ``.yaml`` or ``.json`` file that holds a list or a mapping.
        seconds: Length over which glides that say nothing are spread; 30 s each when left out.
        folder: Where the files of points are looked for.
        files: Whether files may be named.

    Returns:
        The path.

    Raises:
        UserError: If it is none of these, or names a file that may not be named.

    >>> make_path([{"point": 7, "hold": 20}, {"point": {"seed": 7, "style": 9}, "glide": 5}]).seconds
    25.0
    """
    if isinstance(given, Path):
        return given
    if isinstance(given, (str, FilePath)):
        file = FilePath(given)
        if file.suffix.lower() in (".yaml", ".yml", ".json") and "," not in str(given):
            check_may_open(file, files)
            return make_path(read_path_file(file), seconds, file.parent)
        given = [part.strip() for part in str(given).split(",")]
    names: Mapping[str, Any] = {}
    repeat = False
    if isinstance(given, Mapping):
        if "path" not in given and "seed" in given:  # the file of a point
            return make_path([given], seconds, folder, files)
        check_known(given, _PATH_KEYS, "a path")
        names, repeat, given = given.get("points") or {}, given.get("repeat", False), given.get("path")
        if not isinstance(names, Mapping) or not isinstance(repeat, bool):
            raise UserError("a path: points must be `name: point` lines, repeat must be true or false.")
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)) or not given:
        raise UserError(f"a path must be a list of points, such as [7, 12, 7]. Received: {given!r}"[:300])
    glides = len(given) - (0 if repeat else 1)
    length = seconds / max(glides, 1) if seconds else DEFAULT_GLIDE
    lengths = [length if index or repeat else 0.0 for index in range(len(given))]
    pairs = zip(given, lengths, strict=True)
    stops = [_make_stop(item, names, FilePath(folder), usual, files) for item, usual in pairs]
    return Path(stops, repeat)


def read_path_file(path: FilePath) -> Any:
    """Read the YAML or JSON file of a path or a point.

    Args:
        path: The file.

    Returns:
        What it holds, as plain values.

    Raises:
        UserError: If it cannot be read.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".json":
            with suppress(ValueError):  # what is written by hand may be YAML alone
                return json.loads(text)
        return yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the path {path} ({error}). Give a .yaml or .json file, or 7,12,7") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"the path {path} is not valid YAML: {' '.join(str(error).split())}") from None
