"""Principal components of both levels, measured from audio in seconds: the compact codec's linear paths."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from musika.autoencoder.soft_floor import SoftFloor
from musika.config import Config
from musika.training.losses import scaled_level, short_time_spectrum


def _principal(values: NDArray[np.float32], count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Mean, leading directions and their standard deviations of rows."""
    mean = values.mean(axis=0, dtype=np.float64)
    centred = values - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(centred)
    variance, directions = np.linalg.eigh(covariance)
    order = np.argsort(variance)[::-1][:count]
    return mean, directions[:, order], np.sqrt(np.maximum(variance[order], 1e-10))


def weighted_frames(soft_floor: SoftFloor, audio: NDArray[np.float32], config: Config) -> NDArray[np.float32]:
    """What the soft floor makes of the frames of some music.

    Args:
        soft_floor: That of the compact codec.
        audio: Mono crops `(count, samples)`.
        config: The config.

    Returns:
        Float32 array `(frames, bins)`.
    """
    spectral, weighted = config.spectral, []
    for start in range(0, len(audio), 256):
        spectrum = short_time_spectrum(audio[start : start + 256], spectral.fft_length, spectral.hop_length)
        level = scaled_level(*spectrum, spectral)
        weighted.append(keras.ops.convert_to_numpy(soft_floor.forward(level)).astype(np.float32))
    return np.concatenate(weighted).reshape(-1, spectral.bins)


def set_components(networks: dict[str, keras.Model], audio: NDArray[np.float32], config: Config) -> dict[str, float]:
    """Measure the principal components of frames and of patches and put them into the four compact networks.

    The decoder's ceiling, if it has one, is measured too.

    Args:
        networks: The four networks by name.
        audio: Mono crops `(count, samples)`, each of one patch: ``frames_per_latent`` frames.
        config: The config.

    Returns:
        The share of the variance that each level keeps.
    """
    codec, encoder, decoder = config.codec, networks["level1_encoder"], networks["level1_decoder"]
    frames = weighted_frames(encoder.soft_floor, audio, config)
    if decoder.ceiling is not None:
        decoder.set_ceiling(frames)
    mean, basis, deviation = _principal(frames, codec.level1_channels)
    # One scale for all channels: level-1 latents keep the proportions in which they are heard.
    scale = np.full(codec.level1_channels, np.sqrt(np.mean(deviation**2)))
    for network in (encoder, decoder):
        network.components.set_weights([mean, basis, scale])
    decoder.input_scale.assign(np.sqrt(scale / deviation))
    latents = ((frames - mean.astype(np.float32)) @ (basis / scale).astype(np.float32)).astype(np.float32)
    patches = latents.reshape(len(audio), -1)
    patch_mean, patch_basis, patch_deviation = _principal(patches, codec.latent_channels)
    for name in ("level2_encoder", "level2_decoder"):
        networks[name].components.set_weights([patch_mean, patch_basis, patch_deviation])
    kept_frames = float((latents**2).mean() * codec.level1_channels / (frames.var(axis=0).sum() / scale[0] ** 2))
    return {
        "level1_variance": kept_frames,
        "level2_variance": float((patch_deviation**2).sum() / patches.var(axis=0).sum()),
    }
