"""The generator: coordinates -> one patch of stereo latents, each patch alone.

Patches that stand side by side on the coordinate path fit together because the critic always judges two
neighbours at once. The graph is the published one: the coordinates, averaged to each layer's resolution, reach every
layer through AdaIN; controls stand beside them as more channels.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from musika.checks import UserError
from musika.config import Config
from musika.gan.conditioning import check_controls, condition_columns
from musika.gan.layers import AdaptiveNorm, halve_time, shuffle_to_time
from musika.layers import HE_UNIFORM, NoiseColumns, convolution, upsampling

NOISE_LAYERS = 10
STAGE_WIDTHS = (6, 5, 4, 3)  # of the residual stages, in base channels
START_WIDTH = 7  # of the coarsest step, in base channels
HALF = math.sqrt(0.5)  # keeps the variance of a sum of two branches


def coarse_steps(config: Config) -> int:
    """The number of steps at which the generator starts: a 32nd of a patch, a 16th in the small variant.

    Args:
        config: The config.

    Returns:
        The number of steps (4 in both published variants).

    Raises:
        UserError: If a patch cannot be halved often enough, or the base channels are odd.
    """
    settings = config.generator
    multiple = 32 if settings.small else 64
    if settings.patch_latents < multiple or settings.patch_latents % multiple:
        raise UserError(
            f"generator.patch_latents must be a multiple of {multiple} when small is {str(settings.small).lower()}. "
            f"Received: patch_latents={settings.patch_latents}"
        )
    if not 0 <= settings.overlap_latents <= settings.patch_latents // 4 or settings.overlap_latents % 2:
        raise UserError(
            "generator.overlap_latents must be an even number, at most a quarter of patch_latents. "
            f"Received: overlap_latents={settings.overlap_latents}"
        )
    if settings.base_channels < 2 or settings.base_channels % 2:
        raise UserError(f"generator.base_channels must be even. Received: base_channels={settings.base_channels}")
    return 2 * settings.patch_latents // multiple


class _Units:
    """Makes the generator's units: convolution -> noise -> AdaIN -> swish."""

    def __init__(self, noise: Any, shift: bool, dtype: str | None) -> None:
        self.columns = NoiseColumns(noise, dtype)
        self.shift = shift
        self.dtype = dtype

    def finish(self, features: Any, condition: Any, name: str) -> Any:
        """Noise, AdaIN and swish on what a convolution gave."""
        features = self.columns.add(features, f"{name}_noise")
        normal = AdaptiveNorm(self.shift, dtype=self.dtype, name=f"{name}_adain")(features, condition)
        return ops.silu(normal)

    def up(self, features: Any, condition: Any, channels: int, name: str) -> Any:
        """A unit that doubles the steps."""
        return self.finish(upsampling(channels, f"{name}_conv", self.dtype)(features), condition, name)

    def flat(self, features: Any, condition: Any, channels: int, name: str, kernel: int = 4) -> Any:
        """A unit that keeps the steps."""
        layer = convolution(channels, kernel, f"{name}_conv", dtype=self.dtype)
        return self.finish(layer(features), condition, name)


def build_generator(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the generator of one patch.

    Args:
        config: The config; ``generator`` and ``codec.latent_channels`` matter.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from `[coordinates (batch, patch_latents, 2 * coordinate_channels + control columns), noise (batch,
        patch_latents, noise_layers)]` to latents `(batch, patch_latents, 2 * latent_channels)`, float32. Its attribute
        ``noise_layers`` is 10, and 2 more for each of ``refine_blocks``.

    Raises:
        UserError: If the config's sizes do not fit together.
    """
    settings = config.generator
    check_controls(settings.controls)
    steps, base = coarse_steps(config), settings.base_channels
    columns = 2 * settings.coordinate_channels + condition_columns(config)
    coordinates = keras.Input((settings.patch_latents, columns), name="coordinates")
    noise = keras.Input((settings.patch_latents, NOISE_LAYERS + 2 * settings.refine_blocks), name="noise")
    units = _Units(noise, settings.adain_shift, dtype)

    conditions = [coordinates]  # conditions[i] has patch_latents / 2**i steps
    for depth in range(1, 6 if settings.small else 7):
        conditions.append(halve_time(conditions[-1], f"condition{depth}", dtype))
    start = keras.layers.Dense(
        steps * START_WIDTH * base, kernel_initializer=HE_UNIFORM, dtype=dtype, name="start_dense"
    )(keras.layers.Flatten(dtype=dtype, name="start_flat")(conditions[-1]))
    start = ops.reshape(start, (-1, steps, START_WIDTH * base))
    features = units.finish(start, conditions[-2], "start")

    for index, width in enumerate(STAGE_WIDTHS):
        condition, channels = conditions[4 - index], width * base
        first, second = f"unit{2 * index}", f"unit{2 * index + 1}"
        if settings.small and index == 0:
            shortcut = features
            branch = HALF * units.flat(features, condition, channels, first, kernel=1)
            branch = HALF * units.flat(branch, condition, channels, second, kernel=1)
        else:
            shortcut = shuffle_to_time(features)
            branch = HALF * units.up(features, condition, channels, first)
            branch = HALF * units.flat(branch, condition, channels, second)
        features = branch + convolution(channels, 1, f"shortcut{index + 1}", dtype=dtype)(shortcut)

    last = settings.last_width * base
    features = units.up(features, conditions[0], last, "unit8")
    for index in range(settings.refine_blocks):
        branch = HALF * units.flat(features, conditions[0], last, f"refine{index}_first")
        branch = HALF * units.flat(branch, conditions[0], last, f"refine{index}_second")
        features = features + branch
    # In single precision always: rounded to bfloat16, latents change from step to step by more than quiet music does.
    last_dtype = None if dtype is None else "float32"
    latents = convolution(2 * config.codec.latent_channels, 4, "output", dtype=last_dtype)(features)
    model = keras.Model([coordinates, noise], ops.cast(latents, "float32"), name="generator")
    model.noise_layers = units.columns.used
    return model
