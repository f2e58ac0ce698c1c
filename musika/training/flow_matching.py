"""How the refiner learns: on music alone, the way from noise to the finer channels (see ``gan/refiner.py``)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from musika.config import Config, GeneratorTrainingConfig
from musika.gan.coordinates import counter_generator
from musika.gan.refiner import Refiner
from musika.training.autodiff import apply_gradients, gradients, replicas
from musika.training.ema import ema_decay, update_average

Tensor = Any

_STREAM_FLOW = 107  # of the counter-based generator, after those of ``training/batches.py``
_LEAST_DEVIATION = 1e-3  # of a channel; one that varies less is silent


def measure_deviation(refiner: Refiner, sequences: list[np.ndarray]) -> None:
    """Tell a refiner how much each channel varies in music.

    Args:
        refiner: The refiner.
        sequences: The training latents in the form in which the GAN makes them, `(steps, 2 * latent_channels)` each.
    """
    count = sum(map(len, sequences))
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in sequences) / count
    squares = sum(np.square(part, dtype=np.float64).sum(axis=0) for part in sequences) / count
    refiner.deviation.assign(np.sqrt(np.maximum(squares - mean**2, _LEAST_DEVIATION**2)).astype(np.float32))


def flow_batch(config: Config, windows: np.ndarray, step: int, shift: int = 0) -> dict[str, np.ndarray]:
    """What the refiner learns from in one step.

    Args:
        config: The resolved config.
        windows: Windows of music, as the GAN makes them, `(count, window, 2 * latent_channels)`.
        step: The step, from 0.
        shift: Added to the number of the stream of random numbers.

    Returns:
        Float32 arrays: ``flow_music``, some of the windows; ``flow_noise`` and ``flow_blur``, normal numbers for the
        channels that are drawn and for those that are kept; ``flow_time``, how far the way is done.
    """
    rng = counter_generator(config.generator_training.seed, _STREAM_FLOW + shift, step)
    music = windows[: config.generator_training.refiner_batch]
    kept = 2 * config.generator.refiner.kept
    shape = music.shape[:2]
    return {
        "flow_music": music,
        "flow_noise": rng.standard_normal((*shape, music.shape[2] - kept), np.float32),
        "flow_blur": rng.standard_normal((*shape, kept), np.float32),
        "flow_time": rng.random((len(music), 1, 1), np.float32),
    }


class FlowMatching:
    """Trains a refiner, beside the GAN or alone.

    Attributes:
        refiner: The trained refiner.
        average: The averaged one, which music is made by.
        optimizer: The refiner's own; its rate is ``refiner_rate`` times that of the GAN.
    """

    def __init__(self, refiner: Refiner, average: Refiner, settings: GeneratorTrainingConfig, config: Config) -> None:
        """Set up.

        Args:
            refiner: The refiner.
            average: A second one; its weights are set to the first one's.
            settings: The training's settings.
            config: The config, for how far the network sees in one pass.
        """
        self.refiner, self.average, self.settings = refiner, average, settings
        self._edge = config.generator.refiner.blocks + 1
        average.set_weights(refiner.get_weights())
        average.trainable = False
        self.optimizer = keras.optimizers.Adam(
            settings.learning_rate * settings.refiner_rate, beta_2=0.99, clipnorm=1.0
        )
        self.optimizer.build(refiner.trainable_variables)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The squared error of the changes that the refiner tells.

        Args:
            batch: As from `flow_batch`.

        Returns:
            A scalar: about 2 for an untrained network. Steps whose neighbours lie outside the window do not count.
        """
        refiner, time, noise = self.refiner, batch["flow_time"], batch["flow_noise"]
        kept, drawn = refiner.parts(batch["flow_music"])
        place = (1.0 - time) * noise + time * drawn
        told = refiner.velocity(place, kept + refiner.blur * batch["flow_blur"], time)
        error = ops.square(told - (drawn - noise))
        return ops.mean(error[:, self._edge : -self._edge])

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take one step.

        Args:
            batch: As from `flow_batch`.

        Returns:
            ``refiner_loss``.
        """

        def loss_function() -> tuple[Tensor, dict[str, Tensor]]:
            """The loss, and its scalar."""
            loss = self.loss(batch)
            return loss / replicas(), {"refiner_loss": loss}

        _, logs, found = gradients(loss_function, self.refiner.trainable_variables)
        apply_gradients(self.optimizer, found, self.refiner.trainable_variables)
        return logs

    def move_average(self) -> None:
        """Move the averaged refiner by one step; the optimiser has counted the step already."""
        decay = ema_decay(self.optimizer.iterations.value - 1, self.settings.ema)
        update_average(self.average.variables, self.refiner.variables, decay)
