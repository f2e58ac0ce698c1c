"""``musika generate``: a preset and a seed -> audio files, each with a sidecar that makes it again."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.checks import UserError, check_choice, check_integer, check_number

if TYPE_CHECKING:
    from musika.piece import Piece
    from musika.presets import Preset
    from musika.rendering import Rendered

HELP = "make music: a preset and a seed become an audio file"
_LONGEST = 30 * 86400.0  # seconds
_SHORTEST = 0.01
_MOST_ITEMS = 10_000
_DRAWN_SEEDS = 2**32


@dataclass(frozen=True)
class Settings:
    """What decides the samples of a render, and where they go."""

    checkpoint: str = "techno"
    seconds: float = 60.0
    start: float = 0.0
    seed: int | None = None
    truncation: float = 2.0
    precision: str = "auto"
    out: str | None = None
    controls: dict[str, Any] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    usual = Settings()
    add = parser.add_argument
    add("--checkpoint", metavar="NAME|DIR", help=f"preset: a shipped name or a folder (default: {usual.checkpoint})")
    add("--seconds", type=float, metavar="S", help=f"length (default: {usual.seconds:g})")
    add("--start", type=float, metavar="S", help="where in the endless piece to begin, in seconds (default: 0)")
    add("--seed", type=int, metavar="N", help="which piece, 0 to 2**63 - 1 (default: drawn, and printed)")
    add("--truncation", type=float, metavar="T", help="low is typical, high is varied (default: 2)")
    add("--tempo", metavar="BPM", help="a number, a line 90:160, a .csv with rows seconds,value, or none")
    add("--note-density", metavar="N", help="onsets a second, likewise")
    add("--control", action="append", default=[], metavar="NAME=VALUE", help="any other control that the preset has")
    add("--count", type=int, default=1, metavar="N", help="make N pieces; item k (from 0) has the seed plus k")
    add("--out", metavar="PATH", help="a folder, or a file ending in .wav, .flac, .ogg or .mp3 (default: a .wav here)")
    add("--spectrogram", action="store_true", help="also draw a picture of it (PATH.png)")
    add("--from", dest="sidecar", metavar="SIDECAR", help="take every setting from a render's .json, then those given")
    add("--precision", metavar="P", help="float32, bfloat16 or auto: bfloat16 where it is fast and close (default)")


def run(args: argparse.Namespace) -> int:
    """Render what was asked for.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status: 130 if it was interrupted.

    Raises:
        UserError: If an argument is out of its range, the preset cannot be loaded or a file cannot be written.
    """
    settings, origin = _settings(args)
    settings = replace(settings, controls=settings.controls | _given_controls(args))
    count = check_integer(args.count, "count", 1, _MOST_ITEMS)
    seed = _check(settings, count)
    paths = _output_paths(settings, seed, count)
    with _Interrupts() as interrupts:
        preset = _load(settings, origin if args.checkpoint is None else None)
        _say_warnings(preset, settings, seed)
        for index, path in enumerate(paths):
            if not _make(preset, path, replace(settings, seed=seed + index), args.spectrogram, interrupts):
                return 130
    return 0


def _load(settings: Settings, origin: dict[str, Any] | None) -> Preset:
    """Load the preset, which must be the one that a sidecar names, if there is one."""
    from musika.cli.quiet import import_keras
    from musika.preset_names import find_preset

    find_preset(settings.checkpoint)
    import_keras()
    from musika.presets import load_preset

    preset = load_preset(settings.checkpoint, settings.precision)
    if origin is not None and preset.hash != origin["preset_hash"]:
        raise UserError(
            f"the sidecar was made by preset {settings.checkpoint!r} with fingerprint {origin['preset_hash']}, but that"
            f" preset is now {preset.hash}. Put the old one back, or choose one with --checkpoint."
        )
    return preset


def _settings(args: argparse.Namespace) -> tuple[Settings, dict[str, Any] | None]:
    """Join defaults, sidecar and arguments, the later over the earlier."""
    from musika.rendering import read_sidecar

    names = ("checkpoint", "seconds", "start", "seed", "truncation", "precision", "out")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.sidecar is None:
        return Settings(**given), None
    origin = read_sidecar(args.sidecar)
    recorded = {name: origin[name] for name in names if name != "out"}
    recorded["controls"] = origin.get("controls", {})
    if not given and not _given_controls(args) and args.count == 1:
        recorded["out"] = str(Path(args.sidecar).with_name(Path(str(origin["file"])).name))
    return Settings(**(recorded | given)), origin


def _given_controls(args: argparse.Namespace) -> dict[str, Any]:
    """The controls that are asked for, by name; None for those that are to be left out."""
    given = {"tempo": args.tempo, "note_density": args.note_density}
    given = {name: value for name, value in given.items() if value is not None}
    for text in args.control:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UserError(f"--control takes NAME=VALUE, such as --control tempo=128. Received: {text!r}")
        given[name.strip().replace("-", "_")] = value.strip()
    return {name: None if value.lower() == "none" else value for name, value in given.items()}


def _say_warnings(preset: Preset, settings: Settings, seed: int) -> None:
    """Say before anything is rendered what lies outside the learned ranges."""
    import warnings

    from musika.controls import OutOfRangeWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OutOfRangeWarning)
        _piece(preset, replace(settings, seed=seed))
    for warning in caught:
        print(f"musika: {warning.message}", file=sys.stderr)
    warnings.simplefilter("ignore", OutOfRangeWarning)


def _piece(preset: Preset, settings: Settings) -> Piece:
    """The piece that settings describe; a line such as 90:160 goes from its start to the render's end."""
    from musika.piece import Piece

    length = settings.start + settings.seconds
    return Piece(preset, settings.seed, settings.truncation, settings.controls, length)


def _check(settings: Settings, count: int) -> int:
    """Check what can be checked before anything is loaded, and give the first item's seed."""
    from musika.gan.coordinates import LARGEST_SEED, check_truncation
    from musika.piece import LATEST_START

    check_number(settings.seconds, "seconds", _SHORTEST, _LONGEST)
    check_number(settings.start, "start", 0.0, LATEST_START)
    check_truncation(settings.truncation)
    check_choice(settings.precision, "precision", ["auto", "float32", "bfloat16"])
    if settings.seed is None:
        return secrets.randbelow(_DRAWN_SEEDS)
    return check_integer(settings.seed, "seed", 0, LARGEST_SEED - count + 1)


def _output_paths(settings: Settings, seed: int, count: int) -> list[Path]:
    """Name the output files; drawn-up names never replace a file, given ones do."""
    from musika.audio.writing import output_format

    name = Path(settings.checkpoint).resolve().name
    if settings.out is None or settings.out.endswith(("/", "\\")) or Path(settings.out).is_dir():
        folder = Path(settings.out or ".")
        return [_free_name(folder / f"musika-{name}-{seed + index}.wav") for index in range(count)]
    path = Path(settings.out)
    output_format(path)
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{index + 1}{path.suffix}") for index in range(count)]


def _free_name(path: Path) -> Path:
    """The name itself, or with the first number after it that is still free."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return free


class _Interrupts:
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

    def __enter__(self) -> _Interrupts:
        """Take over the signals."""
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _make(preset: Preset, path: Path, settings: Settings, spectrogram: bool, interrupts: _Interrupts) -> bool:
    """Render one item, write what lies beside it, and say so."""
    from tqdm import tqdm

    from musika.rendering import picture_path, render_file, sidecar_path, write_sidecar

    piece = _piece(preset, settings)
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"
    with tqdm(total=settings.seconds, desc=f"seed {piece.seed}", bar_format=form, leave=False, disable=None) as bar:
        interrupts.rendering = True
        rendered = render_file(piece, path, settings.start, settings.seconds, bar.update, lambda: interrupts.asked)
        interrupts.rendering = False
    write_sidecar(piece, rendered, settings.start, settings.seconds, _lasting_name(preset, settings.checkpoint))
    speed = f"{rendered.times_real_time:.1f} times faster than real time ({preset.codec.precision})"
    length = _clock(rendered.seconds)
    asked = "".join(f", {_control_text(preset, name, value)}" for name, value in piece.controls.describe().items())
    print(f"{path}: {length} of {preset.name}, seed {piece.seed}{asked}, made in {rendered.elapsed:.1f} s, {speed}")
    print(f"{sidecar_path(rendered.path)}: every setting; make it again with --from")
    if spectrogram and rendered.complete:
        from musika.audio.picture import draw_file

        title = f"{preset.name}, seed {piece.seed}"
        draw_file(rendered.path, picture_path(rendered.path), start=settings.start, title=title)
        print(f"{picture_path(rendered.path)}: its spectrogram")
    if not rendered.complete:
        print(_going_on(settings, piece.seed, rendered), file=sys.stderr)
    return rendered.complete


def _control_text(preset: Preset, name: str, value: Any) -> str:
    """A control as it is told to a person.

    >>> from types import SimpleNamespace
    >>> _control_text(SimpleNamespace(controls={"tempo": SimpleNamespace(unit="BPM")}), "tempo", [[0, 90.0], [9, 160.0]])
    'tempo 90 to 160 BPM'
    """
    if value is None:
        return f"{name.replace('_', ' ')} free"
    if isinstance(value, list):
        value = f"{value[0][1]:g} to {value[-1][1]:g}" if not isinstance(value[0][1], str) else "changing"
    elif not isinstance(value, str):
        value = f"{value:g}"
    return f"{name.replace('_', ' ')} {value} {preset.controls[name].unit}".rstrip()


def _lasting_name(preset: Preset, checkpoint: str) -> str:
    """The preset as it is found from any directory: a shipped name, or its folder's whole path."""
    from musika.resources import resource_folder

    folder = (preset.folder or Path(checkpoint)).resolve()
    return checkpoint if folder.parent == resource_folder("checkpoints").resolve() else str(folder)


def _going_on(settings: Settings, seed: int, rendered: Rendered) -> str:
    """Say how to make the rest of an interrupted render."""
    rest = settings.start + settings.seconds - rendered.end
    path = rendered.path
    following = path.with_name(f"{path.stem}-rest{path.suffix}")
    return (
        f"musika: interrupted after {_clock(rendered.seconds)}; the file is playable. Go on with: musika generate"
        f" --from '{path}.json' --start {rendered.end:.6f} --seconds {rest:.6f} --out '{following}'"
    )


def _clock(seconds: float) -> str:
    """A length as a musician writes it.

    >>> _clock(75.04)
    '1:15.0'
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
