import math

import numpy as np
import pytest

from musika.evaluation.sound import (
    k_weighting,
    loudness_range,
    seam_flux,
    seam_step,
    short_term_loudness,
    sound_measures,
    stereo_width,
    treble_level,
)

RATE = 44100


def sine(hertz, seconds, level_db=0.0, rate=RATE):
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave, wave], axis=1).astype(np.float32)


def test_the_filter_is_the_standards_at_48_khz():
    first, second = k_weighting(48000)
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    np.testing.assert_allclose(first, shelf, atol=1e-7)
    np.testing.assert_allclose(second, [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], atol=1e-7)


def test_a_full_scale_sine_on_one_channel_has_minus_3_lufs():
    audio = sine(997, 5)
    audio[:, 1] = 0
    assert short_term_loudness(audio, RATE) == pytest.approx(-3.01, abs=0.05)


def test_the_loudness_range_of_two_levels_is_their_difference():
    audio = np.concatenate([sine(1000, 20, -20), sine(1000, 20, -30)])  # EBU Tech 3342, test 1
    assert loudness_range(audio, RATE) == pytest.approx(10.0, abs=1.0)
    assert loudness_range(sine(1000, 20, -20), RATE) == pytest.approx(0.0, abs=0.1)


def test_silence_between_does_not_count_in_the_loudness_range():
    audio = np.concatenate([sine(1000, 15, -20), np.zeros((15 * RATE, 2), np.float32)])
    assert loudness_range(audio, RATE) < 3.5
    assert math.isnan(loudness_range(np.zeros((5 * RATE, 2), np.float32), RATE))


def test_treble_is_the_share_above_8_khz():
    assert treble_level(sine(1000, 2), RATE) < -60
    assert treble_level(sine(12000, 2), RATE) == pytest.approx(0.0, abs=0.01)
    assert treble_level(sine(12000, 2, -20) + sine(1000, 2), RATE) == pytest.approx(-20.04, abs=0.1)
    assert math.isnan(treble_level(np.zeros((RATE, 2), np.float32), RATE))


def test_width_is_side_against_middle():
    left, right = sine(500, 1)[:, 0], sine(501, 1, -6)[:, 0]
    assert stereo_width(np.stack([left, left], axis=1)) < -100
    assert stereo_width(np.stack([left, -left], axis=1)) > 100
    middle, side = np.square(left + right).mean(), np.square(left - right).mean()
    assert stereo_width(np.stack([left, right], axis=1)) == pytest.approx(10 * np.log10(side / middle), abs=1e-3)


def test_a_step_at_the_seams_is_seen():
    rng = np.random.default_rng(0)
    latents = np.cumsum(rng.standard_normal((64, 4)), axis=0)
    assert seam_step(latents, 16) == pytest.approx(1.0, abs=0.5)
    latents[16:32] += 20
    assert seam_step(latents, 16) > 5
    assert math.isnan(seam_step(latents[:10], 16))


def test_a_click_at_the_seams_is_seen(debug_config):
    period = debug_config.generator.patch_latents * debug_config.latent_hop
    audio = 0.1 * np.random.default_rng(1).standard_normal((3 * period, 2)).astype(np.float32)
    smooth = seam_flux(audio, debug_config)
    first = debug_config.spectral.fft_length // 2 - debug_config.spectral.hop_length // 2
    first += period - debug_config.spectral.overlap
    for seam in (first, first + period):
        audio[seam : seam + 3] += 2.0
    assert smooth == pytest.approx(1.0, abs=0.15) and seam_flux(audio, debug_config) > 1.05 * smooth
    assert math.isnan(seam_flux(audio[:period], debug_config))


def test_all_measures_have_names_and_numbers(debug_config):
    audio = 0.1 * np.random.default_rng(2).standard_normal((4 * RATE, 2)).astype(np.float32)
    measures = sound_measures(audio, np.zeros((3, 2), np.float32), debug_config)
    expected = ("treble_db", "width_db", "loudness_lufs", "loudness_range_lu", "seam_flux", "seam_step")
    assert set(measures) == {*expected, "pitch_off_cents", "pitch_moves_cents"}
    assert all(isinstance(value, float) for value in measures.values())
