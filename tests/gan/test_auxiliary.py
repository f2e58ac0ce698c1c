import dataclasses

import keras
import numpy as np
import pytest

from musika.config import config_from_dict
from musika.gan.auxiliary import ControlDistance, build_auxiliary
from musika.gan.conditioning import condition_columns
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", low=90, high=160, clock=True)
DENSITY = ControlConfig("note_density", low=0.5, high=10.0, events=True, decays=(0.1, 0.4))


@pytest.fixture(scope="module")
def config():
    toy = config_from_dict(
        {
            "codec": {"latent_channels": 4},
            "generator": {"base_channels": 4, "small": True, "patch_latents": 32, "anchor_spacing": 96},
        }
    )
    return dataclasses.replace(toy, generator=dataclasses.replace(toy.generator, controls=(TEMPO, DENSITY)))


@pytest.fixture(scope="module")
def conditions(config):
    told = np.random.default_rng(0).standard_normal((500, condition_columns(config))).astype("float32")
    told[:, [5, 10, 15, 21, 26, 29]] = 1.0  # the flags
    return told


def distance(config, conditions, heard, told):
    return float(keras.ops.convert_to_numpy(ControlDistance(config, [conditions])(heard, told)))


def test_what_is_heard_as_asked_for_is_at_no_distance_and_the_mean_at_one(config, conditions):
    told = conditions[None]
    assert distance(config, conditions, told, told) == 0.0
    mean = np.broadcast_to(conditions.mean(axis=0), told.shape)
    assert distance(config, conditions, mean, told) == pytest.approx(1.0, rel=1e-4)
    assert distance(config, conditions, 3 * told, 3 * told) == 0.0


def test_flags_and_what_is_not_asked_for_do_not_count(config, conditions):
    told = conditions[None].copy()
    heard = told.copy()
    heard[:, :, [5, 10, 15, 21, 26, 29]] = 7.0
    assert distance(config, conditions, heard, told) == 0.0
    told[:, :, 16:] = 0.0  # the density is left out
    heard[:, :, 16:] = 7.0
    assert distance(config, conditions, heard, told) == 0.0


def test_a_channel_that_never_changes_is_not_learned(config, conditions):
    still = conditions.copy()
    still[:, 0] = 0.25
    assert ControlDistance(config, [still]).weights[0] == 0.0
    unknown = np.zeros_like(conditions)
    assert not ControlDistance(config, [unknown]).weights.any()


def test_it_hears_steps_near_by_and_none_far_away(config):
    keras.utils.set_random_seed(1)
    network = build_auxiliary(config)
    network.get_layer("heard").kernel.assign(np.ones(network.get_layer("heard").kernel.shape, "float32"))
    latents = np.zeros((1, 64, 8), "float32")
    changed = latents.copy()
    changed[0, 30] = 1.0
    one, two = (keras.ops.convert_to_numpy(network(item)) for item in (latents, changed))
    assert one.shape == (1, 64, condition_columns(config))
    moved = np.flatnonzero(np.abs(two - one).max(axis=(0, 2)) > 1e-7)
    assert moved.min() == 21 and moved.max() == 39  # nine steps to each side
