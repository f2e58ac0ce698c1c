"""``musika evaluate generator PRESET REFERENCE``: how close generated music comes to real music."""

from __future__ import annotations

import argparse

HELP = "compare a preset's generated music with real music, beside the floor that real music itself reaches"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: The parser.
    """
    parser.add_argument("preset", help="name or folder of a preset")
    parser.add_argument("reference", help="real music: folder of audio")


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status.
    """
    raise NotImplementedError
