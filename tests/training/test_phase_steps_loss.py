"""The loss of phase steps is nothing for true ones, and a phasor is best as long as its phase is certain."""

import numpy as np
import pytest

from musika.config import load_config
from musika.training.losses import short_time_spectrum
from musika.training.phase_steps_loss import PhaseStepsLoss

BINS = 40


@pytest.fixture(scope="module")
def config():
    return load_config(
        "compact", {"spectral": {"hop_length": 64, "fft_length": 256}, "codec": {"compact": {"phase_tracking": BINS}}}
    )


@pytest.fixture(scope="module")
def spectrum():
    audio = np.random.default_rng(0).standard_normal((3, 256 + 64 * 40)).astype(np.float32)
    return [np.asarray(part) for part in short_time_spectrum(audio, 256, 64)]


def true_parts(spectrum):
    """What the heads of a decoder would give that knew everything."""
    values = (spectrum[0] + 1j * spectrum[1]) * np.where(np.arange(129) % 2, -1.0, 1.0)
    phase = np.angle(values)
    advance, across = np.zeros_like(phase), np.zeros_like(phase)
    advance[:, 1:], across[..., :-1] = np.diff(phase, axis=1), np.diff(phase, axis=2)
    steps = np.concatenate([advance[..., :BINS], across[..., :BINS]], axis=-1)
    phasors = np.concatenate([np.cos(phase)[..., :BINS], np.sin(phase)[..., :BINS]], axis=-1)
    return steps.astype(np.float32), phasors.astype(np.float32)


def losses(config, spectrum, steps, phasors):
    return {
        key: float(value) for key, value in PhaseStepsLoss(config)((None,) * 3 + (steps, phasors), *spectrum).items()
    }


def test_true_steps_cost_nothing(config, spectrum):
    found = losses(config, spectrum, *true_parts(spectrum))
    assert found["phase_steps"] == pytest.approx(0.0, abs=1e-3)
    assert found["onset_phase"] == pytest.approx(0.0, abs=1e-4)


def test_whole_turns_and_a_turn_of_everything_change_nothing_but_onsets(config, spectrum):
    steps, phasors = true_parts(spectrum)
    cosine, sine = np.split(phasors, 2, axis=-1)
    turned = np.concatenate([-sine, cosine], axis=-1)
    found = losses(config, spectrum, steps + np.float32(2 * np.pi), turned)
    # of the phasors' share a fifth of their distance is that of the phases themselves
    assert found["phase_steps"] == pytest.approx(0.3 * 0.2, rel=0.02)
    assert found["onset_phase"] == pytest.approx(2.0, abs=0.01)


def test_steps_that_know_nothing_cost_one_each(config, spectrum):
    _, phasors = true_parts(spectrum)
    steps = np.random.default_rng(1).uniform(-np.pi, np.pi, (*phasors.shape,)).astype(np.float32)
    assert losses(config, spectrum, steps, phasors)["phase_steps"] == pytest.approx(2.0, abs=0.1)


def test_a_phasor_is_best_as_long_as_its_phase_is_certain(config, spectrum):
    steps, phasors = true_parts(spectrum)
    flip = np.random.default_rng(2).random((*phasors.shape[:2], 1)) < 0.2  # right in four of five frames
    guessed = np.tile(np.where(flip, -1.0, 1.0), (1, 1, 2 * BINS)) * phasors
    cost = [
        losses(config, spectrum, steps, (length * guessed).astype(np.float32))["onset_phase"]
        for length in (0.3, 0.6, 0.9)
    ]
    assert cost[1] < min(cost[0], cost[2])
