"""Measures of reconstruction against cases whose answer is known."""

import numpy as np
import pytest

from musika.config import load_config
from musika.evaluation import reconstruction as measures
from musika.training.codec_training import build_networks

RATE = 44100


@pytest.fixture(scope="module")
def chord():
    time = np.arange(3 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * f * time) / (1 + i) for i, f in enumerate((220, 330, 440, 660, 880, 1320)))
    envelope = np.exp(-3 * (time % 0.5))
    return (0.1 * tones * envelope).astype(np.float32)


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def test_nothing_is_lost_between_equal_waveforms(chord):
    assert measures.spectral_convergence(chord, chord) == 0
    assert measures.multi_scale_distance(chord, chord) == 0
    assert measures.harmonic_survival(chord, chord, RATE) == pytest.approx(1)
    assert measures.onset_correlation(chord, chord, RATE, 150, 16000) == pytest.approx(1)


def test_a_gain_is_its_decibels(chord):
    loud = noise(RATE)
    assert measures.multi_scale_distance(0.5 * loud, loud) == pytest.approx(6.02, abs=0.05)
    assert measures.spectral_convergence(0.5 * chord, chord) == pytest.approx(0.5, abs=1e-3)


def test_log_spectral_distance_by_hand():
    config = load_config("base")
    target = np.full((3, 513), 0.5, np.float32)
    level = target.copy()
    level[:, ::2] += 4 / 75
    share = 257 / 513
    assert measures.log_spectral_distance(level, target, config) == pytest.approx(4 * np.sqrt(share), rel=1e-3)


def test_log_spectral_distance_does_not_look_below_its_floor():
    config = load_config("base")
    quiet = np.full((3, 513), -0.9, np.float32)
    assert measures.log_spectral_distance(quiet - 0.1, quiet, config) == 0


def test_noise_drowns_harmonics_in_order(chord):
    values = [measures.harmonic_survival(chord + g * noise(len(chord)), chord, RATE) for g in (0, 0.003, 0.03, 0.3)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5


def test_a_shifted_pitch_is_no_survival(chord):
    time = np.arange(len(chord)) / RATE
    other = sum(np.sin(2 * np.pi * f * 1.06 * time) / (1 + i) for i, f in enumerate((220, 330, 440, 660, 880, 1320)))
    assert measures.harmonic_survival((0.1 * other).astype(np.float32), chord, RATE) < 0.3


def test_onsets_elsewhere_do_not_correlate(chord):
    moved = np.roll(chord, RATE // 8)
    assert measures.onset_correlation(moved, chord, RATE, 150, 16000) < 0.3


def bass(phases, decay=3.0):
    """A bass note every second, of partials at 45, 90 and 135 Hz."""
    time = np.arange(6 * RATE) / RATE
    partials = sum(
        np.sin(2 * np.pi * 45 * (index + 1) * time + phase) / (index + 1) for index, phase in enumerate(phases)
    )
    return (0.3 * partials * np.exp(-decay * (time % 1.0))).astype(np.float32)


def test_where_the_partials_of_a_bass_beat_is_an_onset_to_short_windows_only():
    # Phases drift apart slowly, as those that are told from frame to frame do; notes begin where they did.
    time = np.arange(6 * RATE) / RATE
    drift = 1.5 * np.cumsum(np.random.default_rng(0).standard_normal((3, 12)), axis=1)
    phases = [np.interp(time, np.linspace(0, 6, 12), row) for row in drift]
    steady, drifting = bass((0, 0, 0)), bass(phases)
    short = measures.onset_correlation(drifting, steady, RATE, 0, 150)
    long = measures.onset_correlation(drifting, steady, RATE, 0, 150, measures.BASS_WINDOW)
    assert short < 0.8 < 0.9 < long
    late = np.roll(steady, RATE // 3)
    assert measures.onset_correlation(late, steady, RATE, 0, 150, measures.BASS_WINDOW) < 0.3


def test_clicks_at_block_borders_show_in_the_flux():
    audio = 0.01 * noise(10 * 4096)
    assert measures.border_flux(audio, 4096, 1000) == pytest.approx(1, abs=0.1)
    audio[1000::4096] += 1.0
    assert measures.border_flux(audio, 4096, 1000) > 1.5
    assert measures.border_flux(audio, 4096, 3000) < 1.1


def test_every_measure_of_a_codec_is_a_number():
    config = load_config("debug")
    networks = build_networks(config)
    clips = [0.1 * noise(measures.clip_samples(config), seed) for seed in range(2)]
    done = []
    rows = measures.measure_clips(networks, config, clips, False, lambda i, n: done.append((i, n)))
    scores, errors = measures.mean_scores(rows), measures.standard_errors(rows)
    assert done == [(1, 2), (2, 2)] and list(errors) == list(scores) == list(rows[1])
    assert {"level1_log_spectral_distance_db", "both_spectral_convergence", "both_border_flux"} <= set(scores)
    assert all(np.isfinite(value) for key, value in scores.items() if "survival" not in key)


def test_standard_errors_say_how_far_means_of_other_clips_lie():
    rng = np.random.default_rng(5)
    values = rng.normal(0.6, 0.2, (2000, 16))
    means = [measures.mean_scores([{"onsets": value} for value in row])["onsets"] for row in values]
    errors = [measures.standard_errors([{"onsets": value} for value in row])["onsets"] for row in values]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.05) == pytest.approx(0.05, rel=0.05)
    assert np.isnan(measures.standard_errors([{"onsets": 1.0}, {"onsets": np.nan}])["onsets"])
