import dataclasses

import keras
import numpy as np
import pytest
from toy_gan import toy_config

from musika.checks import UserError
from musika.config import load_config
from musika.data.crops import Normalisation
from musika.gan.critic import build_critic
from musika.presets import load_preset, random_preset
from musika.training.joints import measure_joints, with_joints
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
