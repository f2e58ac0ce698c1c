"""What a visitor asks for, read from the page's fields and checked before anything is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from musika.checks import UserError, check_choice, check_integer, check_number
from musika.curves import BY_SEED
from musika.gan.coordinates import LARGEST_SEED, check_truncation, draw_seed
from musika.settings import ControlConfig

if TYPE_CHECKING:
    from musika.app.recordings import BlendWish

DRAWN, FREE, STEADY, GLIDE, CURVE = BY_SEED, "free", "steady", "glide", "curve"
ENDINGS = ("wav", "flac", "ogg", "mp3")
SHORTEST = 0.5  # seconds
LATEST = 1e9  # seconds, as musika.piece.LATEST_START
MOST_TURNS = 1000
_UNITS = {"": 1, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}


@dataclass(frozen=True)
class LoopWish:
    """How music becomes a loop.

    Attributes:
        bars: Its length in bars; None for the wish's length in seconds.
        turns: How often the file plays it.
        on_beat: Whether it begins exactly on beat one, and not in the calm just before.
    """

    bars: int | None = None
    turns: int = 1
    on_beat: bool = False


@dataclass(frozen=True)
class Wish:
    """Everything that decides the samples of a piece, and what is wanted of it.

    Attributes:
        preset: Name of the preset on the shelf.
        seed: Which piece.
        seconds: Length.
        start: Where in the endless piece it begins, in seconds.
        truncation: Bound of the normal numbers that it is made from.
        controls: Values by control name, as `musika.piece.Piece` takes them.
        precision: In which decoders run: ``auto``, ``float32`` or ``bfloat16``.
        ending: Format of the file.
        path: Points to travel between, as `musika.paths.Path.describe` writes it; None for the seed's music alone.
        loop: How it becomes a seamless loop; None for a piece.
        blend: What it does with a recording; None for a piece alone.
    """

    preset: str
    seed: int
    seconds: float = 60.0
    start: float = 0.0
    truncation: float = 2.0
    controls: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "auto"
    ending: str = "wav"
    path: Mapping[str, Any] | None = None
    loop: LoopWish | None = None
    blend: BlendWish | None = None

    @property
    def alone(self) -> bool:
        """Whether nothing is generated: a recording is heard through the codec."""
        return self.blend is not None and self.blend.how.tool == "codec"

    def check(self, longest: float) -> Wish:
        """Check what can be checked without the preset.

        Args:
            longest: Greatest length that is allowed, in seconds.

        Returns:
            The wish.

        Raises:
            UserError: If something is out of its range.
        """
        if self.seconds > longest:
            raise UserError(
                f"the length may be at most {show_clock(longest)} here. Received: {show_clock(self.seconds)}. Ask for"
                " less, or play endlessly."
            )
        check_number(self.seconds, "the length", SHORTEST, longest)
        check_number(self.start, "the start time", 0.0, LATEST)
        check_integer(self.seed, "the seed", 0, LARGEST_SEED)
        check_truncation(self.truncation)
        check_choice(self.ending, "the format", list(ENDINGS))
        check_choice(self.precision, "the precision", ["auto", "float32", "bfloat16"])
        if self.loop is not None:
            check_integer(self.loop.turns, "turns", 1, MOST_TURNS)
            if self.blend is not None:
                raise UserError("a loop cannot be joined with a recording. Switch off Make a seamless loop first.")
        return self


def read_seed(text: Any) -> int:
    """Read a seed from its field; an empty one draws a seed.

    Args:
        text: What the field holds.

    Returns:
        The seed.

    Raises:
        UserError: If it is no whole number from 0 to 2**63 - 1.

    >>> read_seed(" 42 ")
    42
    """
    written = str(text if text is not None else "").strip()
    if not written:
        return draw_seed()
    if not re.fullmatch(r"[0-9]{1,19}", written) or int(written) > LARGEST_SEED:
        raise UserError(f"the seed must be a whole number from 0 to {LARGEST_SEED}. Received: {written[:40]!r}")
    return int(written)


def read_clock(text: Any, name: str) -> float:
    """Read a time: ``90``, ``90 s``, ``1.5 min``, ``2 h``, ``1:30`` or ``1:00:00``.

    Args:
        text: What the field holds.
        name: What it is, for the message.

    Returns:
        Seconds.

    Raises:
        UserError: If it is none of these.

    >>> read_clock("1:30", "the length"), read_clock("2 h", "the length")
    (90.0, 7200.0)
    """
    written = str(text if text is not None else "").strip().lower()
    parts = re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", written)
    if parts:
        return 3600.0 * int(parts[1] or 0) + 60.0 * int(parts[2]) + float(parts[3])
    plain = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", written)
    unit = "" if not plain else plain[2][:-1] if len(plain[2]) > 1 and plain[2].endswith("s") else plain[2]
    if not plain or unit not in _UNITS:
        raise UserError(
            f"{name} must be a time such as 45, 90 s, 1:30, 10 min or 2 h. Received: {written[:40] or 'nothing'!r}"
        )
    return float(plain[1]) * _UNITS[unit]


def show_clock(seconds: float) -> str:
    """A time as `read_clock` reads it.

    Args:
        seconds: The time.

    Returns:
        Text such as ``1:30``, with a decimal where there is a part of a second.

    >>> show_clock(90.0), show_clock(3725.5)
    ('1:30', '1:02:05.5')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    last = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{last}" if hours else f"{minutes}:{last}"


def write_clock(seconds: float) -> str:
    """A time to the microsecond for a field, in hours and minutes where that is exact.

    Args:
        seconds: The time.

    Returns:
        Text that `read_clock` reads.

    >>> write_clock(90.0), write_clock(1.25)
    ('1:30', '1.250000')
    """
    return show_clock(seconds) if seconds == round(seconds, 1) else f"{seconds:.6f}"


def control_modes(control: ControlConfig) -> list[str]:
    """The ways in which a control can be set.

    Args:
        control: The control.

    Returns:
        Their names, the one that holds at first in front.

    >>> control_modes(ControlConfig("tempo", drawn=True))
    ['by seed', 'steady', 'glide', 'curve', 'free']
    """
    if control.classes:
        return [DRAWN, STEADY, FREE] if control.drawn else [FREE, STEADY]
    return [DRAWN, STEADY, GLIDE, CURVE, FREE] if control.drawn else [FREE, STEADY, GLIDE, CURVE]


def read_points(text: Any, name: str) -> list[list[float]]:
    """Read a curve: a pair of seconds and value a line.

    Args:
        text: What the field holds, such as ``0 120`` and, on the next line, ``30 140``.
        name: The control, for the message.

    Returns:
        Pairs (seconds, value).

    Raises:
        UserError: If a line is no such pair.

    >>> read_points("0, 120; 0:30, 140", "tempo")
    [[0.0, 120.0], [30.0, 140.0]]
    """
    points = []
    for line in re.split(r"[\n;]+", str(text or "")):
        if not line.strip():
            continue
        parts = re.split(r"[\s,]+", line.strip())
        try:
            at, value = parts
            points.append([read_clock(at, name), float(value)])
        except ValueError:  # UserError is one
            raise UserError(
                f"{name}: a curve is a time and a value on each line, such as 0:30 140. Received: {line.strip()[:40]!r}"
            ) from None
    if not points:
        raise UserError(f"{name}: the curve is empty. Give a time and a value on each line, such as 0:30 140.")
    return points


def read_control(control: ControlConfig, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read how a control is set on the page.

    Args:
        control: The control.
        fields: ``mode``, ``first``, ``last`` and ``curve``.

    Returns:
        Its value by its name, for `musika.piece.Piece`; empty where the piece shall draw it.

    Raises:
        UserError: If it cannot be read.

    >>> read_control(ControlConfig("tempo"), {"mode": "glide", "first": 90, "last": 150.5, "curve": ""})
    {'tempo': '90.0:150.5'}
    """
    mode = fields["mode"]
    check_choice(mode, f"how {control.name} is set", control_modes(control))
    if mode == DRAWN:
        return {}
    if mode == FREE:
        return {control.name: None}
    if mode == CURVE:
        return {control.name: read_points(fields["curve"], control.name)}
    if control.classes:
        return {control.name: check_choice(fields["first"], control.name, list(control.classes))}
    first = check_number(fields["first"], control.name)
    if mode == STEADY:
        return {control.name: first}
    return {control.name: f"{first}:{check_number(fields['last'], control.name)}"}
