"""The page's fields by name, as plain values: to a wish and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.app.recordings import BlendWish, Recording, naming, recorded_wish, write_blend
from musika.app.wishes import (
    CURVE,
    DRAWN,
    ENDINGS,
    FREE,
    SHORTEST,
    STEADY,
    LoopWish,
    Wish,
    control_modes,
    read_clock,
    read_control,
    read_seed,
    write_clock,
)
from musika.checks import UserError, check_integer, check_number
from musika.curves import make_curve
from musika.paths import make_path, read_path_file
from musika.points import Point
from musika.settings import ControlConfig

if TYPE_CHECKING:
    from musika.app.shelf import Shelf

LENGTHS = ["0:10", "0:30", "1:00", "3:00", "10:00", "1:00:00", "3:00:00"]
STOP_PARTS = ("point", "hold", "glide", "curve")
CONTROL_PARTS = ("mode", "first", "last", "curve")
_OF_ALL = ("preset", "precision", "ending")  # what a recording alone is asked for, too


def read_wish(
    shelf: Shelf, fields: Mapping[str, Any], longest: float, points: Mapping[str, Point] | None = None
) -> Wish:
    """Read a wish from the page's fields.

    Args:
        shelf: The presets.
        fields: Values by name: ``preset``, ``length``, ``start``, ``seed``, ``truncation``, ``ending``, ``precision``;
            for each control ``NAME.mode``, ``NAME.first``, ``NAME.last`` and ``NAME.curve``; ``loop``, ``loop.bars``,
            ``loop.turns``, ``loop.on_beat``; ``path``, rows of point, hold, glide and curve, and ``path.repeat``.
        longest: Greatest length that is allowed, in seconds.
        points: Points that rows may name.

    Returns:
        The wish, checked.

    Raises:
        UserError: If a field cannot be read or is out of its range.
    """
    preset = str(fields.get("preset") or "")
    controls: dict[str, Any] = {}
    for name, control in shelf.controls(preset).items():
        controls |= read_control(control, {part: fields.get(f"{name}.{part}") for part in CONTROL_PARTS})
    seconds, start = read_clock(fields.get("length"), "the length"), read_clock(fields.get("start") or "0", "the start")
    return Wish(
        preset=preset,
        seed=read_seed(fields.get("seed")),
        seconds=seconds,
        start=start,
        truncation=check_number(fields.get("truncation", 2.0), "variety"),
        controls=controls,
        precision=str(fields.get("precision") or "auto"),
        ending=str(fields.get("ending") or ENDINGS[0]),
        path=read_path(fields.get("path") or [], bool(fields.get("path.repeat")), points or {}, start + seconds),
        loop=_read_loop(shelf, preset, fields) if fields.get("loop") else None,
    ).check(longest)


def _read_loop(shelf: Shelf, preset: str, fields: Mapping[str, Any]) -> LoopWish:
    """Read how music becomes a loop; its bars count only where the preset has a clock."""
    bars = fields.get("loop.bars") if shelf.has_clock(preset) else None
    return LoopWish(
        bars=None if not bars else _whole(bars, "bars"),
        turns=_whole(fields.get("loop.turns") or 1, "turns"),
        on_beat=bool(fields.get("loop.on_beat")),
    )


def _whole(value: Any, name: str) -> int:
    """A whole number of a field that may give a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else check_integer(value, name, 1, 10**6)


def _is_blank(value: Any) -> bool:
    """Whether a cell of a table is empty."""
    return value is None or value != value or not str(value).strip()


def read_path(
    rows: Sequence[Sequence[Any]], repeat: bool, points: Mapping[str, Point], seconds: float
) -> dict[str, Any] | None:
    """Read a path from the rows of its table.

    Args:
        rows: For each stop its point (a seed or a name), seconds that it stays, seconds of the glide to it, and
            ``linear`` or ``smooth``; all but the first may be blank.
        repeat: Whether the path goes round.
        points: Points that may be named.
        seconds: Length over which glides that say nothing are spread.

    Returns:
        The path as `musika.paths.Path.describe` writes it; None without a row.

    Raises:
        UserError: If a row cannot be read.

    >>> [stop["glide"] for stop in read_path([["7", "", "", ""], ["9", "", "", ""]], False, {}, 60.0)["path"]]
    [0.0, 60.0]
    """
    stops = []
    for row in rows:
        cells = [None if _is_blank(cell) else str(cell).strip() for cell in [*row, "", "", ""][:4]]
        if cells[0] is None:
            continue
        if cells[0] not in points and not cells[0].isdecimal():
            known = f" ({', '.join(points)})" if points else ""
            raise UserError(f"a point must be a seed or the name of a loaded point{known}. Received: {cells[0][:60]!r}")
        stop: dict[str, Any] = {"point": points[cells[0]] if cells[0] in points else int(cells[0])}
        stop |= {name: cell for name, cell in zip(STOP_PARTS[1:], cells[1:], strict=True) if cell is not None}
        stops.append(stop)
    return make_path({"path": stops, "repeat": repeat}, seconds, files=False).describe() if stops else None


def write_path(path: Mapping[str, Any] | None, points: dict[str, Point]) -> list[list[Any]]:
    """The rows of a path's table.

    Args:
        path: The path as `musika.paths.Path.describe` writes it.
        points: Points by name; those of the path that are more than a seed are added.

    Returns:
        Rows that `read_path` reads.
    """
    rows = []
    for stop in make_path(path, files=False).stops if path else ():
        point, name = stop.point, str(stop.point.seed)
        if point != Point(point.seed):
            name = point.name if point.name and not point.name.isdecimal() else f"point of {point.seed}"
            while name in points and points[name] != point:
                name += "'"
            points[name] = point
        rows.append([name, stop.hold, stop.glide, stop.curve])
    return rows


def read_points_file(path: str | Path, points: dict[str, Point]) -> list[list[Any]]:
    """Read a point's file, or a path's, that a visitor gives.

    Args:
        path: The file. It may not name other files: those would be this machine's.
        points: Points by name, to which what is read is added.

    Returns:
        Rows of stops.

    Raises:
        UserError: If it is neither, or names files.
    """
    try:
        values = read_path_file(Path(path))
    except UserError:
        raise UserError("this file holds no point and no path. Give a .json or .yaml file with one.") from None
    if isinstance(values, dict) and "seed" in values:
        values = {"points": {}, "path": [{"point": {"name": Path(path).stem} | values}]}
    return write_path(make_path(values, files=False).describe(), points)


def write_fields(shelf: Shelf, wish: Wish, points: dict[str, Point]) -> dict[str, Any]:
    """What the page's fields hold for a wish: `read_wish` makes the same piece of it.

    Args:
        shelf: The presets.
        wish: The wish.
        points: Points by name; those of its path are added.

    Returns:
        Values by name.
    """
    fields: dict[str, Any] = {
        "preset": wish.preset,
        "seed": str(wish.seed),
        "length": write_clock(wish.seconds),
        "start": write_clock(wish.start),
        "truncation": wish.truncation,
        "precision": wish.precision,
        "ending": wish.ending,
        "path": write_path(wish.path, points),
        "path.repeat": bool(wish.path and wish.path.get("repeat")),
        "loop": wish.loop is not None,
    }
    if wish.blend is not None:
        fields |= write_blend(wish.blend)
    if wish.alone:
        return {name: value for name, value in fields.items() if name[:6] == "blend." or name in _OF_ALL}
    if wish.loop is not None:
        loop = {"bars": wish.loop.bars or 0, "turns": wish.loop.turns, "on_beat": wish.loop.on_beat}
        fields |= {f"loop.{name}": value for name, value in loop.items()}
    for name, control in shelf.controls(wish.preset).items():
        parts = _write_control(control, wish.controls.get(name, DRAWN if control.drawn else None))
        fields |= {f"{name}.{part}": value for part, value in parts.items()}
    return fields


def read_alone(shelf: Shelf, fields: Mapping[str, Any], blend: BlendWish) -> Wish:
    """Read a wish for a recording that is only heard through the codec: whatever concerns a piece is left unread.

    Args:
        shelf: The presets.
        fields: Values by name: ``preset``, ``ending`` and ``precision``.
        blend: The recording.

    Returns:
        The wish, checked.

    Raises:
        UserError: If a field is wrong.
    """
    preset, usual = str(fields.get("preset") or ""), {"precision": "auto", "ending": ENDINGS[0]}
    shelf.controls(preset)  # refuses what is not there
    parts = {name: str(fields.get(name) or value) for name, value in usual.items()}
    return Wish(preset, 0, SHORTEST, precision=parts["precision"], ending=parts["ending"], blend=blend).check(SHORTEST)


def _exact(value: float) -> str:
    """A number in as many digits as it takes to read the same number, but for very small ones.

    >>> _exact(0.5), _exact(0.1 + 0.2)
    ('0.5', '0.30000000000000004')
    """
    short = f"{value:.10g}"
    return short if float(short) == value or "e" in repr(value) else repr(value)


def _write_control(control: ControlConfig, value: Any) -> dict[str, Any]:
    """A control's fields for a value as `musika.controls.PieceControls.describe` gives it."""
    if value is None or value == DRAWN:
        return {"mode": FREE if value is None else DRAWN}
    if isinstance(value, list) and not control.classes:
        return {"mode": CURVE, "curve": "\n".join(f"{_exact(at)} {_exact(point)}" for at, point in value)}
    return {"mode": STEADY, "first": value[0][1] if isinstance(value, list) else value}


def usual_fields(shelf: Shelf, preset: str) -> dict[str, Any]:
    """What the controls' fields hold when a preset is chosen.

    Args:
        shelf: The presets.
        preset: The preset.

    Returns:
        Values by name, for its controls.
    """
    fields: dict[str, Any] = {}
    for name, control in shelf.controls(preset).items():
        middle = _round((control.low + control.high) / 2, control)
        first: Any = control.classes[0] if control.classes else middle
        values = (control_modes(control)[0], first, _round(control.high, control), "")
        fields |= {f"{name}.{part}": value for part, value in zip(CONTROL_PARTS, values, strict=True)}
    return fields


def control_step(control: ControlConfig) -> float:
    """The step of a control's slider.

    >>> control_step(ControlConfig(low=90, high=160)), control_step(ControlConfig(low=1, high=9))
    (1.0, 0.1)
    """
    return 1.0 if control.high - control.low >= 20 else 0.1 if control.high - control.low >= 2 else 0.01


def _round(value: float, control: ControlConfig) -> float:
    """A value on the slider's steps."""
    step = control_step(control)
    return round(round(value / step) * step, 2)


def _read_controls(controls: Mapping[str, ControlConfig], told: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a sidecar tells of a preset's controls; none of them may name a file."""
    values = {name: told[name] for name in controls if name in told}
    for name, value in values.items():
        if value is not None and value != DRAWN:
            make_curve(value, name, 1.0, classes=controls[name].classes, files=False)  # whatever it is, it can be made
    return values


def read_settings(
    shelf: Shelf, path: str | Path, recordings: Mapping[str, Recording] | None = None
) -> tuple[Wish, list[str]]:
    """Read a wish from a render's sidecar, as ``musika generate --from`` does.

    Args:
        shelf: The presets.
        path: The sidecar.
        recordings: Recordings by their hash, for the sidecar of a blend.

    Returns:
        The wish, and sentences on what may sound different.

    Raises:
        UserError: If it is no sidecar, or its preset is not on the shelf.
    """
    from musika.recordings import read_blend_sidecar
    from musika.rendering import read_sidecar

    with naming(Path(path)):
        values = read_blend_sidecar(path) or read_sidecar(path)
    preset = shelf.name_of(str(values["checkpoint"]))
    if preset is None:
        raise UserError(
            f"these settings are of preset {values['checkpoint']!r}, and here are only {', '.join(shelf.names)}."
        )
    told = []
    if shelf.get(preset).hash != values["preset_hash"]:
        told.append(f"the preset {preset} has changed since these settings were written: it will sound different.")
    blend = recorded_wish(values, recordings or {}) if values.get("blend") else None
    if blend is not None and not blend.recording.path.is_file():
        told.append(f"these settings are of the recording {blend.recording.name}: choose it under Your recording.")
    ending = Path(str(values["file"])).suffix[1:].lower()
    loop, path_told = values.get("loop"), values.get("path")
    if loop is not None:
        bars = _whole(loop["bars"], "bars") if loop.get("by_bars") and loop.get("bars") else None
        loop = LoopWish(bars, _whole(loop.get("turns", 1), "turns"), bool(loop.get("on_beat")))
    return Wish(
        preset=preset,
        seed=read_seed(values["seed"]),
        seconds=check_number(values["loop"]["seconds"] if loop else values["seconds"], "seconds"),
        start=check_number(values["start"], "start"),
        truncation=check_number(values["truncation"], "truncation"),
        controls=_read_controls(shelf.controls(preset), values.get("controls") or {}),
        precision=str(values["precision"]),
        ending=ending if ending in ENDINGS else ENDINGS[0],
        path=make_path(path_told, files=False).describe() if path_told else None,
        loop=loop,
        blend=blend,
    ), told
