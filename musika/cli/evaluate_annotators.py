"""``musika evaluate annotators``: how well the annotators hear, on practice music with known labels."""

from __future__ import annotations

import argparse
from typing import Any

HELP = "measure how well the annotators hear tempo, beats and onsets of practice music"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: The parser.
    """
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="minutes of techno, and as many of piano (default 20)"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the music; presets were trained on 0 (default 7)")
    parser.add_argument(
        "--annotator",
        action="append",
        metavar="NAME",
        help="only this one; may be given again (default: all installed)",
    )
    parser.add_argument("--out", metavar="JSON", help="file for the report")


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status.

    Raises:
        UserError: If an argument is out of its range, or an annotator is not installed.
    """
    from itertools import chain
    from pathlib import Path

    from tqdm import tqdm

    from musika.checks import check_integer, check_number
    from musika.corpus.folder import track_lengths
    from musika.data.annotators import ANNOTATORS
    from musika.evaluation.annotators import available_annotators, evaluate_annotators, practice_tracks
    from musika.evaluation.report import environment, save_report, table

    check_number(args.minutes, "minutes", 0.2, 1000)
    check_integer(args.seed, "seed", 0, 2**63 - 1)
    names = available_annotators(args.annotator)
    count = 2 * len(track_lengths(args.minutes, 32.0))
    tracks = chain.from_iterable(practice_tracks(kind, args.minutes, args.seed) for kind in ("techno", "piano"))
    with tqdm(total=count, unit="track", dynamic_ncols=True, leave=False) as bar:
        scores = evaluate_annotators(tracks, names, bar.update)
    shown: dict[str, dict[str, Any]] = {
        name: {"licence": ANNOTATORS[name].licence}
        | {score: "-" if value is None else value for score, value in found.items()}
        for name, found in scores.items()
    }
    print(table(shown, "annotator"))
    missing = [name for name in ANNOTATORS if name not in {*names, "labels"}]
    if missing:
        print(f"not measured: {', '.join(missing)} (`pip install` the package, or name it with --annotator)")
    if args.out:
        report = {
            "kind": "annotators",
            "command": f"musika evaluate annotators --minutes {args.minutes:g} --seed {args.seed}",
            "scores": scores,
            "music": {
                "techno_minutes": args.minutes,
                "piano_minutes": args.minutes,
                "tracks": count,
                "seed": args.seed,
            },
            "licences": {name: ANNOTATORS[name].licence for name in ANNOTATORS},
            "environment": environment(),
        }
        save_report(Path(args.out), report)
        print(f"report: {args.out}")
    return 0
