"""The refiner: the finer channels of latents drawn anew, given the coarser ones.

A GAN makes the leading principal components of a latent step as music has them, but in the many small ones, which tell
neighbouring notes of a bass apart, it hardly learns what belongs together. That can be learned without a critic: a
network is told the coarser channels and learns the way from noise to the finer ones of music, with some steps around
each in view. When a piece is played, a few steps along this way replace what the generator made.

Source: Lipman et al. 2023, "Flow Matching for Generative Modeling", with straight ways (section 4.1, optimal
transport); noise on what the network is told, against its trust in it: Ho et al. 2022, "Cascaded Diffusion Models for
High Fidelity Image Generation", section 4.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from musika.checks import UserError, check_integer, check_number
from musika.config import Config

Tensor = Any

_KERNEL = 3
_FREQUENCIES = np.exp(np.linspace(0.0, 5.0, 16)).astype("float32")  # at which the network sees the time of the way
_MOST, _MOST_WIDTH = 16, 4096


def check_refiner(config: Config) -> None:
    """Check the settings of a refiner before it is built.

    Args:
        config: The config.

    Raises:
        UserError: If one is out of range, or the codec's channels have no order.
    """
    settings, channels = config.generator.refiner, config.codec.latent_channels
    if not settings.kept:
        return
    if config.codec.architecture != "compact":
        raise UserError(
            "generator.refiner needs a compact codec, whose latent channels go from coarse to fine. Received:"
            f" architecture={config.codec.architecture!r}. Set generator.refiner.kept to 0."
        )
    for name, most in {"kept": channels - 1, "width": _MOST_WIDTH, "blocks": _MOST, "steps": _MOST}.items():
        check_integer(getattr(settings, name), f"generator.refiner.{name}", 1, most)
    check_number(settings.blur, "generator.refiner.blur", 0.0, 10.0)
    if 2 * _reach(config) > config.generator.patch_spacing:
        raise UserError(
            "generator.refiner must not look further than half a patch: steps * (blocks + 1) is at most half of"
            f" patch_latents - overlap_latents, {config.generator.patch_spacing // 2}."
            f" Received: {settings.steps} * {settings.blocks + 1}"
        )


def _reach(config: Config) -> int:
    """Steps before and after a latent step that what is drawn for it depends on."""
    return config.generator.refiner.steps * (config.generator.refiner.blocks + 1) * (_KERNEL // 2)


def kept_channels(config: Config) -> np.ndarray:
    """Which channels of generated latents are heard as they are.

    Args:
        config: The config.

    Returns:
        False for a channel that a refiner draws, `(2 * latent_channels,)`.
    """
    channels, kept = config.codec.latent_channels, config.generator.refiner.kept
    return np.arange(2 * channels) % channels < (kept or channels)


class _Block(keras.layers.Layer):
    """A residual block, told how far the way is done."""

    def __init__(self, width: int, name: str) -> None:
        super().__init__(dtype="float32", name=name)
        self.norm = keras.layers.LayerNormalization(dtype="float32", name="norm")
        self.convolution = keras.layers.Conv1D(width, _KERNEL, padding="same", dtype="float32", name="convolution")
        self.shift = keras.layers.Dense(width, dtype="float32", name="shift")
        self.out = keras.layers.Dense(width, kernel_initializer="zeros", dtype="float32", name="out")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        for layer in (self.norm, self.convolution, self.shift, self.out):
            layer.build(shape)

    def call(self, features: Tensor, told: Tensor) -> Tensor:
        """Features `(batch, steps, width)`, and what is told `(batch, 1, width)`."""
        return features + self.out(ops.silu(self.convolution(self.norm(features)) + self.shift(told)))


class Refiner(keras.Model):
    """Draws the finer channels of latents, which it is given in the form in which the GAN makes them.

    Attributes:
        kept: Indices of the channels that stay, of both sides.
        drawn: Indices of all others.
        steps: Passes through the network.
        reach: Steps before and after a latent step that what is drawn for it depends on.
        blur: Deviation of the noise that the kept channels bore in training.
        deviation: Of each channel in music, `(2 * latent_channels,)`: the network sees latents divided by it.
    """

    def __init__(self, config: Config) -> None:
        """Make the layers and their weights.

        Args:
            config: The config; ``generator.refiner`` and ``codec.latent_channels`` matter.
        """
        super().__init__(name="refiner", dtype="float32")
        settings, channels = config.generator.refiner, config.codec.latent_channels
        leading = kept_channels(config)
        self.kept, self.drawn = np.flatnonzero(leading), np.flatnonzero(~leading)
        self._order = np.argsort(np.concatenate([self.kept, self.drawn]))
        self.steps, self.blur, self.reach = settings.steps, settings.blur, _reach(config)
        self.deviation = self.add_weight(
            shape=(2 * channels,), initializer="ones", trainable=False, name="deviation", dtype="float32"
        )
        width = settings.width
        self._time = keras.layers.Dense(width, activation="silu", dtype="float32", name="time")
        self._first = keras.layers.Conv1D(width, _KERNEL, padding="same", dtype="float32", name="first")
        self._blocks = [_Block(width, name=f"block{index}") for index in range(settings.blocks)]
        self._norm = keras.layers.LayerNormalization(dtype="float32", name="norm")
        self._last = keras.layers.Dense(len(self.drawn), kernel_initializer="zeros", dtype="float32", name="last")
        self._time.build((None, 1, 2 * len(_FREQUENCIES) + 1))
        self._first.build((None, None, 2 * channels))
        for layer in (*self._blocks, self._norm, self._last):
            layer.build((None, None, width))
        self.built = True

    def velocity(self, drawn: Tensor, kept: Tensor, time: Tensor) -> Tensor:
        """Where the finer channels go from a place on the way from noise to music.

        Args:
            drawn: The finer channels there, `(batch, steps, channels)`, divided by their deviation.
            kept: The coarser ones, likewise.
            time: How far the way is done, from 0 to 1, `(batch, 1, 1)`.

        Returns:
            Their change for all of the way, as ``drawn``.
        """
        angles = time * _FREQUENCIES
        told = self._time(ops.concatenate([ops.sin(angles), ops.cos(angles), time], axis=-1))
        features = self._first(ops.concatenate([drawn, kept], axis=-1))
        for block in self._blocks:
            features = block(features, told)
        return self._last(ops.silu(self._norm(features)))

    def parts(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Split latents.

        Args:
            latents: As the GAN makes them, `(batch, steps, 2 * latent_channels)`.

        Returns:
            The channels that stay and those that are drawn, both divided by their deviation.
        """
        scaled = latents / self.deviation
        return ops.take(scaled, self.kept, axis=-1), ops.take(scaled, self.drawn, axis=-1)

    def call(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Draw the finer channels.

        Args:
            latents: As the GAN makes them, `(batch, steps, 2 * latent_channels)`.
            noise: Standard normal, `(batch, steps, channels that are drawn)`.

        Returns:
            Latents likewise, whose coarser channels are those given.
        """
        kept, _ = self.parts(latents)
        place, before = noise, None
        for index in range(self.steps):
            change = self.velocity(place, kept, ops.full((1, 1, 1), index / self.steps, "float32"))
            # By the last two changes (Adams and Bashforth), four steps come as far as sixteen by the last one alone.
            ahead = change if before is None else 1.5 * change - 0.5 * before
            place, before = place + ahead / self.steps, change
        return ops.take(ops.concatenate([kept, place], axis=-1), self._order, axis=-1) * self.deviation


def build_refiner(config: Config) -> Refiner | None:
    """Build the refiner of a config.

    Args:
        config: The config.

    Returns:
        The refiner, or None where the config has none.

    Raises:
        UserError: If it cannot be built so.
    """
    check_refiner(config)
    return Refiner(config) if config.generator.refiner.kept else None
