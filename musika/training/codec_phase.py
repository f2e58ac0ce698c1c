"""One phase of the codec's training, as a Keras model whose ``train_step`` takes crops of audio.

The published recipe has four: level 1 on magnitudes; level 1's phase, adversarially, with the encoder frozen; level 2
on level-1 latents; level 2 through the frozen level-1 decoder. A phase here is the path that the audio takes, the
networks that are trained on it and the weights of the losses; the config may choose all three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from musika.audio.borders import decoder_borders
from musika.autoencoder.critic import build_codec_critic, critic_view
from musika.autoencoder.soft_floor import bin_frequencies
from musika.checks import UserError
from musika.config import CodecPhaseConfig, Config
from musika.training import autodiff
from musika.training.adversarial import critic_hinge, generator_hinge
from musika.training.codec_low_band import LowBandLoss
from musika.training.losses import (
    SCALES,
    MagnitudeLoss,
    border_excess,
    inverse_short_time_spectrum,
    level_amplitude,
    multi_scale_spectral_distance,
    phase_distance,
    scaled_level,
    short_time_spectrum,
)
from musika.training.phase_steps_loss import PhaseStepsLoss

NETWORKS = ("level1_encoder", "level1_decoder", "level2_encoder", "level2_decoder")
_LOW_BAND = ("low_phasor", "low_waveform", "low_onsets")
PHASE_LOW_HZ = 400.0  # below it the ear follows phase (kick, bass); its weight there is highest


@dataclass(frozen=True)
class PhaseRecipe:
    """What the published recipe does in a phase.

    Attributes:
        through_level2: Whether level-1 latents pass through level 2.
        decodes: Whether the level-1 decoder takes part.
        trains: Networks that are trained, or parts of them.
    """

    through_level2: bool
    decodes: bool
    trains: tuple[str, ...]


PHASES = {
    "level1_magnitude": PhaseRecipe(False, True, ("level1_encoder", "level1_decoder")),
    "level1_phase": PhaseRecipe(False, True, ("level1_decoder",)),
    "level2_latent": PhaseRecipe(True, False, ("level2_encoder", "level2_decoder")),
    "level2_signal": PhaseRecipe(True, True, ("level2_encoder", "level2_decoder")),
    "level1_low_phase": PhaseRecipe(False, True, ("level1_decoder/low_phase",)),
    "level1_phase_steps": PhaseRecipe(False, True, ("level1_decoder/phase_steps",)),
}


def trained_variables(networks: dict[str, keras.Model], parts: tuple[str, ...]) -> list[keras.Variable]:
    """The variables that a phase trains.

    Args:
        networks: The four networks by name.
        parts: Names of networks, or of parts of them, such as ``level1_decoder/phase_steps``.

    Returns:
        Trainable variables, in the networks' order.

    Raises:
        UserError: If there is no such network.
    """
    unknown = sorted({part.split("/")[0] for part in parts} - set(NETWORKS))
    if unknown:
        raise UserError(f"codec_training: unknown network {unknown[0]!r} to train; allowed: {', '.join(NETWORKS)}.")
    found: list[Any] = []
    for name in NETWORKS:
        for part in [part for part in parts if part.split("/")[0] == name]:
            source: Any = networks[name] if part == name else getattr(networks[name], part.split("/", 1)[1], None)
            found += [] if source is None else source.trainable_variables
    return found


def crop_samples(config: Config, phase: CodecPhaseConfig) -> int:
    """Samples of a training crop.

    Args:
        config: The config.
        phase: The phase's settings.

    Returns:
        What ``crop_latents`` latent steps of frames cover.
    """
    return phase.crop_latents * config.latent_hop + config.spectral.overlap


class CodecPhase(keras.Model):
    """Trains some of the four networks on one path through them.

    Attributes:
        networks: The four networks by name.
        critic: The codec's critic, or None where the phase has no adversarial loss.
    """

    def __init__(self, networks: dict[str, keras.Model], config: Config, name: str):
        """Set up a phase.

        Args:
            networks: The four networks by name.
            config: The config.
            name: Name of the phase.

        Raises:
            UserError: If the phase or a network to train does not exist.
        """
        super().__init__(name=name)
        if name not in PHASES:
            raise UserError(f"codec_training: there is no phase {name!r}; allowed are {', '.join(PHASES)}.")
        self.config, self.recipe = config, PHASES[name]
        self.settings: CodecPhaseConfig = getattr(config.codec_training, name)
        self.networks = networks
        self.share_level2 = 1.0 if self.recipe.through_level2 else self.settings.through_level2
        self.variables_trained = trained_variables(networks, self.settings.trains or self.recipe.trains)
        if self.settings.steps and not self.variables_trained:
            raise UserError(
                f"codec_training: phase {name} would train nothing: this codec has no part"
                f" {' or '.join(self.settings.trains or self.recipe.trains)}. Set its steps to 0."
            )
        self.critic: Any = build_codec_critic() if self.settings.adversarial else None
        self.magnitude_loss = MagnitudeLoss(config)
        low = config.codec.compact.phase_recurrence and any(getattr(self.settings, key) for key in _LOW_BAND)
        self.low_band_loss = LowBandLoss(config) if low else None
        tracked = config.codec.compact.phase_tracking
        self.steps_loss = PhaseStepsLoss(config) if tracked and self.settings.phase_steps else None
        weights = 1.0 / (1.0 + bin_frequencies(config) / PHASE_LOW_HZ)
        self.phasor_weights = (weights / weights.mean()).astype("float32")
        self.judged = False
        self.built = True

    @property
    def judged_from(self) -> int:
        """The step from which the critic judges, or ``steps`` where there is no critic."""
        settings = self.settings
        return round(settings.adversarial_from * settings.steps) if settings.adversarial else settings.steps

    def set_judged(self, judged: bool) -> None:
        """Let the critic judge from the next step on, or not.

        Args:
            judged: Whether it does.
        """
        if judged != self.judged:
            self.judged = judged
            self.train_function = None  # traced anew

    def optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """Make the phase's optimisers, built for their variables.

        Returns:
            ``networks``, and ``critic`` where there is one.
        """
        rate = self.settings.learning_rate
        made = {"networks": keras.optimizers.Adam(rate, beta_2=0.99)}
        made["networks"].build(self.variables_trained)
        if self.critic is not None:
            made["critic"] = keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9)
            made["critic"].build(self.critic.trainable_variables)
        self.optimizer_of = made
        return made

    def noise_shapes(self, crops: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the noise inputs of a batch.

        Args:
            crops: Crops in the batch.

        Returns:
            Shape by network name, only for networks with noise.
        """
        frames = self.settings.crop_latents * self.config.codec.frames_per_latent
        layers = {name: getattr(self.networks[name], "noise_layers", 0) for name in NETWORKS}
        return {name: (crops, frames, count) for name, count in layers.items() if count}

    def _through_level2(self, level1: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
        """Level-1 latents after level 2, and the latents between."""
        latents = self.networks["level2_encoder"](level1, training=True)
        noisy = latents + batch["latent_noise"]
        decoder = self.networks["level2_decoder"]
        inputs = [noisy, batch["level2_decoder"]] if "level2_decoder" in batch else noisy
        return decoder(inputs, training=True), latents

    def _decode(self, level1: Any, batch: dict[str, Any]) -> tuple[Any, Any, tuple[Any, ...]]:
        """Log-magnitudes and phasor `[cos | sin]` from level-1 latents, and what the compact decoder's heads give."""
        decoder = self.networks["level1_decoder"]
        if self.config.codec.architecture == "compact":
            parts = decoder.heads(level1)
            return (*decoder.joined(parts), parts)
        inputs = [level1, batch["level1_decoder"]] if "level1_decoder" in batch else level1
        level, phase = decoder(inputs, training=True)
        if self.config.codec.phase == "angle":
            phase = ops.concatenate([ops.cos(math.pi * phase), ops.sin(math.pi * phase)], axis=-1)
        return level, phase, ()

    def losses_of(self, batch: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The losses of a batch: of the networks, then of the critic where there is one.

        Args:
            batch: `audio` `(crops, samples)`, `latent_noise`, `mix` and the networks' noise.

        Returns:
            The losses, and every term by name.
        """
        spectral, settings = self.config.spectral, self.settings
        real, imaginary = short_time_spectrum(batch["audio"], spectral.fft_length, spectral.hop_length)
        target = scaled_level(real, imaginary, spectral)
        true_level1 = self.networks["level1_encoder"](target, training=True)
        level1, terms = true_level1, {}
        if self.share_level2:
            level1, latents = self._through_level2(true_level1, batch)
            terms["latent_std"] = _deviation(latents)
            if settings.latent:
                terms["latent"] = ops.mean(ops.abs(level1 - ops.stop_gradient(true_level1)))
            if self.share_level2 < 1.0:
                level1 = batch["mix"] * level1 + (1.0 - batch["mix"]) * true_level1
        if not self.recipe.decodes:
            return [settings.latent * terms["latent"]], terms
        level, phasor, parts = self._decode(level1, batch)
        if self.steps_loss is not None:
            terms["phase_steps"] = self.steps_loss(self.networks["level1_decoder"].steps(parts), real, imaginary)
        if settings.magnitude or settings.difference:
            terms["magnitude"], terms["difference"] = self.magnitude_loss(level, target)
        if settings.phasor:
            terms["phasor"] = phase_distance(phasor, real, imaginary, self.phasor_weights)
        if self.low_band_loss is not None:
            terms |= self.low_band_loss(level_amplitude(ops.minimum(level, 1.5), spectral), phasor, real, imaginary)
        total = sum(getattr(settings, key) * terms[key] for key in terms if key != "latent_std")
        if not (settings.waveform or settings.border or self.judged):
            return [total], terms
        return self._waveform_losses(total, terms, level, phasor, batch)

    def _waveform_losses(
        self, total: Any, terms: dict[str, Any], level: Any, phasor: Any, batch: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Add what is measured on the re-synthesised waveform."""
        spectral, settings = self.config.spectral, self.settings
        cosine, sine = ops.split(phasor, 2, axis=-1)
        amplitude = level_amplitude(ops.minimum(level, 1.5), spectral)
        audio = inverse_short_time_spectrum(amplitude * cosine, amplitude * sine, spectral)
        edge = spectral.overlap  # the outer samples are not fully overlapped
        audio, true = audio[:, edge:-edge], batch["audio"][:, edge:-edge]
        if settings.waveform:
            samples = crop_samples(self.config, settings) - 2 * edge
            scales = tuple(scale for scale in SCALES if 2 * scale <= samples)  # a short crop has no long windows
            terms["waveform"] = multi_scale_spectral_distance(audio, true, scales)
            total = total + settings.waveform * terms["waveform"]
        if settings.border:
            terms["border"] = border_excess(audio, true, *decoder_borders(self.config))
            total = total + settings.border * terms["border"]
        if not self.judged:
            return [total], terms
        fake_scores, real_scores = self.critic(critic_view(audio)), self.critic(critic_view(true))
        terms["adversarial"] = generator_hinge(fake_scores)
        total = total + settings.adversarial * terms["adversarial"]
        terms["critic"] = critic_hinge(real_scores, fake_scores)
        return [total, terms["critic"]], terms

    def train_step(self, batch: Any) -> dict[str, Any]:
        """Take one step.

        Args:
            batch: See `losses_of`.

        Returns:
            Every term by name, and ``loss``.
        """
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        groups = [self.variables_trained]
        if self.judged:
            groups.append(self.critic.trainable_variables)
        losses, terms, found = autodiff.joint_gradients(lambda: self.losses_of(batch), groups)
        for optimizer, gradients, variables in zip(self.optimizer_of.values(), found, groups, strict=False):
            # Losses are means over a batch, and cards share it evenly; clipped is the gradient of the whole.
            autodiff.apply_alike(optimizer, _clip(autodiff.mean_over_replicas(gradients)), variables)
        return {"loss": losses[0], **terms}


def _clip(gradients: list[Any], norm: float = 1.0) -> list[Any]:
    """Scale gradients so that their joint length is at most ``norm``."""
    length = ops.sqrt(sum(ops.sum(ops.square(item)) for item in gradients) + 1e-12)
    factor = ops.minimum(1.0, norm / length)
    return [item * factor for item in gradients]


def _deviation(values: Any) -> Any:
    """Standard deviation over a batch, on several cards over all their shares of it."""
    if autodiff.replicas() == 1:
        return ops.std(values)
    mean = autodiff.mean_over_replicas(ops.mean(values))
    return ops.sqrt(autodiff.mean_over_replicas(ops.mean(ops.square(values - mean))))


def make_batch(phase: CodecPhase, pool: Any, step: int, seed: int) -> dict[str, np.ndarray]:
    """Draw everything random of a step; it depends on the seed, the phase and the step only.

    Args:
        phase: The phase.
        pool: The audio, an `AudioPool`.
        step: Number of the step.
        seed: Seed of the run.

    Returns:
        The batch, see `CodecPhase.losses_of`.
    """
    config, settings = phase.config, phase.settings
    training = config.codec_training
    rng = np.random.Generator(
        np.random.Philox(key=[seed, 100 + list(PHASES).index(phase.name)], counter=[0, 0, 0, step])
    )
    length = crop_samples(config, settings)
    batch = {"audio": pool.crops(settings.crops, length, rng, training.gain_low_db, training.gain_high_db)}
    for name, shape in phase.noise_shapes(settings.crops).items():
        batch[name] = rng.standard_normal(shape, np.float32)
    latents = (settings.crops, settings.crop_latents, config.codec.latent_channels)
    batch["latent_noise"] = config.codec.compact.latent_noise * rng.standard_normal(latents, np.float32)
    if config.codec.architecture == "published":
        batch["latent_noise"] *= 0.0
    batch["mix"] = (rng.random((settings.crops, 1, 1)) < phase.share_level2).astype(np.float32)
    return batch
