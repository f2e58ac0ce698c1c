import keras
import numpy as np
import pytest
from test_latent_gan import one_step
from toy_gan import toy_batches, toy_config, toy_latents, weights_of

from musika.data.crops import swap_sides
from musika.evaluation.frechet import frechet_distance, mean_and_covariance
from musika.training.autodiff import gradients
from musika.training.gan_networks import build_gan
from musika.training.latent_gan import LatentGan
from musika.training.moments import MomentMatching
from musika.training.running_means import DECAY

WINDOW = 32


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def music(seed=0, count=4, steps=20 * WINDOW, channels=6):
    """Latents whose channels belong together, with a slow part that windows' means keep."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((channels, channels))
    slow = np.repeat(random.standard_normal((count, steps // WINDOW, channels)), WINDOW, axis=1)
    made = random.standard_normal((count, steps, channels)) + 0.5 * slow + 0.3
    return list((made @ mixing).astype("float32"))


def windows_of(sequences, hop=WINDOW):
    return np.stack([part[at : at + WINDOW] for part in sequences for at in range(0, len(part) - WINDOW + 1, hop)])


def training_windows_of(sequences):
    """Windows about every eighth step, moved to the ends where they would stand out; last steps are left out."""
    starts = [np.clip(np.arange(4, len(part) - 1, 8) - 16, 0, len(part) - 1 - WINDOW) for part in sequences]
    return np.stack([part[at : at + WINDOW] for part, row in zip(sequences, starts, strict=True) for at in row])


def both_ways(latents, mid_side):
    return np.concatenate([latents, swap_sides(latents, mid_side)])


def parts_of(windows, mid_side):
    between = windows.mean(axis=1)
    inside = (windows - between[:, None]).reshape(-1, windows.shape[-1])
    turned = swap_sides(windows, mid_side)
    sizes = np.log(np.sqrt(np.concatenate([windows, turned]).var(axis=1) + 1e-3))
    return both_ways(inside, mid_side), both_ways(between, mid_side), sizes


def biased(samples):
    return samples.mean(axis=0), np.cov(samples.T, bias=True)


@pytest.mark.parametrize("mid_side", [True, False])
def test_running_moments_begin_as_those_of_the_training_music_and_then_nothing_is_pulled(mid_side):
    sequences = music()
    moments = MomentMatching(sequences, WINDOW, mid_side)
    parts = parts_of(training_windows_of(sequences), mid_side)
    for index, part in enumerate(parts):
        mean, covariance = biased(part)
        np.testing.assert_allclose(numbers(moments.means.value)[index], mean, atol=1e-5)
        np.testing.assert_allclose(numbers(moments.covariances.value)[index], covariance, rtol=1e-4, atol=1e-4)
    loss, distance, _ = moments(windows_of(sequences))
    assert float(loss) < 1e-6 and abs(float(distance)) < 1e-3


@pytest.mark.parametrize("mid_side", [True, False])
def test_the_distance_is_the_frechet_distance_of_all_three_parts(mid_side, short_memory):
    moments = MomentMatching(music(), WINDOW, mid_side)
    made = 0.4 * windows_of(music(seed=5)) + 0.2
    for _ in range(120):  # all of the running moments are of these then
        moments.follow(made)
    theirs = parts_of(made, mid_side)
    own = parts_of(training_windows_of(music()), mid_side)
    expected = sum(frechet_distance(*biased(a), *biased(b)) for a, b in zip(theirs, own, strict=True))
    assert float(moments(made)[1]) == pytest.approx(expected, rel=1e-3)


def test_following_the_pull_brings_the_moments_there(short_memory):
    moments = MomentMatching(music(), WINDOW, mid_side=True)
    target = mean_and_covariance(both_ways(np.concatenate(music()), True))
    mixing = keras.Variable(0.3 * np.eye(6, dtype="float32"))
    shift = keras.Variable(np.zeros(6, "float32"))
    source = windows_of(music(seed=7))
    optimizer = keras.optimizers.SGD(0.05)

    def made():
        return keras.ops.matmul(source, mixing) + shift

    before = frechet_distance(*mean_and_covariance(both_ways(numbers(made()).reshape(-1, 6), True)), *target)
    for _ in range(100):
        _, _, found = gradients(lambda: (moments(made())[0], {}), [mixing, shift])
        optimizer.apply(found, [mixing, shift])
        moments.follow(numbers(made()))
    after = frechet_distance(*mean_and_covariance(both_ways(numbers(made()).reshape(-1, 6), True)), *target)
    assert before > 5.0 and after < 0.02 * before


def test_windows_that_are_all_alike_come_to_differ_as_music_does(short_memory):
    random = np.random.default_rng(3)
    steady = random.standard_normal((400, WINDOW, 2)).astype("float32")
    source = random.standard_normal((400, 1, 2)).astype("float32")
    moments = MomentMatching(list(np.exp(0.7 * source) * steady), WINDOW, mid_side=True)
    spread, source = keras.Variable(np.float32(0.1)), random.permutation(source)
    optimizer = keras.optimizers.SGD(0.01)

    def made():
        return keras.ops.multiply(keras.ops.exp(keras.ops.multiply(spread, source)), steady)

    for _ in range(200):
        _, _, found = gradients(lambda: (moments(made())[0], {}), [spread])
        optimizer.apply(found, [spread])
        moments.follow(numbers(made()))
    assert float(keras.ops.convert_to_numpy(spread.value)) == pytest.approx(0.7, abs=0.05)


def test_music_of_one_window_is_enough():
    only = music()[0][:WINDOW]
    moments = MomentMatching([only], WINDOW, mid_side=True)
    for _ in range(3):
        loss, distance, _ = moments(windows_of(music(seed=5)))
        assert np.isfinite(float(loss)) and np.isfinite(float(distance))
        moments.follow(windows_of(music(seed=5)))
    assert np.isfinite(numbers(moments.covariances.value)).all()


def test_one_batch_moves_the_running_moments_by_its_share():
    moments = MomentMatching(music(), WINDOW, mid_side=True)
    before = numbers(moments.covariances.value).copy()
    moments.follow(np.zeros((3, WINDOW, 6), "float32"))
    np.testing.assert_allclose(numbers(moments.covariances.value)[0], DECAY * before[0], rtol=1e-5, atol=1e-6)


def test_the_generator_is_pulled_by_the_weight_and_the_critic_is_not():
    config = toy_config(moments=0.5, instance_noise=0.0, penalty_max=0.0)
    gan = build_gan(config, music=[toy_latents()])
    batches = toy_batches(config, gan.generator.noise_layers)
    gan.matchings["moments"].covariances.assign(0.25 * gan.matchings["moments"].covariances.value)
    batch = batches.batch(0)
    pull = float(gan.matchings["moments"](gan._windows(gan.generator, batch["coordinates"], batch["noise"]))[0])
    without = build_gan(toy_config(instance_noise=0.0, penalty_max=0.0))
    assert "moments" not in without.matchings
    alone, told = one_step(without, batches), one_step(gan, batches)
    assert told["generator_loss"] == pytest.approx(alone["generator_loss"] + 0.5 * pull, rel=1e-4)
    assert told["critic_loss"] == pytest.approx(alone["critic_loss"], rel=1e-5)
    assert "windows" not in told and told["moments"] > 0


def test_running_moments_are_saved_with_the_networks():
    gan = build_gan(toy_config(moments=0.5), music=[toy_latents()])
    assert isinstance(gan, LatentGan) and set(gan.networks) == {"generator", "critic", "average", "moments"}
    assert {"moments0", "moments1"} <= set(weights_of(gan))
