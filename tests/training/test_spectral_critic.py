import keras
import librosa
import numpy as np
import pytest
from toy_gan import toy_batches, toy_config, toy_latents

from musika.audio.stereo import to_mid_side
from musika.checks import UserError
from musika.data.crops import Normalisation
from musika.presets import load_preset, random_preset
from musika.training.autodiff import gradients
from musika.training.gan_networks import build_gan
from musika.training.latent_gan import split_windows
from musika.training.spectral_critic import BANDS, LatentSpectrogram, SpectralCritic, folded, measure_spectrogram


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def codec():
    return load_preset("piano").codec


@pytest.mark.parametrize("mid_side", [True, False])
def test_it_sees_the_mel_bands_of_what_the_codec_decodes(codec, mid_side):
    latents = np.random.default_rng(0).standard_normal((40, 128)).astype("float32")
    arranged = to_mid_side(latents) if mid_side else latents
    statistics = Normalisation.measure([arranged + 0.3], mid_side=mid_side)
    music = statistics.apply(arranged)
    found = measure_spectrogram(codec, statistics, mid_side, [music])(music[None], np)[0]
    patches, frames = (codec.networks[f"level{level}_decoder"].components for level in (2, 1))
    weights, levels = codec.networks["level1_decoder"].soft_floor.inverse_weights, []
    bands = librosa.filters.mel(sr=44100, n_fft=2048, n_mels=BANDS, fmax=16_000, norm=None)
    for side in np.split(latents, 2, axis=1):
        level1 = numbers(patches(side, backward=True)).reshape(-1, 256)
        magnitude = numbers(frames(level1, backward=True)) * weights
        banded = magnitude @ bands.T / bands.sum(axis=1)
        levels.append(banded.reshape(160, 2, BANDS).mean(axis=1))
    expected = np.stack([(levels[0] + levels[1]) / 2, levels[0] - levels[1]], axis=-1)
    expected = (expected - expected.mean(axis=0)) / np.maximum(expected.std(axis=0), 0.05)  # quiet bands stay quiet
    assert found.shape == (80, 48, 8)
    np.testing.assert_allclose(found, folded(expected).reshape(80, 48, 8), atol=0.01)
    np.testing.assert_allclose(found[7, 11, 4 * 1 + 2 * 0 + 1], expected[15, 22, 1], atol=0.01)  # later, lower, side


def test_it_needs_a_compact_codec():
    other = random_preset(toy_config())
    with pytest.raises(UserError, match="spectral_critic needs a compact codec. Received: architecture='published'"):
        measure_spectrogram(other.codec, None, True, [])


def two_places(seed=0):
    """A spectrogram of two places a step, of 8 latent channels."""
    matrix = np.random.default_rng(seed).standard_normal((8, 4 * BANDS)).astype("float32") / 8**0.5
    return LatentSpectrogram(matrix, np.zeros(4 * BANDS, "float32"))


def test_a_score_depends_on_what_is_near_it_in_the_middle_half():
    critic = SpectralCritic(two_places(), 256)
    windows = toy_latents(256)[None]
    before = numbers(critic(critic.seen(windows)))[0]
    assert before.shape == (16,)
    outside, late = windows.copy(), windows.copy()
    outside[:, :64] = outside[:, 192:] = 9.0
    late[:, 176:] = 9.0
    np.testing.assert_array_equal(numbers(critic(critic.seen(outside)))[0], before)
    after = numbers(critic(critic.seen(late)))[0]
    np.testing.assert_array_equal(after[:12], before[:12])
    assert after[-1] != before[-1]


def test_it_learns_what_the_generator_makes_from_what_music_is():
    config = toy_config(spectral_critic=1.0, batch_size=4, learning_rate=2e-3, penalty_certainty=1.0)
    gan = build_gan(config, spectrogram=two_places())
    batches, critic = toy_batches(config), gan.spectral_critic
    logs = [gan.train_step((batches.batch(0),)) for _ in range(8)]
    margins = [float(step["real_spectral_score"] - step["fake_spectral_score"]) for step in logs]
    assert margins[-1] > margins[0] + 0.2
    assert float(numbers(critic.penalty_factor.value)) == pytest.approx(
        1 - 8 * config.generator_training.penalty_step, abs=1e-5
    )


def test_the_generator_learns_from_it():
    config = toy_config(spectral_critic=100.0, instance_noise=0.0)
    gan, batch = build_gan(config, spectrogram=two_places()), toy_batches(config).batch(0)
    without = build_gan(toy_config(instance_noise=0.0))

    def score():
        windows = gan._windows(gan.generator, batch["coordinates"], batch["noise"])
        scores = keras.ops.mean(gan.spectral_critic(gan.spectral_critic.seen(windows)))
        return -scores, {}

    _, _, wanted = gradients(score, gan.generator.trainable_variables)
    _, _, (_, with_it, _) = gan._fake_side(batch)
    _, _, (_, plain) = without._fake_side(batch)
    for whole, base, part in zip(with_it, plain, wanted, strict=True):
        np.testing.assert_allclose(numbers(whole), numbers(base) + 100 * numbers(part), rtol=1e-3, atol=2e-3)
    assert split_windows(batch["coordinates"]).shape[0] == 4  # both patches of both windows had a part in it


def test_two_runs_of_the_same_seed_are_equal_and_all_of_it_is_saved():
    config = toy_config(spectral_critic=1.0)
    one, other = (build_gan(config, spectrogram=two_places()) for _ in range(2))
    for left, right in zip(one.spectral_critic.weights, other.spectral_critic.weights, strict=True):
        np.testing.assert_array_equal(numbers(left), numbers(right))
    assert "spectral_critic" in one.networks and "spectral_critic" in one.optimizers
    assert any("penalty_factor" in weight.path for weight in one.spectral_critic.weights)
