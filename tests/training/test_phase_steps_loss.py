"""The loss of phase steps: nothing for true ones, most for wrong ones that are heard."""

import numpy as np
import pytest

from musika.config import load_config
from musika.training.losses import short_time_spectrum
from musika.training.phase_steps_loss import PhaseStepsLoss

BINS = 40


@pytest.fixture(scope="module")
def config():
    return load_config(
        "compact",
        {
            "spectral": {"hop_length": 64, "fft_length": 256},
            "codec": {"compact": {"phase_recurrence": 8, "phase_tracking": BINS}},
        },
    )


@pytest.fixture(scope="module")
def spectrum():
    audio = np.random.default_rng(0).standard_normal((3, 256 + 64 * 40)).astype(np.float32)
    return [np.asarray(part) for part in short_time_spectrum(audio, 256, 64)]


def true_steps(spectrum):
    values = (spectrum[0] + 1j * spectrum[1]) * np.where(np.arange(129) % 2, -1.0, 1.0)
    phase = np.angle(values)
    advance, across = np.zeros_like(phase), np.zeros_like(phase)
    advance[:, 1:], across[..., :-1] = np.diff(phase, axis=1), np.diff(phase, axis=2)
    return np.concatenate([advance[..., :BINS], across[..., :BINS]], axis=-1).astype(np.float32)


def test_true_steps_cost_nothing_and_whole_turns_do_not_matter(config, spectrum):
    steps = true_steps(spectrum)
    for turns in (0, 1):
        loss = PhaseStepsLoss(config)(steps + np.float32(2 * np.pi * turns), *spectrum)
        assert float(loss) == pytest.approx(0.0, abs=1e-3)


def test_opposite_steps_cost_two_each(config, spectrum):
    loss = PhaseStepsLoss(config)(true_steps(spectrum) + np.float32(np.pi), *spectrum)
    assert float(loss) == pytest.approx(4.0, abs=1e-3)


def test_steps_that_know_nothing_cost_one_each(config, spectrum):
    steps = np.random.default_rng(1).uniform(-np.pi, np.pi, true_steps(spectrum).shape).astype(np.float32)
    assert float(PhaseStepsLoss(config)(steps, *spectrum)) == pytest.approx(2.0, abs=0.1)


def test_loud_tones_and_the_lowest_bins_count_most(config, spectrum):
    """A wrong step costs by the amplitudes that it joins and by its bin."""
    steps = true_steps(spectrum)
    costs = []
    for bin_ in (0, 30):
        wrong = steps.copy()
        wrong[:, 1:, bin_] += np.float32(np.pi)
        costs.append(float(PhaseStepsLoss(config)(wrong, *spectrum)))
    assert costs[0] > 2 * costs[1] > 0
