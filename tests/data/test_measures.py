"""Measures of controls against what is known of made-up sounds."""

from pathlib import Path

import numpy as np
import pytest

from musika.checks import UserError
from musika.data.annotators import Events, Recording
from musika.data.measures import MEASURES, event_density, measure_control
from musika.settings import ControlConfig

RATE, HOP = 44100, 4096
LATENT_RATE = RATE / HOP


def recording(audio, path=None):
    return Recording(path, len(audio) // HOP, LATENT_RATE, len(audio), RATE, audio=audio)


def sine(hertz, steps=20, amplitude=0.5):
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(steps * HOP) / RATE)
    return np.stack([wave, wave], axis=1).astype(np.float32)


@pytest.mark.parametrize("kernel", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("seconds", [0.4, 8.0, 31.7])
def test_the_integral_of_a_density_is_the_number_of_events(kernel, seconds):
    events = np.random.default_rng(3).uniform(0, seconds, 17)
    steps = int(seconds * LATENT_RATE) + 3  # the codec's last steps may lie after the end
    density = event_density(events, steps, LATENT_RATE, seconds, kernel)
    widths = np.diff(np.minimum(np.arange(steps + 1) / LATENT_RATE, seconds))
    assert density @ widths == pytest.approx(17, abs=1e-3)


@pytest.mark.parametrize("rate", [1.0, 2.0, 4.0, 8.0])
def test_even_events_have_their_density_up_to_the_ends(rate):
    density = event_density((np.arange(20 * rate) + 0.5) / rate, 215, LATENT_RATE, 20.0, 0.5)
    np.testing.assert_allclose(density, rate, rtol=0.016)


def test_a_single_event_is_the_gaussian(tmp_path):
    density = event_density(np.array([10.0]), 200, 10.0, 20.0, 0.5)
    times = (np.arange(200) + 0.5) / 10
    np.testing.assert_allclose(density, np.exp(-2 * (times - 10) ** 2) / np.sqrt(np.pi / 2), atol=3e-3)


def test_note_density_uses_the_kernel_of_the_control():
    music = recording(sine(440, 100))
    music.events = Events(onsets=np.array([2.0, 5.0]))
    narrow, wide = (
        measure_control(music, ControlConfig("note_density", per="step", kernel_seconds=kernel)) for kernel in (0.2, 0)
    )
    assert narrow.max() == pytest.approx(1 / (0.2 * np.sqrt(2 * np.pi)), rel=0.05)
    assert wide.max() == pytest.approx(1 / (0.5 * np.sqrt(2 * np.pi)), rel=0.05)


def test_what_was_not_listened_for_is_unknown():
    music = recording(sine(440))
    music.events = Events()
    assert measure_control(music, ControlConfig("note_density", per="step")) is None
    assert measure_control(music, ControlConfig("tempo")) is None


def test_brightness_is_the_frequency_of_a_sine():
    audio = np.concatenate([sine(500, 10), sine(4000, 10), 0 * sine(500, 5)])
    curve = measure_control(recording(audio), ControlConfig("brightness", per="step"))
    np.testing.assert_allclose(curve[:10], 500, rtol=0.02)
    np.testing.assert_allclose(curve[10:20], 4000, rtol=0.02)
    np.testing.assert_allclose(curve[20:], curve[19])
    assert measure_control(recording(0 * audio), ControlConfig("brightness")) is None


def test_loudness_is_in_decibels_below_full_scale():
    audio = np.concatenate([sine(441, 10, 1.0), sine(441, 10, 0.1), 0 * sine(441, 5)])
    curve = measure_control(recording(audio), ControlConfig("loudness", per="step"))
    np.testing.assert_allclose(curve, np.repeat([-3.01, -23.01, -60.0], [10, 10, 5]), atol=0.05)


def test_a_curve_measured_for_a_file_becomes_its_mean():
    music = recording(sine(441, 20))
    assert measure_control(music, ControlConfig("loudness", per="file")) == pytest.approx(-9.03, abs=0.01)
    assert measure_control(music, ControlConfig("place", measure="position", per="file")) == pytest.approx(0.5)


def test_position_runs_from_0_to_1():
    curve = measure_control(recording(sine(440)), ControlConfig("position", per="step"))
    assert curve[0] == 0 and curve[-1] == 1 and (np.diff(curve) > 0).all()


def test_a_class_is_the_name_of_the_folder(tmp_path):
    music = recording(sine(440), Path(tmp_path / "dub" / "a.wav"))
    assert measure_control(music, ControlConfig("genre", measure="folder", classes=("dub", "house"))) == "dub"
    with pytest.raises(UserError, match="genre: its folder must be one of house. Received: folder='dub'"):
        measure_control(music, ControlConfig("genre", measure="folder", classes=("house",)))


def test_an_unknown_measure_names_the_known_ones():
    with pytest.raises(UserError, match="its measure must be one of tempo, note_density.*measure='mood'"):
        measure_control(recording(sine(440)), ControlConfig("mood"))


def test_a_new_measure_is_one_function(monkeypatch):
    monkeypatch.setitem(MEASURES, "peak", lambda music, control: float(np.abs(music.audio).max()))
    assert measure_control(recording(sine(441, amplitude=0.25)), ControlConfig("peak")) == pytest.approx(0.25, abs=1e-3)
