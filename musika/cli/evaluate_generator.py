"""``musika evaluate generator PRESET REFERENCE``: how close generated music comes to real music."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musika.evaluation.generator import GeneratorStudy

HELP = "compare a preset's music with real music, beside what real music itself and the codec reach"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: The parser.
    """
    parser.add_argument("preset", help="name or folder of a preset")
    parser.add_argument("data", metavar="REFERENCE", help="music that it was not trained on: folder, or corpus:NAME")
    parser.add_argument(
        "--embedding",
        action="append",
        metavar="NAME",
        help="as in `musika fad --list`, may be given several times (default: logmel and codec)",
    )
    parser.add_argument("--weights", metavar="FILE", help="weights of VGGish")
    parser.add_argument("--pieces", type=int, default=32, help="pieces, and clips of each half (default 32)")
    parser.add_argument("--seconds", type=float, default=26.0, help="length of each (default 26, two seams)")
    parser.add_argument("--seed", type=int, default=1, help="first seed of the pieces, and of all choices (default 1)")
    parser.add_argument("--bootstrap", type=int, default=100, metavar="N", help="draws of the intervals (default 100)")
    parser.add_argument("--shrink", action="store_true", help="shrunk covariances, for few windows")
    parser.add_argument("--training", metavar="LATENTS", help="latents it was trained on: adds the copying score")
    parser.add_argument("--out", metavar="JSON", help="file for the report; tables (.md) and picture (.png) beside it")


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status 0.

    Raises:
        UserError: If an argument is out of its range, there is no such preset, or too little music.
    """
    from musika.checks import check_choice
    from musika.evaluation.embeddings import EMBEDDINGS

    study, names = _study(args), list(dict.fromkeys(args.embedding or ["logmel", "codec"]))
    for name in names:
        check_choice(name, "embedding", list(EMBEDDINGS))

    from musika.cli.quiet import import_keras

    import_keras()
    from tqdm import tqdm

    import musika
    from musika.evaluation.embeddings import load_embedding
    from musika.evaluation.generator import evaluate_generator, quality_tables
    from musika.evaluation.report import environment

    preset = musika.load(args.preset)
    given = {"codec": {"preset": args.preset}, "vggish": {"weights": args.weights}}
    embeddings = [load_embedding(name, **given.get(name, {})) for name in names]
    rows = 5 if preset.controls else 4
    with tqdm(total=rows * study.pieces, unit="clip", dynamic_ncols=True) as bar:
        found = evaluate_generator(preset, args.data, embeddings, study, args.training, bar.update)
    report: dict[str, Any] = {
        "kind": "generator",
        "command": _command(args, names),
        "preset": str(args.preset),
        "preset_hash": preset.hash,
        "codec": preset.codec.hash,
        "precision": preset.codec.precision,
        "data": args.data,
        **found,
        "environment": environment(),
    }
    print(quality_tables(report))
    if args.out:
        _write(args.out, report)
    return 0


def _study(args: argparse.Namespace) -> GeneratorStudy:
    """Check the numbers."""
    from musika.checks import check_integer, check_number
    from musika.evaluation.fad import FadOptions
    from musika.evaluation.generator import GeneratorStudy

    check_integer(args.seed, "seed", 0, 2**62)
    check_integer(args.bootstrap, "bootstrap", 0, 100_000)
    options = FadOptions(args.seed, shrink=args.shrink, bootstrap=args.bootstrap)
    pieces = check_integer(args.pieces, "pieces", 2, 10_000)
    return GeneratorStudy(pieces, check_number(args.seconds, "seconds", 1.0, 600.0), args.seed, options)


def _command(args: argparse.Namespace, names: list[str]) -> str:
    """The command that gives these figures again."""
    import shlex

    words = ["musika", "evaluate", "generator", args.preset, args.data]
    words += [word for name in names for word in ("--embedding", name)]
    for name in ("pieces", "seconds", "seed", "bootstrap"):
        words += [f"--{name}", f"{getattr(args, name):g}"]
    words += ["--shrink"] if args.shrink else []
    words += ["--weights", args.weights] if args.weights else []
    return shlex.join(words + (["--training", args.training] if args.training else []))


def _write(out: str, report: dict[str, Any]) -> None:
    """Write the report, its tables and its picture."""
    from pathlib import Path

    from musika.audio.writing import replacing
    from musika.evaluation.generator import quality_tables
    from musika.evaluation.plots import save_generator_plot
    from musika.evaluation.report import save_report

    path = Path(out)
    save_report(path, report)
    with replacing(path.with_suffix(".md")) as aside:
        aside.write_text(f"`{report['command']}`\n\n{quality_tables(report)}\n", encoding="utf-8")
    save_generator_plot(path.with_suffix(".png"), report)
    print(f"report: {path}, {path.with_suffix('.md')}, {path.with_suffix('.png')}")
