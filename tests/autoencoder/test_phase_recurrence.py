"""The phase recurrence: what the plain recurrence gives over a window, wherever the stretch begins."""

import numpy as np
import pytest
from keras import ops

from musika.autoencoder.compact import LowPhase
from musika.autoencoder.phase_recurrence import windowed_recurrence
from musika.config import load_config

OVERRIDES = {"codec": {"compact": {"phase_recurrence": 12, "phase_width": 8, "phase_blocks": 2, "phase_window": 8}}}


def parts(values):
    return ops.convert_to_tensor(values.real.astype("float32")), ops.convert_to_tensor(values.imag.astype("float32"))


def recurrence(turn, drive, window):
    return joined(windowed_recurrence(*polar(turn), parts(drive), window))


def polar(turn):
    return (ops.convert_to_tensor(item(turn).astype("float32")) for item in (np.angle, np.abs))


def joined(state):
    return np.asarray(state[0]) + 1j * np.asarray(state[1])


def plain(turn, drive, window):
    """The sum over the window, term by term."""
    state = np.zeros_like(drive)
    for frame in range(drive.shape[1]):
        carried = np.ones_like(drive[:, 0])
        for back in range(min(window, frame + 1)):
            state[:, frame] += carried * drive[:, frame - back]
            carried = carried * turn[:, frame - back]
    return state


@pytest.fixture
def random_inputs():
    rng = np.random.default_rng(0)
    shape = (2, 21, 3)
    turn = rng.uniform(0.5, 1.0, shape) * np.exp(1j * rng.uniform(-3, 3, shape))
    return turn, rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("window", [1, 2, 8, 32])
def test_doubling_gives_what_the_loop_gives(random_inputs, window):
    turn, drive = random_inputs
    state = recurrence(turn, drive, window)
    np.testing.assert_allclose(state, plain(turn, drive, window), atol=1e-4)


def test_a_struck_tone_turns_exactly_by_its_frequency():
    angle = 0.7
    turn = np.full((1, 16, 1), np.exp(1j * angle))
    drive = np.zeros((1, 16, 1), complex)
    drive[0, 2, 0] = 1.0
    state = recurrence(turn, drive, 16)[0, :, 0]
    np.testing.assert_allclose(state[2:], np.exp(1j * angle * np.arange(14)), atol=1e-5)
    assert np.abs(state[:2]).max() == 0.0


def test_a_stretch_is_the_same_wherever_it_begins(random_inputs):
    turn, drive = random_inputs
    whole = recurrence(turn, drive, 8)
    late = recurrence(turn[:, 5:], drive[:, 5:], 8)
    np.testing.assert_allclose(late[:, 7:], whole[:, 12:], atol=1e-5)


def test_the_layer_sees_its_window_and_its_network_and_no_further():
    config = load_config("compact", OVERRIDES)
    layer = LowPhase(config)
    hidden = np.random.default_rng(1).standard_normal((1, 48, 5)).astype("float32")
    changed = hidden.copy()
    changed[:, :20] += 1.0
    before, after = joined(layer(hidden)), joined(layer(changed))
    reach = 1 + 1 + 2  # the first convolution and two blocks
    assert np.abs(after - before)[:, :20].max() > 0.1
    np.testing.assert_allclose(after[:, 20 + reach + 7 :], before[:, 20 + reach + 7 :], atol=1e-3)


def test_an_undriven_bin_of_a_new_layer_turns_by_its_own_frequency():
    config = load_config("compact", OVERRIDES)
    layer = LowPhase(config)
    expected = 2 * np.pi * np.arange(12) * config.spectral.hop_length / config.spectral.fft_length
    np.testing.assert_allclose(layer.turn, expected, rtol=1e-6)
