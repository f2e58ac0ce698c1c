"""``musika prepare``: a folder of audio -> a folder to train on."""

from __future__ import annotations

import argparse

HELP = "make a folder of audio ready for training, and say what became of every file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("folder", metavar="FOLDER", help="folder of audio, searched with its subfolders")
    parser.add_argument("--codec", default="techno", metavar="PRESET", help="preset with the codec (default: techno)")
    parser.add_argument("--out", required=True, metavar="DATA", help="folder for latents, annotations, manifest.json")
    parser.add_argument(
        "--annotator",
        default="auto",
        metavar="NAME",
        help="who listens: librosa, comb, labels, ... (default: NAME.labels.csv where there is one, else librosa)",
    )
    parser.add_argument("--processes", type=int, metavar="P", help="files encoded at once (default: one a core)")
    parser.add_argument("--prune", action="store_true", help="remove what was made of files that are no longer there")
    parser.add_argument(
        "--codec-report",
        type=int,
        nargs="?",
        const=3,
        metavar="N",
        help="also render N files through the codec, to hear the best that a generator can sound like (default: 3)",
    )


def run(args: argparse.Namespace) -> int:
    """Prepare and say what became of every file.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If nothing can be used, or something cannot be written.
    """
    import time

    from musika.checks import check_integer
    from musika.cli.quiet import import_keras
    from musika.data.prepare import prepare_folder
    from musika.data.prepare_report import summary

    if args.codec_report is not None:
        check_integer(args.codec_report, "codec-report", 1, 100)
    import_keras()
    begin = time.perf_counter()
    done = prepare_folder(args.folder, args.codec, args.out, args.annotator, args.processes, args.prune, progress=True)
    print(summary(done))
    print(f"prepared by {done.manifest['codec_name']} in {time.perf_counter() - begin:.1f} s: {args.out}")
    if args.codec_report is not None:
        from musika.evaluation.codec_report import codec_report, report_table

        scores = codec_report(args.codec, done.manifest, done.folder, args.codec_report)
        print(report_table(scores))
        print(f"listen: {done.folder / 'codec-report'}")
    return 0
