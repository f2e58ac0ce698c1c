"""Change matching: an oracle on normal changes, and a generator that glides where music jumps."""

import keras
import numpy as np
import pytest
from descent import descend
from scipy.ndimage import uniform_filter1d
from scipy.stats import norm
from toy_gan import toy_batches, toy_config, toy_latents

from musika.training.changes import ChangeMatching
from musika.training.gan_networks import build_gan

CHANNELS, WINDOW = 4, 128


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def steady(seed, steps=1280):
    """Latents that stay where they are for eight steps and then jump, all channels together."""
    random = np.random.default_rng(seed)
    held = np.repeat(random.standard_normal((steps // 8, CHANNELS)), 8, axis=0)
    return (held + 0.02 * random.standard_normal((steps, CHANNELS))).astype("float32")


@pytest.fixture
def matching():
    return ChangeMatching([steady(seed) for seed in range(20)], np.arange(CHANNELS), WINDOW, 16)


def windows(sequences):
    return np.concatenate([part.reshape(-1, WINDOW, CHANNELS) for part in sequences])


def test_changes_of_noise_are_ranked_as_the_normal_distribution_says():
    noise = [np.random.default_rng(seed).standard_normal((4000, 1)).astype("float32") for seed in range(10)]
    ranked = numbers(ChangeMatching(noise, np.arange(1), WINDOW, 16).ranked.value)
    places = (np.arange(ranked.shape[1]) + 0.5) / ranked.shape[1]
    expected = norm.ppf(places)
    expected = np.sign(expected) * (np.sqrt(np.abs(expected) + 0.05) - np.sqrt(0.05))
    for lag in range(3):  # differences of independent steps have the same deviation over any number of steps
        np.testing.assert_allclose(ranked[lag, :, 0], expected, atol=0.05)


def test_music_itself_is_nearer_than_music_that_glides_or_trembles(matching):
    real = windows([steady(99), steady(98)])[:16]
    random = np.random.default_rng(1)
    shuffled = np.stack([real[:, random.permutation(WINDOW), index] for index in range(CHANNELS)], axis=-1)
    made = {
        "music": real,
        "gliding": uniform_filter1d(real, 5, axis=1),
        "trembling": real + 0.3 * random.standard_normal(real.shape).astype("float32"),
        "one by one": shuffled,
    }
    distances = {}
    for name, some in made.items():
        matching.ranked.assign(matching(some)[2])
        distances[name] = float(matching(some)[1])
    assert distances["music"] < 0.01
    assert min(distance for name, distance in distances.items() if name != "music") > 5 * distances["music"]


def test_a_generator_that_glides_is_told_to_jump(matching):
    real = windows([steady(99)])[:8]
    gliding = uniform_filter1d(real, 5, axis=1)

    def make(share):
        return keras.ops.add(real, keras.ops.multiply(share, gliding - real))

    share, seen = descend(matching, make, None, start=1.0, rate=4.0, steps=70)
    assert max(seen) > 1.5 * seen[-1]
    assert share == pytest.approx(0.0, abs=0.1)


def test_silent_channels_are_left_out():
    mono = [steady(seed) * np.float32([1, 1, 1, 0]) for seed in range(5)]
    matching = ChangeMatching(mono, np.arange(CHANNELS), WINDOW, 16)
    real = windows([steady(9)])
    loud = real * np.float32([1, 1, 1, 100])
    np.testing.assert_array_equal(numbers(matching(loud)[2]), numbers(matching(real)[2]))


def test_a_training_with_it_goes_on():
    config = toy_config(change_matching=1.0)
    gan = build_gan(config, music=[toy_latents()])
    before = numbers(gan.matchings["change_matching"].ranked.value)
    logs = gan.train_step((toy_batches(config).batch(0),))
    assert "change_matching" in logs and "change_matching_seen" not in logs
    assert not np.array_equal(numbers(gan.matchings["change_matching"].ranked.value), before)
