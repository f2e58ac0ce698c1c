"""``musika import``: Musika's published weights -> a preset."""

from __future__ import annotations

import argparse
import sys

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
        args: Parsed arguments.

    Returns:
        The exit status: 2 if a stage is further from the original than allowed; then nothing is written.

    Raises:
        UserError: If a file is missing, damaged or does not fit, or the preset cannot be written.
    """
    from musika.cli.quiet import import_keras

    import_keras()
    import keras

    from musika.parity import TOLERANCE, StageError, check_parity
    from musika.upstream import import_published, save_published

    def show(stage: StageError) -> None:
        """Print a stage's error."""
        verdict = f"not checked: {stage.note}" if stage.error is None else "ok" if stage.passed else "FAILED"
        error = "-" if stage.error is None else f"{stage.error:.2e}"
        print(f"{stage.stage:<28} {error:>14}  {verdict}", flush=True)

    stages: list[StageError] = []
    with keras.device("cpu:0"):  # accelerators may round float32 products
        published = import_published(args.folder, args.generator_folder, args.codec_only)
        if args.check:
            print(f"{'stage':<28} {'relative error':>14}")
            stages = check_parity(published, args.check, show)
    failed = [stage.stage for stage in stages if not stage.passed]
    if failed:
        print(f"over {TOLERANCE:g}: {', '.join(failed)}. No preset was written.", file=sys.stderr)
        return 2
    errors = {stage.stage: stage.error for stage in stages if stage.error is not None}
    folder = save_published(published, args.out, {"parity": errors} if errors else {})
    optional = {
        "generator": published.generator,
        "live generator": published.live_generator,
        "critic": published.critic,
    }
    parts = ["codec", *(name for name, network in optional.items() if network is not None)]
    spectral, codec, settings = published.config.spectral, published.config.codec, published.config.generator
    print(
        f"{folder}: {', '.join(parts)}; hop {spectral.hop_length}, {codec.latent_channels} latent channels, "
        f"base channels {settings.base_channels}, {'small' if settings.small else 'standard'}"
    )
    return 0
