"""The codec's whole encode and decode paths as one compiled graph each, and the precision in which they run.

A graph has one fixed shape: both audio channels of one block are its batch. So it is traced once, and what it gives for
a block depends on that block alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from musika.config import Config

_STREAM_DECODER = 16  # Philox streams below it belong to the coordinate path; one a level, one a channel from here on
_WORD = 2**64
PRECISIONS = ["auto", "float32", "bfloat16"]
AUTO_ERROR_DB = 0.1  # mean error in log-magnitude that "auto" accepts for bfloat16


def cpu_has_bfloat16() -> bool:
    """Whether this machine's processor multiplies bfloat16 itself (AVX512-BF16 or AMX), as Linux reports it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def decoder_noise(seed: int, block: int, frames: int, layers: int, level: int) -> np.ndarray:
    """The noise that a decoder adds in one block of a piece, for both audio channels.

    Args:
        seed: Seed of the noise, from 0 to 2**63 - 1.
        block: Which block, counted from time zero; may be negative.
        frames: Frames of the block.
        layers: The decoder's ``noise_layers``.
        level: 1 or 2.

    Returns:
        float32 array of shape ``(2, frames, layers)``, standard normal, a function of the arguments alone.
    """
    channels = []
    for channel in range(2):
        key = np.array([seed % _WORD, _STREAM_DECODER + 2 * level + channel], dtype=np.uint64)
        counter = np.array([0, 0, block % _WORD, 0], dtype=np.uint64)
        random = np.random.Generator(np.random.Philox(key=key, counter=counter))
        channels.append(random.standard_normal((frames, layers), dtype=np.float32))
    return np.stack(channels)


def decoder_inputs(
    config: Config, networks: list[keras.Model], window: np.ndarray, block: int, seed: int | None
) -> list[np.ndarray]:
    """Make what the decode graph takes for one block.

    Args:
        config: The config.
        networks: Level-2 and level-1 decoder.
        window: Stereo latents of the block and its context, ``(steps, 2 * latent_channels)``.
        block: Which block.
        seed: Seed of the noise; None for zeros.

    Returns:
        Latents ``(2, steps, latent_channels)``, and the noise of each decoder that takes any.
    """
    inputs = [np.stack(np.split(window, 2, axis=-1))]
    frames = len(window) * config.codec.frames_per_latent
    for level, network in zip((2, 1), networks, strict=True):
        if not network.noise_layers:
            continue
        if seed is None:
            inputs.append(np.zeros((2, frames, network.noise_layers), np.float32))
        else:
            inputs.append(decoder_noise(seed, block, frames, network.noise_layers, level))
    return inputs


def call_network(network: keras.Model, x: Any, noise: Any = None) -> Any:
    """Call a network with its noise, if it takes any."""
    return network([x, noise]) if network.noise_layers else network(x)


def composes(level1: keras.Model) -> bool:
    """Whether a level-1 decoder leaves the last part of its work to what its method ``composer`` gives."""
    return hasattr(level1, "composer") and not level1.noise_layers


class _Graph(keras.Model):
    """A function of tensors as a model, for what Keras does with models.

    A functional model of the same would be traced twice: when it is put together and when it is compiled.
    """

    def __init__(self, work: Callable[..., Any]):
        super().__init__(name="graph")
        self._work = work
        self.built = True  # it holds no weights of its own

    def call(self, inputs: list[Any]) -> Any:
        """Apply the function."""
        return self._work(*inputs)


def compiled(work: Callable[..., Any]) -> keras.Model:
    """Make a model for `run_graph`, one compiled graph. XLA is left off: it was slower on CPUs.

    Args:
        work: What it computes, a function of tensors by networks that are built.

    Returns:
        The model.
    """
    model = _Graph(work)
    model.compile(optimizer=None, jit_compile=False)
    model.make_predict_function()
    return model


def run_graph(model: keras.Model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What ``predict_on_batch`` gives; on TensorFlow without a copy, the arrays being its own memory.

    Args:
        model: A model as from `compiled`.
        inputs: Its inputs.

    Returns:
        Its outputs.
    """
    if keras.backend.backend() == "tensorflow":
        outputs = model.predict_function([(inputs,)])
    else:
        outputs = model.predict_on_batch(inputs)
    return [np.asarray(part) for part in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def build_decode_graph(config: Config, decoders: list[keras.Model], steps: int) -> keras.Model:
    """Join both decoders.

    The graph ends where matrix products end. The way on to the spectrum is left to the level-1 decoder's ``composer``,
    if it has that, or else to `musika.audio.spectral.synthesise_scaled`: done a few frames at a time, in the
    processor's cache, it costs a fraction of what it costs as operations of this graph.

    Args:
        config: The config.
        decoders: Level-2 and level-1 decoder.
        steps: Latent steps of a block; ``context_latents`` more on either side go in. Their frames come out too if
            phases are refined afterwards, so that neighbouring blocks find similar ones.

    Returns:
        A compiled model from `[latents (batch, steps + 2 * context, L), level-2 noise, level-1 noise]` to what
        ``compose`` takes, or to scaled log-magnitudes and phase. Only a decoder that takes noise has an input for it.
    """
    codec, (level2, level1) = config.codec, decoders
    frames = (steps + 2 * codec.context_latents) * codec.frames_per_latent
    margin = 0 if codec.phase_iterations else codec.context_latents * codec.frames_per_latent

    def work(latents: Any, *noises: Any) -> Any:
        """Decode one block."""
        left = iter(noises)
        latents1 = call_network(level2, latents, next(left) if level2.noise_layers else None)
        if composes(level1):
            return level1.heads(latents1, margin)
        parts = call_network(level1, latents1, next(left) if level1.noise_layers else None)
        return [ops.cast(part[:, margin : frames - margin], "float32") for part in parts]

    return compiled(work)


def build_encode_graph(config: Config, encoders: list[keras.Model], steps: int) -> keras.Model:
    """Join both encoders.

    Args:
        config: The config.
        encoders: Level-1 and level-2 encoder.
        steps: Latent steps that come out; the frames of ``context_latents`` more on either side go in.

    Returns:
        A compiled model from scaled log-magnitudes `(batch, frames, bins)` to latents `(batch, steps, L)`.
    """
    context = config.codec.context_latents

    def work(level: Any) -> Any:
        """Encode one block."""
        latents = call_network(encoders[1], call_network(encoders[0], level))
        return ops.cast(latents[:, context : context + steps], "float32")

    return compiled(work)


def copy_at(build: Any, config: Config, network: keras.Model, dtype: str) -> keras.Model:
    """Build a network again with another type of numbers and the same weights.

    Args:
        build: Its builder, called with the config and ``dtype``.
        config: The config.
        network: The network.
        dtype: Such as ``bfloat16``.

    Returns:
        The copy.
    """
    copy = build(config, dtype=dtype)
    for target, source in zip(copy.weights, network.weights, strict=True):
        target.assign(ops.cast(ops.convert_to_tensor(source), target.dtype))
    return copy


@functools.lru_cache(maxsize=4)
def probe_audio(sample_rate: int, samples: int) -> np.ndarray:
    """A short sound on which precisions are compared: decaying chords and bursts of noise, the same every time.

    Args:
        sample_rate: Samples a second.
        samples: Length.

    Returns:
        float32 array of shape ``(samples, 2)``.
    """
    random = np.random.default_rng(16)
    time = np.arange(samples) / sample_rate
    beat = time % 0.5
    sides = []
    for detune in (1.0, 1.003):
        tones = sum(np.sin(2 * np.pi * f * detune * time) for f in (55.0, 220.0, 277.2, 329.6, 1108.7))
        noise = random.standard_normal(samples) * np.exp(-beat * 30)
        sides.append(0.08 * tones * np.exp(-beat * 5) + 0.1 * noise)
    return np.stack(sides, axis=1).astype(np.float32)
