"""``musika play``: a piece's YAML -> an audio file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from musika.checks import UserError

HELP = "render a piece that a small YAML file describes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    add = parser.add_argument
    add("piece", metavar="PIECE", nargs="?", help="a .yaml file, or the name of a piece that came with the package")
    add("--out", metavar="PATH", help="a folder, or a file ending in .wav, .flac, .ogg or .mp3 (default: PIECE.wav)")
    add("--checkpoint", metavar="NAME|DIR", help="play it with another preset than the one it names")
    add("--spectrogram", action="store_true", help="also draw a picture of it (PATH.png)")
    add("--latents", action="store_true", help="also save what was decoded (PATH.npz)")
    add("--precision", default="auto", metavar="P", help="float32, bfloat16 or auto (default)")
    add("--list", action="store_true", help="show the pieces that came with the package")


def run(args: argparse.Namespace) -> int:
    """Render a piece.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status: 130 if it was interrupted.

    Raises:
        UserError: If there is no such piece, something in it is wrong, or a file cannot be written.
    """
    from musika.cli.making import Extras, free_name, make_all
    from musika.pieces import find_piece, load_piece, piece_names, read_piece
    from musika.score import check_score

    if args.list:
        for name in piece_names():
            values = read_piece(name)
            print(f"{name:<12} {values.get('title', name)}: {values.get('idea', '')}")
        return 0
    if args.piece is None:
        raise UserError(f"give a piece: a .yaml file or one of {', '.join(piece_names())}.")
    score = replace(load_piece(args.piece), precision=args.precision)
    if args.checkpoint is not None:
        score = replace(score, checkpoint=args.checkpoint)
    out = args.out if args.out is not None else str(free_name(Path(f"{find_piece(args.piece).stem}.wav")))
    return make_all(check_score(score), out, extras=Extras(args.spectrogram, args.latents))
