"""Level matching: how often each band is how loud, and how much it moves within a second.

Tracks begin softly, break down, leave their hats out; a generator whose latents have the right mean and covariance can
still do none of this, and make music that is always on. So the distributions are compared: of the mean level of each
mel band in a second, and of the logarithm of its deviation in it. What share of the music lies below some thresholds is
known; the generator is told where its own running shares differ, most where the share is near nothing or all. The
levels follow from the principal components of the compact codec, in one frame of each step, without decoding anything.

Source of the weights: Anderson and Darling 1952, "Asymptotic theory of certain 'goodness of fit' criteria based on
stochastic processes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from musika.autoencoder.codec import Codec
from musika.data.crops import Normalisation
from musika.training.linear_part import bin_levels, mel_filters
from musika.training.running_means import RunningMeans

Tensor = Any

_BANDS = 24
_SEGMENT = 12  # latent steps: 1.1 s
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)  # of the music below the thresholds
_LEAST_WIDTH = 0.02  # nepers, of a threshold
_LEAST_VARIANCE = 1e-3  # before the logarithm
_LOUDEST = 20.0  # nepers: a generator at its beginning may make anything
_CHUNK = 4096  # segments at a time


@dataclass(frozen=True)
class BandLevels:
    """Levels of mel bands: of their power, so that a band is loud by its partials, not by what lies between them.

    Attributes:
        matrix: Float32 `(2 * latent_channels, bins)`: logarithms of amplitudes, the mean of both audio channels, in one
            frame of a latent step, as an affine function of latents.
        offset: What is added, `(bins,)`.
        filters: How bins are summed to bands, `(bins, bands)`.
    """

    matrix: np.ndarray
    offset: np.ndarray
    filters: np.ndarray

    def __call__(self, segments: Tensor, numbers: Any = ops) -> Tensor:
        """Find what is compared.

        Args:
            segments: Latents as the GAN makes them, `(segments, steps, 2 * latent_channels)`.
            numbers: What computes: ``keras.ops`` or NumPy.

        Returns:
            For each segment the mean level of each band, then the logarithm of its deviation, `(segments, 2 * bands)`.
        """
        bins = numbers.add(numbers.matmul(segments, self.matrix), self.offset)
        power = numbers.matmul(numbers.exp(2.0 * numbers.clip(bins, -_LOUDEST, _LOUDEST)), self.filters)
        levels = 0.5 * numbers.log(power)
        mean = numbers.mean(levels, axis=1, keepdims=True)
        variance = numbers.mean(numbers.square(levels - mean), axis=1)
        return numbers.concatenate([mean[:, 0], 0.5 * numbers.log(variance + _LEAST_VARIANCE)], axis=-1)


def measure_band_levels(codec: Codec, statistics: Normalisation | None, mid_side: bool) -> BandLevels:
    """Find the bands in the linear part of what a codec decodes.

    Args:
        codec: A compact codec.
        statistics: How the latents were normalised, if they were.
        mid_side: Whether their channels are middle and side.

    Returns:
        The bands.

    Raises:
        UserError: If the codec is not compact.
    """
    filters = mel_filters(codec, _BANDS)
    heard, middle = filters.max(axis=0) > 0, codec.config.codec.frames_per_latent // 2
    matrices, offsets = bin_levels(codec, "level_matching", heard, [middle], statistics, mid_side)
    return BandLevels(*(part.astype(np.float32) for part in (matrices[0], offsets[0], filters[:, heard].T)))


class LevelMatching(RunningMeans):
    """Tells the generator which levels are too rare, and which too common.

    Attributes:
        shares: Running shares of generated segments below each threshold, `(thresholds, 2 * bands)`.
    """

    def __init__(self, sequences: Sequence[np.ndarray], bands: BandLevels) -> None:
        """Measure the training latents; the running shares begin as theirs.

        Args:
            sequences: The (normalised) training latents, `(steps, 2 * latent_channels)` each; one at least a segment
                long.
            bands: From `measure_band_levels`.
        """
        super().__init__(name="level_matching")
        self._bands = bands
        values = np.concatenate([bands(chunk, np) for chunk in _chunks(sequences)])
        self._thresholds = np.quantile(values, _SHARES, axis=0).astype(np.float32)
        widths = np.gradient(self._thresholds, axis=0) / 2
        self._widths = np.maximum(widths, _LEAST_WIDTH).astype(np.float32)
        parts = [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
        below = np.sum([self._below(part, np).sum(axis=0, dtype=np.float64) for part in parts], axis=0)
        self._aim = (below / len(values)).astype(np.float32)
        self.shares = self._running("shares", self._aim)
        self.built = True

    def _below(self, values: Tensor, numbers: Any = ops) -> Tensor:
        """Whether values `(segments, 2 * bands)` are below each threshold, 0 to 1, `(segments, thresholds, ...)`."""
        distance = numbers.divide(numbers.subtract(self._thresholds, values[:, None]), self._widths)
        return 0.5 + 0.5 * numbers.tanh(0.5 * distance)

    def call(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare generated windows with the training music.

        Args:
            windows: `(batch, window, 2 * latent_channels)`.

        Returns:
            The loss, whose gradient is that of half the second value if the running shares were those of the windows;
            the mean, over bands, of the sum of the shares' squared distances, each by the variance of being below or
            not; what `follow` takes.
        """
        count, channels = windows.shape[1] // _SEGMENT, windows.shape[2]
        segments = ops.reshape(ops.cast(windows, "float32")[:, : count * _SEGMENT], (-1, _SEGMENT, channels))
        found = ops.mean(self._below(self._bands(segments)), axis=0)
        away = ops.subtract(ops.convert_to_tensor(self.shares), self._aim)
        weighted = ops.divide(away, self._aim * (1.0 - self._aim))
        loss = ops.mean(ops.sum(ops.stop_gradient(weighted) * found, axis=0))
        return loss, ops.stop_gradient(ops.mean(ops.sum(weighted * away, axis=0))), ops.stop_gradient(found)


def _chunks(sequences: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Segments of sequences, `(segments, steps, channels)`, those of one sequence at a time."""
    for sequence in sequences:
        count = len(sequence) // _SEGMENT
        if count:
            yield sequence[: count * _SEGMENT].reshape(count, _SEGMENT, -1)
