"""The limiter: identity below the knee, monotonic, bounded, smooth."""

import numpy as np
import pytest

from musika.audio.limiter import KNEE, soft_limit


def test_identity_up_to_the_knee():
    samples = np.linspace(-KNEE, KNEE, 1001).astype(np.float32)
    np.testing.assert_array_equal(soft_limit(samples), samples)
    mixed = np.append(samples, np.float32(3))
    np.testing.assert_array_equal(soft_limit(mixed)[:-1], samples)


@pytest.mark.parametrize("knee", [0.0, 0.5, KNEE, 0.99])
def test_bounded_monotonic_and_odd(knee):
    samples = np.concatenate([np.linspace(0, 4, 200_001), np.geomspace(4, 3e38, 1000), [np.inf]]).astype(np.float32)
    limited = soft_limit(samples, knee)
    assert limited.min() >= 0
    assert limited.max() <= 1
    assert (np.diff(limited) >= 0).all()
    np.testing.assert_array_equal(soft_limit(-samples, knee), -limited)


def test_slope_and_curvature_go_on_at_the_knee():
    step = 1e-2
    y = soft_limit(np.float32([KNEE - step, KNEE, KNEE + step, KNEE + 2 * step]))
    slopes = np.diff(y) / step
    np.testing.assert_allclose(slopes, 1, atol=0.02)


def test_formula():
    assert soft_limit(np.float32([1.0]))[0] == pytest.approx(0.8 + 0.2 * 1 / np.sqrt(2))
    assert soft_limit(np.float32([-1.2]))[0] == pytest.approx(-(0.8 + 0.2 * 2 / np.sqrt(5)))


def test_a_sample_does_not_depend_on_its_neighbours():
    audio = (2 * np.random.default_rng(0).normal(size=(1000, 2))).astype(np.float32)
    whole = soft_limit(audio)
    for start, stop in ((0, 1), (3, 70), (501, 1000)):
        np.testing.assert_array_equal(soft_limit(audio[start:stop]), whole[start:stop])


def test_input_is_left_alone():
    audio = np.float32([0.1, 2.0])
    soft_limit(audio)
    np.testing.assert_array_equal(audio, np.float32([0.1, 2.0]))
