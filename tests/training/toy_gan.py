"""A latent GAN at toy size, shared by the tests of its training."""

import functools

import numpy as np

from musika.config import config_from_dict
from musika.data.crops import LatentCrops
from musika.training.batches import GanBatches
from musika.training.gan_networks import build_gan
from musika.training.latent_gan import LatentGan

TOY = {
    "name": "toy",
    "spectral": {"hop_length": 32, "fft_length": 128},
    "codec": {"latent_channels": 4, "level1_channels": 8},
    "generator": {
        "base_channels": 2,
        "small": True,
        "patch_latents": 32,
        "anchor_spacing": 96,
        "first_step": 16,
        "coordinate_channels": 4,
    },
}


def toy_config(base_channels=2, **training):
    defaults = {"batch_size": 2, "steps": 4, "save_every": 2, "instance_noise": 0.1, "learning_rate": 1e-3}
    generator = {**TOY["generator"], "base_channels": base_channels}
    return config_from_dict({**TOY, "generator": generator, "generator_training": {**defaults, **training}})


def toy_latents(steps=300, seed=0, channels=8):
    return np.random.default_rng(seed).standard_normal((steps, channels)).astype("float32")


def toy_batches(config, noise_layers=10):
    return GanBatches(LatentCrops([toy_latents()], config.generator.window_latents), config, noise_layers)


@functools.lru_cache(maxsize=2)
def _built(base_channels, precision):
    """The toy networks, built once: that is most of a short test's time."""
    gan = build_gan(toy_config(base_channels, mixed_precision=precision))
    return gan, {name: network.get_weights() for name, network in gan.networks.items()}


def toy_gan(config, eager=True):
    """Batches and a GAN with fresh optimisers and initial weights; its networks are those of the GAN before.

    Eager steps need no tracing, which is the other large part of a short test's time.
    """
    settings = config.generator_training
    precision = "on" if settings.mixed_precision == "on" else "off"
    built, weights = _built(config.generator.base_channels, precision)
    for name, network in built.networks.items():
        network.set_weights([value.copy() for value in weights[name]])
    gan = LatentGan(built.generator, built.critic, built.average, settings)
    gan.run_eagerly = eager
    return toy_batches(config, gan.generator.noise_layers), gan


def weights_of(gan):
    """Every number that the next step depends on, by name."""
    import keras

    numbers = {"factor": keras.ops.convert_to_numpy(gan.penalty_factor.value).copy()}
    for name, network in gan.networks.items():
        numbers |= {f"{name}{index}": value.copy() for index, value in enumerate(network.get_weights())}
    for name, optimizer in gan.optimizers.items():
        for index, variable in enumerate(optimizer.variables):
            numbers[f"{name} optimizer {index}"] = keras.ops.convert_to_numpy(variable.value).copy()
    return numbers
