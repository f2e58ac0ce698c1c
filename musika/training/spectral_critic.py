"""A second critic, which sees the spectrogram that latents stand for.

The critic of latents sees a step as one vector of numbers, so it is slow to learn what a spectrogram shows at once:
partials that stay in tune, attacks in one frame, hats that are all alike. This one is a small convolutional network
over time and frequency, and judges every place on its own. The spectrogram follows from the principal components of
the compact codec, a linear map, without decoding anything.

Source of the judgement by place: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks",
section 3.2.2 (PatchGAN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from musika.autoencoder.codec import Codec
from musika.data.crops import Normalisation
from musika.gan.critic import SLOPE
from musika.layers import HE_UNIFORM
from musika.training.linear_part import linear_part, mel_filters, of_gan_latents, scaled_basis

Tensor = Any

BANDS = 96  # of the mel scale
_PLACES = 4  # of a latent step
_FOLD = 2  # neighbours in time and in frequency that are channels to the first convolution: wide and short is faster
_WIDTHS = (32, 64, 96)  # channels of the convolutions, each of which halves time and frequency
_KERNEL = 4
_LEAST_DEVIATION = 0.05  # nepers; a band that varies less stays quiet
_MOST_STEPS = 50_000  # of music by which bands are normalised


@dataclass(frozen=True)
class LatentSpectrogram:
    """The spectrogram that latents stand for, as an affine function of them.

    Attributes:
        matrix: Float32 `(2 * latent_channels, places * BANDS * 2)`.
        offset: What is added, `(places * BANDS * 2,)`.

    Columns are in the order that `folded` gives them.
    """

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, windows: Tensor, numbers: Any = ops) -> Tensor:
        """Make the spectrogram.

        Args:
            windows: Latents as the GAN makes them, `(batch, steps, 2 * latent_channels)`.
            numbers: What computes: ``keras.ops`` or NumPy.

        Returns:
            Log-magnitudes of mel bands: the mean of both audio channels, then how much louder the left one is, each
            with a mean of 0 and a deviation of 1 in music. As images of half the size, `(batch, steps * places / 2,
            BANDS / 2, 8)`, whose channels are two places of two bands of these two.
        """
        flat = numbers.add(numbers.matmul(windows, self.matrix), self.offset)
        places = len(self.offset) // (2 * BANDS)
        return numbers.reshape(flat, (-1, windows.shape[1] * places // _FOLD, BANDS // _FOLD, 2 * _FOLD * _FOLD))


def folded(columns: np.ndarray) -> np.ndarray:
    """Move neighbours in time and frequency beside the channels.

    Args:
        columns: `(..., places, BANDS, 2)`.

    Returns:
        `(..., places * BANDS * 2)`, the order of `LatentSpectrogram`.
    """
    *others, places, bands, channels = columns.shape
    apart = columns.reshape(*others, places // _FOLD, _FOLD, bands // _FOLD, _FOLD, channels)
    return np.swapaxes(apart, -4, -3).reshape(*others, -1)


def measure_spectrogram(
    codec: Codec, statistics: Normalisation | None, mid_side: bool, sequences: Sequence[np.ndarray]
) -> LatentSpectrogram:
    """Find the spectrogram in the linear part of what a codec decodes.

    Args:
        codec: A compact codec.
        statistics: How the latents were normalised, if they were.
        mid_side: Whether their channels are middle and side.
        sequences: The (normalised) training latents, `(steps, 2 * latent_channels)` each.

    Returns:
        The spectrogram, its bands normalised by these latents.

    Raises:
        UserError: If the codec is not compact.
    """
    basis, level2, level1 = linear_part(codec, "spectral_critic")
    frames, _, channels = basis.shape
    weights = codec.networks["level1_decoder"].soft_floor.inverse_weights[:, None]
    to_bands = mel_filters(codec, BANDS) @ (weights * scaled_basis(level1))  # (bands, level1_channels)
    places = min(_PLACES, frames)
    one_side = (to_bands @ basis).reshape(places, frames // places, BANDS, channels).mean(axis=1)
    constant = ops.convert_to_numpy(level2.mean).reshape(frames, -1) @ to_bands.T
    constant = constant.reshape(places, frames // places, BANDS).mean(axis=1)
    mixing = np.array([[0.5, 1.0], [0.5, -1.0]])  # from left and right to their mean and their difference
    levels = np.einsum("pbc,sm->scpbm", one_side, mixing).reshape(2 * channels, -1)
    offset = (constant[..., None] * mixing.sum(axis=0)).reshape(-1)
    levels, offset = of_gan_latents(levels, offset, statistics, mid_side)
    some: list[np.ndarray] = []
    for sequence in sequences:
        some.append(sequence)
        if sum(map(len, some)) > _MOST_STEPS:
            break
    heard = (np.concatenate(some) @ levels + offset).reshape(-1, BANDS, 2)
    scale = 1.0 / np.maximum(heard.std(axis=0), _LEAST_DEVIATION)
    levels = levels.reshape(-1, places, BANDS, 2) * scale
    offset = (offset.reshape(places, BANDS, 2) - heard.mean(axis=0)) * scale
    return LatentSpectrogram(folded(levels).astype(np.float32), folded(offset).astype(np.float32))


class SpectralCritic(keras.Model):
    """Judges windows of latents by their spectrogram, place by place.

    Attributes:
        penalty_factor: The adaptive factor of its own gradient penalty, from 0 to 1.
    """

    def __init__(self, spectrogram: LatentSpectrogram, window: int, dtype: Any = None) -> None:
        """Make the layers.

        Args:
            spectrogram: From `measure_spectrogram`.
            window: Latent steps of a window; the middle half is seen, which holds the joint of two patches.
            dtype: Precision of the layers, such as ``mixed_bfloat16``; None for Keras' global policy.
        """
        super().__init__(name="spectral_critic", dtype=dtype)
        self.spectrogram, self._quarter = spectrogram, window // 4
        self.penalty_factor = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="penalty_factor", dtype="float32", aggregation="mean"
        )
        settings = {"padding": "same", "kernel_initializer": HE_UNIFORM, "dtype": dtype}
        self.convolutions = [
            keras.layers.Conv2D(width, _KERNEL, strides=2, name=f"convolution{index}", **settings)
            for index, width in enumerate(_WIDTHS)
        ]
        left = BANDS // _FOLD >> len(_WIDTHS)
        self.last = keras.layers.Conv2D(1, (1, left), kernel_initializer=HE_UNIFORM, dtype=dtype, name="last")
        channels = 2 * _FOLD * _FOLD
        for layer in (*self.convolutions, self.last):
            layer.build((None, None, None, channels))
            channels = layer.filters
        self.built = True

    def seen(self, windows: Tensor) -> Tensor:
        """What it sees of windows: the spectrogram of their middle half.

        Args:
            windows: `(batch, window, 2 * latent_channels)`.

        Returns:
            As from `LatentSpectrogram`, of half the steps.
        """
        return self.spectrogram(ops.cast(windows[:, self._quarter : -self._quarter], "float32"))

    def call(self, spectrogram: Tensor) -> Tensor:
        """Judge.

        Args:
            spectrogram: As from `seen`.

        Returns:
            A score for each place in time, `(batch, places)` float32.
        """
        features = spectrogram
        for layer in self.convolutions:
            features = ops.leaky_relu(layer(features), SLOPE)
        return ops.cast(self.last(features)[:, :, 0, 0], "float32")
