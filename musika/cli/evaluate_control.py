"""``musika evaluate control PRESET``: whether pieces do what they are asked, as a table, a picture and JSON."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musika.evaluation.control import Findings, Study
    from musika.presets import Preset
    from musika.settings import ControlConfig

HELP = "measure whether a preset's pieces follow their controls, such as tempo and note density"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: The parser.
    """
    parser.add_argument("preset", help="name or folder of a preset")
    parser.add_argument("--control", metavar="NAME", help="which control (default: the first that can be measured)")
    parser.add_argument(
        "--range", metavar="LOW:HIGH", help="values to ask for (default: a little within the learned range)"
    )
    parser.add_argument("--pieces", type=int, default=40, help="pieces with a constant value (default 40)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each (default 30)")
    parser.add_argument(
        "--curves", type=int, default=6, help="pieces of 96 s with a line or a random curve (default 6)"
    )
    parser.add_argument("--seeds", default="1,2,3,4,5,6,7,8", help="seeds, used in turn (default 1,2,3,4,5,6,7,8)")
    parser.add_argument("--annotator", default="comb", metavar="NAME", help="what listens (default: comb)")
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="annotated latents, or corpus:techno|piano[:MINUTES]: also compare quality with and without control",
    )
    parser.add_argument("--no-practice", action="store_true", help="leave out the comparison with practice music")
    parser.add_argument("--out", metavar="JSON", help="file for the report; the picture lies beside it (.png)")


def _numbers(text: str, separator: str, name: str, kind: type) -> list[Any]:
    """Numbers in a list."""
    from musika.checks import UserError

    try:
        return [kind(part) for part in text.split(separator)]
    except ValueError:
        raise UserError(f"{name} must be numbers with {separator!r} between them. Received: {name}={text!r}") from None


def _study(args: argparse.Namespace) -> Study:
    """What to render, from the arguments."""
    from musika.checks import UserError, check_integer, check_number
    from musika.evaluation.annotators import available_annotators
    from musika.evaluation.control import WINDOW_SECONDS, Study

    available_annotators([args.annotator])
    seeds = [check_integer(seed, "seeds", 0, 2**63 - 1) for seed in _numbers(args.seeds, ",", "seeds", int)]
    low = high = None
    if args.range is not None:
        ends = [check_number(end, "range") for end in _numbers(args.range, ":", "range", float)]
        if len(ends) != 2 or ends[0] >= ends[1]:
            raise UserError(f"range must be LOW:HIGH with LOW below HIGH. Received: range={args.range!r}")
        low, high = ends
    return Study(
        annotator=args.annotator,
        pieces=check_integer(args.pieces, "pieces", 3, 10_000),
        curves=check_integer(args.curves, "curves", 0, 1000),
        seconds=check_number(args.seconds, "seconds", WINDOW_SECONDS, 600.0),
        seeds=tuple(seeds),
        low=low,
        high=high,
    )


def _choose(preset: Preset, name: str | None) -> ControlConfig:
    """The control to measure."""
    from musika.checks import UserError, check_choice
    from musika.evaluation.control import check_measurable

    if not preset.controls:
        raise UserError(f"preset {preset.name!r} has no controls: it makes music, but takes no requests.")
    if name is not None:
        check_choice(name, "control", list(preset.controls))
        check_measurable(preset.controls[name])
        return preset.controls[name]
    for control in preset.controls.values():
        try:
            check_measurable(control)
        except UserError:
            continue
        return control
    raise UserError(f"none of the controls of {preset.name!r} can be heard: {', '.join(preset.controls)}.")


def _practise(
    preset: Preset, control: ControlConfig, study: Study, progress: Any
) -> tuple[Findings | None, Findings | None]:
    """The same measuring on practice music: as it is, and through the codec."""
    from musika.evaluation.control_practice import practice_kind, practice_music, study_practice

    if practice_kind(control) is None:
        return None, None
    plain, coded = (
        study_practice(preset, control, study, practice_music(preset, control, study, coded), progress)
        for coded in (False, True)
    )
    return plain, coded


def _command(args: argparse.Namespace, control: str) -> str:
    """The command that gives the report once more."""
    parts = [f"musika evaluate control {args.preset} --control {control}"]
    for name in ("range", "pieces", "seconds", "curves", "seeds", "annotator", "data"):
        value = getattr(args, name)
        if value is not None:
            parts.append(f"--{name} {value:g}" if isinstance(value, float) else f"--{name} {value}")
    return " ".join(parts + ["--no-practice"] * args.no_practice)


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status.

    Raises:
        UserError: If an argument is out of its range, or the preset has no such control.
    """
    study = _study(args)
    from musika.cli.quiet import import_keras

    import_keras()
    from pathlib import Path

    from tqdm import tqdm

    import musika
    from musika.evaluation.control import study_tempo, study_values
    from musika.evaluation.control_cost import control_cost
    from musika.evaluation.control_plot import save_control_plot
    from musika.evaluation.report import environment, save_report, table

    preset = musika.load(args.preset)
    control = _choose(preset, args.control)
    with tqdm(unit="piece", dynamic_ncols=True, leave=False) as bar:
        pieces = (study_tempo if control.clock else study_values)(preset, control, study, bar.update)
        plain, coded = (None, None) if args.no_practice else _practise(preset, control, study, bar.update)
        cost = control_cost(preset, args.data) if args.data else {}
    found = {"pieces": pieces, "practice music": plain, "the same through the codec": coded}
    scores = {side: findings.scores for side, findings in found.items() if findings is not None}
    rows = {
        name: {side: "-" if score.get(name) is None else score[name] for side, score in scores.items()}
        for name in pieces.scores
    }
    rows |= {name: {side: value if side == "pieces" else "-" for side in scores} for name, value in cost.items()}
    print(table(rows, control.name))
    if args.out:
        practice = {side: score for side, score in scores.items() if side != "pieces"}
        report = {
            "kind": "control",
            "command": _command(args, control.name),
            "preset": preset.name,
            "preset_hash": preset.hash,
            "control": control.name,
            "annotator": study.annotator,
            "seeds": list(study.seeds),
            "scores": {**pieces.scores, **cost},
            "practice": practice,
            "pieces": pieces.constants,
            "curves": pieces.curves,
            "environment": environment(),
        }
        save_report(Path(args.out), report)
        picture = Path(args.out).with_suffix(".png")
        save_control_plot(picture, control, pieces, plain, f"{preset.name}: {control.name}, heard by {study.annotator}")
        print(f"report: {args.out}   picture: {picture}")
    return 0
