"""What a codec's training is asked to do: which phases, how many steps of each, and whether the settings make sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from musika.checks import UserError, check_integer, check_number
from musika.config import Config, load_config
from musika.data.audio_pool import parse_corpus
from musika.training.codec_phase import PHASES
from musika.training.codec_start import origin_of
from musika.training.run import Run

BEGINNING = {"phase": "", "step": 0}  # where a new run stands
_OF_SPECTRA = ("magnitude", "difference", "phasor", "low_phasor", "low_waveform", "low_onsets", "phase_steps")
_WEIGHTS = (*_OF_SPECTRA, "waveform", "border", "latent", "adversarial")


def check_settings(config: Config, only: str | None = None) -> None:
    """Check the training's settings before anything is made from them.

    Args:
        config: The config.
        only: Train this phase alone.

    Raises:
        UserError: If one is out of range, or a phase does not exist.
    """
    training = config.codec_training
    for name in ("save_every", "component_patches"):
        check_integer(getattr(training, name), f"codec_training.{name}", 1, 10**9)
    check_integer(training.seed, "codec_training.seed", 0, 2**63 - 1)
    check_number(training.held_out, "codec_training.held_out", 0.0, 0.9)
    low = check_number(training.gain_low_db, "codec_training.gain_low_db", -200.0, 200.0)
    check_number(training.gain_high_db, "codec_training.gain_high_db", low, 200.0)
    for name, _ in remaining_phases(config, BEGINNING, only):
        _check_phase(config, name)


def _check_phase(config: Config, name: str) -> None:
    """Check the settings of a phase, if it is not left out."""
    settings, place = getattr(config.codec_training, name), f"codec_training.{name}"
    if not check_integer(settings.steps, f"{place}.steps", 0, 10**9):
        return
    for key in ("crops", "crop_latents"):
        check_integer(getattr(settings, key), f"{place}.{key}", 1, 10**6)
    check_number(settings.learning_rate, f"{place}.learning_rate", above=0.0, high=1.0)
    for key in ("adversarial_from", "through_level2"):
        check_number(getattr(settings, key), f"{place}.{key}", 0.0, 1.0)
    for key in _WEIGHTS:
        check_number(getattr(settings, key), f"{place}.{key}", 0.0, 1e6)
    needed = _WEIGHTS if PHASES[name].decodes else ("latent",)
    if not any(getattr(settings, key) for key in needed):
        raise UserError(
            f"{place} would learn nothing: what it learns from has no weight. Set {' or '.join(needed)} above 0, or its"
            " steps to 0."
        )
    together = config.codec.decoder_frames // config.codec.frames_per_latent
    if config.codec.architecture == "published" and settings.crop_latents % max(together, 1):
        raise UserError(
            f"{place}.crop_latents must be a multiple of {together}, which the published graph decodes together."
            f" Received: crop_latents={settings.crop_latents}"
        )


def remaining_phases(config: Config, state: dict[str, Any], only: str | None = None) -> list[tuple[str, int]]:
    """The phases still to train, with the steps already done in each.

    Args:
        config: The config.
        state: Where the run stands.
        only: Train this phase alone.

    Returns:
        Names and steps done.

    Raises:
        UserError: If a phase does not exist.
    """
    order = [only] if only else list(config.codec_training.order)
    for name in order:
        if name not in PHASES:
            raise UserError(f"there is no phase {name!r}; allowed are {', '.join(PHASES)}.")
    if state["phase"] in order:
        order = order[order.index(state["phase"]) :]
    return [(name, int(state["step"]) if name == state["phase"] else 0) for name in order]


def shared_crops(config: Config, only: str | None = None) -> list[int]:
    """The sizes of the batches that a training takes.

    Args:
        config: The config.
        only: Train this phase alone.

    Returns:
        Crops of each phase that has steps.

    >>> shared_crops(load_config("base"))
    [16, 16, 32, 16]
    """
    phases = [getattr(config.codec_training, name) for name in ([only] if only else config.codec_training.order)]
    return [phase.crops for phase in phases if phase.steps]


def with_steps(config: Config, steps: int, names: Iterable[str]) -> Config:
    """A config with another number of steps.

    Args:
        config: The config.
        steps: Steps of each phase.
        names: The phases.

    Returns:
        The config.

    Raises:
        UserError: If the number is out of range.

    >>> with_steps(load_config("debug"), 7, ["level1_phase"]).codec_training.level1_phase.steps
    7
    """
    training = config.codec_training
    check_integer(steps, "steps", 0, 10**9)
    phases = {name: dataclasses.replace(getattr(training, name), steps=steps) for name in names}
    return dataclasses.replace(config, codec_training=dataclasses.replace(training, **phases))


def check_resumed(out: str | Path, config: str | Path | None, data: str | None, start: str | Path | None) -> None:
    """Check that what is given for a run that goes on is what it was begun with.

    Args:
        out: The run folder.
        config: Name or path of a config; None where none is given, likewise below. Other steps are no difference.
        data: Folder of audio, or a practice corpus.
        start: A preset or run whose codec the run started from.

    Raises:
        UserError: If the run has something else, or there is no such run.
    """
    run = Run.open(out, "codec")
    if config is not None and _without_steps(load_config(config)) != _without_steps(run.config):
        raise UserError(f"--config {config} differs from the config that {out} was begun with. Leave --config out.")
    if data is not None and _source(data) != _source(run.settings["data"]):
        raise UserError(f"{out} is trained on {run.settings['data']}, not on {data}. Leave --data out.")
    if start is not None and origin_of(start)["from"] != run.settings.get("from"):
        begun = run.settings.get("from") or "no other codec"
        raise UserError(f"{out} was begun from {begun}, not from {start}. Leave --from out.")


def _without_steps(config: Config) -> Config:
    """A config with all that a run may not change."""
    return dataclasses.replace(with_steps(config, 0, PHASES), name="")


def _source(data: str) -> Any:
    """What a source of audio stands for, however it is spelt."""
    return parse_corpus(data) or Path(data).resolve()
