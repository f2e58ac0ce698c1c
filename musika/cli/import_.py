"""``musika import``: Musika's published weights -> a preset."""

from __future__ import annotations

import argparse

HELP = "turn a folder of published Musika weights (.h5) into a preset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("folder", metavar="DIR", help="holds enc.h5 enc2.h5 dec.h5 dec2.h5, and gen_ema.h5 unless ...")
    parser.add_argument(
        "generator_folder",
        metavar="GENERATOR_DIR",
        nargs="?",
        help="... the generator has its own folder: gen_ema.h5, optionally gen.h5 and critic.h5",
    )
    parser.add_argument("--out", metavar="PRESET", required=True, help="folder of the new preset")
    parser.add_argument(
        "--check",
        metavar="EXPECTED.npz",
        help="first run every stage on the arrays of this file and compare with the original's outputs; "
        "no preset is written if a relative error is over 1e-5",
    )
    parser.add_argument("--codec-only", action="store_true", help="leave the generator out")


def run(args: argparse.Namespace) -> int:
    """Import, check and save.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status: 2 if the check failed.

    Raises:
        UserError: If a file is missing, damaged or does not fit.
    """
    from musika.upstream_preset import import_preset

    return import_preset(args.folder, args.generator_folder, args.out, args.check, args.codec_only)
