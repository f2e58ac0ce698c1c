"""From a wish to files: audio, sidecar, strip picture and latents, by the functions that ``musika generate`` uses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.app.wishes import Wish, show_clock
from musika.blend import blend
from musika.checks import UserError
from musika.curves import BY_SEED
from musika.recordings import Blended, latents_hash, piece_latents, write_blend_sidecar
from musika.score import LoopScore, Score, build, seconds_of
from musika.settings import ControlConfig
from musika.warned import collected

if TYPE_CHECKING:
    from musika.app.recordings import BlendWish
    from musika.app.shelf import Shelf
    from musika.data.latents import LatentFile
    from musika.loops import Loop
    from musika.piece import Piece
    from musika.presets import Preset
    from musika.rendering import Rendered


@dataclass(frozen=True)
class Made:
    """A piece that was made.

    Attributes:
        wish: What it was made of; controls that it drew for itself are written out.
        audio: The audio file.
        files: Every file by what the page calls it: ``audio``, ``settings``, ``strip``; `extra_file` adds to it.
        seconds: Its length.
        elapsed: Seconds that it took to make.
        complete: Whether it is as long as was asked for.
        units: Units of its controls.
    """

    wish: Wish
    audio: Path
    files: dict[str, Path]
    seconds: float
    elapsed: float
    complete: bool
    units: dict[str, str]

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(path.stat().st_size for path in self.files.values() if path.is_file())

    @property
    def title(self) -> str:
        """A line that tells it from others."""
        loop, path, joined = self.wish.loop, self.wish.path, self.wish.blend
        if joined is not None and self.wish.alone:
            return f"{joined.title(self.wish.preset)} · {show_clock(self.seconds)}"
        parts = [self.wish.preset if joined is None else joined.title(self.wish.preset), f"seed {self.wish.seed}"]
        parts += [show_clock(self.seconds) if loop is None or loop.bars is None else f"{loop.bars} bars"]
        if loop is not None:
            parts[-1] = f"loop of {parts[-1]}" + (f", {loop.turns} times" if loop.turns > 1 else "")
        if path is not None:
            parts.append(f"path through {len(path['path'])} points")
        if self.wish.start:
            parts.append(f"from {show_clock(self.wish.start)}")
        if self.wish.truncation != 2.0:
            parts.append(f"variety {self.wish.truncation:g}")
        parts += [_show_control(name, value, self.units[name]) for name, value in self.wish.controls.items()]
        return " · ".join(parts)

    @property
    def start(self) -> float:
        """The time that its beginning has, in seconds: a recording begins with 0."""
        return self.wish.start if self.wish.blend is None else 0.0

    def remove(self) -> None:
        """Remove its files."""
        for path in self.files.values():
            path.unlink(missing_ok=True)


def _show_control(name: str, value: Any, unit: str) -> str:
    """A control's value as people say it.

    >>> _show_control("tempo", [[0.0, 90.0], [60.0, 150.0]], "BPM")
    'tempo 90 to 150 BPM'
    """
    label = name.replace("_", " ")
    if value is None or value == BY_SEED:
        return f"{label} {value or 'free'}"
    if isinstance(value, list):
        ends = value[0][1], value[-1][1]
        value = " to ".join(end if isinstance(end, str) else f"{end:.4g}" for end in ends)
    elif not isinstance(value, str):
        value = f"{value:.4g}"
    return f"{label} {value} {unit}".rstrip()


def make_piece(shelf: Shelf, wish: Wish) -> tuple[Piece | Loop, list[str]]:
    """Make the piece or loop that a wish describes.

    Args:
        shelf: The presets.
        wish: The wish.

    Returns:
        The piece or loop, and sentences on what may not sound as asked for.

    Raises:
        UserError: If the preset cannot make it.
    """
    from musika.controls import OutOfRangeWarning

    preset = _preset(shelf, wish)
    with collected(OutOfRangeWarning) as sentences:
        piece = build(preset, _score(wish))
    if wish.loop is not None and wish.ending in ("mp3", "ogg"):
        sentences.append(f"{wish.ending} pads its ends: as a loop it is seamless as wav or flac only.")
    return piece, sentences


def _preset(shelf: Shelf, wish: Wish) -> Preset:
    """The preset of a wish."""
    return shelf.get(wish.preset, None if wish.precision == "auto" else wish.precision)


def _write_out(wish: Wish, piece: Piece | Loop) -> Wish:
    """A wish with the controls and the path that its piece has."""
    path = None if piece.path is None else piece.path.describe()
    return replace(wish, controls=piece.controls.describe(), path=path)


def _make_blend(
    shelf: Shelf,
    wish: Wish,
    joined: BlendWish,
    on_progress: Callable[[float, float], None],
    stopped: Callable[[], bool],
) -> tuple[Blended, Wish, LatentFile, list[str]]:
    """The blend that a wish describes, the wish as it is made, the recording's latents, and what is worth knowing."""
    preset = _preset(shelf, wish)
    recording = joined.recording.latents(preset, on_progress, stopped)
    if wish.alone:
        return Blended(preset, blend(recording, None, joined.how, preset.config)), wish, recording, []
    if joined.whole:
        used = blend(recording, None, replace(joined.how, tool="codec"), preset.config)
        wish = replace(wish, seconds=used.samples / preset.config.sample_rate)
    piece, sentences = make_piece(shelf, wish)
    made = blend(recording, piece_latents(piece, wish.start, wish.seconds), joined.how, preset.config)
    return Blended(preset, made), _write_out(wish, piece), recording, sentences


def _write_blend_settings(
    shelf: Shelf, rendered: Rendered, blended: Blended, wish: Wish, recording: LatentFile
) -> None:
    """Write the sidecar of a blend."""
    if wish.blend is None:
        return
    source = wish.blend.recording
    told = {"file": source.name, "sha256": source.sha256, "latents_sha256": latents_hash(recording.latents)}
    names = ("seed", "truncation", "controls", "path", "start", "seconds")
    piece = None if wish.alone else {name: getattr(wish, name) for name in names}
    write_blend_sidecar(rendered, blended, wish.blend.how, told, piece, shelf.checkpoint(wish.preset))


def _score(wish: Wish) -> Score:
    """What decides the samples of a wish, as the command line has it."""
    loop = None
    if wish.loop is not None:
        length = wish.seconds if wish.loop.bars is None else None
        loop = LoopScore(wish.loop.bars, length, wish.loop.turns, wish.loop.on_beat)
    return Score(
        seconds=wish.seconds,
        start=wish.start,
        seed=wish.seed,
        truncation=wish.truncation,
        controls=dict(wish.controls),
        path=wish.path,
        loop=loop,
    )


def make(
    shelf: Shelf,
    wish: Wish,
    folder: Path,
    name: str,
    on_progress: Callable[[float, float], None] = lambda done, whole: None,
    stopped: Callable[[], bool] = lambda: False,
    longest: float = math.inf,
) -> tuple[Made, list[str]]:
    """Make a piece's files.

    Args:
        shelf: The presets.
        wish: The wish.
        folder: Where the files go; made if need be.
        name: Their name without ending.
        on_progress: Called after each block with the seconds that are done and the whole.
        stopped: Asked after each block; once it says yes, the piece ends there.
        longest: Greatest length that is allowed, in seconds; that of a loop in bars is known only here.

    Returns:
        What was made, and sentences on what may not sound as asked for.

    Raises:
        UserError: If it cannot be made or written.
    """
    from musika.audio.picture import draw_strip
    from musika.rendering import latents_path, render_file, sidecar_path, write_sidecar

    preset, target = _preset(shelf, wish), folder / f"{name}.{wish.ending}"
    begin, done = time.perf_counter(), [0.0]
    piece: Piece | Loop | Blended
    if wish.blend is None:
        piece, sentences = make_piece(shelf, wish)
        seconds, wish = seconds_of(piece, _score(wish)), _write_out(wish, piece)
    else:
        piece, wish, recording, sentences = _make_blend(shelf, wish, wish.blend, on_progress, stopped)
        seconds = piece.seconds
    if seconds > longest:
        raise UserError(
            f"this would last {show_clock(seconds)}; at most {show_clock(longest)} are allowed here. Ask for fewer"
            " turns or bars, or a shorter piece."
        )

    def count(more: float) -> None:
        """Tell how many seconds are done."""
        done[0] += more
        on_progress(min(done[0], seconds), seconds)

    files = {"audio": target, "settings": sidecar_path(target), "strip": target.with_suffix(".png")}
    if isinstance(piece, Blended):
        rendered = render_file(piece, target, 0.0, seconds, count, stopped)
        files["latents"] = piece.save(latents_path(target))
        _write_blend_settings(shelf, rendered, piece, wish, recording)
    else:
        rendered = render_file(piece, target, wish.start, seconds, count, stopped)
        write_sidecar(piece, rendered, wish.start, seconds, shelf.checkpoint(wish.preset))
    elapsed = time.perf_counter() - begin
    draw_strip(target, files["strip"])
    units = {control.name: control.unit for control in preset.config.generator.controls}
    return Made(wish, target, files, rendered.seconds, elapsed, rendered.complete, units), sentences


def extra_file(shelf: Shelf, made: Made, what: str) -> Path:
    """A file of a piece, made when it is first asked for if it is one that not everybody wants.

    Args:
        shelf: The presets.
        made: The piece.
        what: ``audio``, ``settings``, ``strip``, ``spectrogram``, ``latents`` or ``point``: its place, to travel to.

    Returns:
        The file.

    Raises:
        UserError: If there is no such file, or it cannot be made.
    """
    from musika.audio.picture import draw_file
    from musika.points import Point, save_point
    from musika.rendering import latents_path, picture_path, save_piece_latents

    if what in made.files:
        return made.files[what]
    if what == "spectrogram":
        path = picture_path(made.audio)
        draw_file(made.audio, path, start=made.start, title=made.title)
    elif what == "latents":
        piece, _ = make_piece(shelf, made.wish)
        path = save_piece_latents(piece, latents_path(made.audio), made.wish.start, made.seconds)
    elif what == "point":
        path = made.audio.with_suffix(".point.json")
        save_point(path, Point(made.wish.seed), shelf.get(made.wish.preset), made.wish.truncation)
    else:
        raise UserError(f"a piece has no file {what!r}.")
    made.files[what] = path
    return path


def change_wish(wish: Wish, change: str, controls: dict[str, ControlConfig], draw: Callable[[], int]) -> Wish:
    """The same, but one thing.

    Args:
        wish: The wish as it was made.
        change: ``seed``, ``next`` (what follows it), ``truncation*R`` or ``CONTROL*R`` with a ratio R.
        controls: The preset's controls.
        draw: Draws a seed.

    Returns:
        The changed wish; values stay within what the page offers.

    Raises:
        UserError: If nothing can come next.

    >>> change_wish(Wish("techno", 7), "truncation*1.5", {}, lambda: 1).truncation
    3.0
    """
    if wish.alone:
        raise UserError("a recording alone has nothing that can change. Let it glide into a piece, or mix it with one.")
    if change == "seed":
        return replace(wish, seed=draw())
    if change == "next":
        if wish.loop is not None:
            raise UserError("a loop has nothing after it. Choose another change.")
        return replace(wish, start=wish.start + wish.seconds)
    name, _, text = change.partition("*")
    ratio = float(text)
    if name == "truncation":
        return replace(wish, truncation=round(min(max(wish.truncation * ratio, 0.5), 4.0), 2))
    control, value = controls[name], wish.controls.get(name)

    def scale(number: float) -> float:
        """A value times the ratio, within the learned range."""
        return min(max(number * ratio, control.low), control.high)

    if value is None or value == BY_SEED:
        changed: Any = scale((control.low * control.high) ** 0.5 if control.low > 0 else control.high / 4)
    else:
        changed = [[at, scale(point)] for at, point in value] if isinstance(value, list) else scale(value)
    return replace(wish, controls={**wish.controls, name: changed})
