import dataclasses

import keras
import numpy as np
import pytest
from descent import descend
from toy_gan import toy_config

from musika.checks import UserError
from musika.config import load_config
from musika.data.crops import Normalisation
from musika.gan.critic import build_critic
from musika.presets import load_preset, random_preset
from musika.training.generator_training import check_settings
from musika.training.joints import JointMatching, measure_joints, with_joints
from musika.training.take_over import take_over_weights

COUNT = 5


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def codec():
    return load_preset("techno").codec


@pytest.fixture(scope="module")
def latents():
    return np.random.default_rng(0).standard_normal((400, 128)).astype("float32")


def ends(codec, side):
    """The linear decoding of one channel's latents: the leading components of each step's first and last frame."""
    patches, frames = (codec.networks[f"level{level}_decoder"].components for level in (2, 1))
    level1 = numbers(patches(side, backward=True)).reshape(len(side), 8, 256)
    level1 = level1 - numbers(patches.mean).reshape(8, 256)
    return [(level1[:, place] * numbers(frames.scale))[:, :COUNT] for place in (0, -1)]


def test_a_joint_is_what_the_next_step_begins_with_less_what_this_one_ends_with(codec, latents):
    statistics = Normalisation.measure([latents], mid_side=True)
    matrices = measure_joints(codec, statistics, [statistics.apply(latents)], COUNT)
    shown = numbers(with_joints(statistics.apply(latents)[None], matrices))[0]
    np.testing.assert_allclose(shown[:, :128], statistics.apply(latents), atol=1e-6)
    assert not shown[-1, 128:].any()
    raw = latents - statistics.mean
    for side in range(2):
        first, last = ends(codec, raw[:, 64 * side :][:, :64])
        jumps = first[1:] - last[:-1]
        expected = np.arcsinh(jumps / np.median(np.abs(jumps), axis=0))
        np.testing.assert_allclose(shown[:-1, 128 + COUNT * side :][:, :COUNT], expected, atol=0.02)


def test_joints_need_a_compact_codec():
    other = random_preset(toy_config())
    with pytest.raises(UserError, match="critic_joints needs a compact codec. Received: architecture='published'"):
        measure_joints(other.codec, None, [np.zeros((20, 8), "float32")], 2)


def test_a_critic_goes_on_as_it_was_when_it_is_first_shown_joints():
    config = load_config("techno")
    config = dataclasses.replace(
        config, generator_training=dataclasses.replace(config.generator_training, critic_joints=0)
    )
    before = build_critic(config)
    settings = dataclasses.replace(config.generator_training, critic_joints=COUNT)
    after = build_critic(dataclasses.replace(config, generator_training=settings))
    take_over_weights(after, before)
    rng = np.random.default_rng(1)
    window = rng.standard_normal((2, 128, 128)).astype("float32")
    told = rng.standard_normal((2, 128, 16)).astype("float32")
    joints = rng.standard_normal((2, 128, 2 * COUNT)).astype("float32")
    seen = np.concatenate([window, joints], axis=-1)
    np.testing.assert_allclose(numbers(after([seen, told])), numbers(before([window, told])), atol=1e-4)


def tails(seed, roughness=1.0):
    """Music whose first half is calm: the level falls evenly but for a little; in the second it jumps at each step."""
    random = np.random.default_rng(seed)
    jumps = roughness * random.standard_normal((300, 2)).astype("float32")
    jumps[150:] += 60.0 * random.choice([-1.0, 1.0], (150, 2)).astype("float32")
    return jumps.cumsum(axis=0)


@pytest.fixture(scope="module")
def matching():
    """Two joints of two channels: the difference of each channel from step to step."""
    return JointMatching([tails(seed) for seed in range(3)], np.stack([-np.eye(2), np.eye(2)]).astype("float32"))


def test_music_that_is_as_even_as_the_training_music_is_not_pulled(matching):
    music = np.stack([tails(seed) for seed in range(3)])
    loss, distance, found = matching(music, music)
    np.testing.assert_allclose(numbers(found), numbers(matching.roughness.value), atol=0.02)
    assert abs(float(loss)) < 1e-5 and float(distance) < 1e-6


def test_rough_music_is_smoothed_until_it_is_as_even_as_music_is(matching, short_memory):
    real = np.stack([tails(seed) for seed in range(3)])
    rough = np.stack([tails(seed, roughness=3.0) for seed in range(3)])
    calm, attacks = rough[:, :150], rough[:, 150:]

    def make(size):
        return keras.ops.concatenate([keras.ops.multiply(calm, size), attacks], axis=1)

    size, seen = descend(matching, make, real, start=1.0, rate=0.08, steps=120)
    assert max(seen) > 0.05 > 0.01 > seen[-1]
    assert size == pytest.approx(1 / 3, rel=0.2)


def test_only_calm_places_that_are_told_count(matching):
    real = np.stack([tails(seed) for seed in range(2)])
    made, told = real.copy(), np.zeros((2, 300, 1), "float32")
    made[:, 160:] *= 5.0  # where real music jumps
    made[1] *= 5.0  # told nothing
    told[0] = 1.0
    found = numbers(matching(made, real, told)[2])
    np.testing.assert_allclose(found[0], found[1], atol=0.02)
    all_told = numbers(matching(made, real)[2])
    assert (all_told[0] > all_told[1] + 0.05).all()


def test_what_is_cut_out_does_not_count(matching):
    real = np.stack([tails(seed) for seed in range(2)])
    shown = np.ones((2, 300, 1), "float32")
    shown[0, 20:60] = shown[1, 100:140] = 0
    made = real.copy()
    made[0, 20:60] *= 9.0
    made[1, 100:140] *= 9.0
    found = numbers(matching(made, real * shown, None, shown)[2])
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    all_of_it = numbers(matching(made, real * shown)[2])
    assert (all_of_it[0] > all_of_it[1] + 0.05).all()


def test_a_generator_is_not_told_of_joints_that_the_critic_is_not_shown():
    config = load_config("debug")
    settings = dataclasses.replace(config.generator_training, critic_joints=0, joint_matching=1.0)
    with pytest.raises(UserError, match="joint_matching compares the joints that the critic is shown"):
        check_settings(settings)
