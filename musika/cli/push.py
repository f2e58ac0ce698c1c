"""``musika push``: share a preset on the Hugging Face Hub, with a card."""

from __future__ import annotations

import argparse
import sys

HELP = "share a preset on the Hugging Face Hub, with samples and a card"

# Flag, the question at a terminal, and what the help says. None of these has a default: they are the sharer's to say.
QUESTIONS = {
    "data": ("What was it trained on, and by what right?", "what it was trained on, and by what right"),
    "code_licence": ("Licence of the code that it needs (Musika itself is MIT)?", "licence of the code that it needs"),
    "weights_licence": ("Licence of the weights, such as cc-by-4.0?", "licence of the weights, such as cc-by-4.0"),
    "outputs_licence": ("What may others do with music that it makes?", "what others may do with music that it makes"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("preset", metavar="PRESET", help="a preset's name or folder, or a training run")
    parser.add_argument("name", metavar="USER/NAME", help="the repository; it is made if it is not there")
    for name, (_, text) in QUESTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="TEXT", help=f"{text} (asked for if left out)")
    parser.add_argument("--samples", type=int, default=2, metavar="N", help="pieces of 20 s to render (default: 2)")
    parser.add_argument("--training", action="store_true", help="share what training goes on from, too (the critic)")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--out", metavar="DIR", help="write what would be shared into this folder, and share nothing")


def run(args: argparse.Namespace) -> int:
    """Ask what has not been said, and push.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If something is left unsaid, the preset or name is wrong, or the Hub refuses.
    """
    from musika.hub_card import Statement
    from musika.hub_names import parse_hub_name
    from musika.preset_names import find_preset

    find_preset(args.preset)
    name = parse_hub_name(args.name)
    statement = Statement(**_answers(args))
    from musika.cli.quiet import import_keras
    from musika.hub_push import push

    if args.samples:
        import_keras()
    place = push(
        args.preset, args.name, statement, args.samples, private=args.private, training=args.training, out=args.out
    )
    if args.out is None:
        print(f"{place}: shared. Others play it: musika generate --checkpoint {name}")
    return 0


def _answers(args: argparse.Namespace) -> dict[str, str]:
    """What was said in flags; the rest is asked for at a terminal, and is a mistake elsewhere."""
    from musika.checks import UserError

    given = {name: getattr(args, name) for name in QUESTIONS}
    missing = [name for name, value in given.items() if not (value or "").strip()]
    if missing and not (sys.stdin and sys.stdin.isatty()):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise UserError(f"to share a preset, say {flags} (text each). None of them is assumed.")
    for name in missing:
        try:
            given[name] = input(f"{QUESTIONS[name][0]} ").strip()
        except EOFError:
            raise UserError(f"{name.replace('_', ' ')} was not said. Nothing was shared.") from None
    return given
