"""Level 2: ``frames_per_latent`` level-1 latents <-> one latent.

The published encoder makes each latent from its own 16 frames alone; the published decoder makes 64 frames
from 4 latents, each block alone.
"""

from __future__ import annotations

import keras
from keras import ops

from musika.autoencoder.blocks import UnfoldBlocks, Units, check_published, fold_blocks
from musika.config import Config
from musika.layers import convolution

DECODER_NOISE_LAYERS = 7


def build_level2_encoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the level-2 encoder.

    Args:
        config: The config; ``codec.architecture`` chooses between the published and the compact network.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from level-1 latents `(batch, frames, level1_channels)` to latents `(batch, frames /
        frames_per_latent, latent_channels)`, float32, for any multiple of ``frames_per_latent`` frames.
        Its attribute ``noise_layers`` is 0.

    Raises:
        UserError: If the config's sizes do not fit together.
    """
    if config.codec.architecture == "compact":
        from musika.autoencoder import compact

        return compact.build_level2_encoder(config, dtype=dtype)
    check_published(config)
    hop = config.spectral.hop_length
    level1 = keras.Input((None, config.codec.level1_channels), name="level1")
    units = Units(dtype=dtype)
    features = units.flat(fold_blocks(level1, config.codec.frames_per_latent), hop, "unit0")
    features = units.flat(features, 3 * hop // 2, "unit1", stride=2, padding="valid")  # 16 -> 7 steps
    features = units.flat(features, 3 * hop // 2, "unit2")
    features = units.flat(features, 2 * hop, "unit3", stride=2, padding="valid")  # 7 -> 3
    features = units.flat(features, 2 * hop, "unit4")
    features = units.flat(features, 3 * hop, "unit5", padding="valid")  # 3 -> 1
    features = units.flat(features, 3 * hop, "unit6", kernel=1)
    latents = ops.tanh(convolution(config.codec.latent_channels, 1, "output", dtype=dtype)(features))
    latents = ops.cast(UnfoldBlocks(dtype=dtype)(latents, level1), "float32")
    model = keras.Model(level1, latents, name="level2_encoder")
    model.noise_layers = 0
    return model


def build_level2_decoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the level-2 decoder.

    Args:
        config: The config; ``codec.architecture`` chooses between the published and the compact network.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from `[latents (batch, steps, latent_channels), noise (batch, steps * frames_per_latent,
        noise_layers)]` to level-1 latents `(batch, steps * frames_per_latent, level1_channels)`, float32, for any
        multiple of ``decoder_frames / frames_per_latent`` steps. Its attribute ``noise_layers`` is 7 for the
        published graph.

    Raises:
        UserError: If the config's sizes do not fit together.
    """
    if config.codec.architecture == "compact":
        from musika.autoencoder import compact

        return compact.build_level2_decoder(config, dtype=dtype)
    check_published(config)
    hop, codec = config.spectral.hop_length, config.codec
    latents = keras.Input((None, codec.latent_channels), name="latents")
    noise = keras.Input((None, DECODER_NOISE_LAYERS), name="noise")
    units = Units(fold_blocks(noise, codec.decoder_frames), dtype)
    features = fold_blocks(latents, codec.decoder_frames // codec.frames_per_latent)
    features = units.flat(features, 3 * hop, "unit0")
    features = units.up(features, 5 * hop // 2, "unit1")
    features = units.flat(features, 5 * hop // 2, "unit2")
    features = units.up(features, 2 * hop, "unit3")
    features = units.flat(features, 2 * hop, "unit4")
    features = units.up(features, 3 * hop // 2, "unit5")
    features = units.up(features, hop, "unit6")
    level1 = convolution(codec.level1_channels, 1, "output", dtype=dtype)(features)
    level1 = ops.cast(UnfoldBlocks(dtype=dtype)(level1, latents), "float32")
    model = keras.Model([latents, noise], level1, name="level2_decoder")
    model.noise_layers = units.noise_layers
    return model
