"""What the verbs that make music share: what decides a render, rendering it, and writing what lies beside it."""

from __future__ import annotations

import shlex
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.checks import UserError
from musika.curves import BY_SEED
from musika.score import Score, build, seconds_of
from musika.warned import collected

if TYPE_CHECKING:
    from musika.loops import Loop
    from musika.piece import Piece
    from musika.presets import Preset
    from musika.rendering import Rendered


@dataclass(frozen=True)
class Extras:
    """What is made beside the audio: a picture, the latents."""

    spectrogram: bool = False
    latents: bool = False


def load(score: Score, origin: dict[str, Any] | None = None) -> Preset:
    """Load the preset.

    Args:
        score: The score.
        origin: A sidecar whose preset it must be, if there is one.

    Returns:
        The preset.

    Raises:
        UserError: If there is no such preset, or it is not the sidecar's.
    """
    from musika.cli.quiet import import_keras
    from musika.preset_names import find_preset

    find_preset(score.checkpoint)
    import_keras()
    from musika.presets import load_preset

    preset = load_preset(score.checkpoint, score.precision)
    if origin is not None and preset.hash != origin["preset_hash"]:
        raise UserError(
            f"the sidecar was made by preset {score.checkpoint!r} with fingerprint {origin['preset_hash']}, but that"
            f" preset is now {preset.hash}. Put the old one back, or choose one with --checkpoint."
        )
    return preset


def say_warnings(preset: Preset, score: Score, ending: str = "") -> None:
    """Say before anything is rendered what lies outside the learned ranges, and find mistakes.

    Args:
        preset: The preset.
        score: The score, with a seed.
        ending: Of the file that is made.

    Raises:
        UserError: If something is out of range.
    """
    import warnings

    from musika.controls import OutOfRangeWarning

    with collected(OutOfRangeWarning) as messages:
        build(preset, score)
    for message in messages:
        print(f"musika: {message}", file=sys.stderr)
    warnings.simplefilter("ignore", OutOfRangeWarning)
    if score.loop is not None and ending in (".mp3", ".ogg"):
        print(f"musika: {ending} pads its ends: as a loop it is seamless in .wav or .flac only.", file=sys.stderr)


def read_controls(texts: list[str]) -> dict[str, str | None]:
    """Read what ``--control`` was given.

    Args:
        texts: Each ``NAME=VALUE``.

    Returns:
        Values by name; None for controls that are to be left out.

    Raises:
        UserError: If a text is no such pair.

    >>> read_controls(["note-density=4", "tempo=none"])
    {'note_density': '4', 'tempo': None}
    """
    controls = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UserError(f"--control takes NAME=VALUE, such as --control tempo=128. Received: {text!r}")
        controls[name.strip().replace("-", "_")] = read_value(value.strip())
    return controls


def read_value(text: str) -> str | None:
    """A control's value of the command line: None where it is ``none``."""
    return None if text.lower() == "none" else text


def output_paths(score: Score, out: str | None, count: int = 1) -> list[Path]:
    """Name the output files; drawn-up names never replace a file, given ones do.

    Args:
        score: The score, with a seed.
        out: What the user gave: a file, a folder, or None.
        count: How many files.

    Returns:
        The files.

    Raises:
        UserError: If the ending is unknown.
    """
    from musika.audio.writing import output_format

    name = Path(score.checkpoint).resolve().name
    if out == "":
        raise UserError("--out must name a file or a folder. Received: nothing. Leave it out for a name drawn up here.")
    if out is None or out.endswith(("/", "\\")) or Path(out).is_dir():
        folder = Path(out or ".")
        return [free_name(folder / f"musika-{name}-{(score.seed or 0) + index}.wav") for index in range(count)]
    path = Path(out)
    output_format(path)
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{index + 1}{path.suffix}") for index in range(count)]


def free_name(path: Path) -> Path:
    """Find a name under which nothing is lost.

    Args:
        path: The wanted file.

    Returns:
        The file itself, or one with the first number after its name that is still free.
    """
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return free


class Interrupts:
    """Makes the first Ctrl-C (or SIGTERM) during a render a request to finish the file."""

    def __init__(self) -> None:
        self.rendering = False
        self.asked = False

    def _receive(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        if self.asked or not self.rendering:
            raise KeyboardInterrupt
        self.asked = True
        print("\nfinishing the file; interrupt again to give it up", file=sys.stderr)

    def __enter__(self) -> Interrupts:
        """Take over the signals."""
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def make(preset: Preset, path: Path, score: Score, extras: Extras, interrupts: Interrupts) -> bool:
    """Render one item, write what lies beside it, and say so.

    Args:
        preset: The preset.
        path: The audio file.
        score: What decides it, with a seed.
        extras: What else to make.
        interrupts: Tells when to stop.

    Returns:
        Whether it is complete.

    Raises:
        UserError: If a file cannot be written.
    """
    from tqdm import tqdm

    from musika.audio.reading import clock
    from musika.rendering import latents_path, render_file, save_piece_latents, sidecar_path, write_sidecar

    piece = build(preset, score)
    length, start = seconds_of(piece, score), score.start
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"
    with tqdm(total=length, desc=f"seed {piece.seed}", bar_format=form, leave=False, disable=None) as bar:
        interrupts.rendering = True
        rendered = render_file(piece, path, start, length, bar.update, lambda: interrupts.asked)
        interrupts.rendering = False
    write_sidecar(piece, rendered, start, length, lasting_name(preset, score.checkpoint))
    speed = f"{rendered.times_real_time:.1f} times faster than real time ({preset.codec.precision})"
    what = f"{clock(rendered.seconds, 1)} of {preset.name}, seed {piece.seed}{_asked(preset, piece, score)}"
    print(f"{path}: {what}, made in {rendered.elapsed:.1f} s, {speed}")
    print(f"{sidecar_path(rendered.path)}: every setting; make it again with --from")
    if extras.latents and rendered.samples:
        saved = save_piece_latents(piece, latents_path(rendered.path), start, rendered.seconds)
        print(f"{saved}: its latents; `musika decode` plays them, `musika latents` works on them")
    if extras.spectrogram and rendered.complete:
        _draw(rendered, start, f"{preset.name}, seed {piece.seed}")
    if not rendered.complete:
        print(_going_on(score, piece.seed, rendered), file=sys.stderr)
    return rendered.complete


def _draw(rendered: Rendered, start: float, title: str) -> None:
    """Draw the picture beside a render."""
    from musika.audio.picture import draw_file
    from musika.rendering import picture_path

    draw_file(rendered.path, picture_path(rendered.path), start=start, title=title)
    print(f"{picture_path(rendered.path)}: its spectrogram")


def _asked(preset: Preset, piece: Piece | Loop, score: Score) -> str:
    """What a render was asked for beside its seed, as it is told to a person."""
    from musika.loops import Loop

    told = piece.controls.describe()
    texts = []
    if isinstance(piece, Loop) and score.loop is not None:
        length = f"{piece.bars} bars" if piece.bars else f"{piece.seconds:g} s"
        turns = f", {score.loop.turns} times" if score.loop.turns > 1 else ""
        lead = f", beat one after {1000 * piece.lead:.0f} ms" if piece.beats and piece.lead else ""
        texts.append(f"a loop of {length} ({piece.samples} samples{lead}){turns}")
        if piece.tempo is not None and piece.controls.clock is not None:
            told[piece.controls.clock[0].name] = piece.tempo
    if piece.path is not None:
        texts.append(f"a path through {len(piece.path.stops)} points")
    texts += [control_text(preset, name, value) for name, value in told.items()]
    return "".join(f", {text}" for text in texts)


def control_text(preset: Preset, name: str, value: Any) -> str:
    """A control as it is told to a person.

    >>> from types import SimpleNamespace
    >>> control_text(SimpleNamespace(controls={"tempo": SimpleNamespace(unit="BPM")}), "tempo", [[0, 90.0], [9, 160.0]])
    'tempo 90 to 160 BPM'
    """
    if value is None or value == BY_SEED:
        return f"{name.replace('_', ' ')} {value or 'free'}"
    if isinstance(value, list):
        corners = [point[1] for point in value]
        numbers = not isinstance(corners[0], str)
        if numbers and len(corners) == 2:
            value = f"{corners[0]:g} to {corners[1]:g}"
        else:
            value = f"between {min(corners):g} and {max(corners):g}" if numbers else "changing"
    elif not isinstance(value, str):
        value = f"{value:g}"
    return f"{name.replace('_', ' ')} {value} {preset.controls[name].unit}".rstrip()


def lasting_name(preset: Preset, checkpoint: str) -> str:
    """The preset as it is found from any directory: a shipped name, or its folder's whole path."""
    from musika.resources import resource_folder

    folder = (preset.folder or Path(checkpoint)).resolve()
    return checkpoint if folder.parent == resource_folder("checkpoints").resolve() else str(folder)


def _going_on(score: Score, seed: int, rendered: Rendered) -> str:
    """Say how to make the rest of an interrupted render."""
    from musika.audio.reading import clock

    if score.loop is not None:
        return "musika: interrupted; the file is playable. Make it again with the same arguments."
    rest = score.start + score.seconds - rendered.end
    path = rendered.path
    following = path.with_name(f"{path.stem}-rest{path.suffix}")
    return (
        f"musika: interrupted after {clock(rendered.seconds, 1)}; the file is playable. Go on with: musika generate"
        f" --from {shlex.quote(f'{path}.json')} --start {rendered.end:.6f} --seconds {rest:.6f}"
        f" --out {shlex.quote(str(following))}"
    )


def _not_made(seed: int, count: int) -> str:
    """Say how to make the items that an interrupted command did not come to."""
    return (
        f"musika: {count} more {'was' if count == 1 else 'were'} not made. Make them by the same command with"
        f" --seed {seed} --count {count}, and another --out, which would number them from 1 again."
    )


def make_all(
    score: Score, out: str | None, count: int = 1, extras: Extras | None = None, origin: dict[str, Any] | None = None
) -> int:
    """Render some items with seeds one after another.

    Args:
        score: What decides them, from `check_score`.
        out: A file, a folder, or None for a name drawn up here.
        count: How many.
        extras: What to make beside the audio.
        origin: The sidecar whose preset it must be, if there is one.

    Returns:
        The exit status: 130 if it was interrupted.

    Raises:
        UserError: If something is out of range, the preset cannot be loaded or a file cannot be written.
    """
    paths = output_paths(score, out, count)
    with Interrupts() as interrupts:
        preset = load(score, origin)
        say_warnings(preset, score, paths[0].suffix.lower())
        for index, path in enumerate(paths):
            seed = (score.seed or 0) + index
            if not make(preset, path, replace(score, seed=seed), extras or Extras(), interrupts):
                if index + 1 < count:
                    print(_not_made(seed + 1, count - index - 1), file=sys.stderr)
                return 130
    return 0
