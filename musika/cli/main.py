"""The ``musika`` command: finds the verb, parses its arguments, runs it, and turns mistakes into one line.

A verb is a module of this package with ``HELP``, ``add_arguments(parser)`` and ``run(args) -> int``. Only the verb that
is asked for is imported, and it imports what is heavy in ``run``, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from musika.checks import UserError
from musika.spared import spare_imports
from musika.threads import one_thread_an_operation
from musika.version import __version__

# Verb and module, in the order in which `musika --help` shows them.
VERBS = {
    "generate": "generate",
    "play": "play",
    "points": "points",
    "app": "app",
    "encode": "encode",
    "decode": "decode",
    "latents": "latents",
    "prepare": "prepare",
    "finetune": "finetune",
    "annotate": "annotate",
    "train": "train",
    "evaluate": "evaluate",
    "fad": "fad",
    "bench": "bench",
    "export": "export",
    "import": "import_",
    "pull": "pull",
    "push": "push",
    "corpus": "corpus",
}
_TRAINING = {"train", "finetune"}
_NUMBERS = {"float": "a number, such as 12.5", "int": "a whole number, such as 12"}
STATUS_MISTAKE = 2
STATUS_INTERRUPTED = 130  # 128 + SIGINT, as shells expect


class _Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error in one line and exit with 2."""
        for kind, wanted in _NUMBERS.items():
            message = message.replace(f"invalid {kind} value:", f"must be {wanted}. Received:")
        self.exit(STATUS_MISTAKE, f"{self.prog}: error: {message.rstrip('.?')}. See `{self.prog} --help`.\n")


def _verb_module(verb: str) -> Any:
    """Import the module of a verb."""
    return importlib.import_module(f"musika.cli.{VERBS[verb]}")


class _Overview(_Parser):
    """The parser of ``musika`` without a verb."""

    def format_help(self) -> str:
        """The usual help, and a line a verb."""
        lines = [f"  {verb:<10} {_verb_module(verb).HELP}" for verb in VERBS]
        verbs = "\n".join(["verbs:", *lines, "", "`musika VERB --help` explains a verb.", ""])
        return f"{super().format_help()}\n{verbs}"


def _overview() -> _Overview:
    """Make the parser of ``musika`` without a verb."""
    parser = _Overview(
        prog="musika",
        usage="musika VERB [...]",
        description="Endless stereo music from a seed, faster than it can be heard, on an ordinary CPU.",
    )
    parser.add_argument("--version", action="version", version=f"musika {__version__}")
    return parser


def parse(arguments: list[str]) -> tuple[Any, argparse.Namespace]:
    """Find the verb and parse what follows it."""
    if not arguments or arguments[0] not in VERBS:
        overview = _overview()
        if not arguments:
            overview.print_help()
            overview.exit(STATUS_MISTAKE)
        if arguments[0].startswith("-"):
            overview.parse_args(arguments)
            overview.error("a verb must come first")
        close = difflib.get_close_matches(arguments[0], VERBS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(VERBS)}"
        overview.error(f"there is no verb {arguments[0]!r}; {hint}")
    module = _verb_module(arguments[0])
    parser = _Parser(prog=f"musika {arguments[0]}", description=f"{module.HELP[0].upper()}{module.HELP[1:]}.")
    module.add_arguments(parser)
    return module, parser.parse_args(arguments[1:])


def _say_error(message: object) -> int:
    """Print an error in one line."""
    print(f"musika: error: {' '.join(str(message).split())}", file=sys.stderr)
    return STATUS_MISTAKE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows ``musika``; the process's own arguments when left out.

    Returns:
        The exit status: 0, 2 for a mistake of the user's, 130 when interrupted.

    Raises:
        SystemExit: After help and after arguments that cannot be parsed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    spare_imports()
    given = list(sys.argv[1:] if arguments is None else arguments)
    module, args = parse(given)
    if given[0] not in _TRAINING:
        one_thread_an_operation()
    try:
        return module.run(args)
    except UserError as error:
        return _say_error(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: spare the error at exit
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _say_error(f"{error.strerror or error}{where}. Check space, permissions and the path.")
    except KeyboardInterrupt:
        print("musika: interrupted", file=sys.stderr)
        return STATUS_INTERRUPTED
