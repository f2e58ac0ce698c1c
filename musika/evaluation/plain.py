"""The published graph rendered as plainly as Keras allows, so that speeds of two machines can be compared.

All patches of the generator are one batch, then all windows of both audio channels are another, float32 throughout, the
inverse STFT an operation like the rest: about what the original does. How long that takes depends on the machine alone.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from musika.autoencoder.graphs import call_network, compiled, run_graph
from musika.config import load_config
from musika.evaluation.timing import timed, times_real_time
from musika.presets import Preset, random_preset


def plain_graph(preset: Preset, patches: int) -> tuple[keras.Model, list[tuple[int, ...]]]:
    """Join all that turns the generator's inputs into sound.

    Args:
        preset: A preset of the published architecture.
        patches: How many patches are rendered.

    Returns:
        A compiled model to one waveform ``(2, samples)``, and the shapes of what it takes: the generator's inputs and
        the noise of each decoder. The patches are one batch, the audio channels another.
    """
    from musika.training.losses import inverse_short_time_spectrum, level_amplitude

    config, transform = preset.config, preset.config.spectral
    generator: Any = preset.generator
    steps = patches * config.generator.patch_latents
    frames = steps * config.codec.frames_per_latent
    decoders = [preset.codec.networks[name] for name in ("level2_decoder", "level1_decoder")]
    shapes = [(patches, *part.shape[1:]) for part in generator.inputs]
    shapes += [(2, frames, network.noise_layers) for network in decoders]

    def work(coordinates: Any, noise: Any, *noises: Any) -> Any:
        """Render."""
        latents = ops.reshape(generator([coordinates, noise]), (steps, 2, config.codec.latent_channels))
        features = ops.transpose(latents, (1, 0, 2))
        for network, added in zip(decoders, noises, strict=True):
            features = call_network(network, features, added)
        level, phase = features
        size, angle = level_amplitude(level, transform), phase * math.pi
        return inverse_short_time_spectrum(size * ops.cos(angle), size * ops.sin(angle), transform)

    return compiled(work), shapes


def plain_speed(seconds: float, repeats: int) -> dict[str, float]:
    """Measure it, with random weights; run in a fresh process, whose threads are TensorFlow's own choice.

    Args:
        seconds: Length, rounded up to whole patches.
        repeats: Runs that count.

    Returns:
        As `musika.evaluation.timing.times_real_time`.
    """
    preset = random_preset(load_config("base"))
    patch_samples = preset.config.generator.patch_latents * preset.config.latent_hop
    patches = math.ceil(seconds * preset.config.sample_rate / patch_samples)
    (graph, shapes), random = plain_graph(preset, patches), np.random.default_rng(0)
    inputs = [random.standard_normal(shape, np.float32) for shape in shapes]
    taken = timed(lambda: run_graph(graph, inputs), repeats)
    return times_real_time(patches * patch_samples / preset.config.sample_rate, taken)
