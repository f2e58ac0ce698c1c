"""The critic of the latent GAN: a window of two joined patches -> one number, high for real music."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from musika.config import Config
from musika.gan.conditioning import condition_columns
from musika.gan.generator import coarse_steps
from musika.gan.layers import halve_time
from musika.layers import HE_UNIFORM, convolution

BLOCKS = ((4, 4), (5, 4), (6, 4), (7, 4), (7, 1))  # (width in base channels, kernel of the first convolution)
SLOPE = 0.2
HALF = math.sqrt(0.5)


def critic_blocks(small: bool) -> tuple[tuple[int, int], ...]:
    """The residual blocks: (width in base channels, kernel of the first convolution).

    Args:
        small: Whether this is the short-context variant, which lacks the last block.

    Returns:
        A pair for each block.

    >>> len(critic_blocks(small=True))
    4
    """
    return BLOCKS[:4] if small else BLOCKS


def joint_columns(config: Config) -> int:
    """Channels beside the critic's latents that say how their steps meet; 0 without them.

    Args:
        config: The config; ``generator_training.critic_joints`` matters.

    Returns:
        The number of channels.
    """
    return 2 * config.generator_training.critic_joints


def _residual_block(features: Any, channels: int, kernel: int, name: str, dtype: str | None) -> Any:
    """Two leaky convolutions, the second halving the steps, plus an average-pooled shortcut."""
    inside = convolution(features.shape[-1], kernel, f"{name}_inside", dtype=dtype)(features)
    inside = HALF * ops.leaky_relu(inside, SLOPE)
    outside = convolution(channels, 4, f"{name}_outside", stride=2, dtype=dtype)(inside)
    outside = HALF * ops.leaky_relu(outside, SLOPE)
    shortcut = halve_time(features, f"{name}_pool", dtype)
    if shortcut.shape[-1] != channels:
        shortcut = convolution(channels, 1, f"{name}_shortcut", bias=False, dtype=dtype)(shortcut)
    return outside + shortcut


def build_critic(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the critic.

    Args:
        config: The config; ``generator`` and ``codec.latent_channels`` matter.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from latents `(batch, window_latents, 2 * latent_channels)` to judgements `(batch, 1)`, float32; with
        controls from `[latents, conditions (batch, window_latents, control columns)]`. Joints, if there are any, stand
        beside the latents; ``joint_columns`` is their number. Its ``noise_layers`` is 0.

    Raises:
        UserError: If the config's sizes do not fit together.
    """
    settings = config.generator
    coarse_steps(config)
    base = settings.base_channels
    channels = 2 * config.codec.latent_channels
    latents = keras.Input((settings.window_latents, channels + joint_columns(config)), name="latents")
    columns = condition_columns(config)
    conditions = keras.Input((settings.window_latents, columns), name="conditions") if columns else None
    # Joints come last, so that a critic which grew up without them can go on with them.
    parts = [latents[..., :channels], conditions, latents[..., channels:] if joint_columns(config) else None]
    seen = ops.concatenate([part for part in parts if part is not None], axis=-1)
    features = convolution(3 * base, 4, "input", stride=2, dtype=dtype)(seen)
    features = ops.leaky_relu(features, SLOPE)
    for index, (width, kernel) in enumerate(critic_blocks(settings.small)):
        features = _residual_block(features, width * base, kernel, f"block{index}", dtype)
    features = ops.leaky_relu(convolution(7 * base, 3, "last", dtype=dtype)(features), SLOPE)
    flat = keras.layers.Flatten(dtype=dtype, name="flat")(features)
    judgement = keras.layers.Dense(1, kernel_initializer=HE_UNIFORM, dtype=dtype, name="judgement")(flat)
    inputs = latents if conditions is None else [latents, conditions]
    model = keras.Model(inputs, ops.cast(judgement, "float32"), name="critic")
    model.noise_layers, model.joint_columns = 0, joint_columns(config)
    return model
