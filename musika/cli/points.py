"""``musika points``: points of a preset with previews, to choose from by ear and to lay paths through."""

from __future__ import annotations

import argparse

from musika.checks import check_choice, check_integer, check_number

HELP = "sample points of a preset with short previews, for paths"
_MOST = 1000
_LONGEST_PREVIEW = 600.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    add = parser.add_argument
    add("seeds", metavar="SEED", nargs="*", type=int, help="seeds of the points (default: --count drawn ones)")
    add("--out", required=True, metavar="DIR", help="folder for SEED.json, SEED.wav and index.html, a page to listen")
    add("--checkpoint", default="techno", metavar="NAME|DIR", help="preset: a shipped name or a folder")
    add("--count", type=int, default=12, metavar="N", help="how many points to draw (default: 12)")
    add("--seconds", type=float, default=5.0, metavar="S", help="length of a preview (default: 5)")
    add("--truncation", type=float, default=2.0, metavar="T", help="low is typical, high is varied (default: 2)")
    add("--wander", type=float, default=0.3, metavar="W", help="how far music moves on there, 0 to 1 (default: 0.3)")
    add("--control", action="append", default=[], metavar="NAME=VALUE", help="such as tempo=128, for all previews")
    add("--format", default="wav", metavar="F", help="wav, flac, ogg or mp3 (default: wav)")


def run(args: argparse.Namespace) -> int:
    """Make the gallery.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If an argument is out of range, the preset cannot be loaded or a file cannot be written.
    """
    from musika.audio.writing import OUTPUT_FORMATS
    from musika.cli.making import load, read_controls
    from musika.data.encode import check_output_folder
    from musika.gallery import PAGE, make_gallery
    from musika.gan.coordinates import LARGEST_SEED, check_truncation, draw_seed
    from musika.score import Score

    check_integer(args.count, "count", 1, _MOST)
    check_number(args.seconds, "seconds", 0.1, _LONGEST_PREVIEW)
    check_truncation(args.truncation)
    check_number(args.wander, "wander", 0.0, 1.0)
    check_choice(args.format, "format", list(OUTPUT_FORMATS))
    controls = read_controls(args.control)
    seeds = [check_integer(seed, "seed", 0, LARGEST_SEED) for seed in args.seeds]
    seeds = list(dict.fromkeys(seeds)) or [draw_seed() for _ in range(args.count)]
    folder = check_output_folder(args.out)
    preset = load(Score(checkpoint=args.checkpoint))
    kinds = args.truncation, controls, args.format, args.wander
    for preview in make_gallery(preset, folder, seeds, args.seconds, *kinds):
        print(f"{preview.file}: {preview.audio.name}")
    path = ",".join(str(folder / f"{seed}.json") for seed in (seeds[0], seeds[-1], seeds[0]))
    print(f"{folder / PAGE}: hear them all")
    print(f"lay a path with: musika generate --checkpoint {args.checkpoint} --path {path}")
    return 0
