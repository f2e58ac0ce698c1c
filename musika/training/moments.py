"""Moment matching: generated latents are pulled to where their mean and covariance would be the training music's.

A critic that is held back by a penalty lets a generator make latents that vary less than music does, least of all in
the small principal components. Their first two moments are known, so the generator is told of them: running moments of
what it makes give the linear map that would carry them onto those of the training music (the optimal transport between
two normal distributions), and each generated latent is drawn towards its own image. The gradient is that of half the
Fréchet distance. Windows' means and the steps about them are two such sets, so that neither can stand in for the other;
the logarithms of how far each window's steps are from its mean are a third: some music is still where other is busy, or
narrow where other is wide, and a generator that makes all of it alike can have the right covariance on average.

Source of the map: Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions"; the map is
``T = R (R F R)^(-1/2) R`` for covariances ``F`` of the generated and ``R R`` of the training latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from musika.data.crops import start_about, swap_sides, used_length
from musika.training.autodiff import mean_over_replicas
from musika.training.running_means import RunningMeans, moved

Tensor = Any

_WINDOW_HOPS = 4  # windows of the training music lie a fourth of their length apart, but for those at its ends
_LEAST_SHARE = 1e-5  # of the largest eigenvalue: below it a direction has no variance to speak of
_LEAST_VALUE = 1e-12  # for music of a single window, whose mean has no variance at all
_LEAST_SIZE = 1e-3  # of a window's mean square deviation, before its logarithm


def _sizes(about: Tensor, numbers: Any = ops) -> Tensor:
    """Logarithms of the root mean square of deviations `(..., window, channels)`, `(..., channels)`."""
    return 0.5 * numbers.log(numbers.mean(numbers.square(about), axis=-2) + _LEAST_SIZE)


def _moments(sequences: Sequence[np.ndarray], window: int) -> tuple[np.ndarray, np.ndarray]:
    """Means `(3, channels)` and covariances `(3, channels, channels)` of the three parts of all windows."""
    hop = max(window // _WINDOW_HOPS, 1)
    means, sizes, inside = [], [], 0.0
    for part in sequences:
        length = used_length(len(part), window)
        for middle in range(hop // 2, length, hop):
            start = start_about(middle, length, window)
            cut = part[start : start + window].astype(np.float64)
            means.append(cut.mean(axis=0))
            about = cut - means[-1]
            sizes.append(_sizes(about, np))
            inside = inside + about.T @ about / window
    outside = [np.cov(np.stack(rows), rowvar=False, bias=True) for rows in (means, sizes)]
    centres = [np.mean(rows, axis=0) for rows in (means, sizes)]
    return np.stack([np.zeros_like(centres[0]), *centres]), np.stack([inside / len(means), *outside])


def _parts(windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Steps about their window's mean, `(batch * window, channels)`, the means `(batch, channels)`, and the sizes."""
    windows = ops.cast(windows, "float32")
    between = ops.mean(windows, axis=1)
    about = windows - between[:, None]
    return ops.reshape(about, (-1, windows.shape[-1])), between, _sizes(about)


class MomentMatching(RunningMeans):
    """The moments of the training latents, and the running ones of the generated latents.

    Attributes:
        means: Running means of the generated windows' deviations (row 0, always 0), means and sizes, `(3, channels)`.
        covariances: Their running covariances, `(3, channels, channels)`.
    """

    def __init__(self, sequences: Sequence[np.ndarray], window: int, mid_side: bool) -> None:
        """Measure the training latents; the running moments begin as theirs.

        Args:
            sequences: The (normalised) training latents, `(steps, channels)` each; one at least a window long.
            window: Latent steps of a window.
            mid_side: Whether the channels are middle and side; both ways round in stereo count the same.
        """
        super().__init__(name="moments")
        means, covariances = _moments(sequences, window)
        swap = swap_sides(np.eye(means.shape[1]), mid_side).astype(np.float32)
        self._swap = np.stack([swap, swap, np.abs(swap)])  # a side channel that is turned round is as large as before
        covariances += means[:, :, None] * means[:, None]
        means = (means + self._swapped(means)) / 2
        covariances = (covariances + self._swap.transpose(0, 2, 1) @ covariances @ self._swap) / 2
        covariances -= means[:, :, None] * means[:, None]
        values, vectors = np.linalg.eigh(covariances)
        scaled = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]
        self._root = (scaled @ vectors.transpose(0, 2, 1)).astype(np.float32)
        self._mean = means.astype(np.float32)
        self._trace = float(np.trace(covariances, axis1=1, axis2=2).sum())
        self.means = self._running("means", self._mean)
        self.covariances = self._running("covariances", covariances.astype(np.float32))
        self.built = True

    def _swapped(self, means: Tensor) -> Tensor:
        """The same `(3, channels)` with left and right exchanged."""
        return (means[:, None] @ self._swap)[:, 0]

    def call(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare generated windows, and the running moments, with the training music.

        Args:
            windows: `(batch, window, channels)`.

        Returns:
            The loss: half the mean squared distance of deviations, means and sizes to their images, which are
            constants; the Fréchet distance of the running moments, the sum of those of the three; and the windows.
        """
        maps, distance = self._transport()
        means, loss = ops.convert_to_tensor(self.means), ops.zeros(())
        for index, part in enumerate(_parts(windows)):
            image = ops.add(ops.matmul(part - means[index], maps[index]), self._mean[index])
            loss = loss + 0.5 * ops.mean(ops.sum(ops.square(part - ops.stop_gradient(image)), axis=-1))
        return loss, distance, windows

    def _transport(self) -> tuple[Tensor, Tensor]:
        """The maps of the three parts onto the training music's, `(3, channels, channels)`, and the distance."""
        means, covariances = (ops.convert_to_tensor(running) for running in (self.means, self.covariances))
        middle = ops.matmul(ops.matmul(self._root, covariances), self._root)
        values, vectors = ops.linalg.eigh((middle + ops.swapaxes(middle, -1, -2)) / 2)
        least = _LEAST_SHARE * ops.max(values, axis=-1, keepdims=True)
        sizes = ops.sqrt(ops.maximum(ops.maximum(values, least), _LEAST_VALUE))
        inverse = ops.matmul(vectors / sizes[:, None], ops.swapaxes(vectors, -1, -2))
        maps = ops.matmul(ops.matmul(self._root, inverse), self._root)
        own = ops.sum(ops.trace(covariances, axis1=-2, axis2=-1))
        shift = ops.sum(ops.square(ops.subtract(means, self._mean)))
        distance = shift + own + self._trace - 2.0 * ops.sum(ops.sqrt(ops.maximum(values, 0.0)))
        return ops.stop_gradient(maps), ops.stop_gradient(distance)

    def follow(self, windows: Tensor) -> None:
        """Move the running moments by one batch.

        Args:
            windows: Generated windows, `(batch, window, channels)`.
        """
        parts = _parts(windows)
        means = mean_over_replicas(ops.stack([ops.zeros_like(parts[1][0]), *(ops.mean(x, axis=0) for x in parts[1:])]))
        means = moved(self.means.value, (means + self._swapped(means)) / 2)
        # Covariances about the running mean: about the batch's own they would be too small.
        about = [part - means[index] for index, part in enumerate(parts)]
        found = ops.stack(
            [ops.matmul(ops.transpose(part), part) / ops.cast(ops.shape(part)[0], "float32") for part in about]
        )
        found = mean_over_replicas(found)
        found = (found + ops.matmul(ops.matmul(ops.swapaxes(self._swap, 1, 2), found), self._swap)) / 2
        self.means.assign(means)
        self.covariances.assign(moved(self.covariances.value, found))
