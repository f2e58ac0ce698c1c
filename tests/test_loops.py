"""Loops: exact in length, alike in every turn, no seam to be found."""

import dataclasses

import numpy as np
import pytest

from musika.checks import UserError
from musika.config import load_config
from musika.loops import _parts, calmest_lead, circular_flux, resample_circle
from musika.presets import random_preset
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", unit="BPM", low=90, high=160, clock=True, beats_per_bar=4, drawn=True)
DENSITY = ControlConfig("note_density", unit="onsets/s", low=0.5, high=8.0, scaling="log", per="step")


@pytest.fixture(scope="module")
def controlled(debug_config):
    generator = dataclasses.replace(debug_config.generator, controls=(TEMPO, DENSITY))
    return random_preset(dataclasses.replace(debug_config, generator=generator), seed=1)


def flux_around(audio, length=2048, hop=512):
    """Spectral flux of a turn played twice: at the join, and everywhere inside."""
    twice = np.concatenate([audio, audio]).mean(axis=1)
    first = (len(audio) - hop // 2 - length // 2) % hop
    frames = np.lib.stride_tricks.sliding_window_view(twice, length)[first::hop] * np.hanning(length)
    rise = np.maximum(np.diff(np.abs(np.fft.rfft(frames, axis=-1)), axis=0), 0).sum(axis=1)
    join = (len(audio) - hop // 2 - length // 2 - first) // hop
    return rise[join], np.delete(rise, join)


def check_seamless(loop):
    audio = loop.render()
    assert audio.shape == (round(loop.seconds * 44100), 2) and audio.dtype == np.float32
    assert 1e-3 < np.abs(audio).max() <= 1.0
    join, inside = flux_around(audio)
    assert join <= np.median(inside)
    jumps = np.abs(np.diff(audio, axis=0)).max(axis=0)
    assert (np.abs(audio[0] - audio[-1]) <= jumps).all()


@pytest.mark.parametrize("seconds", [0.5, 1.3, 4.0])
def test_a_loop_in_seconds_has_no_seam(debug_preset, seconds):
    loop = debug_preset.piece(seed=5).loop(seconds=seconds)
    check_seamless(loop)
    assert loop.tempo is None and loop.bars is None and loop.beats == 0


@pytest.mark.parametrize(("bars", "tempo"), [(1, 97), (2, 128), (3, 151.3)])
def test_a_loop_in_bars_has_no_seam_and_is_as_long_as_its_bars(controlled, bars, tempo):
    loop = controlled.piece(seed=2, tempo=tempo).loop(bars=bars)
    check_seamless(loop)
    assert loop.samples == round(bars * 4 * 60 / tempo * 44100)
    assert loop.tempo == pytest.approx(tempo) and loop.beats == 4 * bars
    assert 0 <= loop.lead <= 60 / tempo / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["techno", "piano"])
def test_loops_of_what_ships_have_no_seam(name):
    import musika

    preset = musika.load(name)
    for seed, seconds in ((0, 2.2), (1, 15.0), (2, 20.0)):
        check_seamless(preset.piece(seed=seed).loop(seconds=seconds))
        for tempo in (96, 128, 155) if "tempo" in preset.controls else ():
            for bars in (1, 4, 8):
                check_seamless(preset.piece(seed=seed, tempo=tempo).loop(bars=bars))


@pytest.mark.slow
def test_loops_of_a_compact_codec_have_no_seam():
    preset = random_preset(load_config("compact", {"generator": {"base_channels": 4}}), seed=3)
    for seconds in (1.0, 7.5):
        check_seamless(preset.piece(seed=1).loop(seconds=seconds))


def test_every_turn_is_the_same_and_any_stretch_is_reached(debug_preset):
    loop = debug_preset.piece(seed=9).loop(seconds=1.2)
    turn = loop.render()
    assert np.array_equal(loop.render(0.0, 3.6), np.concatenate([turn] * 3))
    assert np.array_equal(loop.render(5 * 1.2 + 0.5, 0.4), turn[22050:][: round(0.4 * 44100)])
    again = debug_preset.piece(seed=9).loop(seconds=1.2)
    assert np.array_equal(next(again.stream(0.3)), turn[13230:])
    assert not np.array_equal(debug_preset.piece(seed=8).loop(seconds=1.2).render(), turn)


def test_on_beat_turns_the_loop_and_nothing_else(debug_preset):
    calm, strict = (debug_preset.piece(seed=4).loop(seconds=1.0, on_beat=on_beat) for on_beat in (False, True))
    assert strict.lead == 0
    assert np.array_equal(np.roll(calm.render(), -round(calm.lead * 44100), axis=0), strict.render())


def test_the_clock_goes_round_in_whole_beats(controlled):
    piece = controlled.piece(seed=2, tempo=120, note_density=3)
    loop = piece.loop(bars=2)
    turns = np.array([0.0, 1.0, -1.0, 0.5, 0.25])
    channels = loop.controls.circular_condition(turns, loop.seconds, loop.beats)
    assert np.array_equal(channels[0], channels[1]) and np.array_equal(channels[0], channels[2])
    np.testing.assert_allclose(channels[0], piece.controls.circular_condition(np.array([0.5]), 4.0, 8)[0], atol=1e-5)
    assert not np.allclose(channels[0], channels[4])  # half a bar: the bar's hand points elsewhere


def test_a_length_in_seconds_is_filled_with_whole_bars(controlled):
    loop = controlled.piece(seed=2, tempo=128).loop(seconds=4.0)
    assert (loop.bars, loop.beats, loop.tempo) == (2, 8, 120.0)
    short = controlled.piece(seed=2, tempo=128).loop(seconds=0.8)
    assert (short.bars, short.beats, short.tempo) == (None, 2, 150.0)


def test_latents_of_a_loop_go_round(debug_preset):
    loop = debug_preset.piece(seed=4).loop(seconds=2.0)
    assert loop.circle.shape == (172, 32)
    assert np.array_equal(loop.latents(-5, 200), np.tile(loop.circle, (3, 1))[167:367])


@pytest.mark.parametrize("patch", [64, 128])
@pytest.mark.parametrize("steps", [2, 5, 40, 63, 64, 65, 120, 161, 256, 1000])
def test_patches_cover_the_circle_evenly(steps, patch):
    weight = np.zeros(steps)
    for part in _parts(steps, patch):
        used = np.arange(patch)[part.used]
        assert used[0] >= 0 and len(used) == len(part.weights)
        np.add.at(weight, (part.start + used) % steps, part.weights)
    np.testing.assert_allclose(weight, 1.0, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(4096, 4099), (4099, 4096), (100, 173), (173, 100)])
def test_resampling_a_period_is_exact_for_what_both_can_hold(before, after):
    def wave(samples):
        turn = 2 * np.pi * np.arange(samples)[:, None] / samples
        return (0.3 + np.cos(3 * turn + 1) + 0.5 * np.sin(40 * turn)).astype(np.float32)

    np.testing.assert_allclose(resample_circle(wave(before), after), wave(after), atol=1e-5)


def test_the_calmest_moment_is_before_an_attack():
    audio = np.full((44100, 1), 1e-3, np.float32)
    audio[200:8000, 0] = np.sin(np.arange(7800) * 0.1) * np.exp(-np.arange(7800) / 2000)
    lead = calmest_lead(audio, 4000)
    assert lead > 1024
    flux = circular_flux(audio, np.array([0, -lead]))
    assert flux[1] < 0.05 * flux[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs its length in bars or in seconds"),
        ({"seconds": 3, "bars": 2}, "needs its length in bars or in seconds"),
        ({"seconds": 0.1}, "seconds must be a number from 0.5"),
        ({"seconds": 1e5}, "seconds must be a number from 0.5 to 600"),
        ({"seconds": float("nan")}, "seconds must be a number"),
        ({"bars": 0}, "bars must be a whole number from 1"),
        ({"bars": 1.5}, "bars must be a whole number"),
        ({"bars": 900}, "the length of 900 bars at 128 beats a minute"),
    ],
)
def test_impossible_lengths_are_refused(controlled, arguments, message):
    with pytest.raises(UserError, match=message):
        controlled.piece(seed=1, tempo=128).loop(**arguments)


def test_less_than_a_sample_is_nothing(debug_preset):
    assert debug_preset.piece(seed=1).loop(seconds=1.0).render(seconds=1e-6).shape == (0, 2)


def test_bars_need_a_tempo(debug_preset, controlled):
    with pytest.raises(UserError, match="a loop in bars needs a tempo"):
        debug_preset.piece(seed=1).loop(bars=2)
    with pytest.raises(UserError, match="a loop in bars needs a tempo"):
        controlled.piece(seed=1, tempo=None).loop(bars=2)


def test_curves_must_close(controlled):
    with pytest.raises(UserError, match="tempo must stay the same during a loop"):
        controlled.piece(seed=1, tempo="100:140", seconds=4).loop(seconds=4)
    with pytest.raises(UserError, match=r"note_density must end where it begins.*such as 2:6:2"):
        controlled.piece(seed=1, note_density="2:6", seconds=4).loop(seconds=4)
    assert controlled.piece(seed=1, note_density="2:6:2", seconds=4).loop(seconds=4).samples == 176400
