"""The linear part of what a compact codec decodes, for losses that follow from latents without decoding anything."""

from __future__ import annotations

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


def mel_levels(
    codec: Codec,
    setting: str,
    bands: int,
    places: int,
    mixing: np.ndarray,
    statistics: Normalisation | None,
    mid_side: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Find mel bands in the linear part of what a codec decodes.

    Args:
        codec: A compact codec.
        setting: The setting of ``generator_training`` that needs them, for the error.
        bands: Their number, up to 16 kHz.
        places: Of a latent step, over which frames are averaged; fewer if it has fewer frames.
        mixing: What becomes of left and right, `(mixed, 2)`.
        statistics: How the GAN's latents are normalised, if they are.
        mid_side: Whether their channels are middle and side.

    Returns:
        Levels in nepers as an affine function of the latents that the GAN makes: matrix `(2 * latent_channels, places,
        bands, mixed)` and what is added `(places, bands, mixed)`.

    Raises:
        UserError: If the codec is not compact.
    """
    from librosa.filters import mel

    basis, level2, level1 = linear_part(codec, setting)
    frames, _, channels = basis.shape
    highest = min(_HIGHEST_HZ, codec.sample_rate / 2)
    filters = mel(sr=codec.sample_rate, n_fft=codec.config.spectral.fft_length, n_mels=bands, fmax=highest, norm=None)
    filters = filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-6)
    weights = codec.networks["level1_decoder"].soft_floor.inverse_weights[:, None]
    to_bands = filters @ (weights * scaled_basis(level1))  # (bands, level1_channels)
    places = min(places, frames)
    one_side = (to_bands @ basis).reshape(places, frames // places, bands, channels).mean(axis=1)
    constant = ops.convert_to_numpy(level2.mean).reshape(frames, -1) @ to_bands.T
    constant = constant.reshape(places, frames // places, bands).mean(axis=1)
    constant = constant + filters @ (weights[:, 0] * ops.convert_to_numpy(level1.mean))
    levels = np.einsum("pbc,ms->scpbm", one_side, mixing).reshape(2 * channels, -1)
    offset = (constant[..., None] * mixing.sum(axis=1)).reshape(-1)
    levels, offset = of_gan_latents(levels, offset, statistics, mid_side)
    shape = (places, bands, len(mixing))
    return levels.reshape(-1, *shape), offset.reshape(shape)


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
