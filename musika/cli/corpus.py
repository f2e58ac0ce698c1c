"""`musika corpus`: write practice music with exactly known labels."""

from __future__ import annotations

import argparse

HELP = "write practice music (techno or piano) with exactly known labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb.

    Args:
        parser: Its parser.
    """
    parser.add_argument("kind", metavar="techno|piano", help="kind of music")
    parser.add_argument(
        "--variant", metavar="NAME", help="other music than the kind's own, to fine-tune on: breaks (of techno)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the FLAC files and their labels (CSV)")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="M", help="minutes in all (default: 30)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same bytes (default: 0)")
    parser.add_argument(
        "--track-seconds", type=float, default=32.0, metavar="S", help="length of a track in seconds (default: 32)"
    )
    parser.add_argument("--processes", type=int, metavar="P", help="tracks made at once (default: one a core)")


def run(args: argparse.Namespace) -> int:
    """Write the corpus and say what was made.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If an argument is out of its range or the folder cannot be written to.
    """
    import time

    import soundfile

    from musika.corpus import write_corpus

    kind = f"{args.kind}@{args.variant}" if args.variant else args.kind
    begin = time.perf_counter()
    files = write_corpus(kind, args.out, args.minutes, args.seed, args.track_seconds, args.processes)
    taken = time.perf_counter() - begin
    seconds = sum(soundfile.info(path).duration for path in files)
    count = f"{len(files)} {kind} file{'s' if len(files) > 1 else ''}"
    length = f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"
    print(f"{count}, {length}, made in {taken:.1f} s ({seconds / taken:.0f} times real time), with labels: {args.out}")
    return 0
