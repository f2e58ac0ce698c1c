"""Losses against hand values, SciPy and each other."""

import numpy as np
import pytest
import scipy.signal
from keras import ops

from musika.audio import spectral as playing
from musika.audio.borders import decoder_borders
from musika.config import SpectralConfig, load_config
from musika.evaluation.reconstruction import border_flux
from musika.training import losses

SPECTRAL = SpectralConfig(hop_length=64, fft_length=256)


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((2, 2048)).astype(np.float32)


def parts(audio, spectral=SPECTRAL):
    real, imaginary = losses.short_time_spectrum(audio, spectral.fft_length, spectral.hop_length)
    return ops.convert_to_numpy(real), ops.convert_to_numpy(imaginary)


def test_the_spectrum_agrees_with_the_one_that_plays(noise):
    real, imaginary = parts(noise)
    expected = np.stack([playing.analyse(item, SPECTRAL) for item in noise])
    np.testing.assert_allclose(real + 1j * imaginary, expected, atol=2e-4)


def test_the_spectrum_agrees_with_scipy(noise):
    real, imaginary = parts(noise)
    window = scipy.signal.windows.hann(256, sym=False)
    frames = np.lib.stride_tricks.sliding_window_view(noise[0], 256)[::64] * window
    np.testing.assert_allclose(real[0] + 1j * imaginary[0], np.fft.rfft(frames), atol=2e-4)


def test_levels_agree_with_those_that_play(noise):
    level = losses.scaled_level(*parts(noise), SPECTRAL)
    expected = playing.log_magnitude(playing.analyse(noise[0], SPECTRAL), SPECTRAL)
    np.testing.assert_allclose(ops.convert_to_numpy(level)[0], expected, atol=1e-4)
    amplitude = ops.convert_to_numpy(losses.level_amplitude(level, SPECTRAL))
    np.testing.assert_allclose(amplitude[0], np.abs(playing.analyse(noise[0], SPECTRAL)), rtol=1e-3, atol=1e-4)


def test_the_inverse_gives_the_waveform_back(noise):
    audio = ops.convert_to_numpy(losses.inverse_short_time_spectrum(*parts(noise), SPECTRAL))
    edge = SPECTRAL.overlap
    np.testing.assert_allclose(audio[:, edge:-edge], noise[:, edge:-edge], atol=1e-4)


def test_the_inverse_agrees_with_the_one_that_plays(noise):
    real, imaginary = parts(noise)
    audio = ops.convert_to_numpy(losses.inverse_short_time_spectrum(real, imaginary, SPECTRAL))
    expected = playing.synthesise((real + 1j * imaginary)[0].astype(np.complex64), SPECTRAL)
    np.testing.assert_allclose(audio[0], expected, atol=1e-4)


def phasor_of(real, imaginary):
    angle = np.angle(real + 1j * imaginary)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def test_true_phases_have_no_distance(noise):
    real, imaginary = parts(noise)
    weights = np.ones(129, np.float32)
    assert float(losses.phase_distance(phasor_of(real, imaginary), real, imaginary, weights)) < 1e-3


def test_a_constant_turn_costs_only_the_small_weight_on_absolute_phase(noise):
    real, imaginary = parts(noise)
    turned = (real + 1j * imaginary) * 1j
    weights = np.ones(129, np.float32)
    distance = float(losses.phase_distance(phasor_of(turned.real, turned.imag), real, imaginary, weights))
    assert distance == pytest.approx(0.2, abs=0.01)


def test_unrelated_phases_have_a_distance_of_about_two(noise):
    real, imaginary = parts(noise)
    other = np.exp(2j * np.pi * np.random.default_rng(1).random(real.shape))
    distance = float(
        losses.phase_distance(phasor_of(other.real, other.imag), real, imaginary, np.ones(129, np.float32))
    )
    assert distance == pytest.approx(2.2, abs=0.15)


def test_the_spectral_distance_is_zero_for_equal_and_grows_with_noise(noise):
    steps = [0.0, 0.01, 0.1, 1.0]
    other = np.random.default_rng(2).standard_normal(noise.shape).astype(np.float32)
    values = [float(losses.multi_scale_spectral_distance(noise + step * other, noise)) for step in steps]
    assert values[0] < 1e-4
    assert values == sorted(values)


def test_spectral_convergence_by_hand():
    tone = np.sin(2 * np.pi * np.arange(4096) * 0.05).astype(np.float32)[None]
    half = float(losses.multi_scale_spectral_distance(0.5 * tone, tone, (256,)))
    magnitude = np.abs(
        np.fft.rfft(np.lib.stride_tricks.sliding_window_view(tone[0], 256)[::64] * playing.analysis_window(256))
    )
    norm = np.linalg.norm(magnitude)
    logarithm = np.abs(np.log(0.5 * magnitude + 0.0256) - np.log(magnitude + 0.0256)).mean()
    assert half == pytest.approx(0.5 * norm / (norm + 1) + logarithm, rel=0.02)


def test_magnitude_losses_vanish_for_equal_and_see_gain_and_detail():
    config = load_config("compact")
    rng = np.random.default_rng(0)
    level = np.full((2, 12, config.spectral.bins), 0.5, np.float32)
    loss = losses.MagnitudeLoss(config)
    assert [float(item) for item in loss(level, level)] == [0.0, 0.0]
    louder, louder_detail = (float(item) for item in loss(level + 0.1, level))
    rough, rough_detail = (
        float(item) for item in loss(level + rng.choice([-0.1, 0.1], level.shape).astype("float32"), level)
    )
    assert louder > 0.1
    assert rough_detail > 3 * louder_detail


def test_clicks_where_blocks_meet_are_an_excess_and_elsewhere_they_are_none():
    period, first = 4096, 1000
    true = np.random.default_rng(0).standard_normal((2, 40_000)).astype(np.float32) * 0.05
    clicked, elsewhere = true.copy(), true.copy()
    clicked[:, first::period] += 1.0
    elsewhere[:, first + period // 2 :: period] += 1.0
    assert float(losses.border_excess(true, true, period, first)) == 0.0
    assert float(losses.border_excess(elsewhere, true, period, first)) == 0.0
    excess = float(losses.border_excess(clicked, true, period, first))
    flux = [np.mean([border_flux(wave, period, first) for wave in waves]) for waves in (clicked, true)]
    assert excess == pytest.approx(flux[0] - flux[1], rel=0.05) and excess > 0.03


def test_blocks_as_short_as_a_window_have_no_inside(noise):
    assert float(losses.border_excess(noise, 0.5 * noise, 512, 0)) == 0.0


def test_the_borders_of_the_codec_are_where_its_blocks_meet():
    period, first = decoder_borders(load_config("compact"))
    assert period == 4096
    # Frames of 2048 samples at hop 512, three of them left out at the front: frame 8 begins at 8 * 512 - 1536.
    assert (first + 2 * period) % period == (8 * 512 - 1536 + 1024 - 256) % period
    assert decoder_borders(load_config("base"))[0] == 64 * 256
