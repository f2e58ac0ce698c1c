"""``musika annotate``: tempo, beats and control curves of audio, beside its latent files."""

from __future__ import annotations

import argparse

HELP = "measure tempo, note density and other controls, for generators that follow them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("folder", metavar="FOLDER", help="latent files (of `musika encode`), or else audio files")
    parser.add_argument("--audio", metavar="DIR", help="the audio that the latents were made from, if it has moved")
    parser.add_argument(
        "--annotator",
        default="librosa",
        metavar="NAME",
        help="what listens: librosa, labels, ... (default: librosa); `labels` takes true values from NAME.labels.csv",
    )
    parser.add_argument(
        "--config",
        default="compact",
        metavar="NAME|YAML",
        help="config whose controls are measured (default: compact)",
    )
    parser.add_argument(
        "--control", action="append", metavar="NAME", help="only this control of the config; may be given again"
    )
    parser.add_argument("--again", action="store_true", help="also measure files anew that have their annotation")


def run(args: argparse.Namespace) -> int:
    """Measure and say what became of every file.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If there is nothing to measure, or nothing that can be used.
    """
    import time

    from musika.config import load_config
    from musika.data.annotate import annotate_folder, annotation_table, choose_controls

    config = load_config(args.config)
    controls = choose_controls(config, args.control)
    begin = time.perf_counter()
    results = annotate_folder(args.folder, config, controls, args.annotator, args.audio, args.again, progress=True)
    print(annotation_table(results, args.folder))
    names = ", ".join(control.name for control in controls) or "no controls"
    print(f"{names}, by {args.annotator}, in {time.perf_counter() - begin:.1f} s")
    return 0
