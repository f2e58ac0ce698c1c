"""The compact codec: both levels are principal components plus a small learned residual.

Level 1 maps a frame of soft-floored, weighted log-magnitudes to its principal components; level 2 maps a patch of
``frames_per_latent`` such frames to the principal components of patches. Around both lies a residual network that
starts near zero, so the codec is usable as soon as the components are measured (seconds) and training only improves
it. Phase has no linear path: it is learned, as cosine and sine of each bin, referred to the middle of its frame; in
the lower bins, where tones are resolved and ring longest, it is carried on from frame to frame, by steps that are
learned (``phase_steps.py``), along ways that are found (``phase_tracking.py``).
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from musika.autoencoder.composer import Composer
from musika.autoencoder.low_phase import LowPhase
from musika.autoencoder.phase_steps import PhaseSteps
from musika.autoencoder.residual import build_in_order, dense, normalised, residual_blocks, rows
from musika.autoencoder.soft_floor import LOUDEST, SoftFloor
from musika.checks import UserError
from musika.config import Config

_SMALL = 1e-3  # variance scale of residual outputs: near zero at the start
_STEPS_CONTEXT = 4  # frames at either end that a tracked stretch is told with: what the steps' network sees
_CEILING_REACH = 4  # bins to either side: the main lobe of the next tone
_CEILING_MARGIN = 0.25  # above a full-scale sine, in nepers: the first partial of a square wave
_LATENT_LIMIT = 3.0  # principal components are clipped to +-3 standard deviations


def initial_turn(config: Config) -> np.ndarray:
    """Sign pattern ``(-1) ** k`` that moves the phase reference of a frame to its centre.

    Args:
        config: The config.

    Returns:
        Array `(bins,)` of 1 and -1.
    """
    return np.where(np.arange(config.spectral.bins) % 2, -1.0, 1.0).astype("float32")


@keras.saving.register_keras_serializable("musika")
class Components(layers.Layer):
    """A fixed affine map: ``(x - mean) @ basis / scale`` or, backwards, ``(x * scale) @ basis.T + mean``.

    It computes in float32 even in a network of lower precision: it carries nearly all of the level.
    """

    def __init__(self, inputs: int, outputs: int, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.inputs, self.outputs = inputs, outputs
        self.mean = self.add_weight(shape=(inputs,), initializer="zeros", trainable=False, name="mean")
        self.basis = self.add_weight(
            shape=(inputs, outputs), initializer="glorot_normal", trainable=False, name="basis"
        )
        self.scale = self.add_weight(shape=(outputs,), initializer="ones", trainable=False, name="scale")
        self.built = True  # decoders take its arrays without calling it

    def call(self, x: Any, backward: bool = False) -> Any:
        """Project `(..., inputs)` to `(..., outputs)`, or back."""
        if backward:
            return ops.matmul(x * self.scale, ops.transpose(self.basis)) + self.mean
        return ops.matmul(x - self.mean, self.basis) / self.scale


class _Network(keras.Model):
    """A network without noise inputs."""

    noise_layers = 0


class Level1Encoder(_Network):
    """Frames of scaled log-magnitudes `(batch, frames, bins)` to `(batch, frames, level1_channels)`."""

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        widths = config.codec.compact
        self.soft_floor = SoftFloor(config)
        self.components = Components(config.spectral.bins, config.codec.level1_channels, name="components")
        self.first = dense(widths.level1_hidden, dtype, name="first")
        self.second = dense(widths.level1_hidden, dtype, name="second")
        self.last = dense(config.codec.level1_channels, dtype, _SMALL, name="last")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        build_in_order(shape, self.first, self.second, self.last)

    def call(self, level: Any) -> Any:
        """See the class."""
        weighted = self.soft_floor.forward(ops.cast(level, "float32"))
        hidden = ops.silu(self.first(level))
        hidden = hidden + ops.silu(self.second(hidden))
        return self.components(weighted) + ops.cast(self.last(hidden), "float32")


class Level1Decoder(_Network):
    """Level-1 latents `(batch, frames, level1_channels)` to log-magnitudes and the phasor of each bin."""

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        widths, bins = config.codec.compact, config.spectral.bins
        self.frames_per_latent = config.codec.frames_per_latent
        self.soft_floor = SoftFloor(config)
        self.turn, self.fft_length = initial_turn(config), config.spectral.fft_length
        self.components = Components(bins, config.codec.level1_channels, name="components")
        self.input_scale = self.add_weight(
            shape=(config.codec.level1_channels,), initializer="ones", trainable=False, name="input_scale"
        )
        self.first = layers.Conv1D(widths.trunk, 3, padding="same", dtype=dtype, name="first")
        self.position = self.add_weight(
            shape=(self.frames_per_latent, widths.trunk), initializer="random_normal", name="position"
        )
        self.blocks = residual_blocks(widths.trunk_blocks, widths.trunk, dtype)
        self.head = dense(widths.head, dtype, name="head")
        self.magnitude = dense(bins, dtype, _SMALL, name="magnitude")
        self.recurrent, self.tracked = widths.phase_recurrence, widths.phase_tracking
        if self.tracked and not 0 < self.recurrent <= self.tracked < bins:
            raise UserError(
                "codec.compact.phase_tracking must be at least phase_recurrence, which must be above 0, and less than"
                f" the {bins} bins. Received: phase_tracking={self.tracked}, phase_recurrence={self.recurrent}"
            )
        self.phase = dense(2 * (bins - self.recurrent), dtype, name="phase")
        self.low_phase = LowPhase(config, dtype, name="low_phase") if self.recurrent else None
        self.phase_steps: Any = PhaseSteps(config, dtype, name="phase_steps") if self.tracked else None
        self.ceiling: Any = None
        self.match: Any = None
        if widths.ceiling:
            full_scale = math.log(config.spectral.fft_length / 4)
            self.highest = self.soft_floor.emphasis + np.float32(full_scale + _CEILING_MARGIN)
            self.ceiling = self.add_weight(
                shape=(bins,), initializer=lambda *args, **kwargs: self.highest, trainable=False, name="ceiling"
            )
        if widths.match:
            self.match = self.add_weight(shape=(3, bins), initializer="zeros", trainable=False, name="match")
        elif widths.spread:
            self.match = self.add_weight(shape=(bins,), initializer="zeros", trainable=False, name="spread")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        hidden = build_in_order(shape, self.first, *self.blocks)
        wide = build_in_order(hidden, self.head)
        for part in (self.magnitude, self.phase):
            part.build(wide)
        if self.low_phase is not None:
            self.low_phase.build(hidden)
        if self.phase_steps is not None:
            self.phase_steps.build((*hidden[:-1], self.tracked + 1), hidden)

    def limit(self) -> Any:
        """The loudest that each bin may be: logarithm of the emphasised amplitude, float32 `(bins,)`, or one number."""
        return np.float32(LOUDEST) if self.ceiling is None else ops.convert_to_numpy(self.ceiling)

    def matching(self) -> np.ndarray | None:
        """What decoded sound is given so that it is as loud and as wide as its training music, if anything.

        Returns:
            Float32 `(3, bins)`: by how many nepers each bin is made louder, how far its phase swings to either side at
            the soft floor (radians), and how much that changes with each neper above it.
        """
        if self.match is None:
            return None
        values = ops.convert_to_numpy(ops.cast(self.match, "float32"))
        return values if values.ndim == 2 else np.stack([0 * values, values, 0 * values])

    def set_ceiling(self, frames: np.ndarray, before: np.ndarray | None = None) -> None:
        """Set the ceiling to what is the loudest in some music, each bin's neighbours counted in.

        Args:
            frames: What `SoftFloor.forward` gives for the music, `(frames, bins)`.
            before: A ceiling that is not to be lowered, as `limit` gives it.
        """
        from scipy.ndimage import maximum_filter1d

        loudest = frames.max(axis=0) * self.soft_floor.inverse_weights
        loudest = maximum_filter1d(loudest, 2 * _CEILING_REACH + 1, mode="nearest")
        self.ceiling.assign(np.minimum(loudest if before is None else np.maximum(loudest, before), self.highest))

    def call(self, level1: Any) -> Any:
        """See the class. The number of frames must be a multiple of ``frames_per_latent``."""
        return self.joined(self.heads(level1))

    def joined(self, parts: tuple[Any, ...]) -> tuple[Any, Any]:
        """Log-magnitudes and phasors of each frame alone, of what `heads` gives."""
        weighted, cosine, sine, *low = (ops.cast(part, "float32") for part in parts)
        weighted = weighted + self._mean()
        cosine, sine = (
            part + bias
            for part, bias in zip((cosine, sine), ops.split(ops.cast(self.phase.bias, "float32"), 2), strict=True)
        )
        if low:
            lower = ops.split(low[0], 2, axis=-1)
            cosine, sine = (ops.concatenate(pair, axis=-1) for pair in zip(lower, (cosine, sine), strict=True))
        factor = ops.multiply(ops.rsqrt(cosine * cosine + sine * sine + 1e-6), self.turn)
        phasor = ops.concatenate([cosine * factor, sine * factor], axis=-1)
        limit = LOUDEST if self.ceiling is None else ops.convert_to_tensor(self.ceiling)
        return self.soft_floor.level(self.soft_floor.backward(weighted, limit)), phasor

    def heads(self, level1: Any, margin: int = 0) -> tuple[Any, ...]:
        """Weighted levels, the unnormalised phasors' two parts, and, if they are there, low phases and what steps take.

        Args:
            level1: Level-1 latents `(batch, frames, level1_channels)`.
            margin: Frames at either end that are context only.

        Returns:
            Tensors `(batch, frames - 2 * margin, ...)`: levels of all bins, less their mean, and phasors of those
            above the recurrence, less their bias, all of the network's type: to go over them once more would cost as
            much here as to make them.
        """
        scaled = ops.cast(level1 * ops.cast(self.input_scale, level1.dtype), self.compute_dtype)
        hidden = self.first(scaled)
        frames, width = hidden.shape[1], hidden.shape[2]
        position = ops.tile(self.position, (frames // self.frames_per_latent, 1))
        hidden = hidden + ops.cast(ops.reshape(position, (1, frames, width)), hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden)
        around = min(margin, _STEPS_CONTEXT) if self.phase_steps is not None else 0
        near, count = slice(margin - around, frames - margin + around), frames - 2 * margin
        kept = slice(margin, frames - margin)
        wide_near = ops.silu(self.head(rows(hidden[:, near])))
        wide = rows(ops.reshape(wide_near, (-1, count + 2 * around, wide_near.shape[-1]))[:, around : around + count])
        parts = [self._weighted(rows(level1[:, kept]), wide), *self._phase_parts(wide)]
        if self.low_phase is not None:
            parts.append(ops.cast(ops.concatenate(self.low_phase(hidden), axis=-1)[:, kept], wide.dtype))
        if self.phase_steps is not None:
            told = self._told(level1[:, near], hidden[:, near], wide_near)
            parts.append(told[:, around : around + count])
        return tuple(ops.reshape(part, (-1, count, part.shape[-1])) for part in parts)

    def steps(self, parts: tuple[Any, ...]) -> Any:
        """Steps of phase, see `PhaseSteps`, of what `heads` gives."""
        level = self._level(ops.cast(parts[0][..., : self.tracked + 1], "float32"))
        return self.phase_steps.steps_of(level, parts[-1])

    def composer(self) -> Composer:
        """Make what turns the parts that `heads` gives into spectra, with the weights of now."""
        return Composer(self)

    def _mean(self) -> Any:
        """What weighted levels are less than they should be, `(bins,)`."""
        return self.components.mean + ops.cast(self.magnitude.bias, "float32")

    def _level(self, weighted: Any) -> Any:
        """Natural logarithms of amplitudes `(..., count)` of the lowest bins' weighted levels less their mean.

        Steps of phase follow from levels, but do not change them in training.
        """
        count = weighted.shape[-1]
        level = ops.multiply(weighted + self._mean()[:count], self.soft_floor.inverse_weights[:count])
        return ops.stop_gradient(ops.subtract(level, self.soft_floor.emphasis[:count]))

    def _told(self, level1: Any, hidden: Any, wide: Any) -> Any:
        """What a network tells of steps of phase in frames `(batch, frames, ...)`, from the levels they will have."""
        weighted = self._weighted(rows(level1), wide, self.tracked + 1)
        level = ops.reshape(self._level(ops.cast(weighted, "float32")), (-1, hidden.shape[1], self.tracked + 1))
        return self.phase_steps(level, hidden)

    def _weighted(self, level1: Any, wide: Any, count: int | None = None) -> Any:
        """Weighted levels less their mean, of all bins or the first ones: both ways to them as one product."""
        basis = ops.transpose(self.components.basis[:count] * self.components.scale)
        kernel = ops.concatenate([basis, ops.cast(self.magnitude.kernel[:, :count], "float32")], axis=0)
        joined = ops.concatenate([ops.cast(level1, wide.dtype), wide], axis=-1)
        return ops.matmul(joined, ops.cast(kernel, wide.dtype))

    def _phase_parts(self, wide: Any) -> tuple[Any, Any]:
        """The phase head's two halves, as two products: cheaper than to split one."""
        half = self.phase.units // 2
        kernel = ops.cast(self.phase.kernel, wide.dtype)
        return ops.matmul(wide, kernel[:, :half]), ops.matmul(wide, kernel[:, half:])


class Level2Encoder(_Network):
    """Level-1 latents `(batch, frames, level1_channels)` to latents `(batch, steps, latent_channels)`."""

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        codec, widths = config.codec, config.codec.compact
        self.patch = codec.frames_per_latent * codec.level1_channels
        self.joined = codec.frames_per_latent * widths.level2_frame
        self.components = Components(self.patch, codec.latent_channels, name="components")
        self.frame = dense(widths.level2_frame, dtype, name="frame")
        self.first = dense(widths.level2_hidden, dtype, name="first")
        self.blocks = residual_blocks(widths.level2_blocks, widths.level2_hidden, dtype, dilated=False)
        self.normalise = layers.LayerNormalization(dtype=dtype, name="normalise")
        self.last = dense(codec.latent_channels, dtype, _SMALL, name="last")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        framed = build_in_order(shape, self.frame)
        build_in_order((*framed[:-1], self.joined), self.first, *self.blocks, self.normalise, self.last)

    def call(self, level1: Any) -> Any:
        """See the class."""
        steps = level1.shape[1] * level1.shape[2] // self.patch
        linear = self.components(ops.reshape(ops.cast(level1, "float32"), (-1, steps, self.patch)))
        hidden = self.first(ops.reshape(ops.silu(self.frame(level1)), (-1, steps, self.joined)))
        for block in self.blocks:
            hidden = block(hidden)
        residual = ops.cast(self.last(normalised(hidden, self.normalise)), "float32")
        return ops.clip(linear, -_LATENT_LIMIT, _LATENT_LIMIT) + residual


class Level2Decoder(_Network):
    """Latents `(batch, steps, latent_channels)` to level-1 latents `(batch, frames, level1_channels)`."""

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        codec, widths = config.codec, config.codec.compact
        self.frames_per_latent, self.level1_channels = codec.frames_per_latent, codec.level1_channels
        self.components = Components(
            codec.frames_per_latent * codec.level1_channels, codec.latent_channels, name="components"
        )
        self.first = layers.Conv1D(widths.level2_hidden, 3, padding="same", dtype=dtype, name="first")
        self.blocks = residual_blocks(widths.level2_blocks, widths.level2_hidden, dtype, dilated=False)
        self.frames = dense(codec.frames_per_latent * widths.level2_frame, dtype, name="frames")
        self.level2_frame = widths.level2_frame
        self.last = dense(codec.level1_channels, dtype, _SMALL, name="last")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        framed = build_in_order(shape, self.first, *self.blocks, self.frames)
        self.last.build((*framed[:-1], self.level2_frame))

    def call(self, latents: Any) -> Any:
        """See the class."""
        frames = latents.shape[1] * self.frames_per_latent
        hidden = self.first(latents)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = ops.reshape(self.frames(ops.silu(hidden)), (-1, frames, self.level2_frame))
        residual = self.last(ops.silu(hidden))
        linear = ops.reshape(self.components(latents, backward=True), (-1, frames, self.level1_channels))
        return linear + ops.cast(residual, "float32")


def _built(network: keras.Model, channels: int) -> keras.Model:
    network.build((None, None, channels))
    return network


def build_level1_encoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build a `Level1Encoder`; ``dtype`` is the type of its computation."""
    return _built(Level1Encoder(config, dtype, name="level1_encoder"), config.spectral.bins)


def build_level1_decoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build a `Level1Decoder`; ``dtype`` is the type of its computation."""
    return _built(Level1Decoder(config, dtype, name="level1_decoder"), config.codec.level1_channels)


def build_level2_encoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build a `Level2Encoder`; ``dtype`` is the type of its computation."""
    return _built(Level2Encoder(config, dtype, name="level2_encoder"), config.codec.level1_channels)


def build_level2_decoder(config: Config, dtype: str | None = None) -> keras.Model:
    """Build a `Level2Decoder`; ``dtype`` is the type of its computation."""
    return _built(Level2Decoder(config, dtype, name="level2_decoder"), config.codec.latent_channels)
