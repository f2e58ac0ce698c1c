"""The refiner: the coarse channels stay, the fine ones depend on near steps only and follow what music taught."""

import keras
import numpy as np
import pytest

from musika.checks import UserError
from musika.config import config_from_dict, load_config
from musika.gan.coordinates import refiner_noise
from musika.gan.refiner import Refiner, build_refiner
from musika.training.flow_matching import FlowMatching, flow_batch, measure_deviation
from musika.weights import load_weights, randomise, save_weights

CHANNELS, KEPT = 4, 1


def small_config(**refiner):
    return config_from_dict(
        {
            "name": "small",
            "codec": {"architecture": "compact", "phase": "phasor", "latent_channels": CHANNELS},
            "generator": {
                "patch_latents": 32,
                "small": True,
                "refiner": {"kept": KEPT, "width": 32, "blocks": 1, **refiner},
            },
            "generator_training": {"refiner_batch": 8, "refiner_rate": 1.0, "learning_rate": 3e-3},
        }
    )


@pytest.fixture(scope="module")
def refiner():
    made = build_refiner(small_config())
    randomise([made], 1)
    made.deviation.assign(np.arange(1.0, 1.0 + 2 * CHANNELS, dtype=np.float32))
    return made


def inputs(steps=60, seed=0):
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((1, steps, 2 * CHANNELS)).astype(np.float32)
    return latents, rng.standard_normal((1, steps, 2 * (CHANNELS - KEPT))).astype(np.float32)


def drawn(refiner, latents, noise):
    return keras.ops.convert_to_numpy(refiner(latents, noise))


def test_coarse_channels_stay_and_fine_ones_do_not_hang_on_what_they_were(refiner):
    latents, noise = inputs()
    made = drawn(refiner, latents, noise)
    assert made.shape == latents.shape
    np.testing.assert_allclose(made[..., [0, CHANNELS]], latents[..., [0, CHANNELS]], rtol=1e-5, atol=1e-6)
    others = latents.copy()
    others[..., refiner.drawn] = 9.0
    np.testing.assert_array_equal(drawn(refiner, others, noise), made)


@pytest.mark.parametrize("which", [0, 1], ids=["latents", "noise"])
def test_a_step_depends_on_its_neighbours_and_no_further(refiner, which):
    given = inputs()
    before = drawn(refiner, *given)
    given[which][0, 30] += 1.0
    changed = np.abs(drawn(refiner, *given) - before)[0, :, refiner.drawn].max(axis=0)
    assert refiner.reach == 4 * 2
    assert (changed[30 - refiner.reach : 31 + refiner.reach] > 0).sum() > refiner.reach
    assert (changed[: 30 - refiner.reach] == 0).all()
    assert (changed[31 + refiner.reach :] == 0).all()


def test_it_comes_back_from_a_file_with_what_it_knows_of_deviations(refiner, tmp_path):
    save_weights({"refiner": refiner}, tmp_path / "some.weights.h5")
    again = build_refiner(small_config())
    load_weights({"refiner": again}, tmp_path / "some.weights.h5")
    np.testing.assert_array_equal(drawn(again, *inputs()), drawn(refiner, *inputs()))


def test_what_belongs_together_in_music_is_learned():
    """Two fine channels are a function of the coarse one and of its neighbour; the third is noise of its own."""
    config = small_config(blur=0.0)
    rng = np.random.default_rng(3)

    def music(count, steps):
        latents = rng.standard_normal((count, steps, 2 * CHANNELS)).astype(np.float32)
        coarse = latents[..., 0]
        latents[..., 1] = 3.0 * np.sign(coarse)
        latents[:, 1:, 2] = 0.1 * coarse[:, :-1]
        return latents

    refiner, average = Refiner(config), Refiner(config)
    measure_deviation(refiner, list(music(20, 500)))
    trained = FlowMatching(refiner, average, config.generator_training, config)
    step = keras.backend.backend() == "tensorflow"
    first = None
    train = trained.step
    if step:
        import tensorflow as tf

        train = tf.function(trained.step)
    for index in range(700):
        batch = {
            key: keras.ops.convert_to_tensor(value) for key, value in flow_batch(config, music(8, 32), index).items()
        }
        loss = float(train(batch)["refiner_loss"])
        first = loss if first is None else first
    assert first > 1.8
    heard = music(1, 400)
    noise = rng.standard_normal((1, 400, 2 * (CHANNELS - KEPT))).astype(np.float32)
    made = drawn(refiner, heard, noise)[0, 20:-20]
    true = heard[0, 20:-20]
    assert np.corrcoef(made[:, 1], true[:, 1])[0, 1] > 0.9
    assert np.corrcoef(made[:, 2], true[:, 2])[0, 1] > 0.8
    assert abs(np.corrcoef(made[:, 3], true[:, 3])[0, 1]) < 0.2  # cannot be told
    assert 0.6 < made[:, 3].std() < 1.2  # and is as varied as in music, not its mean


def test_noise_is_that_of_the_step_wherever_a_stretch_begins():
    whole = refiner_noise(7, -100, 300, 5)
    assert whole.shape == (300, 5) and whole.dtype == np.float32
    for start, steps in ((-100, 10), (-3, 70), (63, 1), (64, 66)):
        np.testing.assert_array_equal(refiner_noise(7, start, steps, 5), whole[start + 100 :][:steps])
    assert not np.array_equal(refiner_noise(8, -100, 300, 5), whole)
    assert abs(whole.mean()) < 0.1 and abs(whole.std() - 1) < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kept": CHANNELS}, "generator.refiner.kept must be a whole number from 1 to 3"),
        ({"steps": 0}, "generator.refiner.steps"),
        ({"width": 10**6}, "generator.refiner.width"),
        ({"blur": -1.0}, "generator.refiner.blur"),
        ({"steps": 16}, "must not look further than half a patch"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        build_refiner(small_config(**settings))


def test_a_codec_whose_channels_have_no_order_is_refused():
    config = load_config("debug", {"generator": {"refiner": {"kept": 2}}})
    with pytest.raises(UserError, match="needs a compact codec"):
        build_refiner(config)


def test_without_kept_channels_there_is_no_refiner():
    assert build_refiner(load_config("debug")) is None
