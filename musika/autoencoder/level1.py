"""Level 1: a spectrogram frame <-> a level-1 latent.

The encoder sees one frame of scaled log-magnitudes alone; phase is never an input. The decoder makes
magnitudes and phase together, in blocks of ``decoder_frames`` frames, each block alone.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from musika.autoencoder.blocks import UnfoldBlocks, Units, check_published, fold_blocks
from musika.config import Config
from musika.layers import convolution

ENCODER_UNITS = 5
DECODER_NOISE_LAYERS = 9
PHASOR_EPSILON = 1e-8  # keeps the length of a phasor away from zero


def build_level1_encoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the level-1 encoder.

    Args:
        config: The config; ``codec.architecture`` chooses between the published and the compact network.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from scaled log-magnitudes `(batch, frames, bins)` to `(batch, frames, level1_channels)`, float32.
        Its attribute ``noise_layers`` is 0.

    Raises:
        UserError: If the config's sizes do not fit together.
    """
    if config.codec.architecture == "compact":
        from musika.autoencoder import compact

        return compact.build_level1_encoder(config, dtype=dtype)
    check_published(config)
    width = 4 * config.spectral.hop_length
    magnitude = keras.Input((None, config.spectral.bins), name="magnitude")
    units = Units(dtype=dtype)
    features = magnitude
    for index in range(ENCODER_UNITS):
        features = units.flat(features, width, f"unit{index}", kernel=1)
    level1 = ops.tanh(convolution(config.codec.level1_channels, 1, "output", dtype=dtype)(features))
    model = keras.Model(magnitude, ops.cast(level1, "float32"), name="level1_encoder")
    model.noise_layers = 0
    return model


def _phase_head(features: Any, config: Config, dtype: str | None) -> Any:
    """The phase in units of pi, or cosines and sines on the unit circle."""
    bins = config.spectral.bins
    if config.codec.phase == "angle":
        return ops.clip(convolution(bins, 1, "phase", dtype=dtype)(features), -1.0, 1.0)
    raw = ops.cast(convolution(2 * bins, 1, "phase", dtype=dtype)(features), "float32")
    cosine, sine = raw[..., :bins], raw[..., bins:]
    length = ops.sqrt(ops.square(cosine) + ops.square(sine) + PHASOR_EPSILON)
    return ops.concatenate([cosine / length, sine / length], axis=-1)


def build_level1_decoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the level-1 decoder.

    Args:
        config: The config; ``codec.architecture`` chooses between the published and the compact network.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from `[level1 (batch, frames, level1_channels), noise (batch, frames, noise_layers)]` to
        `(magnitude (batch, frames, bins), phase)`, float32, for any multiple of ``decoder_frames`` frames. Phase is
        `(batch, frames, bins)` in units of pi, or `(batch, frames, 2 * bins)` cosines then sines when
        ``codec.phase`` is ``phasor``. Its attribute ``noise_layers`` is 9 for the published graph.

    Raises:
        UserError: If the config's sizes do not fit together.
    """
    if config.codec.architecture == "compact":
        from musika.autoencoder import compact

        return compact.build_level1_decoder(config, dtype=dtype)
    check_published(config)
    hop, block = config.spectral.hop_length, config.codec.decoder_frames
    level1 = keras.Input((None, config.codec.level1_channels), name="level1")
    noise = keras.Input((None, DECODER_NOISE_LAYERS), name="noise")
    units = Units(fold_blocks(noise, block), dtype)

    down0 = units.flat(fold_blocks(level1, block), 3 * hop, "down0")
    down1 = units.flat(down0, 3 * hop, "down1", stride=2)
    down2 = units.flat(down1, 2 * hop, "down2", stride=2)
    down3 = units.flat(down2, hop, "down3", stride=2)
    up2 = units.up(down3, 2 * hop, "up2")
    up1 = units.up(up2 + down2, 3 * hop, "up1")
    up0 = units.up(up1 + down1, 3 * hop, "up0")
    phase1 = units.up(up2, 3 * hop, "phase1")
    phase0 = units.up(phase1 + up1, 3 * hop, "phase0")

    magnitude = convolution(config.spectral.bins, 1, "magnitude", dtype=dtype)(up0 + down0)
    magnitude = ops.clip(magnitude, -1.0, 1.0)
    phase = _phase_head(phase0 + up0, config, dtype)
    outputs = [ops.cast(UnfoldBlocks(dtype=dtype)(part, level1), "float32") for part in (magnitude, phase)]
    model = keras.Model([level1, noise], outputs, name="level1_decoder")
    model.noise_layers = units.noise_layers
    return model
