"""``musika app``: a page in the browser to play with."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import webbrowser

from musika.checks import check_choice, check_integer, check_number

HELP = "open a page in the browser to play with"
_LONGEST = 3 * 3600.0  # seconds
_MOST = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    add = parser.add_argument
    add("--port", type=int, metavar="N", help="port to serve at (default: the first that is free from 7860)")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0 lets others in (default: this machine alone)")
    add("--checkpoint", action="append", default=[], metavar="NAME|DIR", help="preset to offer (default: all shipped)")
    add("--longest", type=float, default=_LONGEST, metavar="S", help=f"longest piece, seconds (default: {_LONGEST:g})")
    add("--out", metavar="DIR", help="keep what is made in this folder (default: gone when the app ends)")
    add("--precision", default="auto", metavar="P", help="float32, bfloat16 or auto (default)")
    add("--browser", action="store_true", help="also open the page in the browser")


def run(args: argparse.Namespace) -> int:
    """Serve the page until interrupted.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        UserError: If an argument is out of its range, a preset is missing or the port is taken.
    """
    if args.port is not None:
        check_integer(args.port, "port", 1, 65535)
    check_number(args.longest, "longest", 1.0, _MOST)
    check_choice(args.precision, "precision", ["auto", "float32", "bfloat16"])
    from musika.app.server import bind, open_stage, serve
    from musika.app.shelf import Shelf

    shelf = Shelf(args.checkpoint, args.precision)
    listening = bind(args.host, args.port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from musika.cli.quiet import import_keras

    import_keras()
    host = args.host if args.host not in ("0.0.0.0", "::") else "localhost"
    host = f"[{host}]" if ":" in host else host
    address = f"http://{host}:{listening.getsockname()[1]}"

    def announce() -> None:
        """Say where the page is, and open it."""
        print(f"musika: open {address} in a browser; Ctrl-C ends", flush=True)
        if args.browser:
            webbrowser.open(address)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was made for visitors is removed then too
    with open_stage(shelf, args.longest, args.out) as stage, contextlib.suppress(KeyboardInterrupt):
        serve(stage, listening, announce)
    return 0
