"""``musika evaluate WHAT ...``: measure a preset. Each WHAT is a module ``evaluate_WHAT`` beside this one."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

HELP = "measure a preset: its codec, its generator, its controls"

# In the order in which `musika evaluate --help` shows them: each is a module musika.cli.evaluate_WHAT with HELP,
# add_arguments(parser) and run(args), as a verb is.
SUBJECTS = ("codec", "generator", "control", "annotators")


def _module(what: str) -> Any:
    """Import the module of what can be measured."""
    return importlib.import_module(f"musika.cli.evaluate_{what}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parts = parser.add_subparsers(dest="what", metavar="WHAT", required=True, help="what is measured:")
    for what in SUBJECTS:
        module = _module(what)
        text = f"{module.HELP[0].upper()}{module.HELP[1:]}."
        module.add_arguments(parts.add_parser(what, help=module.HELP, description=text))


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status.
    """
    return _module(args.what).run(args)
