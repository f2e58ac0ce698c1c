"""``musika finetune``: a preset goes on learning from other music, with a recipe for little of it, and is judged.

preset + latents --recipe--> train_generator --every save--> Judge --> last (preset/), best/, report.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musika.checks import UserError, check_integer
from musika.config import Config, ControlConfig, config_from_dict, find_config
from musika.data.annotation import annotation_path, load_annotation
from musika.data.encode import latent_sources
from musika.data.latents import load_latents
from musika.presets import Preset, load_preset
from musika.training.finetune_codec import tune_decoders
from musika.training.finetune_judge import Judge
from musika.training.finetune_report import REPORT
from musika.training.generator_saves import GeneratorSaves
from musika.training.generator_training import train_generator
from musika.training.run import STATE_FILE, read_json

RECIPE = "finetune"
# Up to so many hours of music, so many steps: little music is soon learned by heart.
STEPS = ((1.0, 1500), (10.0, 4000), (np.inf, 9000))
_ENDLESS = 1_000_000  # steps of a training that ends by the clock
_EDGE = 0.01  # share of values at either end that may be an annotator's mistake
_LEAST_WIDTH = 0.04  # of a control's range, as a share of its middle


@dataclass(frozen=True)
class Material:
    """What a folder of latents holds.

    Attributes:
        hours: Length of its music.
        values: By control, the values that occur, of files or of steps.
    """

    hours: float
    values: dict[str, np.ndarray]


def survey(data: str | Path, controls: Sequence[ControlConfig]) -> Material:
    """Look through a folder of latents.

    Args:
        data: The folder.
        controls: The controls that may be annotated.

    Returns:
        Its length and the values of its controls; damaged files are passed over, the training names them.

    Raises:
        UserError: If there are no latent files.
    """
    seconds, found = 0.0, {control.name: [np.zeros(0)] for control in controls if not control.classes}
    for path in latent_sources(data):
        try:
            file = load_latents(path)
            seconds += file.samples / file.sample_rate
            known = load_annotation(annotation_path(path)).controls if annotation_path(path).is_file() else {}
        except UserError:
            continue
        for name, values in found.items():
            value = known.get(name)
            if value is not None and not isinstance(value, str):
                values.append(np.atleast_1d(np.asarray(value, float)))
    return Material(seconds / 3600.0, {name: np.concatenate(values) for name, values in found.items()})


def fitted_control(control: ControlConfig, values: np.ndarray) -> ControlConfig:
    """A control with the range of other music: what a fine-tuned preset can be asked for is what it has heard.

    Args:
        control: The control.
        values: The values that occur; none leaves the control as it is.

    Returns:
        The control with another range, in three digits.

    >>> control = ControlConfig("tempo", low=90.0, high=160.0, clock=True)
    >>> fitted = fitted_control(control, np.linspace(165.0, 180.0, 100))
    >>> fitted.low, fitted.high
    (165.0, 180.0)
    """
    if not len(values) or control.classes:
        return control
    low, high = np.quantile(values, [_EDGE, 1.0 - _EDGE])
    middle, half = (low + high) / 2, max((high - low) / 2, _LEAST_WIDTH / 2 * abs(low + high) / 2, 1e-3)
    low, high = (float(f"{value:.3g}") for value in (middle - half, middle + half))
    if control.clock or control.events or control.scaling == "log":
        low = max(low, min(control.low, float(f"{high / 10:.3g}")))
    return dataclasses.replace(control, low=low, high=high) if low < high else control


def last_save(preset: Preset) -> Path | None:
    """The save that a preset was made with, if it lies in the run that made it.

    Args:
        preset: The preset.

    Returns:
        The folder with the critic's weights and the training's state.
    """
    folder = None if preset.folder is None else preset.folder.parent / "last"
    return folder if folder is not None and (folder / "critic.weights.h5").is_file() else None


def knows_its_critic(preset: Preset) -> bool:
    """Whether the critic that a preset's generator grew up with is there.

    Args:
        preset: The preset.

    Returns:
        True if it is in the preset, or in the run that made it.
    """
    return "critic" in preset.metadata.get("training_networks", []) or last_save(preset) is not None


def _take_over_penalty(saves: GeneratorSaves, preset: Preset) -> None:
    """Go on with the penalty's factor that the critic was used to; a new critic begins at 1."""
    save = last_save(preset)
    if save is not None and (save / STATE_FILE).is_file():
        factor = read_json(save / STATE_FILE).get("progress", {}).get("penalty_factor", 1.0)
        saves.gan.penalty_factor.assign(float(factor))


def recipe_config(preset: Preset, material: Material, changes: dict[str, Any]) -> Config:
    """The config of a fine-tuning: the preset's own, with the recipe of ``configs/finetune.yaml`` over it.

    Args:
        preset: The preset that is fine-tuned.
        material: What it is fine-tuned on.
        changes: Settings of `generator_training` that lie over the recipe.

    Returns:
        The config.

    Raises:
        UserError: If a setting is unknown or of a wrong type.
    """
    import yaml

    recipe = yaml.safe_load(find_config(RECIPE).read_text(encoding="utf-8"))["generator_training"]
    if knows_its_critic(preset):
        recipe["critic_first"] = 0
    recipe["steps"] = next(steps for hours, steps in STEPS if material.hours <= hours)
    values = preset.config.to_dict()
    values["generator_training"] |= recipe | changes
    config = config_from_dict(values)
    controls = tuple(
        fitted_control(control, material.values.get(control.name, np.zeros(0))) for control in config.generator.controls
    )
    return dataclasses.replace(config, generator=dataclasses.replace(config.generator, controls=controls))


def _say_controls(before: Preset, config: Config, say: Callable[[str], None]) -> None:
    """Say which controls have another range now."""
    for control in config.generator.controls:
        old = before.controls[control.name]
        if (old.low, old.high) != (control.low, control.high):
            unit = f" {control.unit}" if control.unit else ""
            say(
                f"{control.name}: {control.low:g} to {control.high:g}{unit} in this music; that is what the new preset"
                f" can be asked for ({before.name}: {old.low:g} to {old.high:g})."
            )


def finetune(
    data: str | Path | None,
    start: str | Path | None,
    out: str | Path,
    codec: str | Path | None = None,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    save_every: int | None = None,
    seed: int | None = None,
    decoders: float | None = None,
    check: bool = True,
    shown: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Fine-tune a preset on a folder of latents.

    Args:
        data: The folder, made by `musika prepare` or `musika encode`; a resumed run remembers its own.
        start: The preset; likewise.
        out: The run folder. ``preset`` is the last save, ``best`` the best one, ``report.html`` shows all.
        codec: A preset with the same latents whose codec shall be used, such as one with fine-tuned decoders; the
            start's own when left out.
        resume: Whether to go on with the run in ``out``.
        steps: Steps in all, instead of what suits the length of the music.
        minutes: Stop after so long; then there is no limit of steps but ``steps``.
        save_every: Steps between two saves, instead of the recipe's.
        seed: Seed of the training, instead of the preset's.
        decoders: Train the codec's decoders on the same music first, for so many minutes at most; their run is
            ``out`` with ``-codec`` behind it.
        check: Whether each save's controls are checked.
        shown: Whether a progress bar is shown.
        say: Receives the lines that are printed.

    Returns:
        The closing report: ``step``, ``ended``, ``best`` (a step), ``verdict``, ``saves`` and more.

    Raises:
        UserError: If something given is wrong, or the training does not stay finite.
    """
    judges: list[Judge] = []

    def judge(saves: GeneratorSaves, step: int) -> Judge:
        """Make the judge, once what it judges is there."""
        if preset is not None:
            _take_over_penalty(saves, preset)
        judges.append(Judge(saves, step, preset, check))
        return judges[0]

    preset: Preset | None = None
    options: dict[str, Any] = {"steps": steps, "minutes": minutes, "shown": shown, "say": say, "judge": judge}
    if resume:
        report = train_generator(RECIPE, codec, data, out, resume=True, **options)
    else:
        if data is None or start is None:
            raise UserError("a new fine-tuning needs a folder of latents and --from with the preset to start from.")
        preset = load_preset(start)
        if preset.generator is None:
            raise UserError(f"preset {preset.name!r} has no generator to fine-tune. Give --from one that makes music.")
        material = survey(data, preset.config.generator.controls)
        changes: dict[str, Any] = {"steps": _ENDLESS} if minutes is not None and steps is None else {}
        if save_every is not None:
            changes["save_every"] = check_integer(save_every, "save_every", 1, 10**9)
        config = recipe_config(preset, material, changes)
        planned = f"{steps or config.generator_training.steps} steps" if minutes is None else f"{minutes:g} minutes"
        say(f"{material.hours:.2f} hours of music, {planned} from {preset.name}.")
        _say_controls(preset, config, say)
        notes = {
            "command": f"musika finetune {Path(data).resolve().name} --from {preset.name}",
            "go_on": f"musika finetune --out {out} --resume",
        }
        if decoders is not None:
            codec = tune_decoders(data, preset, f"{out}-codec", minutes=decoders, shown=shown, say=say)
        report = train_generator(config, codec or start, data, out, start=start, seed=seed, notes=notes, **options)
    return _closing(report, judges[0], Path(out), say)


def _closing(report: dict[str, Any], judge: Judge, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Say how it went and where things are."""
    word = judge.closing_word()
    say(word)
    if (out / "best").is_dir():
        say(f"Best: {out / 'best'}   last: {out / 'preset'}   page: {out / REPORT}")
    content = judge.content()
    return {**report, **content}
