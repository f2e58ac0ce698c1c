"""The latent GAN as a Keras model: one training step of generator, critic and averaged generator.

A step follows the published training: the generator makes the two patches of each window alone, the critic sees them
joined; both networks move at every step, judged by the same scores (hinge losses); real latents bear a gradient penalty
of adaptive weight; an exponential moving average of the generator is what music is sampled from.

Everything random comes with the data (see ``training/batches.py``), so a step is a function of its weights and its
batch alone, on every backend.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from musika.config import GeneratorTrainingConfig
from musika.gan.auxiliary import ControlDistance
from musika.training.adversarial import fake_hinge, generator_hinge, real_hinge
from musika.training.autodiff import (
    apply_gradients,
    gradients,
    input_gradient,
    joint_gradients,
    mean_over_replicas,
    replicas,
    without_gradients,
)
from musika.training.ema import ema_decay, update_average
from musika.training.flow_matching import FlowMatching
from musika.training.joints import with_joints
from musika.training.penalty import next_factor, squared_slope
from musika.training.running_means import RunningMeans
from musika.training.spectral_critic import SpectralCritic

Tensor = Any


def split_windows(windows: Tensor) -> Tensor:
    """Cut windows into their two patches.

    Args:
        windows: `(batch, window, channels)`.

    Returns:
        `(2 * batch, window / 2, channels)`: all first halves, then all second halves.

    >>> ops.convert_to_numpy(split_windows(ops.reshape(ops.arange(8), (2, 4, 1))))[:, :, 0].tolist()
    [[0, 1], [4, 5], [2, 3], [6, 7]]
    """
    half = windows.shape[1] // 2
    return ops.concatenate([windows[:, :half], windows[:, half:]], axis=0)


def join_patches(patches: Tensor) -> Tensor:
    """Join the two patches of each window in time.

    Args:
        patches: `(2 * batch, patch_latents, channels)`: all first halves, then all second halves.

    Returns:
        Windows, `(batch, 2 * patch_latents, channels)`.

    >>> ops.convert_to_numpy(join_patches(ops.reshape(ops.arange(4), (4, 1, 1))))[:, :, 0].tolist()
    [[0, 2], [1, 3]]
    """
    count = ops.shape(patches)[0] // 2
    return ops.concatenate([patches[:count], patches[count:]], axis=1)


def _seen(matching: str) -> str:
    """The name, among a step's scalars, of what a matching is to follow: an array, taken out again."""
    return f"{matching}_seen"


class LatentGan(keras.Model):
    """Generator, critic and averaged generator, trained together by ``fit``.

    A batch is a dictionary: ``real`` `(batch, window, channels)`, ``coordinates`` `(batch, window,
    2 * coordinate_channels + control columns)`, ``noise`` `(batch, window, noise_layers)`, with controls ``conditions``
    `(batch, window, control columns)` of the real windows, which the generated ones share, and, when the config has
    instance noise, ``fake_noise`` of the shape of ``real``, with cutout ``fake_mask`` and ``real_mask``
    `(batch, window, 1)` (``real`` has its own of both in it already), with a refiner what `flow_batch` gives.

    Attributes:
        generator: The trained generator.
        critic: The trained critic.
        average: The averaged generator.
        auxiliary: Hears controls in latents; None when the settings have no control loss.
        matchings: What compares generated latents with the training music's, by the name that its weight has in the
            settings.
        spectral_critic: Judges the spectrogram that latents stand for; None when the settings give it no weight.
        flow_matching: Trains the refiner; None where there is none.
        penalty_factor: The penalty's adaptive factor, from 0 to 1.
        settings: The training's settings.
    """

    def __init__(
        self,
        generator: keras.Model,
        critic: keras.Model,
        average: keras.Model,
        settings: GeneratorTrainingConfig,
        xla: bool = False,
        auxiliary: keras.Model | None = None,
        control_distance: ControlDistance | None = None,
        joints: np.ndarray | None = None,
        matchings: dict[str, RunningMeans] | None = None,
        spectral_critic: SpectralCritic | None = None,
        flow_matching: FlowMatching | None = None,
    ) -> None:
        """Put the networks together and make their optimisers.

        Args:
            generator: Built by ``build_generator``.
            critic: Built by ``build_critic``.
            average: A second generator of the same shapes; its weights are set to the generator's.
            settings: The training's settings.
            xla: Whether TensorFlow compiles the step by XLA: slower on a CPU (28 s to compile, then twice the time).
            auxiliary: Built by ``build_auxiliary``, for a control loss.
            control_distance: What it learns by, and the generator by it.
            joints: From ``measure_joints``, for a critic that is shown them.
            matchings: Made from the training latents, for a generator that is told how its own differ: by the names of
                their weights in the settings.
            spectral_critic: A second critic.
            flow_matching: What trains the refiner.
        """
        super().__init__(name="latent_gan")
        self.generator, self.critic, self.average = generator, critic, average
        self.auxiliary: Any = auxiliary
        self._control_distance: Any = control_distance
        self._joints = joints
        self.matchings: Any = dict(matchings or {})
        self.spectral_critic: Any = spectral_critic
        self.flow_matching: Any = flow_matching
        self.settings = settings
        self.penalty_factor = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="penalty_factor", dtype="float32", aggregation="mean"
        )
        average.set_weights(generator.get_weights())
        average.trainable = False
        self.generator_optimizer = self._optimizer(generator)
        self.critic_optimizer = self._optimizer(critic)
        self.auxiliary_optimizer = None if auxiliary is None else self._optimizer(auxiliary)
        self.spectral_critic_optimizer = None if spectral_critic is None else self._optimizer(spectral_critic)
        self.built = True
        self.compile(optimizer=None, jit_compile=xla)

    def _optimizer(self, network: keras.Model) -> keras.optimizers.Optimizer:
        """Adam for one network, the same at every precision."""
        settings = self.settings
        optimizer = keras.optimizers.Adam(settings.learning_rate, beta_1=settings.beta_1, beta_2=settings.beta_2)
        optimizer.build(network.trainable_variables)
        return optimizer

    @property
    def networks(self) -> dict[str, keras.Model]:
        """The networks by the names that they are saved under."""
        flow = self.flow_matching
        networks = {
            "generator": self.generator,
            "critic": self.critic,
            "average": self.average,
            "auxiliary": self.auxiliary,
            **self.matchings,
            "spectral_critic": self.spectral_critic,
            "refiner": None if flow is None else flow.refiner,
            "average_refiner": None if flow is None else flow.average,
        }
        return {name: network for name, network in networks.items() if network is not None}

    @property
    def optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimisers by the names that they are saved under."""
        optimizers = {
            "generator": self.generator_optimizer,
            "critic": self.critic_optimizer,
            "auxiliary": self.auxiliary_optimizer,
            "spectral_critic": self.spectral_critic_optimizer,
            "refiner": None if self.flow_matching is None else self.flow_matching.optimizer,
        }
        return {name: optimizer for name, optimizer in optimizers.items() if optimizer is not None}

    @property
    def steps_done(self) -> int:
        """Training steps so far."""
        optimizer = self.critic_optimizer if "generator" in self.settings.trains else self.flow_matching.optimizer
        return int(ops.convert_to_numpy(optimizer.iterations.value))

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of all networks.

        Args:
            rate: The rate of the next steps.
        """
        for name, optimizer in self.optimizers.items():
            optimizer.learning_rate.assign(rate * self.settings.refiner_rate if name == "refiner" else rate)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Make windows by the averaged generator.

        Args:
            inputs: ``[coordinates, noise]`` of windows, as in a batch.

        Returns:
            Latents, `(batch, window, channels)`.
        """
        return self._windows(self.average, *inputs)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """One step of both networks, the penalty's factor and the average.

        Args:
            data: ``(batch,)``, the batch as the class describes it.

        Returns:
            Scalars by name: losses, mean scores, penalty and its factor.
        """
        batch = {name: ops.convert_to_tensor(value) for name, value in data[0].items()}
        logs = self._train_gan(batch) if "generator" in self.settings.trains else {}
        if self.flow_matching is not None and "refiner" in self.settings.trains:
            logs |= self.flow_matching.step(batch)
            without_gradients(self.flow_matching.move_average)
        return logs

    def _train_gan(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step of generator and critics: scalars by name."""
        # Linear in the losses, so the two sides of the critic may be differentiated apart: only the real one has a
        # penalty, and only the generated one is shared with the generator.
        real_loss, real_logs, real_side = self._real_side(self._shown(batch["real"]), batch.get("conditions"))
        fake_losses, fake_logs, (fake_side, toward_critic, *others) = self._fake_side(batch)
        apply_gradients(
            self.critic_optimizer,
            [real + fake for real, fake in zip(real_side, fake_side, strict=True)],
            self.critic.trainable_variables,
        )
        controls_logs = self._hear_controls(batch)
        spectral_logs = self._see_spectrograms(batch["real"], *others) if others else {}
        if self.settings.critic_first:
            open_gate = ops.cast(self.generator_optimizer.iterations.value >= self.settings.critic_first, "float32")
            toward_critic = [gradient * open_gate for gradient in toward_critic]
        apply_gradients(self.generator_optimizer, toward_critic, self.generator.trainable_variables)
        without_gradients(lambda: self._move_averages(real_logs["real_score"], fake_logs["fake_score"]))
        for name, matching in self.matchings.items():
            without_gradients(functools.partial(matching.follow, fake_logs.pop(_seen(name))))
        if self.spectral_critic is not None:
            seen = (spectral_logs["real_spectral_score"], fake_logs["fake_spectral_score"])
            without_gradients(lambda: self._move_factor(self.spectral_critic.penalty_factor, *seen))
        copies = replicas()
        return {
            "critic_loss": (real_loss + fake_losses[0]) * copies,
            "generator_loss": fake_losses[1] * copies,
            **real_logs,
            **fake_logs,
            **controls_logs,
            **spectral_logs,
            "penalty_factor": self.penalty_factor.value + 0.0,  # a number of its own, not the variable
        }

    def _real_side(self, real: Tensor, conditions: Tensor | None) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The critic's loss on real latents with its penalty: loss, scalars, gradients by the critic."""
        every = self.settings.penalty_every
        if every == 1:
            return self._real_gradients(real, conditions, penalised=True)
        due = ops.equal(ops.mod(self.critic_optimizer.iterations.value, every), 0)
        return ops.cond(
            due,
            lambda: self._real_gradients(real, conditions, penalised=True),
            lambda: self._real_gradients(real, conditions, penalised=False),
        )

    def _real_gradients(
        self, real: Tensor, conditions: Tensor | None, penalised: bool
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The real side with or without the penalty."""
        weight = self.settings.penalty_max * self.settings.penalty_every

        def loss_function() -> tuple[Tensor, dict[str, Tensor]]:
            """The loss and its scalars."""
            if penalised:
                scores, slope = input_gradient(lambda windows: self._score(windows, conditions), real)
                penalty = squared_slope(slope)
            else:
                scores, penalty = self._score(real, conditions), ops.zeros(())
            loss = 0.5 * real_hinge(scores) + weight * self.penalty_factor.value * penalty
            if self.settings.mismatch > 0 and conditions is not None:
                loss = loss + 0.5 * self.settings.mismatch * self._mismatch_loss(real, conditions)
            return loss / replicas(), {"real_score": ops.mean(scores), "penalty": penalty}

        return gradients(loss_function, self.critic.trainable_variables)

    def _mismatch_loss(self, real: Tensor, conditions: Tensor) -> Tensor:
        """The critic's loss on real latents that are told the controls of another example, as if they were generated.

        Source: Reed et al. 2016, "Generative Adversarial Text to Image Synthesis", section 4.2 (GAN-CLS).
        """
        others = ops.roll(conditions, 1, axis=0)
        told = ops.cast(ops.any(ops.not_equal(others, 0.0), axis=(1, 2)), "float32")
        scores = self._score(real, others)[:, 0]
        return ops.sum(told * ops.relu(1.0 + scores)) / ops.maximum(ops.sum(told), 1.0)

    def _fake_side(self, batch: dict[str, Tensor]) -> tuple[list[Tensor], dict[str, Tensor], list[list[Tensor]]]:
        """Both losses on generated latents: losses, scalars, gradients by the critic and by the generator."""

        def loss_function() -> tuple[list[Tensor], dict[str, Tensor]]:
            """All losses on the same generated windows, and their scalars."""
            made = fake = self._windows(self.generator, batch["coordinates"], batch["noise"], training=True)
            if "fake_mask" in batch:
                fake = fake * batch["fake_mask"]
            if "fake_noise" in batch:
                fake = fake + batch["fake_noise"]
            scores = self._score(self._shown(fake), batch.get("conditions"))
            logs = {"fake_score": ops.mean(scores)}
            toward_critic = generator_hinge(scores)
            if self.auxiliary is not None:
                logs["control_generated"] = self._control_distance(
                    self.auxiliary(fake, training=True), batch["conditions"]
                )
                toward_critic = toward_critic + self.settings.control_loss * logs["control_generated"]
            for name, matching in self.matchings.items():
                distance, logs[name], logs[_seen(name)] = matching.compare(made, fake, batch)
                toward_critic = toward_critic + getattr(self.settings, name) * distance
            losses = [0.5 * fake_hinge(scores), toward_critic]
            if self.spectral_critic is not None:
                scores = self.spectral_critic(self.spectral_critic.seen(fake), training=True)
                logs["fake_spectral_score"] = ops.mean(scores)
                losses[1] = toward_critic + self.settings.spectral_critic * generator_hinge(scores)
                losses.append(0.5 * fake_hinge(scores))
            return [loss / replicas() for loss in losses], logs

        groups = [self.critic.trainable_variables, self.generator.trainable_variables]
        if self.spectral_critic is not None:
            groups.append(self.spectral_critic.trainable_variables)
        return joint_gradients(loss_function, groups)

    def _see_spectrograms(self, real: Tensor, fake_side: list[Tensor]) -> dict[str, Tensor]:
        """One step of the spectral critic: scalars by name."""
        critic, weight = self.spectral_critic, self.settings.spectral_penalty
        spectrogram = critic.seen(real)

        def loss_function() -> tuple[Tensor, dict[str, Tensor]]:
            """The loss on real spectrograms, and its scalars."""
            scores = critic(spectrogram, training=True)
            some = spectrogram[:: self.settings.spectral_penalty_every]
            _, slope = input_gradient(lambda seen: critic(seen, training=True), some)
            penalty = squared_slope(slope)
            loss = 0.5 * real_hinge(scores) + weight * critic.penalty_factor.value * penalty
            return loss / replicas(), {"real_spectral_score": ops.mean(scores), "spectral_penalty": penalty}

        _, logs, real_side = gradients(loss_function, critic.trainable_variables)
        both = [on_real + on_fake for on_real, on_fake in zip(real_side, fake_side, strict=True)]
        apply_gradients(self.spectral_critic_optimizer, both, critic.trainable_variables)
        return logs

    def _hear_controls(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step of the auxiliary network on real latents, if there is one: scalars by name."""
        if self.auxiliary is None:
            return {}

        def loss_function() -> tuple[Tensor, dict[str, Tensor]]:
            """The auxiliary network's loss, and its scalar."""
            loss = self._control_distance(self.auxiliary(batch["real"], training=True), batch["conditions"])
            return loss / replicas(), {"control_real": loss}

        _, logs, found = gradients(loss_function, self.auxiliary.trainable_variables)
        apply_gradients(self.auxiliary_optimizer, found, self.auxiliary.trainable_variables)
        return logs

    @staticmethod
    def _windows(network: keras.Model, coordinates: Tensor, noise: Tensor, training: bool = False) -> Tensor:
        """Make the two patches of each window apart and join them."""
        return join_patches(network([split_windows(coordinates), split_windows(noise)], training=training))

    def _shown(self, windows: Tensor) -> Tensor:
        """Latents as the critic is shown them: with their joints, if it is to see them."""
        return windows if self._joints is None else with_joints(windows, self._joints)

    def _score(self, windows: Tensor, conditions: Tensor | None) -> Tensor:
        """The critic's scores in single precision."""
        inputs = windows if conditions is None else [windows, conditions]
        return ops.cast(self.critic(inputs, training=True), "float32")

    def _move_averages(self, real_score: Tensor, fake_score: Tensor) -> None:
        """Move the penalty's factor and the averaged generator by one step."""
        self._move_factor(self.penalty_factor, real_score, fake_score)
        # The optimiser has counted this step already.
        decay = ema_decay(self.generator_optimizer.iterations.value - 1, self.settings.ema)
        update_average(self.average.variables, self.generator.variables, decay)

    def _move_factor(self, factor: keras.Variable, real_score: Tensor, fake_score: Tensor) -> None:
        """Move a penalty's factor by one step."""
        real_mean, fake_mean = mean_over_replicas(real_score), mean_over_replicas(fake_score)
        step, certain = self.settings.penalty_step, self.settings.penalty_certainty
        factor.assign(next_factor(factor.value, real_mean, fake_mean, step, certain))
