"""Pieces as files: a small YAML that says what music to make, found by name as configs are.

=============  ========================================================================================
key            what it says
=============  ========================================================================================
title, idea    for people
checkpoint     the preset: a shipped name or a folder
seconds, bars  the length; bars of a constant ``tempo``, of ``beats_per_bar`` beats (4)
start          where in the endless piece to begin, in seconds
seed           which piece
truncation     low is typical, high is varied
tempo          a number, a line such as 90:160, points [[seconds, value], ...], or none
note_density   likewise
controls       any other controls by name
points         points by name: seeds, point files, or {seed, style, truncation}
path           where to travel: a list of points, or of {point, hold, glide, curve}
repeat         whether the path begins again
unit           of hold and glide: ``seconds`` (usual) or ``bars``
loop           {bars or seconds, turns, on_beat}: make a seamless loop, played some times
=============  ========================================================================================

>>> load_piece("fibonacci").seconds
120.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from musika.checks import UserError, check_choice, check_integer, check_known, check_number
from musika.resources import resource_folder
from musika.score import LONGEST, MOST_TURNS, SHORTEST, LoopScore, Score

KEYS = (
    "title",
    "idea",
    "checkpoint",
    "seconds",
    "bars",
    "start",
    "seed",
    "truncation",
    "tempo",
    "note_density",
    "controls",
    "points",
    "path",
    "repeat",
    "unit",
    "beats_per_bar",
    "loop",
)
ENDINGS = (".yaml", ".yml")
_MOST_BARS = 100_000


def piece_names() -> list[str]:
    """The names of the pieces that are installed with the package."""
    return sorted(path.stem for path in (resource_folder("configs") / "pieces").glob("*.yaml"))


def find_piece(name: str | Path) -> Path:
    """Find a piece by name or path.

    Args:
        name: A shipped name such as ``fibonacci``, with or without ``.yaml``, or a path to a YAML file.

    Returns:
        The file's path.

    Raises:
        UserError: If there is no such piece.
    """
    path = Path(name)
    if path.suffix.lower() in ENDINGS and path.is_file():
        return path
    shipped = resource_folder("configs") / "pieces" / f"{path.stem}.yaml"
    if path.parent == Path() and path.suffix.lower() in ("", *ENDINGS) and shipped.is_file():
        return shipped
    problem = f"{str(name)!r} is no piece" if path.is_file() else f"there is no piece {str(name)!r}"
    raise UserError(f"{problem}. Give a .yaml file or one of: {', '.join(piece_names())}.")


def read_piece(name: str | Path) -> dict[str, Any]:
    """Read a piece's file as it is.

    Args:
        name: A name or a path, see `find_piece`.

    Returns:
        Its values by key.

    Raises:
        UserError: If there is no such piece, it is not valid YAML, or a key is unknown.
    """
    import yaml

    path = find_piece(name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"piece: cannot read {path}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"piece: {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"piece: {path} must hold `key: value` lines; see musika/pieces.py for the keys.")
    check_known(values, KEYS, f"piece {path.name}")
    return values


def load_piece(name: str | Path) -> Score:
    """Load a piece.

    Args:
        name: A name or a path, see `find_piece`.

    Returns:
        What decides its samples.

    Raises:
        UserError: If there is no such piece or something in it is wrong.
    """
    path = find_piece(name)
    return make_score(read_piece(path), path.parent)


def make_score(values: Mapping[str, Any], folder: str | Path = ".") -> Score:
    """Make a score of a piece's values.

    Args:
        values: Values by key.
        folder: Where the files of points are looked for.

    Returns:
        The score.

    Raises:
        UserError: If a key is unknown or a value is wrong.

    >>> make_score({"tempo": 120, "bars": 8, "seed": 7}).seconds
    16.0
    """
    check_known(values, KEYS, "piece")
    given: dict[str, Any] = {key: values[key] for key in ("checkpoint", "seed", "truncation") if key in values}
    if not isinstance(given.get("checkpoint", ""), str):
        raise UserError(f"piece: checkpoint must be a name or a folder. Received: {given['checkpoint']!r}")
    controls = values.get("controls") or {}
    if not isinstance(controls, Mapping):
        raise UserError(f"piece: controls must be `name: value` lines. Received: {controls!r}")
    direct = {key: values[key] for key in ("tempo", "note_density") if key in values}
    given["controls"] = {key: _control(value) for key, value in (direct | dict(controls)).items()}
    given["loop"] = _make_loop(values["loop"]) if values.get("loop") is not None else None
    if "bars" in values:
        if "seconds" in values:
            raise UserError("piece: give the length in seconds or in bars, not both.")
        bars = check_integer(values["bars"], "bars", 1, _MOST_BARS)
        given["seconds"] = bars * _bar_seconds(values)
    elif "seconds" in values:
        given["seconds"] = check_number(values["seconds"], "seconds", SHORTEST, LONGEST)
    if "start" in values:
        given["start"] = check_number(values["start"], "start", 0.0)
    given["path"] = _make_path(values, given, Path(folder))
    return Score(**given)


def _control(value: Any) -> Any:
    """A control's value: YAML's null and the word none both leave it out."""
    return None if isinstance(value, str) and value.lower() == "none" else value


def _bar_seconds(values: Mapping[str, Any]) -> float:
    """Seconds of a bar."""
    tempo = values.get("tempo")
    if isinstance(tempo, bool) or not isinstance(tempo, (int, float)) or tempo <= 0:
        raise UserError(
            f"piece: lengths in bars need a constant tempo, such as `tempo: 128`. Received: tempo={tempo!r}"
        )
    return 60.0 * check_integer(values.get("beats_per_bar", 4), "beats_per_bar", 1, 64) / tempo


def _make_loop(values: Any) -> LoopScore:
    """How a piece becomes a loop."""
    if not isinstance(values, Mapping):
        raise UserError(f"piece: loop must hold bars or seconds, as {{bars: 8}}. Received: {values!r}")
    check_known(values, [item.name for item in fields(LoopScore)], "piece: loop")
    loop = LoopScore(**values)
    if (loop.bars is None) == (loop.seconds is None):
        raise UserError("piece: a loop needs its length in bars or in seconds, one of the two.")
    check_integer(loop.turns, "turns", 1, MOST_TURNS)
    return loop


def _make_path(values: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> Any:
    """A piece's path, its lengths in seconds; None where it has none."""
    from musika.paths import make_path

    if values.get("path") is None:
        for key in ("points", "repeat", "unit"):
            if key in values:
                raise UserError(f"piece: {key!r} belongs to a path, and there is no `path`.")
        return None
    unit = check_choice(values.get("unit", "seconds"), "unit", ["seconds", "bars"])
    factor = _bar_seconds(values) if unit == "bars" else 1.0
    stops = values["path"]
    if isinstance(stops, list):
        stops = [_in_seconds(stop, factor) for stop in stops]
    whole = {"points": values.get("points"), "path": stops, "repeat": values.get("repeat", False)}
    return make_path(whole, given.get("start", 0.0) + given.get("seconds", Score().seconds), folder)


def _in_seconds(stop: Any, factor: float) -> Any:
    """A stop whose hold and glide are in seconds."""
    if not isinstance(stop, Mapping):
        return stop
    lengths = {key: stop[key] for key in ("hold", "glide") if key in stop}
    return dict(stop) | {key: check_number(value, key, 0.0) * factor for key, value in lengths.items()}
