"""``musika train``: train a codec on audio, or a generator on a codec's latents."""

from __future__ import annotations

import argparse

HELP = "train a codec on audio, or a generator on latents"
DEFAULT_CONFIG = "compact"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb and of its two sub-verbs.

    Args:
        parser: Its parser.
    """
    what = parser.add_subparsers(dest="what", metavar="codec|generator", required=True)
    _add_codec(what.add_parser("codec", help="a folder of audio -> a codec"))
    _add_generator(what.add_parser("generator", help="a folder of latents -> a generator"))


def _add_shared(parser: argparse.ArgumentParser, config: str | None) -> None:
    """Declare what both trainings take."""
    parser.add_argument(
        "--config", default=config, metavar="NAME|FILE", help=f"config (default: {DEFAULT_CONFIG}; a run's own)"
    )
    parser.add_argument("--out", required=True, metavar="RUN", help="folder of the training run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--minutes", type=float, metavar="M", help="save and stop after so many minutes")


def _add_codec(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``train codec``."""
    _add_shared(parser, None)
    parser.add_argument(
        "--data", metavar="DIR|corpus:KIND", help="folder of audio, or practice music such as corpus:techno+piano"
    )
    parser.add_argument("--from", dest="start", metavar="PRESET|RUN", help="train this one's codec further")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of each phase, instead of the config's")
    parser.add_argument("--phase", metavar="NAME", help="train this phase alone")


def _add_generator(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``train generator``."""
    _add_shared(parser, DEFAULT_CONFIG)
    parser.add_argument("--codec", metavar="PRESET", help="the preset that encoded the latents")
    parser.add_argument("--data", metavar="LATENTS", help="folder of latents, made by `musika encode`")
    parser.add_argument("--from", dest="start", metavar="PRESET", help="train this preset's generator further")
    parser.add_argument("--steps", type=int, metavar="N", help="steps in all, instead of the config's")
    parser.add_argument("--seed", type=int, metavar="N", help="seed, instead of the config's")
    parser.add_argument("--xla", action="store_true", help="compile the step by XLA (slower on CPUs)")


def run(args: argparse.Namespace) -> int:
    """Train.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If something given is wrong, or the training does not stay finite.
    """
    from musika.cli.quiet import import_keras

    import_keras()
    if args.what == "codec":
        return _run_codec(args)
    from musika.training.generator_training import train_generator

    train_generator(
        args.config,
        args.codec,
        args.data,
        args.out,
        start=args.start,
        resume=args.resume,
        steps=args.steps,
        minutes=args.minutes,
        seed=args.seed,
        xla=args.xla,
    )
    return 0


def _run_codec(args: argparse.Namespace) -> int:
    """Train a codec."""
    from musika.checks import UserError, check_number
    from musika.config import load_config
    from musika.training.codec_plan import check_resumed
    from musika.training.codec_training import train_codec

    if args.minutes is not None:
        check_number(args.minutes, "minutes", above=0.0, high=1e6)
    if args.data is None and not args.resume:
        raise UserError(
            "a new run needs --data: a folder of audio, or corpus:techno, corpus:piano, corpus:techno+piano."
        )
    if args.resume:
        check_resumed(args.out, args.config, args.data, args.start)
    preset = train_codec(
        load_config(args.config or DEFAULT_CONFIG),
        args.data or "",
        args.out,
        resume=args.resume,
        phase=args.phase,
        minutes=args.minutes,
        start=args.start,
        steps=args.steps,
    )
    print(f"Preset: {preset}")
    return 0
