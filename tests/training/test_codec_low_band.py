"""The low band's losses: nothing for the truth, more for wrong phases, and a waveform at a low sample rate."""

import numpy as np
import pytest

from musika.config import load_config
from musika.training.codec_low_band import LowBandLoss, onset_correlation_loss, triangular_bands
from musika.training.losses import short_time_spectrum


@pytest.fixture(scope="module")
def config():
    return load_config("compact", {"codec": {"compact": {"phase_recurrence": 60}}})


@pytest.fixture(scope="module")
def spectrum(config):
    """Two seconds of struck low tones."""
    time = np.arange(40 * 512 + 1536) / config.sample_rate
    audio = sum(np.sin(2 * np.pi * f * time) * np.exp(-8 * (time % 0.2)) for f in (55.0, 110.0, 400.0))
    real, imaginary = short_time_spectrum(0.1 * audio[None].astype("float32"), 2048, 512)
    return np.asarray(real), np.asarray(imaginary)


def phasor_of(real, imaginary, turn=0.0):
    phase = np.angle(real + 1j * imaginary) + turn
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1).astype("float32")


def test_the_truth_costs_nothing_and_random_phases_cost_much(config, spectrum):
    loss = LowBandLoss(config)
    real, imaginary = spectrum
    amplitude = np.hypot(real, imaginary)
    exact = {key: float(value) for key, value in loss(amplitude, phasor_of(*spectrum), *spectrum).items()}
    assert max(exact.values()) < 0.02
    turns = np.random.default_rng(0).uniform(-np.pi, np.pi, real.shape)
    wrong = {key: float(value) for key, value in loss(amplitude, phasor_of(*spectrum, turns), *spectrum).items()}
    assert wrong["low_phasor"] > 1.0 and wrong["low_waveform"] > 1.0 and wrong["low_onsets"] > 0.1


def test_its_waveform_is_the_low_band_at_a_low_rate(config):
    loss = LowBandLoss(config)
    assert loss.spectral.fft_length == 128 and loss.sample_rate == pytest.approx(44100 / 16)
    time = np.arange(30 * 512 + 1536) / config.sample_rate
    audio = np.sin(2 * np.pi * 200.0 * time)[None].astype("float32")
    real, imaginary = (np.asarray(part)[..., :60] for part in short_time_spectrum(audio, 2048, 512))
    wave = np.asarray(loss.waveform(real, imaginary))[0] / 16
    low = np.sin(2 * np.pi * 200.0 * (np.arange(len(wave)) + loss.spectral.overlap) / loss.sample_rate)
    np.testing.assert_allclose(wave, low, atol=0.01)


def test_onset_envelopes_are_compared_by_shape_not_size():
    rng = np.random.default_rng(0)
    bands = triangular_bands(6, 150.0, np.arange(5) * 43.07)
    time = np.arange(4000) / 2756.25
    beats = [np.sin(2 * np.pi * 60 * time) * np.exp(-20 * ((time - shift) % 0.3)) + 1e-3 for shift in (0.0, 0.15)]
    one, other = (item[None].astype("float32") for item in beats)
    louder = 3 * one + 0.001 * rng.standard_normal(one.shape).astype("float32")
    assert float(onset_correlation_loss(louder, one, 64, bands)) < 0.2
    assert float(onset_correlation_loss(other, one, 64, bands)) > 0.8
