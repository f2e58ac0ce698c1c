"""A latent GAN at toy size, shared by the tests of its training."""

import numpy as np

from musika.config import config_from_dict
from musika.data.crops import LatentCrops
from musika.training.batches import GanBatches
from musika.training.generator_training import build_gan

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


def toy_config(**training):
    defaults = {"batch_size": 2, "steps": 4, "save_every": 2, "instance_noise": 0.1, "learning_rate": 1e-3}
    return config_from_dict({**TOY, "generator_training": {**defaults, **training}})


def toy_latents(steps=300, seed=0, channels=8):
    return np.random.default_rng(seed).standard_normal((steps, channels)).astype("float32")


def toy_batches(config, noise_layers=10):
    return GanBatches(LatentCrops([toy_latents()], config.generator.window_latents), config, noise_layers)


def toy_gan(config, eager=True):
    """Its batches and the GAN; eager steps need no tracing, which is most of a short test's time."""
    gan = build_gan(config)
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
