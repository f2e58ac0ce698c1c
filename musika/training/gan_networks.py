"""The networks of a generator's training, and what its losses compare their latents with."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np

from musika.autoencoder.codec import Codec
from musika.checks import UserError
from musika.config import Config, GeneratorTrainingConfig
from musika.data.crops import Normalisation
from musika.gan.auxiliary import ControlDistance, build_auxiliary
from musika.gan.critic import build_critic
from musika.gan.generator import build_generator
from musika.gan.refiner import build_refiner, kept_channels
from musika.presets import Preset
from musika.training.autodiff import accelerated, replicas
from musika.training.changes import ChangeMatching
from musika.training.flow_matching import FlowMatching, measure_deviation
from musika.training.joints import JointMatching, measure_joints
from musika.training.latent_gan import LatentGan
from musika.training.levels import BandLevels, LevelMatching, measure_band_levels
from musika.training.moments import MomentMatching
from musika.training.rises import LevelChanges, RiseMatching, measure_level_changes
from musika.training.running_means import RunningMeans
from musika.training.spectral_critic import LatentSpectrogram, SpectralCritic, measure_spectrogram
from musika.training.take_over import take_over_weights
from musika.upstream import TRAINING_WEIGHTS
from musika.weights import load_weights


def precision_of(settings: GeneratorTrainingConfig) -> str:
    """The Keras dtype policy in which generator and critic are trained.

    Args:
        settings: The training's settings.

    Returns:
        ``mixed_bfloat16`` when switched on, or by ``auto`` on an accelerator; otherwise ``float32``. Bfloat16 has the
        range of float32, so losses are not scaled and no other setting depends on it.

    Raises:
        UserError: If the setting is unknown.
    """
    choice = settings.mixed_precision
    if choice not in ("auto", "on", "off"):
        raise UserError(
            f"generator_training.mixed_precision must be auto, on or off. Received: mixed_precision={choice!r}"
        )
    mixed = choice == "on" or (choice == "auto" and accelerated())
    return "mixed_bfloat16" if mixed else "float32"


def measure_codec(
    config: Config, codec: Codec, statistics: Normalisation | None, music: list[np.ndarray]
) -> dict[str, Any]:
    """Measure what the losses of a config have to know of the codec.

    Args:
        config: The resolved config.
        codec: The codec that encoded the training music.
        statistics: How the latents were normalised, if they were.
        music: The training latents in the form in which the GAN makes them.

    Returns:
        ``joints``, ``level_changes``, ``band_levels`` and ``spectrogram`` for `build_gan`; None what no loss needs.

    Raises:
        UserError: If a loss needs a compact codec, and this is none.
    """
    settings, mid_side = config.generator_training, config.generator.mid_side
    count = settings.critic_joints
    return {
        "joints": measure_joints(codec, statistics, music, count) if count else None,
        "level_changes": measure_level_changes(codec, statistics, mid_side) if settings.rise_matching else None,
        "band_levels": measure_band_levels(codec, statistics, mid_side) if settings.level_matching else None,
        "spectrogram": measure_spectrogram(codec, statistics, mid_side, music) if settings.spectral_critic else None,
    }


def build_gan(
    config: Config,
    start: Preset | None = None,
    xla: bool = False,
    conditions: list[np.ndarray] | None = None,
    joints: np.ndarray | None = None,
    level_changes: LevelChanges | None = None,
    music: list[np.ndarray] | None = None,
    spectrogram: LatentSpectrogram | None = None,
    band_levels: BandLevels | None = None,
) -> LatentGan:
    """Build the networks of a training.

    Args:
        config: The resolved config.
        start: A preset whose generator is trained further.
        xla: Whether TensorFlow compiles the step by XLA, if a single card trains.
        conditions: The control channels of the training music, `(steps, columns)` each; a control loss needs them.
        joints: From ``measure_joints``, if the critic is shown them.
        level_changes: From ``measure_level_changes``, if what grows louder is compared.
        music: The training latents in the form in which the GAN makes them; what is compared with them needs them.
        spectrogram: From ``measure_spectrogram``, for a critic that sees it.
        band_levels: From ``measure_band_levels``, if how often bands are how loud is compared.

    Returns:
        The GAN; initial weights depend on ``generator_training.seed`` alone.
    """
    settings = config.generator_training
    keras.utils.set_random_seed(settings.seed % 2**32)
    dtype = precision_of(settings)
    generator, critic = build_generator(config, dtype=dtype), build_critic(config, dtype=dtype)
    average = build_generator(config, dtype="float32")
    auxiliary = distance = None
    if settings.control_loss > 0 and config.generator.controls and conditions:
        auxiliary, distance = build_auxiliary(config, dtype=dtype), ControlDistance(config, conditions)
    spectral_critic = None
    if settings.spectral_critic > 0 and spectrogram is not None:
        spectral_critic = SpectralCritic(spectrogram, config.generator.window_latents, dtype)
    if start is not None and start.generator is not None:
        _load_start(generator, critic, auxiliary, start)
        _load_spectral_critic(spectral_critic, start)
    _freeze({"generator": generator, "critic": critic}, settings.frozen)
    matchings: dict[str, RunningMeans] = {}
    told = bool(config.generator.controls)
    if settings.moments > 0 and music:
        matchings["moments"] = MomentMatching(music, config.generator.window_latents, config.generator.mid_side)
    if settings.change_matching > 0 and music:
        heard, batch = np.flatnonzero(kept_channels(config)), settings.batch_size // replicas()
        matchings["change_matching"] = ChangeMatching(music, heard, config.generator.window_latents, batch)
    if settings.joint_matching > 0 and joints is not None and music:
        matchings["joint_matching"] = JointMatching(music, joints, told)
    if settings.rise_matching > 0 and level_changes is not None and music:
        matchings["rise_matching"] = RiseMatching(music, level_changes, settings.instance_noise, told)
    if settings.level_matching > 0 and band_levels is not None and music:
        matchings["level_matching"] = LevelMatching(music, band_levels)
    xla = xla and replicas() == 1
    return LatentGan(
        generator,
        critic,
        average,
        settings,
        xla,
        auxiliary,
        distance,
        joints,
        matchings,
        spectral_critic,
        _flow_matching(config, start, music or []),
    )


def _flow_matching(config: Config, start: Preset | None, music: list[np.ndarray]) -> FlowMatching | None:
    """What trains the refiner of a config, if it has one, from that of a preset on."""
    refiner, average = build_refiner(config), build_refiner(config)
    if refiner is None or average is None:
        return None
    before = None if start is None else start.refiner
    # One of another size is left: a new one learns quickly.
    if before is not None and [w.shape for w in before.weights] == [w.shape for w in refiner.weights]:
        refiner.set_weights(before.get_weights())
    if music:
        measure_deviation(refiner, music)
    return FlowMatching(refiner, average, config.generator_training, config)


def _freeze(networks: dict[str, keras.Model], frozen: tuple[str, ...]) -> None:
    """Let layers keep their weights, as `generator_training.frozen` names them."""
    for name in frozen:
        network, _, beginning = name.partition(".")
        layers = networks[network].layers if network in networks else []
        chosen = [layer for layer in layers if beginning and layer.name.startswith(beginning) and layer.weights]
        if not chosen:
            raise UserError(
                "generator_training.frozen must name layers of the generator or the critic, such as critic.block0."
                f" Received: {name!r}"
            )
        for layer in chosen:
            layer.trainable = False


def _load_start(generator: keras.Model, critic: keras.Model, auxiliary: keras.Model | None, start: Preset) -> None:
    """Take over a preset's generator, and what else is there of its training.

    An imported preset may hold the generator as it was trained (not averaged) and its critic; a preset that lies in the
    run that trained it has the run's critic, and its auxiliary network. Those of other sizes are left: new ones learn
    quickly.
    """
    if start.generator is not None:
        take_over_weights(generator, start.generator)
    if start.folder is None:
        return
    kept = start.metadata.get("training_networks", [])
    networks = {name: network for name, network in (("generator", generator), ("critic", critic)) if name in kept}
    if networks:
        load_weights(networks, start.folder / TRAINING_WEIGHTS)
        return
    builders = {"critic": (critic, build_critic), "auxiliary": (auxiliary, build_auxiliary)}
    for name, (network, build) in builders.items():
        path = start.folder.parent / "last" / f"{name}.weights.h5"
        if network is not None and path.is_file():
            with contextlib.suppress(OSError, ValueError, KeyError, UserError):
                before = build(start.config)
                before.load_weights(str(path))
                take_over_weights(network, before)


def _load_spectral_critic(critic: SpectralCritic | None, start: Preset) -> None:
    """Take over the spectral critic of the run that a preset lies in, if there is one of the same size."""
    path = None if start.folder is None else start.folder.parent / "last" / "spectral_critic.weights.h5"
    if critic is not None and path is not None and path.is_file():
        with contextlib.suppress(OSError, ValueError, KeyError):
            critic.load_weights(str(path))
