"""``musika encode``: audio -> latent files."""

from __future__ import annotations

import argparse

HELP = "turn audio files into latent files, to decode or to train a generator on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("source", metavar="AUDIO|FOLDER", help="an audio file, or a folder with its subfolders")
    parser.add_argument("others", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the latent files (.npz)")
    parser.add_argument(
        "--checkpoint",
        default="techno",
        metavar="NAME|DIR",
        help="preset with the codec: a shipped name or a folder (default: techno)",
    )


def run(args: argparse.Namespace) -> int:
    """Encode and say what became of every file.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If the preset cannot be loaded, no audio can be used or the latents cannot be written.
    """
    import time

    from musika.data.encode import audio_sources, check_output_folder, check_single, encode_folder, results_table

    check_single(args.others)
    audio_sources(args.source)
    check_output_folder(args.out)

    from musika.cli.quiet import import_keras

    import_keras()
    from musika.presets import load_preset

    preset = load_preset(args.checkpoint)
    begin = time.perf_counter()
    results = encode_folder(preset.codec, args.source, args.out, preset.name, progress=True)
    elapsed = time.perf_counter() - begin
    speed = sum(result.seconds for result in results) / max(elapsed, 1e-9)
    print(results_table(results, args.out))
    print(f"encoded by {preset.name} in {elapsed:.1f} s, {speed:.0f} times faster than real time")
    return 0
