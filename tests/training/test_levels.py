"""Level matching: oracles on levels that are known, and a generator that is always on."""

import keras
import librosa
import numpy as np
import pytest
from descent import descend
from scipy.ndimage import uniform_filter1d
from toy_gan import toy_batches, toy_config, toy_latents

from musika.checks import UserError
from musika.data.crops import Normalisation
from musika.presets import load_preset, random_preset
from musika.training.gan_networks import build_gan
from musika.training.levels import BandLevels, LevelMatching, measure_band_levels

BANDS = 2


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def music(seed, steps=2400):
    """Latents that are levels: loud, and in one fifth of the time, ten seconds at a stretch, silent."""
    random = np.random.default_rng(seed)
    silent = np.repeat(random.random(-(-steps // 120)) < 0.2, 120)[:steps, None]
    swell = np.repeat(random.standard_normal((steps // 12, BANDS)), 12, axis=0)
    return (swell + 0.3 * random.standard_normal((steps, BANDS)) - 4.0 * silent).astype("float32")


@pytest.fixture
def matching():
    one = np.eye(BANDS, dtype="float32")
    return LevelMatching([music(seed) for seed in range(20)], BandLevels(one, np.zeros(BANDS, "float32"), one))


def windows(sequences):
    """Windows of 240 steps."""
    return np.concatenate([part.reshape(-1, 240, BANDS) for part in sequences])


def test_levels_are_those_of_the_mel_bands_that_the_codec_decodes():
    codec = load_preset("piano").codec
    latents = np.random.default_rng(0).standard_normal((3, 12, 128)).astype("float32")
    statistics = Normalisation.measure([latents.reshape(-1, 128) + 0.3], mid_side=False)
    found = measure_band_levels(codec, statistics, False)(statistics.apply(latents), np)
    patches, frames = (codec.networks[f"level{level}_decoder"].components for level in (2, 1))
    bands = librosa.filters.mel(sr=44100, n_fft=2048, n_mels=24, fmax=16_000, norm=None)
    log_amplitude = 0.0
    for side in np.split(latents, 2, axis=-1):
        level1 = numbers(patches(side, backward=True)).reshape(3, 96, 256)[:, 4::8]  # a frame of each step
        decoded = numbers(frames(level1, backward=True)) * codec.networks["level1_decoder"].soft_floor.inverse_weights
        log_amplitude = log_amplitude + decoded / 2
    levels = 0.5 * np.log(np.exp(2 * log_amplitude) @ (bands / bands.sum(axis=1, keepdims=True)).T)
    expected = np.concatenate([levels.mean(axis=1), 0.5 * np.log(levels.var(axis=1) + 1e-3)], axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_it_needs_a_compact_codec():
    other = random_preset(toy_config())
    with pytest.raises(UserError, match="level_matching needs a compact codec. Received: architecture='published'"):
        measure_band_levels(other.codec, None, True)


def test_music_is_not_pulled(matching):
    real = windows([music(seed) for seed in range(20)])
    loss, distance, found = matching(real)
    np.testing.assert_allclose(numbers(found), numbers(matching.shares.value), atol=0.01)
    assert abs(float(loss)) < 1e-6 and float(distance) < 1e-10


def test_shares_are_those_of_the_music_below_its_own_quantiles(matching):
    shares = numbers(matching.shares.value)
    assert (shares[0] < 0.05).all() and (shares[-1] > 0.95).all()
    np.testing.assert_allclose(shares[5], 0.5, atol=0.08)  # thresholds have a width


def test_what_is_always_on_learns_to_be_silent_as_often_as_music(matching, short_memory):
    real = windows([music(seed) for seed in range(20)])
    silent = (uniform_filter1d(real, 25, axis=1).mean(axis=-1, keepdims=True) < -2.0).astype("float32")
    always = real + 4.0 * silent

    def make(depth):
        return keras.ops.subtract(always, keras.ops.multiply(depth, silent))

    depth, seen = descend(matching, make, None, start=1.0, rate=2.5, steps=100)
    assert max(seen) > 10 * seen[-1]
    assert depth == pytest.approx(4.0, abs=0.5)


def test_wild_latents_stay_finite(matching):
    for size in (1e4, -1e4):
        loss, distance, found = matching(np.full((1, 24, BANDS), size, "float32"))
        assert np.isfinite([float(loss), float(distance)]).all() and np.isfinite(numbers(found)).all()


def test_a_training_with_it_goes_on():
    config = toy_config(level_matching=1.0)
    bands = BandLevels(np.eye(8, dtype="float32"), np.zeros(8, "float32"), np.eye(8, dtype="float32"))
    gan = build_gan(config, music=[toy_latents()], band_levels=bands)
    before = numbers(gan.matchings["level_matching"].shares.value)
    logs = gan.train_step((toy_batches(config).batch(0),))
    assert "level_matching" in logs and "level_matching_seen" not in logs
    assert not np.array_equal(numbers(gan.matchings["level_matching"].shares.value), before)
