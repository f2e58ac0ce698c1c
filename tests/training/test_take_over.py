import dataclasses

import numpy as np
import pytest
from toy_gan import toy_config

from musika.checks import UserError
from musika.gan.critic import build_critic
from musika.gan.generator import build_generator
from musika.settings import ControlConfig
from musika.training.take_over import take_over_weights
from musika.weights import randomise


def with_controls(config):
    controls = (ControlConfig("tempo", low=90, high=160, clock=True),)
    return dataclasses.replace(config, generator=dataclasses.replace(config.generator, controls=controls))


def test_a_network_given_controls_begins_by_doing_what_it_did():
    config = toy_config()
    rng = np.random.default_rng(0)
    old, new = build_generator(config), build_generator(with_controls(config))
    randomise([old, new], 1)
    take_over_weights(new, old)
    path, noise = rng.standard_normal((2, 32, 8), np.float32), rng.standard_normal((2, 32, 10), np.float32)
    told = np.concatenate([path, rng.standard_normal((2, 32, 16), np.float32)], axis=-1)
    np.testing.assert_allclose(new([told, noise]), old([path, noise]), atol=1e-5)
    old, new = build_critic(config), build_critic(with_controls(config))
    randomise([old, new], 2)
    take_over_weights(new, old)
    window = rng.standard_normal((2, 64, 8), np.float32)
    np.testing.assert_allclose(new([window, np.ones((2, 64, 16), np.float32)]), old(window), atol=1e-5)


def with_joints(config, count):
    training = dataclasses.replace(config.generator_training, critic_joints=count)
    return dataclasses.replace(config, generator_training=training)


def test_a_critic_given_controls_keeps_its_joints():
    config = with_joints(toy_config(), 3)
    old, new = build_critic(config), build_critic(with_controls(config))
    randomise([old, new], 1)
    take_over_weights(new, old)
    window = np.random.default_rng(0).standard_normal((2, 64, 8 + 6)).astype("float32")
    np.testing.assert_allclose(new([window, np.ones((2, 64, 16), np.float32)]), old(window), atol=1e-5)


def test_other_numbers_of_joints_are_refused():
    old, new = (build_critic(with_joints(toy_config(), count)) for count in (2, 3))
    with pytest.raises(UserError, match="shown 4 channels of joints, this one 6. Set generator_training.critic_joints"):
        take_over_weights(new, old)


def test_networks_of_other_widths_are_refused():
    with pytest.raises(UserError, match="does not fit"):
        take_over_weights(build_generator(toy_config(4)), build_generator(toy_config(2)))
