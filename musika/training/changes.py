"""Change matching: how far latents move from one step to the next, and to later ones.

Music stays where it is and then jumps: a note is struck, and its tail is still. A generator that has the covariance of
music's latents can still wander from note to note, which is heard as gliding. So the distributions of changes are
compared, over some numbers of steps: of each channel, of random mixtures of channels (which tell whether channels jump
together), and of the size of the whole change. Each is a set of numbers, so the map that carries what is generated onto
what music has is known: the number of a rank goes where music's number of that rank is.

Source of the map and of random directions: Rabin et al. 2011, "Wasserstein Barycenter and Its Application to Texture
Mixing" (sliced Wasserstein distance).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from musika.training.running_means import RunningMeans

Tensor = Any

_LAGS = (1, 2, 4)  # steps from one end of a change to the other
_MIXTURES = 48
_WINDOWS = 16  # of a batch that are looked at
_RANKS = 128  # classes of changes, each as many
_SOFT = 0.05  # deviations: below it a change counts by its size, above it by the root of it
_LEAST_SHARE = 0.01  # of the largest deviation: a channel that changes less is silent
_LEAST_DEVIATION = 1e-6  # for music that never changes
_LEAST_SIZE = 1e-3  # of a whole change, in deviations
_MOST_CHANGES = 200_000  # of music that are measured


class ChangeMatching(RunningMeans):
    """Tells the generator which changes are too rare, and which too common.

    Attributes:
        ranked: Running means of generated changes from the lowest to the highest, in classes of as many each, `(lags,
            classes, directions)`.
    """

    def __init__(self, sequences: Sequence[np.ndarray], channels: np.ndarray, window: int, batch: int) -> None:
        """Measure the training latents; the running means begin as theirs.

        Args:
            sequences: The (normalised) training latents, `(steps, 2 * latent_channels)` each; one at least a window
                long.
            channels: Indices of the channels whose changes are compared; silent ones are left out.
            window: Latent steps of a window.
            batch: Windows of a batch.
        """
        super().__init__(name="change_matching")
        sequences = [part[:, channels] for part in sequences]
        ranks = min(_RANKS, min(batch, _WINDOWS) * (window - max(_LAGS)))
        places = (np.arange(ranks) + 0.5) / ranks
        changes = [_some([part[lag:] - part[:-lag] for part in sequences]) for lag in _LAGS]
        deviations = np.array([np.sqrt(np.mean(np.square(part, dtype=np.float64), axis=0)) for part in changes])
        moving = deviations[0] >= _LEAST_SHARE * deviations[0].max()
        self._channels, count = channels[moving], int(moving.sum())
        random = np.random.default_rng(0).standard_normal((count, _MIXTURES)) / np.sqrt(count)
        scales = 1.0 / np.maximum(deviations[:, moving, None], _LEAST_DEVIATION)
        self._directions = (scales * np.concatenate([np.eye(count), random], axis=1)).astype(np.float32)
        found = [_along(part[:, moving], ways, np) for part, ways in zip(changes, self._directions, strict=True)]
        self._aim = np.stack([np.quantile(part, places, axis=0) for part in found]).astype(np.float32)
        self.ranked = self._running("ranked", self._aim)
        self.built = True

    def call(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare generated windows, and the running means, with the training music.

        Args:
            windows: `(batch, window, 2 * latent_channels)`.

        Returns:
            The loss, whose gradient is that of half the second value if the running means were those of the windows;
            the mean square of the distances to music's; and what `follow` takes.
        """
        seen = ops.take(ops.cast(windows[:_WINDOWS], "float32"), self._channels, axis=-1)
        found = ops.stack([self._classes(seen, lag, ways) for lag, ways in zip(_LAGS, self._directions, strict=True)])
        away = ops.subtract(ops.convert_to_tensor(self.ranked), self._aim)
        loss = ops.mean(ops.stop_gradient(away) * found)
        return loss, ops.stop_gradient(ops.mean(ops.square(away))), ops.stop_gradient(found)

    def _classes(self, windows: Tensor, lag: int, directions: np.ndarray) -> Tensor:
        """Means of the changes of windows over a lag, by their ranks, `(classes, directions)`."""
        along = _along(ops.reshape(windows[:, lag:] - windows[:, :-lag], (-1, windows.shape[-1])), directions)
        ranks, ways = self._aim.shape[1:]
        each = ops.shape(along)[0] // ranks
        return ops.mean(ops.reshape(ops.sort(along[: each * ranks], axis=0), (ranks, each, ways)), axis=1)


def _along(changes: Tensor, directions: np.ndarray, numbers: Any = ops) -> Tensor:
    """Changes `(changes, channels)` along each direction, and the size of each, `(changes, directions + 1)`."""
    along = numbers.matmul(changes, directions)
    squares = numbers.mean(numbers.square(along[:, : changes.shape[-1]]), axis=-1, keepdims=True)
    along = numbers.concatenate([along, numbers.sqrt(squares + _LEAST_SIZE**2)], axis=-1)
    return along / (numbers.sqrt(numbers.abs(along) + _SOFT) + np.sqrt(_SOFT))


def _some(parts: list[np.ndarray]) -> np.ndarray:
    """Some of many changes, spread evenly over all of them."""
    changes = np.concatenate(parts)
    return changes[:: -(-len(changes) // _MOST_CHANGES)]
