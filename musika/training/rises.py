"""Rises: partials that grow louder from one latent step to the next though nothing begins there.

Between attacks the level of music falls, or stays; hardly anything rises. Latents that look alike let the next note's
partials fade in some steps before it is struck, and that is heard as an attack of its own. Being a small part of the
latents' own distances, such rises are seen late by a critic, so the generator is told of them by a loss. They follow
from the principal components of the compact codec, without decoding anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from musika.autoencoder.codec import Codec
from musika.autoencoder.soft_floor import bin_frequencies
from musika.data.crops import Normalisation
from musika.training.autodiff import mean_over_replicas
from musika.training.linear_part import bin_levels
from musika.training.running_means import RunningMeans, told_windows

Tensor = Any

_LOWEST_HZ, _RESOLVED_HZ, _HIGHEST_HZ = 50.0, 2000.0, 10_000.0  # of bins; between the latter two every third will do
_PLACES = 4  # of a latent step whose levels are compared with the next one's
_SIZE = 0.3  # nepers; a rise of this size counts half of what an attack does
_LEAST = 1e-3  # of a running mean
_CALM = 0.5  # half of the music is calm
_MOST_STEPS = 50_000  # of music by which it is told what is calm


@dataclass(frozen=True)
class LevelChanges:
    """How levels change within latent steps and from one to the next, as an affine function of latents.

    Attributes:
        matrices: For a step and for the next one, float32 `(2, 2 * latent_channels, places * bins)`.
        offset: What is added, `(places * bins,)`.
        bins: Number of bins.
    """

    matrices: np.ndarray
    offset: np.ndarray
    bins: int

    def __call__(self, windows: Tensor, numbers: Any = ops) -> Tensor:
        """Find the changes.

        Args:
            windows: Latents as the GAN makes them, `(steps, 2 * latent_channels)` or a batch of such.
            numbers: What computes: ``keras.ops`` or NumPy.

        Returns:
            How much louder, in nepers, the bins of both audio channels together are at the next place,
            `([batch,] steps - 1, places, bins)`; from the last place of a step to the first of the next one.
        """
        here, there = windows[..., :-1, :], windows[..., 1:, :]
        change = numbers.matmul(here, self.matrices[0]) + numbers.matmul(there, self.matrices[1])
        change = numbers.add(change, self.offset)
        return numbers.reshape(change, (-1, *change.shape[1:-1], len(self.offset) // self.bins, self.bins))


def measure_level_changes(codec: Codec, statistics: Normalisation | None, mid_side: bool) -> LevelChanges:
    """Find how levels change in the linear part of what a codec decodes.

    Args:
        codec: A compact codec.
        statistics: How the latents were normalised, if they were.
        mid_side: Whether their channels are middle and side.

    Returns:
        The changes.

    Raises:
        UserError: If the codec is not compact.
    """
    frequency = bin_frequencies(codec.config)
    chosen = (frequency >= _LOWEST_HZ) & (frequency <= _HIGHEST_HZ)
    chosen &= (frequency <= _RESOLVED_HZ) | (np.arange(len(frequency)) % 3 == 0)
    places = [place * codec.config.codec.frames_per_latent // _PLACES for place in range(_PLACES)]
    levels, means = bin_levels(codec, "rise_matching", chosen, places, statistics, mid_side)
    nothing = np.zeros_like(levels[0])
    offset = np.roll(means, -1, axis=0) - means
    here = np.concatenate([*(levels[1:] - levels[:-1]), -levels[-1]], axis=-1)
    there = np.concatenate([*[nothing] * (_PLACES - 1), levels[0]], axis=-1)
    matrices = np.stack([here, there]).astype(np.float32)
    return LevelChanges(matrices, offset.ravel().astype(np.float32), int(chosen.sum()))


def _rises(change: Tensor, numbers: Any = ops) -> Tensor:
    """How much louder bins grow, from 0 to 1; where they fall, 0."""
    louder = numbers.maximum(change, 0.0)
    return louder / (_SIZE + louder)


class RiseMatching(RunningMeans):
    """Tells the generator whether as little grows louder as in music where music is calm.

    Generated windows are told the controls of real ones, so where nothing begins in a real window nothing should in
    the generated one: there the mean rise of each bin is compared with that of music, place by place of a step. Windows
    that are told nothing are left out.

    Attributes:
        rises: Running mean of the generated rises where music is calm, `(places, bins)`.
    """

    def __init__(
        self, sequences: Sequence[np.ndarray], changes: LevelChanges, noise: float = 0.0, told: bool = True
    ) -> None:
        """Measure the training latents; the running mean begins as theirs.

        Args:
            sequences: The (normalised) training latents, `(steps, 2 * latent_channels)` each.
            changes: From `measure_level_changes`.
            noise: Standard deviation of the noise that real windows will have in them.
            told: Whether generated windows are told the controls of real ones. If not, nobody knows where they should
                be calm, and all places count.
        """
        super().__init__(name="rise_matching")
        self._changes, random = changes, np.random.default_rng(0)
        clean: list[np.ndarray] = []
        seen: list[np.ndarray] = []
        for sequence in sequences:
            if sum(map(len, clean)) > _MOST_STEPS:
                break
            noisy = sequence + noise * random.standard_normal(sequence.shape, np.float32)
            clean.append(_rises(changes(sequence, np), np))
            seen.append(_rises(changes(noisy, np), np).mean(axis=-1))
        overall = np.concatenate(seen)
        self._calm = np.quantile(overall, _CALM if told else 1.0, axis=0).astype(np.float32)
        calm = (overall <= self._calm)[..., None]
        self._aim = ((calm * np.concatenate(clean)).sum(axis=0) / calm.sum(axis=0) + _LEAST).astype(np.float32)
        self.rises = self._running("rises", self._aim)
        self.built = True

    def call(
        self, windows: Tensor, real: Tensor, conditions: Tensor | None = None, shown: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compare generated windows with music, where real windows that are told the same are calm.

        Args:
            windows: Generated ones without noise, `(batch, window, 2 * latent_channels)`.
            real: Real ones, with their noise.
            conditions: What they are told, `(batch, window, columns)`; None counts all windows.
            shown: Where real ones are not cut out, `(batch, window, 1)`; None if nowhere.

        Returns:
            The loss, whose gradient is that of half the second value if the running mean were that of the windows; the
            mean square of the logarithms of the running mean by that of music; and what `follow` takes.
        """
        made, seen = (_rises(self._changes(ops.cast(part, "float32"))) for part in (windows, real))
        calm = ops.less_equal(ops.mean(seen, axis=-1, keepdims=True), self._calm[:, None])
        calm = ops.cast(calm, "float32")
        if conditions is not None:
            calm = calm * told_windows(conditions)[:, None, None, None]
        if shown is not None:
            calm = calm * (shown[:, :-1] * shown[:, 1:])[..., None]
        running, count = ops.convert_to_tensor(self.rises), mean_over_replicas(ops.sum(calm, axis=(0, 1)))
        found = ops.sum(calm * made, axis=(0, 1)) / ops.maximum(count, 1.0) + _LEAST
        away = ops.log(ops.divide(running, self._aim))
        loss = ops.mean(ops.stop_gradient(away / running) * found)
        found = ops.where(count > 0, found, running)
        return loss, ops.stop_gradient(ops.mean(ops.square(away))), ops.stop_gradient(found)

    def compare(self, made: Tensor, fake: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """See the class it comes from."""
        return self(made, batch["real"], batch.get("conditions"), batch.get("real_mask"))
