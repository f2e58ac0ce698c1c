"""``musika pull``: a preset from the Hugging Face Hub."""

from __future__ import annotations

import argparse

HELP = "get a preset from the Hugging Face Hub, published Musika weights too"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("name", metavar="USER/NAME", nargs="?", help="the repository, such as marcop/musika_techno")
    parser.add_argument("--out", metavar="DIR", help="folder for the preset (default: where hf://USER/NAME finds it)")
    parser.add_argument("--training", action="store_true", help="get the critic too, to train further from")
    parser.add_argument("--list", action="store_true", help="say which presets are here already, and stop")


def run(args: argparse.Namespace) -> int:
    """Pull, and say how to play.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If the name is wrong, the Hub cannot be reached, or a file fails its checks.
    """
    from musika.checks import UserError
    from musika.preset_names import presets_here

    if args.list:
        print(presets_here())
        return 0
    if args.name is None:
        raise UserError(
            f"name a repository on the Hugging Face Hub, such as user/name. Already here: {presets_here()}."
        )
    from musika.hub import pull, stated_licence
    from musika.hub_names import parse_hub_name

    name = parse_hub_name(args.name)
    folder = pull(name, args.out, args.training)
    print(f"licence: {stated_licence(folder)}")
    print(f"{folder}: checked. Play it: musika generate --checkpoint {name if args.out is None else folder}")
    return 0
