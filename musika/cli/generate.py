"""``musika generate``: a preset and a seed -> audio files, each with a sidecar that makes it again."""

from __future__ import annotations

import argparse
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from musika.checks import UserError, check_choice, check_integer, check_number
from musika.cli.making import Extras, Interrupts, LoopSettings, Settings, load, make, say_warnings

HELP = "make music: a preset and a seed become an audio file"
_LONGEST = 30 * 86400.0  # seconds
_SHORTEST = 0.01
_MOST_ITEMS = 10_000
_MOST_TURNS = 100_000
_DRAWN_SEEDS = 2**32


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
    add("--path", metavar="FILE|SEEDS", help="travel between points: 7,12,7, or a .yaml or .json file; or none")
    add("--loop", action="store_true", help="make a seamless loop, of --bars or --seconds")
    add("--bars", type=int, metavar="N", help="the loop's length in bars of its tempo")
    add("--turns", type=int, metavar="N", help="play the loop N times (default: 1)")
    add("--on-beat", action="store_true", help="begin the loop exactly on beat one, not in the calm just before")
    add("--count", type=int, default=1, metavar="N", help="make N pieces; item k (from 0) has the seed plus k")
    add("--out", metavar="PATH", help="a folder, or a file ending in .wav, .flac, .ogg or .mp3 (default: a .wav here)")
    add("--spectrogram", action="store_true", help="also draw a picture of it (PATH.png)")
    add("--latents", action="store_true", help="also save what was decoded (PATH.npz)")
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
    settings = check(settings, count)
    extras = Extras(args.spectrogram, args.latents)
    return make_all(settings, count, extras, origin if args.checkpoint is None else None)


def make_all(settings: Settings, count: int = 1, extras: Extras | None = None, origin: Any = None) -> int:
    """Render some items with seeds one after another.

    Args:
        settings: What decides them, from `check`.
        count: How many.
        extras: What to make beside the audio.
        origin: The sidecar whose preset it must be, if there is one.

    Returns:
        The exit status: 130 if it was interrupted.

    Raises:
        UserError: If something is out of range, the preset cannot be loaded or a file cannot be written.
    """
    seed = settings.seed or 0
    paths = _output_paths(settings, seed, count)
    with Interrupts() as interrupts:
        preset = load(settings, origin)
        say_warnings(preset, settings)
        for index, path in enumerate(paths):
            if not make(preset, path, replace(settings, seed=seed + index), extras or Extras(), interrupts):
                return 130
    return 0


def _settings(args: argparse.Namespace) -> tuple[Settings, dict[str, Any] | None]:
    """Join defaults, sidecar and arguments, the later over the earlier."""
    from musika.rendering import read_sidecar

    names = ("checkpoint", "seconds", "start", "seed", "truncation", "precision", "out", "path")
    given: dict[str, Any] = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if str(given.get("path", "")).lower() == "none":
        given["path"] = None
    origin = None if args.sidecar is None else read_sidecar(args.sidecar)
    loop = _loop_settings(args, (origin or {}).get("loop"))
    if loop is not None:
        given["loop"] = loop
    if origin is None:
        return Settings(**given), None
    recorded = {name: origin.get(name) for name in names if name != "out"}
    recorded["controls"] = origin.get("controls", {})
    if not args.loop and not given.keys() - {"loop"} and not _given_controls(args) and args.count == 1:
        recorded["out"] = str(Path(args.sidecar).with_name(Path(str(origin["file"])).name))
    return Settings(**(recorded | given)), origin


def _loop_settings(args: argparse.Namespace, recorded: dict[str, Any] | None) -> LoopSettings | None:
    """How the music becomes a loop; None where it does not."""
    if not args.loop and recorded is None:
        for name, value in (("--bars", args.bars), ("--turns", args.turns), ("--on-beat", args.on_beat or None)):
            if value is not None:
                raise UserError(f"{name} belongs to a loop: give --loop too. Received: {name} without --loop")
        return None
    bars, seconds = args.bars, args.seconds
    if bars is None and seconds is None and recorded is not None:
        bars = recorded.get("bars") if recorded.get("by_bars") else None
        seconds = None if bars else recorded["seconds"]
    if (bars is None) == (seconds is None):
        raise UserError("a loop needs its length: give --bars or --seconds, one of the two.")
    before = recorded or {}
    turns = check_integer(before.get("turns", 1) if args.turns is None else args.turns, "turns", 1, _MOST_TURNS)
    return LoopSettings(bars, seconds, turns, args.on_beat or bool(before.get("on_beat")))


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


def check(settings: Settings, count: int = 1) -> Settings:
    """Check what can be checked before anything is loaded.

    Args:
        settings: The settings.
        count: How many items are made.

    Returns:
        The settings with the first item's seed and, where there is one, the path.

    Raises:
        UserError: If something is out of range.
    """
    from musika.gan.coordinates import LARGEST_SEED, check_truncation
    from musika.loops import LONGEST_LOOP, MOST_BARS, SHORTEST_LOOP
    from musika.paths import make_path
    from musika.piece import LATEST_START

    length: float | None = check_number(settings.seconds, "seconds", _SHORTEST, _LONGEST)
    check_number(settings.start, "start", 0.0, LATEST_START)
    check_truncation(settings.truncation)
    check_choice(settings.precision, "precision", ["auto", "float32", "bfloat16"])
    if settings.loop is not None:
        length = settings.loop.seconds
        if settings.loop.bars is not None:
            check_integer(settings.loop.bars, "bars", 1, MOST_BARS)
        else:
            check_number(settings.loop.seconds or 0.0, "seconds", SHORTEST_LOOP, LONGEST_LOOP)
    seed, path = settings.seed, None
    if settings.path is not None:
        path = make_path(settings.path, None if length is None else settings.start + length)
        seed = path.stops[0].point.seed if seed is None else seed
    if seed is None:
        seed = secrets.randbelow(_DRAWN_SEEDS)
    return replace(settings, seed=check_integer(seed, "seed", 0, LARGEST_SEED - count + 1), path=path)


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
