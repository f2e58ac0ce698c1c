"""``musika decode``: latent files -> audio."""

from __future__ import annotations

import argparse

HELP = "turn latent files back into audio"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument(
        "source", metavar="LATENTS|FOLDER", help="a latent file (.npz, or .npy), or a folder with its subfolders"
    )
    parser.add_argument("others", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the audio files")
    parser.add_argument(
        "--checkpoint",
        metavar="NAME|DIR",
        help="preset whose codec made the latents: a shipped name or a folder (default: techno; a .npy needs it)",
    )
    parser.add_argument("--format", default="wav", metavar="F", help="wav, flac, ogg or mp3 (default: wav)")
    parser.add_argument("--no-noise", action="store_true", help="leave the decoders' noise out")


def run(args: argparse.Namespace) -> int:
    """Decode and say what became of every file.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If the preset cannot be loaded, no latents can be used or the audio cannot be written.
    """
    import time

    from musika.audio.writing import OUTPUT_FORMATS, output_format
    from musika.checks import UserError, check_choice
    from musika.data.encode import check_output_folder, check_single, decode_folder, latent_sources, results_table
    from musika.data.latent_tools import ARRAY_ENDING

    check_single(args.others)
    check_choice(args.format, "--format", list(OUTPUT_FORMATS))
    output_format(f"audio.{args.format}")
    if args.checkpoint is None and args.source.lower().endswith(ARRAY_ENDING):
        raise UserError(f"{args.source} names no codec: give --checkpoint, the preset whose codec made it.")
    latent_sources(args.source)
    check_output_folder(args.out)

    from musika.cli.quiet import import_keras

    import_keras()
    from musika.presets import load_preset

    preset = load_preset(args.checkpoint or "techno")
    begin = time.perf_counter()
    results = decode_folder(
        preset.codec, args.source, args.out, args.format, not args.no_noise, preset.name, progress=True
    )
    elapsed = time.perf_counter() - begin
    speed = sum(result.seconds for result in results) / max(elapsed, 1e-9)
    print(results_table(results, args.out))
    print(f"decoded by {preset.name} in {elapsed:.1f} s, {speed:.0f} times faster than real time")
    return 0
