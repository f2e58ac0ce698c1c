"""``musika bench``: how fast a preset is on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from musika.checks import check_choice, check_integer, check_number

HELP = "measure how fast a preset is on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument(
        "subject",
        nargs="?",
        default="techno",
        metavar="PRESET|CONFIG",
        help="a preset, or a config such as base, which gets random weights (default: techno)",
    )
    parser.add_argument("--precision", default="auto", metavar="P", help="float32, bfloat16 or auto (default)")
    parser.add_argument("--seconds", type=float, default=240.0, metavar="S", help="length of a render (default: 240)")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="renders that count (default: 7)")
    parser.add_argument("--json", metavar="OUT", help="also write the figures into a JSON file")


def run(args: argparse.Namespace) -> int:
    """Measure and print.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status 0.

    Raises:
        UserError: If an argument is out of its range, or there is no such preset or config.
    """
    import sys
    from pathlib import Path

    from musika.cli.quiet import import_keras

    check_choice(args.precision, "precision", ["auto", "float32", "bfloat16"])
    check_number(args.seconds, "seconds", 1.0, 3600.0)
    check_integer(args.repeats, "repeats", 1, 1000)
    import_keras()
    from musika.evaluation.report import save_report
    from musika.evaluation.speed import measure

    def say(line: str) -> None:
        """Say what is being measured."""
        print(f"measuring: {line} ...", file=sys.stderr, flush=True)

    figures = measure(args.subject, args.precision, args.seconds, args.repeats, say=say)
    print("\n".join(_lines(figures)))
    if args.json:
        save_report(Path(args.json), figures)
    return 0


def _lines(figures: dict[str, Any]) -> list[str]:
    """The figures as a table."""
    about = figures["machine"]
    versions = about["versions"]
    lines = [
        f"{figures['subject']} ({figures['precision']}) on {about['processor']}, {about['cores']} cores,"
        f" {about['backend']} {versions.get(about['backend'], '')}, Keras {versions['keras']},"
        f" Python {versions['python']}; load before: {about['load_before']}"
    ]

    def add(label: str, value: str) -> None:
        """Add a line."""
        lines.append(f"  {label:<34} {value}")

    if "render" in figures:
        render = figures["render"]
        label = f"render of {figures['render_seconds']:g} s, warm"
        add(label, f"{render['median']:.1f} times real time (median), {render['p95']:.1f} (p95)")
        if "plain" in figures:
            label = "  the published graph, plainly"
            add(label, f"{figures['plain']['median']:.1f}: this is {figures['times_plain']:.2f} times as fast")
        add("first second of audio, warm", f"{figures['first_second']:.3f} s")
    add("encode, stereo", f"{figures['encode']['median']:.1f} times real time")
    for label, key in (("whole process, 1 minute", "process_one_minute"), ("10 minutes", "process_ten_minutes")):
        if key in figures:
            whole = figures[key]
            add(
                label,
                f"{whole['seconds']:.1f} s, {whole['times_real_time']:.1f} times real time, peak memory"
                f" {whole['peak_memory_mib']:.0f} MiB",
            )
    if "training_step" in figures:
        step = figures["training_step"]
        add("training step of the generator", f"{step['seconds']:.3f} s at batch {step['batch_size']}")
    return lines
