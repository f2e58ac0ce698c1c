"""Points: places in a generator's space that a path can go to, saved as small JSON files.

>>> make_point("7").seed, make_point({"seed": 7, "style": 9}).style
(7, 9)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musika.audio.writing import replacing
from musika.checks import UserError, check_integer, check_known, check_may_open, check_number
from musika.gan.coordinates import LARGEST_SEED, anchor, check_truncation, style

if TYPE_CHECKING:
    from musika.presets import Preset

FORMAT = 1
KIND = "musika point"
_KEYS = ("seed", "style", "truncation", "name", "wander")
_FILE_KEYS = ("format", "kind", "preset", "preset_hash")  # what a file says besides, for people


@dataclass(frozen=True)
class Point:
    """A place that a path can go to.

    Attributes:
        seed: Seed of its anchors.
        style: Its style: numbers, a seed to draw them from, or None for the point's own seed.
        truncation: Bound of its anchors and style; None for the piece's.
        name: Its name, for people.
        wander: How far its music moves on with time: 1 as any piece does, so that after a minute it is another place;
            0 stays where the seed begins, so that a section is recognised when it comes back.
    """

    seed: int
    style: tuple[float, ...] | int | None = None
    truncation: float | None = None
    name: str = ""
    wander: float = 1.0

    def anchors(self, free: np.ndarray, truncation: float | None) -> np.ndarray:
        """The point's anchors, held near its first one where it shall not wander.

        Args:
            free: Interpolated anchors of its seed, `(places, channels)`.
            truncation: The piece's bound, if the point has none of its own.

        Returns:
            `(places, channels)`: the first anchor and the free ones in shares whose squares sum to 1, so that they are
            as long as normal vectors are.
        """
        if self.wander >= 1.0:
            return free
        bound = truncation if self.truncation is None else self.truncation
        home = anchor(self.seed, 0, free.shape[1], bound)
        return (1.0 - self.wander**2) ** 0.5 * home + self.wander * free

    def style_numbers(self, channels: int, truncation: float | None) -> np.ndarray:
        """Its style.

        Args:
            channels: How many numbers it has.
            truncation: The piece's bound, if the point has none of its own.

        Returns:
            `(channels,)` float64.

        Raises:
            UserError: If the point was saved with another number of channels.
        """
        if isinstance(self.style, tuple):
            if len(self.style) != channels:
                shown = self.name or f"of seed {self.seed}"
                raise UserError(
                    f"the point {shown} has a style of {len(self.style)} numbers, this preset's have {channels}."
                    " Save it again with this preset."
                )
            return np.array(self.style)
        bound = truncation if self.truncation is None else self.truncation
        return style(self.seed if self.style is None else self.style, channels, bound)

    def describe(self) -> dict[str, Any]:
        """The point as plain values, which `make_point` takes."""
        values = {"seed": self.seed, "style": self.style, "truncation": self.truncation, "name": self.name or None}
        values["wander"] = None if self.wander >= 1.0 else self.wander
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {key: value for key, value in plain.items() if value is not None}

    def fixed(self, channels: int, truncation: float | None) -> Point:
        """The same point with everything written out, so that it does not depend on a piece's truncation.

        Args:
            channels: Numbers of a style.
            truncation: The piece's bound, if the point has none of its own.

        Returns:
            The point.
        """
        bound = truncation if self.truncation is None else self.truncation
        numbers = tuple(float(np.float32(number)) for number in self.style_numbers(channels, truncation))
        return replace(self, style=numbers, truncation=bound)


def _make_style(given: Any) -> tuple[float, ...] | int | None:
    """A style of what a user gave."""
    if given is None:
        return None
    if isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, (str, bytes)):
        try:
            numbers = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.zeros((0, 0))
        if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all() or np.abs(numbers).max() > 100:
            raise UserError(f"a style must be a seed, or a list of numbers from -100 to 100. Received: {given!r}"[:300])
        return tuple(numbers.tolist())
    return check_integer(given, "style", 0, LARGEST_SEED)


def make_point(
    given: Any, names: Mapping[str, Any] | None = None, folder: str | Path = ".", files: bool = True
) -> Point:
    """Make a point of what a user gave.

    Args:
        given: A point; a seed; text: a name, a seed or the name of a point's ``.json`` file; or a mapping with ``seed``
            and maybe ``style`` (a seed or numbers), ``truncation``, ``wander`` and ``name``.
        names: Points by name.
        folder: Where files are looked for.
        files: Whether a file may be named.

    Returns:
        The point.

    Raises:
        UserError: If it is none of these, or a file that may not be named.
    """
    if isinstance(given, Point):
        return given
    if isinstance(given, str):
        if names and given in names:
            return replace(make_point(names[given], None, folder, files), name=given)
        if given.lower().endswith(".json"):
            check_may_open(given, files)
            return load_point(Path(folder) / given)
        if not given.isdecimal():
            known = f" ({', '.join(map(str, names))})" if names else ""
            raise UserError(f"a point must be a seed, a name{known} or a .json file. Received: {given!r}")
        given = int(given)
    if isinstance(given, Mapping):
        check_known(given, (*_KEYS, *_FILE_KEYS), "a point")
        if "seed" not in given:
            raise UserError(f"a point needs a seed. Received: {dict(given)!r}"[:300])
        seed = check_integer(given["seed"], "seed", 0, LARGEST_SEED)
        bound = check_truncation(given.get("truncation"))
        wander = check_number(given.get("wander", 1.0), "wander", 0.0, 1.0)
        return Point(seed, _make_style(given.get("style")), bound, str(given.get("name") or ""), wander)
    return Point(check_integer(given, "a point's seed", 0, LARGEST_SEED))


def save_point(path: str | Path, point: Point, preset: Preset, truncation: float | None = None) -> Path:
    """Write a point as a small JSON file, its style in numbers.

    Args:
        path: The file, ending in ``.json``.
        point: The point.
        preset: The preset that it was found with.
        truncation: The piece's bound, if the point has none of its own.

    Returns:
        The file.

    Raises:
        UserError: If it cannot be written.
    """
    fixed = point.fixed(preset.config.generator.coordinate_channels, truncation)
    notes = {"format": FORMAT, "kind": KIND, "preset": preset.name, "preset_hash": preset.hash}
    with replacing(path) as aside:
        aside.write_text(json.dumps(notes | fixed.describe()) + "\n", encoding="utf-8")
    return Path(path)


def load_point(path: str | Path) -> Point:
    """Read a point.

    Args:
        path: The file that `save_point` wrote, or any JSON object with a ``seed``.

    Returns:
        The point.

    Raises:
        UserError: If it is missing or no point.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the point {path}: {error.strerror}. Check the path.") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not a point (no JSON). `musika points` makes points.") from None
    if not isinstance(values, dict) or values.get("kind", KIND) != KIND:
        raise UserError(f"{path} is not a point. `musika points` makes points.")
    if values.get("format", FORMAT) != FORMAT:
        raise UserError(f"{path} has format {values['format']}, not {FORMAT}. Install the version that made it.")
    point = make_point(values)
    return point if point.name else replace(point, name=path.stem)
