"""The auxiliary network: latents -> the controls that can be heard in them.

It learns on real latents what their controls are; the generator is told how far what it hears in generated ones is from
what was asked for. Source of the idea: Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs",
with numbers and clocks in the place of classes.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from musika.config import Config
from musika.gan.conditioning import condition_columns, flag_columns
from musika.layers import convolution

Tensor = Any

WIDTH = 3  # in base channels
DILATIONS = (1, 2, 4, 1)  # of the residual convolutions over 3 steps each; 19 steps are heard in all
LEAST_VARIANCE = 1e-6  # a channel that varies less is not learned


def build_auxiliary(config: Config, dtype: str | None = None) -> keras.Model:
    """Build the auxiliary network.

    Args:
        config: The config; ``generator`` and ``codec.latent_channels`` matter.
        dtype: Precision of every layer, such as ``mixed_bfloat16``; None for Keras' global policy.

    Returns:
        A model from latents `(batch, window_latents, 2 * latent_channels)` to conditions as they are heard, `(batch,
        window_latents, control columns)` float32. Its ``noise_layers`` is 0.
    """
    width = WIDTH * config.generator.base_channels
    latents = keras.Input((config.generator.window_latents, 2 * config.codec.latent_channels), name="latents")
    features = ops.silu(convolution(width, 3, "input", dtype=dtype)(latents))
    for index, dilation in enumerate(DILATIONS):
        layer = keras.layers.Conv1D(width, 3, padding="same", dilation_rate=dilation, dtype=dtype, name=f"block{index}")
        features = features + ops.silu(layer(features))
    heard = keras.layers.Dense(condition_columns(config), kernel_initializer="zeros", dtype=dtype, name="heard")
    model = keras.Model(latents, ops.cast(heard(features), "float32"), name="auxiliary")
    model.noise_layers = 0
    return model


class ControlDistance:
    """How far heard controls are from the ones that were asked for, as a share of their variance in real music.

    Attributes:
        weights: For each condition channel what its squared error counts, `(columns,)`.
    """

    def __init__(self, config: Config, conditions: list[np.ndarray]) -> None:
        """Measure the variances.

        Args:
            config: The config; its controls matter.
            conditions: The channels of the training music, `(steps, columns)` each.
        """
        told = np.concatenate(conditions).astype(np.float64)
        self._flags = flag_columns(config.generator.controls)
        known = told[:, self._flags] > 0
        count = np.maximum(known.sum(axis=0), 1)
        mean = (told * known).sum(axis=0) / count
        variance = (known * (told - mean) ** 2).sum(axis=0) / count
        learned = (variance > LEAST_VARIANCE) & (self._flags != np.arange(len(self._flags)))
        shares = np.where(learned, 1.0 / np.maximum(variance, LEAST_VARIANCE), 0.0)
        self.weights = (shares / max(int(learned.sum()), 1)).astype(np.float32)

    def __call__(self, heard: Tensor, conditions: Tensor) -> Tensor:
        """The distance.

        Args:
            heard: What the auxiliary network hears, `(batch, steps, columns)`.
            conditions: What was asked for, likewise; what was not asked for does not count.

        Returns:
            A scalar: 0 where all controls are heard as they were asked for, about 1 where nothing but their mean is.
        """
        asked = ops.take(conditions, self._flags, axis=-1)
        squares = asked * ops.square(heard - conditions) * self.weights
        return ops.mean(ops.sum(squares, axis=-1))
