"""Tempo, beats and onsets of made-up rhythms."""

import numpy as np
import pytest

from musika.data.rhythm import beats_tempo, comb_tempo, find_beats, find_onsets

RATE = 22050


def strike(hertz, seconds, noise, seed):
    """A drum: a dying tone, or dying noise."""
    times = np.arange(int(seconds * RATE)) / RATE
    sound = np.random.default_rng(seed).normal(size=len(times)) if noise else np.sin(2 * np.pi * hertz * times)
    return sound * np.exp(-6 * times / seconds)


KICK, HAT = strike(60, 0.15, False, 0), 0.5 * strike(0, 0.04, True, 1)


def drums(kicks, hats, seconds):
    track = np.zeros(int(seconds * RATE) + RATE)
    for sound, times in ((KICK, kicks), (HAT, hats)):
        for time in times:
            start = round(time * RATE)
            track[start : start + len(sound)] += sound
    return track[: int(seconds * RATE)].astype(np.float32)


@pytest.mark.parametrize("tempo", [93.7, 121.3, 157.9])
def test_a_kick_on_every_beat_gives_tempo_and_beats_exactly(tempo):
    beats = np.arange(0.2, 14.9, 60 / tempo)
    offbeats = beats + 30 / tempo
    found, confidence, heard = find_beats(drums(beats, offbeats, 15.0), RATE)
    assert found == pytest.approx(tempo, rel=5e-4)
    assert 0.2 < confidence <= 1
    near = np.abs(heard[:, None] - beats[None]).min(axis=1)
    assert np.median(near) < 0.01 and len(heard) >= len(beats) - 1


def test_beats_go_on_where_the_kick_rests():
    beats = np.arange(0.2, 19.9, 0.48)
    kicks = beats[(beats < 8) | (beats > 12)]
    found, _, heard = find_beats(drums(kicks, beats + 0.24, 20.0), RATE)
    assert found == pytest.approx(125, rel=1e-3)
    assert np.diff(heard) == pytest.approx(0.48, rel=2e-3)


def test_beats_that_speed_up_are_followed():
    beats, times = [0.2], np.arange(0, 40, 1 / 1000)
    positions = np.cumsum((100 + times) / 60) / 1000  # 100 to 140 beats a minute
    beats = np.interp(np.arange(1, int(positions[-1])), positions, times)
    found, _, heard = find_beats(drums(beats, [], 40.0), RATE)
    assert found == pytest.approx(120, rel=0.06)
    assert np.median(np.abs(heard[:, None] - beats[None]).min(axis=1)) < 0.02


@pytest.mark.parametrize("audio", [np.zeros(8 * RATE, np.float32), np.zeros(100, np.float32)])
def test_silence_has_no_tempo_and_no_onsets(audio):
    tempo, confidence, beats = find_beats(audio, RATE)
    assert tempo is None and confidence == 0 and len(beats) == 0
    assert len(find_onsets(audio, RATE)) == 0
    assert comb_tempo(np.zeros((3, 1000)), 100.0) is None


def test_onsets_are_found_within_ten_milliseconds():
    onsets = np.cumsum(np.random.default_rng(5).uniform(0.1, 0.8, 30))
    heard = find_onsets(drums(onsets, [], onsets[-1] + 1), RATE)
    assert len(heard) == 30
    np.testing.assert_allclose(heard, onsets, atol=0.015)


def test_the_line_through_beats_passes_over_missing_and_stray_ones():
    beats = np.arange(40) * 60 / 133.0 + np.random.default_rng(1).normal(0, 0.004, 40)
    beats = np.delete(beats, [7, 8, 20])
    assert beats_tempo(beats) == pytest.approx(133, rel=1e-3)
    beats[15] += 0.15
    assert beats_tempo(beats) == pytest.approx(133, rel=1e-3)
    assert beats_tempo(np.array([0.0, 1.0, 2.0])) is None
