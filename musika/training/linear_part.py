"""The linear part of what a compact codec decodes, for losses that follow from latents without decoding anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

from musika.audio.stereo import from_mid_side
from musika.autoencoder.codec import Codec
from musika.autoencoder.compact import Components
from musika.checks import UserError
from musika.data.crops import Normalisation

_HIGHEST_HZ = 16_000.0  # of mel bands


def scaled_basis(components: Components) -> np.ndarray:
    """What each component adds, `(inputs, outputs)`."""
    return ops.convert_to_numpy(components.basis) * ops.convert_to_numpy(components.scale)


def linear_part(codec: Codec, setting: str) -> tuple[np.ndarray, Components, Components]:
    """Find the principal components that a codec decodes by.

    Args:
        codec: A compact codec.
        setting: The setting of ``generator_training`` that needs them, for the error.

    Returns:
        What each latent channel adds to level 1, `(frames_per_latent, level1_channels, latent_channels)`; the
        components of level 2, and those of level 1.

    Raises:
        UserError: If the codec is not compact.
    """
    settings = codec.config.codec
    if settings.architecture != "compact":
        raise UserError(
            f"generator_training.{setting} needs a compact codec. "
            f"Received: architecture={settings.architecture!r}. Set {setting} to 0."
        )
    level2, level1 = (codec.networks[f"level{level}_decoder"].components for level in (2, 1))
    patches = scaled_basis(level2).reshape(settings.frames_per_latent, -1, settings.latent_channels)
    return patches, level2, level1


def mel_filters(codec: Codec, bands: int) -> np.ndarray:
    """Weights by which bins are averaged to mel bands up to 16 kHz.

    Args:
        codec: The codec, for its sample rate and its transform.
        bands: Their number.

    Returns:
        `(bands, bins)`, rows that sum to 1.
    """
    from librosa.filters import mel

    highest = min(_HIGHEST_HZ, codec.sample_rate / 2)
    length = codec.config.spectral.fft_length
    filters = mel(sr=codec.sample_rate, n_fft=length, n_mels=bands, fmax=highest, norm=None)
    return filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-6)


def bin_levels(
    codec: Codec,
    setting: str,
    bins: np.ndarray,
    frames: Sequence[int],
    statistics: Normalisation | None,
    mid_side: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the levels of some bins in some frames of a latent step, the mean of both audio channels.

    Args:
        codec: A compact codec.
        setting: The setting of ``generator_training`` that needs them, for the error.
        bins: Which bins, a mask `(all bins,)`.
        frames: Which frames of a step.
        statistics: How the GAN's latents are normalised, if they are.
        mid_side: Whether their channels are middle and side.

    Returns:
        Logarithms of soft-floored, emphasised amplitudes as affine functions of the latents that the GAN makes: a
        matrix for each frame `(frames, 2 * latent_channels, bins)`, and what is added `(frames, bins)`.

    Raises:
        UserError: If the codec is not compact.
    """
    basis, level2, level1 = linear_part(codec, setting)
    weights = codec.networks["level1_decoder"].soft_floor.inverse_weights[bins]
    to_bins = weights[:, None] * scaled_basis(level1)[bins]
    means = ops.convert_to_numpy(level2.mean).reshape(len(basis), -1)[list(frames)] @ to_bins.T
    means = means + weights * ops.convert_to_numpy(level1.mean)[bins]
    levels = np.stack([np.concatenate([(to_bins @ basis[frame]).T] * 2) / 2 for frame in frames])
    return of_gan_latents(levels, means, statistics, mid_side)


def of_gan_latents(
    matrices: np.ndarray, offsets: np.ndarray, statistics: Normalisation | None, mid_side: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Turn affine functions of a codec's latents into functions of the latents that the GAN makes.

    Args:
        matrices: One or several matrices, `(..., 2 * latent_channels, values)`, for left channel, then right channel.
        offsets: What is added, `(..., values)`.
        statistics: How the GAN's latents are normalised, if they are.
        mid_side: Whether their channels are middle and side.

    Returns:
        The matrices and offsets for these.
    """
    if mid_side:
        matrices = from_mid_side(np.eye(matrices.shape[-2], dtype=np.float32)) @ matrices
    if statistics is not None:
        offsets = offsets + statistics.mean @ matrices
        matrices = matrices * statistics.std[:, None]
    return matrices, offsets
