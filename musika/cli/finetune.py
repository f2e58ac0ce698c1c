"""``musika finetune``: a preset goes on learning from your music."""

from __future__ import annotations

import argparse

HELP = "let a preset go on learning from your music, and say when to stop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder that `musika prepare` wrote")
    parser.add_argument("--from", dest="start", metavar="PRESET", help="the preset to start from, such as techno")
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the run: best, preset, report.html")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--minutes", type=float, metavar="M", help="train by the clock")
    parser.add_argument("--steps", type=int, metavar="N", help="steps in all, instead of what suits the music's length")
    parser.add_argument("--save-every", type=int, metavar="N", help="steps between two saves (default: 500)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed, instead of the preset's")
    parser.add_argument("--codec", metavar="PRESET", help="use this codec, of the same latents, with other decoders")
    parser.add_argument(
        "--decoders",
        type=float,
        nargs="?",
        const=10.0,
        metavar="M",
        help="train the codec's decoders on the same music first, M minutes at most (default: 10)",
    )
    parser.add_argument("--no-check", action="store_true", help="leave out the check of controls at each save")


def run(args: argparse.Namespace) -> int:
    """Fine-tune.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If something given is wrong, or the training does not stay finite.
    """
    from musika.cli.quiet import import_keras

    import_keras()
    from musika.training.finetune import finetune

    finetune(
        args.data,
        args.start,
        args.out,
        codec=args.codec,
        resume=args.resume,
        steps=args.steps,
        minutes=args.minutes,
        save_every=args.save_every,
        seed=args.seed,
        decoders=args.decoders,
        check=not args.no_check,
    )
    return 0
