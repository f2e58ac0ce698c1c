"""``musika generate``: a preset and a seed -> audio files, each with a sidecar that makes it again."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from musika.checks import UserError, check_integer
from musika.cli.making import Extras, make_all, read_controls, read_value
from musika.score import MOST_TURNS, LoopScore, Score, check_score, recorded_score

HELP = "make music: a preset and a seed become an audio file"
_MOST_ITEMS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    usual = Score()
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
    from musika.rendering import read_sidecar

    count = check_integer(args.count, "count", 1, _MOST_ITEMS)
    origin = None if args.sidecar is None else read_sidecar(args.sidecar)
    score, out = _score(args, origin)
    extras = Extras(args.spectrogram, args.latents)
    return make_all(check_score(score, count), out, count, extras, origin if args.checkpoint is None else None)


def _score(args: argparse.Namespace, origin: dict[str, Any] | None) -> tuple[Score, str | None]:
    """Join defaults, sidecar and arguments, the later over the earlier; and say where the audio goes."""
    names = ("checkpoint", "seconds", "start", "seed", "truncation", "precision", "path")
    given: dict[str, Any] = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if str(given.get("path", "")).lower() == "none":
        given["path"] = None
    before = Score() if origin is None else recorded_score(origin)
    controls, loop = _given_controls(args), _loop(args, before.loop)
    score = replace(before, **given, controls=before.controls | controls, loop=loop)
    if origin is None or args.out is not None or given or controls or loop != before.loop or args.count > 1:
        return score, args.out
    return score, str(Path(args.sidecar).with_name(Path(str(origin["file"])).name))


def _loop(args: argparse.Namespace, before: LoopScore | None) -> LoopScore | None:
    """How the music becomes a loop; None where it does not."""
    if not args.loop and before is None:
        for name, value in (("--bars", args.bars), ("--turns", args.turns), ("--on-beat", args.on_beat or None)):
            if value is not None:
                raise UserError(f"{name} belongs to a loop: give --loop too. Received: {name} without --loop")
        return None
    if args.bars is not None or args.seconds is not None or before is None:
        if (args.bars is None) == (args.seconds is None):
            raise UserError("a loop needs its length: give --bars or --seconds, and not both.")
        before = replace(before or LoopScore(), bars=args.bars, seconds=args.seconds)
    turns = before.turns if args.turns is None else check_integer(args.turns, "turns", 1, MOST_TURNS)
    return replace(before, turns=turns, on_beat=args.on_beat or before.on_beat)


def _given_controls(args: argparse.Namespace) -> dict[str, Any]:
    """The controls that are asked for, by name; None for those that are to be left out."""
    given = {"tempo": args.tempo, "note_density": args.note_density}
    named = {name: read_value(value) for name, value in given.items() if value is not None}
    others = read_controls(args.control)
    for name in named.keys() & others.keys():
        option = name.replace("_", "-")
        raise UserError(f"{name} is given twice, by --{option} and by --control. Leave one of them out.")
    return named | others
