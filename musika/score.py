"""A score: what decides the samples of a render, as plain values; the command line, pieces and the app share it.

>>> Score(seed=7, controls={"tempo": 128}, loop=LoopScore(bars=8)).loop.turns
1
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from musika.checks import check_choice, check_integer, check_number

if TYPE_CHECKING:
    from musika.loops import Loop
    from musika.piece import Piece
    from musika.presets import Preset

LONGEST = 30 * 86400.0  # seconds
SHORTEST = 0.01
MOST_TURNS = 100_000
_ANY_LENGTH = 60.0  # seconds, to read a line such as 90:160 before it is refused for a loop
_PARTS = ("checkpoint", "seconds", "start", "seed", "truncation", "precision", "path")


@dataclass(frozen=True)
class LoopScore:
    """How music becomes a loop.

    Attributes:
        bars: Its length in bars of its tempo; or
        seconds: its length in seconds.
        turns: How often it is played.
        on_beat: Whether it begins exactly on beat one.
    """

    bars: int | None = None
    seconds: float | None = None
    turns: int = 1
    on_beat: bool = False


@dataclass(frozen=True)
class Score:
    """What decides a render.

    Attributes:
        checkpoint: The preset: a shipped name or a folder.
        seconds: Length; of a loop it does not count.
        start: Where in the endless piece to begin, in seconds.
        seed: Which piece; None to draw one.
        truncation: Bound of the normal numbers that a piece is made from.
        precision: Of the decoders: ``float32``, ``bfloat16`` or ``auto``.
        controls: What the piece is asked for, by name.
        path: Points to travel between, see `musika.paths.make_path`; None for none.
        loop: How it becomes a loop; None where it does not.
    """

    checkpoint: str = "techno"
    seconds: float = 60.0
    start: float = 0.0
    seed: int | None = None
    truncation: float = 2.0
    precision: str = "auto"
    controls: dict[str, Any] = field(default_factory=dict)
    path: Any = None
    loop: LoopScore | None = None


def check_score(score: Score, count: int = 1) -> Score:
    """Check what can be checked before anything is loaded.

    Args:
        score: The score.
        count: How many items with seeds one after another are made of it.

    Returns:
        The score with a seed, the first item's, and with its path read.

    Raises:
        UserError: If something is out of range.
    """
    from musika.gan.coordinates import LARGEST_SEED, check_truncation, draw_seed
    from musika.loops import LONGEST_LOOP, MOST_BARS, SHORTEST_LOOP
    from musika.paths import make_path
    from musika.piece import LATEST_START

    seconds = check_number(score.seconds, "seconds", SHORTEST, LONGEST)
    start = check_number(score.start, "start", 0.0, LATEST_START)
    check_truncation(score.truncation)
    check_choice(score.precision, "precision", ["auto", "float32", "bfloat16"])
    loop, length = score.loop, seconds if score.loop is None else None
    if loop is not None and loop.bars is not None:
        check_integer(loop.bars, "bars", 1, MOST_BARS)
    elif loop is not None:
        length = check_number(loop.seconds or 0.0, "seconds", SHORTEST_LOOP, LONGEST_LOOP)
        loop = replace(loop, seconds=length)
    seed, path = score.seed, None
    if score.path is not None:
        path = make_path(score.path, None if length is None else start + length)
        seed = path.stops[0].point.seed if seed is None else seed
    if seed is None:
        seed = draw_seed()
    seed = check_integer(seed, "seed", 0, LARGEST_SEED - count + 1)
    return replace(score, seconds=seconds, start=start, seed=seed, path=path, loop=loop)


def build(preset: Preset, score: Score) -> Piece | Loop:
    """Make the piece or loop that score describe; a line such as 90:160 goes from its start to its end.

    Args:
        preset: The preset.
        score: The score, with a seed.

    Returns:
        The piece or loop. Nothing is rendered yet.

    Raises:
        UserError: If something is out of range.
    """
    from musika.piece import Piece

    parts = preset, score.seed, score.truncation
    if score.loop is None:
        return Piece(*parts, score.controls, score.start + score.seconds, score.path)
    loop, length = score.loop, score.loop.seconds
    if loop.bars is not None:  # their length follows from the tempo alone
        tempo = {name: value for name, value in score.controls.items() if _is_clock(preset, name)}
        length = Piece(*parts, tempo, _ANY_LENGTH).loop(bars=loop.bars).seconds
    return Piece(*parts, score.controls, length, score.path).loop(loop.seconds, loop.bars, loop.on_beat)


def _is_clock(preset: Preset, name: str) -> bool:
    """Whether a control is one that drives a beat clock."""
    return name in preset.controls and preset.controls[name].clock


def seconds_of(piece: Piece | Loop, score: Score) -> float:
    """The length of a render.

    Args:
        piece: The piece or loop.
        score: The score.

    Returns:
        Seconds.
    """
    from musika.loops import Loop

    if isinstance(piece, Loop) and score.loop is not None:
        return piece.turn_seconds * score.loop.turns
    return score.seconds


def recorded_score(values: dict[str, Any]) -> Score:
    """The score that a sidecar has recorded.

    Args:
        values: What `musika.rendering.read_sidecar` gave.

    Returns:
        The score.
    """
    loop = values.get("loop")
    recorded = {name: values[name] for name in _PARTS if name in values}
    return Score(**recorded, controls=values.get("controls") or {}, loop=None if loop is None else _recorded_loop(loop))


def _recorded_loop(loop: dict[str, Any]) -> LoopScore:
    """How a sidecar's music became a loop."""
    by_bars = bool(loop.get("by_bars"))
    length: dict[str, Any] = {"bars": loop["bars"]} if by_bars else {"seconds": loop["seconds"]}
    return LoopScore(**length, turns=loop.get("turns", 1), on_beat=bool(loop.get("on_beat")))
