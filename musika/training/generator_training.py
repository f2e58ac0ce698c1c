"""``musika train generator``: latents -> a run folder whose preset plays.

latents --crops--> LatentGan.fit --every save--> last/ (to go on from), preset/ (to play), samples/ (to judge)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.audio.stereo import to_mid_side
from musika.checks import UserError, check_integer, check_number
from musika.config import Config, GeneratorTrainingConfig, load_config
from musika.data.crops import LatentCrops, LatentData, Normalisation, load_latent_data
from musika.gan.conditioning import with_quantiles, without_unknown_bars
from musika.gan.coordinates import LEAST_TRUNCATION
from musika.presets import Preset, find_preset, load_preset
from musika.training.batches import GanBatches
from musika.training.gan_networks import build_gan, measure_codec
from musika.training.generator_saves import GeneratorSaves
from musika.training.generator_trainer import GeneratorTrainer
from musika.training.run import Run
from musika.training.several import on_all_cards

KIND = "generator"
Judge = Callable[[GeneratorSaves, int], Callable[[int], bool]]


def check_settings(settings: GeneratorTrainingConfig) -> None:
    """Check the training's settings before anything is made from them.

    Args:
        settings: The settings.

    Raises:
        UserError: If one is out of range.
    """
    for name in ("batch_size", "refiner_batch", "steps", "penalty_every", "spectral_penalty_every", "save_every"):
        check_integer(getattr(settings, name), f"generator_training.{name}", 1, 10**9)
    check_integer(settings.seed, "seed", 0, 2**63 - 1)
    check_number(settings.learning_rate, "generator_training.learning_rate", above=0.0, high=1.0)
    check_number(settings.refiner_rate, "generator_training.refiner_rate", above=0.0, high=1e6)
    unknown = sorted(set(settings.trains) - {"generator", "refiner"})
    if unknown or not settings.trains:
        raise UserError(
            "generator_training.trains must name generator, refiner or both."
            f" Received: {', '.join(unknown) or 'nothing'}"
        )
    for name in ("critic_first", "critic_joints", "patience"):
        check_integer(getattr(settings, name), f"generator_training.{name}", 0, 10**9)
    for name in ("decay_from", "decay_to", "ema", "held_out", "emphasis", "cutout"):
        check_number(getattr(settings, name), f"generator_training.{name}", 0.0, 1.0)
    check_number(settings.penalty_certainty, "generator_training.penalty_certainty", 0.0, 1.0)
    matchings = ("moments", "joint_matching", "rise_matching", "level_matching", "change_matching")
    weights = ("penalty_max", "penalty_step", "mismatch", "control_loss", "spectral_critic", "spectral_penalty")
    for name in (*weights, *matchings, "instance_noise"):
        check_number(getattr(settings, name), f"generator_training.{name}", 0.0, 1e6)
    if settings.truncation:
        check_number(settings.truncation, "generator_training.truncation", LEAST_TRUNCATION, 100.0)
    if settings.joint_matching and not settings.critic_joints:
        raise UserError(
            "generator_training.joint_matching compares the joints that the critic is shown, and it is shown none."
            " Set critic_joints, such as 24, or joint_matching to 0."
        )


def _new_config(config: str | Path | Config, codec: Preset, start: Preset | None, changes: dict[str, Any]) -> Config:
    """The config of a new run: its codec is the preset's, its generator the one that it starts from."""
    resolved = config if isinstance(config, Config) else load_config(config)
    if start is not None:
        if start.generator is None:
            raise UserError(f"preset {start.name!r} has no generator to start from. Leave --from out.")
        if start.config.codec.latent_channels != codec.config.codec.latent_channels:
            raise UserError(
                f"--from {start.name} makes {start.config.codec.latent_channels} latent channels, --codec {codec.name} "
                f"has {codec.config.codec.latent_channels}. Start from a preset with the same codec."
            )
        # Its generator makes latents of one scale; a normalised preset stays normalised, by the new data's statistics.
        changes = {**changes, "normalise": bool(getattr(start.std, "ndim", 0))}
        controls = resolved.generator.controls or start.config.generator.controls
        refiner = resolved.generator.refiner if resolved.generator.refiner.kept else start.config.generator.refiner
        resolved = dataclasses.replace(
            resolved, generator=dataclasses.replace(start.config.generator, controls=controls, refiner=refiner)
        )
    settings = dataclasses.replace(resolved.generator_training, **changes)
    check_settings(settings)
    if "generator" not in settings.trains and not resolved.generator.refiner.kept:
        raise UserError(
            "generator_training.trains asks for the refiner alone, and the config has none. Set generator.refiner.kept,"
            " such as 16."
        )
    return dataclasses.replace(
        resolved,
        sample_rate=codec.config.sample_rate,
        spectral=codec.config.spectral,
        codec=codec.config.codec,
        generator_training=settings,
    )


def _resumed_run(out: str | Path, codec: str | Path | None, steps: int | None) -> tuple[Run, Preset]:
    """Open a run to go on with it, and its codec's preset."""
    run = Run.open(out, KIND)
    preset = load_preset(codec or run.settings["codec"])
    if preset.codec.hash != run.settings["codec_hash"]:
        raise UserError(
            f"this run was trained with codec {run.settings['codec_hash']}, {preset.name!r} is codec "
            f"{preset.codec.hash}. Give --codec the preset that it was started with."
        )
    settings = run.config.generator_training
    if steps is not None and steps != settings.steps:
        settings = dataclasses.replace(settings, steps=check_integer(steps, "steps", 1, 10**9))
        run.change_config(dataclasses.replace(run.config, generator_training=settings))
    return run, preset


def train_generator(
    config: str | Path | Config,
    codec: str | Path | None,
    data: str | Path | None,
    out: str | Path,
    start: str | Path | None = None,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    xla: bool = False,
    shown: bool = True,
    say: Callable[[str], None] = print,
    judge: Judge | None = None,
    notes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a generator on the latents of one codec.

    Args:
        config: Name or path of the config, or the config. Its codec is replaced by that of ``codec``; a resumed run has
            its own.
        codec: The preset that encoded the latents; a resumed run remembers its own.
        data: Folder of latent files; likewise.
        out: The run folder.
        start: A preset whose generator is trained further.
        resume: Whether to go on with the run in ``out``.
        steps: Steps in all, instead of the config's.
        minutes: Stop after so long.
        seed: Seed of weights and random inputs, instead of the config's.
        xla: Whether TensorFlow compiles the step by XLA.
        shown: Whether a progress bar is shown.
        say: Receives the lines that are printed.
        judge: Gets what writes the saves, and the step at which the training begins; what it gives is called after
            every save with the step, and says by True that the training may end.
        notes: What ``run.json`` shall remember besides: ``command`` is how the run was started, ``go_on`` how it goes
            on.

    Returns:
        The closing report: ``step``, ``seconds_per_step``, ``ended`` (done, time, stopped or enough) and the scores.

    Raises:
        UserError: If something given is wrong, or the training does not stay finite.
    """
    if minutes is not None:
        check_number(minutes, "minutes", above=0.0, high=1e6)
    start_preset = None
    if resume:
        run, codec_preset = _resumed_run(out, codec, steps)
        latents = _load_data(data or run.settings["data"], codec_preset, run.config, say)
    else:
        if codec is None or data is None:
            raise UserError("a new run needs --codec (the preset that encoded the latents) and --data (their folder).")
        codec_preset = load_preset(codec)
        start_preset = None if start is None else load_preset(start)
        changes = {"steps": steps, "seed": seed}
        changes = {name: value for name, value in changes.items() if value is not None}
        resolved = _new_config(config, codec_preset, start_preset, changes)
        latents = _load_data(data, codec_preset, resolved, say)
        controls = without_unknown_bars(resolved.generator.controls, latents.conditions)
        controls = with_quantiles(controls, latents.conditions)
        resolved = dataclasses.replace(resolved, generator=dataclasses.replace(resolved.generator, controls=controls))
        run = Run.create(out, resolved, _run_settings(config, codec_preset, data, start_preset) | (notes or {}))
    statistics = _prepare(latents, run.config, codec_preset)
    measured = measure_codec(run.config, codec_preset.codec, statistics, latents.training)
    with on_all_cards(run.config.generator_training.batch_size, say):
        gan = build_gan(run.config, start_preset, xla, latents.conditions, music=latents.training, **measured)
    settings = run.config.generator
    crops = LatentCrops(latents.training, settings.window_latents, settings.mid_side, latents.conditions)
    batches = GanBatches(crops, run.config, gan.generator.noise_layers)
    saves = GeneratorSaves(
        run,
        gan,
        batches,
        codec_preset.codec,
        statistics,
        latents,
        shown,
        say,
        codec_preset.metadata.get("codec_training"),
    )
    trainer = GeneratorTrainer(run, gan, batches, saves)
    if resume and run.last is not None:
        trainer.resume()
    if judge is not None:
        trainer.judge = judge(saves, trainer.progress.step)
    saves.open(trainer.progress.step)
    try:
        ended = trainer.train(minutes)
    finally:
        saves.close()
    return saves.closing_word(trainer.progress.step, trainer.seconds_per_step, ended)


def _run_settings(config: str | Path | Config, codec: Preset, data: str | Path, start: Preset | None) -> dict[str, Any]:
    """What a run remembers of what it was started with."""
    return {
        "kind": KIND,
        "config": config.name if isinstance(config, Config) else str(config),
        "codec": str(_folder(codec)),
        "codec_hash": codec.codec.hash,
        "data": str(Path(data).resolve()),
        "from": None if start is None else str(_folder(start)),
        "earlier": [] if start is None else earlier_trainings(start.metadata),
    }


def earlier_trainings(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The trainings that a preset has behind it, the first one first, in a few words each."""
    notes = metadata.get("generator_training", {})
    kept = ("config", "data", "steps", "hours", "scores")
    own = {name: notes[name] for name in kept if notes.get(name)}
    return [*notes.get("earlier", []), own] if own else []


def _folder(preset: Preset) -> Path:
    """The absolute folder of a preset that was read from disk."""
    return find_preset(preset.folder or preset.name).resolve()


def _load_data(data: str | Path, codec: Preset, config: Config, say: Callable[[str], None]) -> LatentData:
    """Load the latents; say what is trained on, and what is left out and why."""
    latents = load_latent_data(data, codec.codec.hash, config, codec.name)
    for name, reason in latents.skipped:
        say(f"left out: {name}: {reason}")
    counts = [sum(len(part) for part in parts) for parts in (latents.training, latents.held_out)]
    minutes = [count / config.latent_rate / 60.0 for count in counts]
    say(
        f"{len(latents.used)} latent files used, {len(latents.skipped)} left out; "
        f"{minutes[0]:.1f} minutes to train on, {minutes[1]:.1f} held out."
    )
    controls = config.generator.controls
    if controls and not any(part.any() for part in latents.conditions):
        names = ", ".join(control.name for control in controls)
        raise UserError(
            f"the config has controls ({names}), but no latent file in {data} is annotated with one. Run"
            f" `musika annotate {data}` first, or take the controls out of the config."
        )
    if controls:
        say(f"controls {', '.join(control.name for control in controls)}: {latents.annotated} files are annotated.")
    return latents


def _prepare(latents: LatentData, config: Config, codec: Preset) -> Normalisation | None:
    """Bring latents into the form that the GAN makes, in place: middle and side, normalised, as the config says."""
    settings, mid_side = config.generator_training, config.generator.mid_side
    if mid_side:
        latents.training = [to_mid_side(part) for part in latents.training]
        latents.held_out = [to_mid_side(part) for part in latents.held_out]
    if not settings.normalise:
        return None
    statistics = Normalisation.measure(latents.training, mid_side, _emphasis(codec, settings.emphasis))
    latents.training = [statistics.apply(part) for part in latents.training]
    latents.held_out = [statistics.apply(part) for part in latents.held_out]
    return statistics


def _emphasis(codec: Preset, exponent: float) -> np.ndarray | None:
    """The size of each latent channel to the GAN: its principal component's deviation to a power, of mean square 1."""
    if not exponent or codec.config.codec.architecture != "compact":
        return None
    deviation = keras.ops.convert_to_numpy(codec.codec.networks["level2_encoder"].components.scale).astype(np.float64)
    size = deviation**exponent
    return size / np.sqrt(np.mean(size**2))
