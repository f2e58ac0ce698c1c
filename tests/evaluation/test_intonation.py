"""Intonation: oracles on sines whose pitch is known."""

import numpy as np
import pytest

from musika.evaluation.intonation import intonation

RATE = 44_100


def tones(cents, seconds=3.0, base=110.0):
    """Steady sines, so many cents above a base."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.2 * np.sum([np.sin(2 * np.pi * base * 2 ** (item / 1200) * time) for item in cents], axis=0)


def measured(mono):
    return intonation(np.stack([mono, mono], axis=1).astype("float32"), RATE)


def test_a_tuned_chord_is_in_tune_and_steady_whatever_its_tuning():
    for base in (110.0, 113.0):
        away, move = measured(tones([0, 700, 1600], base=base))
        assert away < 1.0 and move < 0.5


def test_a_mistuned_tone_is_as_far_off_as_it_is():
    away, _ = measured(tones([0, 740], base=110.0))
    assert away == pytest.approx(20.0, abs=1.0)  # 20 on either side of the tuning between them


def test_a_glide_has_no_tuning_and_moves_as_fast_as_it_goes():
    time = np.arange(6 * RATE) / RATE
    mono = 0.3 * np.sin(2 * np.pi * 110 * np.cumsum(2 ** (200 * time / 1200)) / RATE)  # 200 cents a second
    away, move = measured(mono)
    assert away == pytest.approx(25.0, abs=3.0)
    assert move == pytest.approx(200 * 2048 / RATE, abs=1.0)


def test_silence_noise_above_and_short_clips_have_no_intonation():
    assert np.isnan(measured(np.zeros(RATE))).all()
    assert np.isnan(measured(np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE))).all()
    assert np.isnan(measured(np.ones(100))).all()
