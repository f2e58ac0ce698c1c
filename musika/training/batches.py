"""The batches of the latent GAN's training: a pure function of (seed, step).

Crops, coordinates and noise are all drawn here, in NumPy, from counter-based generators. So the position in the data
and the random state of a training are nothing but its step, and every backend sees the same numbers.
"""

from __future__ import annotations

import keras
import numpy as np

from musika.config import Config
from musika.data.crops import LatentCrops
from musika.gan.conditioning import drop_controls
from musika.gan.coordinates import counter_generator, training_coordinates
from musika.training.flow_matching import flow_batch

# Streams of the counter-based generator, apart from those that play a piece.
STREAM_CROPS = 101
STREAM_COORDINATES = 102
STREAM_PATCH_NOISE = 103
STREAM_INSTANCE_NOISE = 104
STREAM_DROPPED_CONTROLS = 105
STREAM_CUTOUT = 106
# A rollback draws other numbers than the steps that failed: its streams are this far from the first ones.
STREAMS_A_RESTART = 1000


class GanBatches:
    """Makes the batch of any training step.

    Attributes:
        crops: Where real windows come from.
        config: The resolved config.
        noise_layers: Columns of the generator's noise.
    """

    def __init__(self, crops: LatentCrops, config: Config, noise_layers: int) -> None:
        """Remember what batches are made from.

        Args:
            crops: Where real windows come from.
            config: The resolved config.
            noise_layers: Columns of the generator's noise.
        """
        self.crops, self.config, self.noise_layers = crops, config, noise_layers

    def batch(self, step: int, restarts: int = 0) -> dict[str, np.ndarray]:
        """The batch of one step.

        Args:
            step: The step, from 0.
            restarts: How often the training was rolled back before; each time draws other numbers.

        Returns:
            Float32 arrays by name, as ``LatentGan`` describes them.
        """
        settings, window = self.config.generator_training, self.config.generator
        shift = STREAMS_A_RESTART * restarts
        crops = counter_generator(settings.seed, STREAM_CROPS + shift, step)
        real, conditions = self.crops.draw(crops, settings.batch_size)
        batch = {"real": real}
        if window.refiner.kept:
            batch |= flow_batch(self.config, real, step, shift)
        if window.controls:
            dropping = counter_generator(settings.seed, STREAM_DROPPED_CONTROLS + shift, step)
            batch["conditions"] = conditions * drop_controls(dropping, window.controls, settings.batch_size)
        batch |= self._inputs(step, settings.batch_size, shift, batch.get("conditions"))
        if settings.cutout > 0:
            cutting = counter_generator(settings.seed, STREAM_CUTOUT + shift, step)
            masks = draw_cutouts(cutting, 2 * settings.batch_size, window.window_latents, settings.cutout)
            batch["real_mask"], batch["fake_mask"] = np.split(masks, 2)
            batch["real"] = batch["real"] * batch["real_mask"]
        if settings.instance_noise > 0:
            noise = counter_generator(settings.seed, STREAM_INSTANCE_NOISE + shift, step)
            shape = (2, settings.batch_size, window.window_latents, 2 * self.config.codec.latent_channels)
            on_real, on_fake = noise.standard_normal(shape, np.float32) * np.float32(settings.instance_noise)
            batch["real"] = batch["real"] + on_real
            batch["fake_noise"] = on_fake
        return batch

    def inputs(self, step: int, count: int, shift: int = 0) -> dict[str, np.ndarray]:
        """The generator's inputs at one step.

        Args:
            step: The step.
            count: Number of windows.
            shift: Added to the streams' numbers.

        Returns:
            ``coordinates`` and ``noise``, float32, window by window; with controls as those of random real windows.
        """
        conditions = self.real(step, count, shift)[1] if self.config.generator.controls else None
        return self._inputs(step, count, shift, conditions)

    def real(self, step: int, count: int, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The real windows that a step's controls are those of.

        Args:
            step: The step.
            count: Number of windows.
            shift: Added to the streams' numbers.

        Returns:
            Windows `(count, window, channels)` and their control channels.
        """
        crops = counter_generator(self.config.generator_training.seed, STREAM_CROPS + shift, step)
        return self.crops.draw(crops, count)

    def _inputs(self, step: int, count: int, shift: int, conditions: np.ndarray | None) -> dict[str, np.ndarray]:
        """Coordinates, with the conditions beside them, and noise."""
        seed = self.config.generator_training.seed
        path = counter_generator(seed, STREAM_COORDINATES + shift, step)
        noise = counter_generator(seed, STREAM_PATCH_NOISE + shift, step)
        shape = (count, self.config.generator.window_latents, self.noise_layers)
        coordinates = training_coordinates(path, self.config, count)
        return {
            "coordinates": coordinates if conditions is None else np.concatenate([coordinates, conditions], axis=-1),
            "noise": noise.standard_normal(shape, np.float32),
        }


def draw_cutouts(rng: np.random.Generator, count: int, steps: int, longest: float) -> np.ndarray:
    """Draw which steps of windows are hidden: a stretch at a random place in half of them.

    Source: DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout"; on real and
    generated examples alike, as Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".

    Args:
        rng: Source of the choices.
        count: Number of windows.
        steps: Steps of a window.
        longest: Longest stretch, as a share of the window.

    Returns:
        Factors `(count, steps, 1)` float32, 0 where hidden.
    """
    lengths = np.round(rng.uniform(0.0, longest, (count, 1)) * steps) * rng.integers(2, size=(count, 1))
    starts = np.round(rng.uniform(0.0, 1.0, (count, 1)) * (steps - lengths))
    place = np.arange(steps)
    return ((place < starts) | (place >= starts + lengths)).astype(np.float32)[:, :, None]


class BatchStream(keras.utils.PyDataset):
    """The batches from one step on, without end, as ``fit`` takes them: item ``i`` is that of step ``first + i``."""

    def __init__(self, batches: GanBatches, first_step: int, restarts: int = 0, workers: int = 1) -> None:
        """Remember where to begin.

        Args:
            batches: Makes the batches.
            first_step: The first step.
            restarts: How often the training was rolled back before.
            workers: Threads that make batches ahead; with 1 the backend's own look-ahead does.
        """
        super().__init__(workers=workers)
        self._batches, self._first, self._restarts = batches, first_step, restarts

    @property
    def num_batches(self) -> int | None:
        """None: there is no last batch."""
        return None

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        """The batch of one step, as ``(batch,)``."""
        return (self._batches.batch(self._first + index, self._restarts),)
