"""Tracked phases: tones go on as they are, each bin follows the loudest way to it, and stretches fit together."""

import heapq

import numpy as np
import pytest

from musika.audio.spectral import analyse
from musika.autoencoder.phase_steps import PhaseSteps, centre_turn, slopes_of
from musika.autoencoder.phase_tracking import agreed, joined_level, loudest_ways, track
from musika.config import load_config

BINS = 40


def by_heap(before, level):
    """The way to each bin of one frame as the published algorithm finds it: the loudest goes on first."""
    heap = [(-loudness, bin_, False) for bin_, loudness in enumerate(before)]
    heapq.heapify(heap)
    source = {}
    while heap:
        _, bin_, here = heapq.heappop(heap)
        if here:
            for near in (bin_ - 1, bin_ + 1):
                if 0 <= near < len(level) and near not in source:
                    source[near] = source[bin_]
                    heapq.heappush(heap, (-level[near], near, True))
        elif bin_ not in source:
            source[bin_] = bin_
            heapq.heappush(heap, (-level[bin_], bin_, True))
    return [source[bin_] for bin_ in range(len(level))]


@pytest.mark.parametrize("seed", range(5))
def test_the_ways_are_those_of_the_published_algorithm(seed):
    rng = np.random.default_rng(seed)
    before, level = (np.cumsum(rng.standard_normal((30, BINS)), axis=1).astype(np.float32) for _ in range(2))
    found = np.empty(level.shape, np.int32)
    for frame in zip(before, level, found, strict=True):
        loudest_ways(*frame, np.empty(BINS, np.float32))
    expected = np.array([by_heap(*frame) for frame in zip(before, level, strict=True)])
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def spectral():
    return load_config("compact").spectral


def true_steps(spectrum, settings):
    """Levels, true steps and phases of the lowest bins, referred to the middles of frames."""
    centred = spectrum * np.where(np.arange(spectrum.shape[-1]) % 2, -1.0, 1.0)
    phase = np.angle(centred).astype(np.float32)
    advance, across = np.zeros_like(phase), np.zeros_like(phase)
    advance[:, 1:] = np.diff(phase, axis=1)
    across[..., :-1] = np.diff(phase, axis=2)
    level = np.log(np.abs(spectrum) + 1e-6).astype(np.float32)
    return [part[..., :BINS] for part in (level, advance, across, phase)]


def test_true_steps_give_true_phases_but_for_one_turn(spectral):
    rng = np.random.default_rng(0)
    time = np.arange(100 * spectral.hop_length + spectral.overlap) / 44100
    chord = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in (90.0, 300.0, 520.0))
    level, advance, across, phase = true_steps(analyse(chord.astype(np.float32), spectral)[None], spectral)
    level, advance, across, phase = (part[0] for part in (level, advance, across, phase))
    found = track(level, advance, across, phase)
    assert found.shape == level.shape
    loud = level > level.max() - 5
    np.testing.assert_allclose(np.cos(found - phase)[loud], 1.0, atol=1e-3)
    other = phase + np.float32(1.0)  # of what is given only ends and onsets count, and there are none inside
    inner = slice(30, -30)
    turned = (track(level, advance, across, other) - found)[inner][loud[inner]]
    np.testing.assert_allclose(np.angle(np.exp(1j * turned)), 1.0, atol=0.02)


def test_a_steady_tone_turns_by_its_frequency(spectral):
    frames, bin_, deviation = 120, 20, 0.3
    level = np.tile(-np.abs(np.arange(BINS) - bin_ - deviation), (frames, 1)).astype(np.float32)
    turn = centre_turn(load_config("compact"), BINS)
    advance = np.broadcast_to(turn + deviation, level.shape).astype(np.float32)
    advance[..., : bin_ - 3] += 2.0  # quiet bins that know no better follow the tone
    phase = track(level, advance, np.zeros_like(level), np.zeros_like(level))
    np.testing.assert_allclose(np.cos(np.diff(phase[30:-30, bin_]) - turn[bin_] - deviation), 1.0, atol=1e-4)


def test_ends_have_the_phases_that_are_given():
    rng = np.random.default_rng(1)
    level, advance, across, given = (rng.standard_normal((100, BINS)).astype(np.float32) for _ in range(4))
    found = track(level, advance, across, given)
    np.testing.assert_allclose(np.cos(found - given)[[0, -1]], 1.0, atol=1e-4)
    assert np.cos(found - given)[40:60, 25:].mean() < 0.5


def test_where_a_few_low_bins_grow_louder_all_take_the_phase_that_is_given_for_five_frames():
    level, zeros = np.full((100, BINS), -9.0, np.float32), np.zeros((100, BINS), np.float32)
    level[50:, 3:6] = 3.0
    level[70:, 3:6] += np.log(1.1)  # 1.21 times the power: nothing begins
    given = np.where(np.arange(100)[:, None] == [49, 50, 51, 52, 53], 2.0, 0.0).sum(axis=1, keepdims=True)
    given = np.broadcast_to(given, level.shape).astype(np.float32)
    given[70] = 1.0
    moved = track(level, zeros, zeros, given) - track(level, zeros, zeros, zeros)
    np.testing.assert_allclose(moved[49:85, :12], 2.0, atol=1e-3)  # and go on from it
    np.testing.assert_allclose(moved[:49], 0.0, atol=1e-6)
    np.testing.assert_allclose(moved[50:54, 21:], 0.0, atol=1e-6)


def test_channels_count_by_their_amplitudes():
    level = np.random.default_rng(3).standard_normal((2, 60, BINS)).astype(np.float32)
    whole, shares = joined_level(level)
    np.testing.assert_allclose(whole, np.log(np.exp(level).sum(axis=0)), atol=1e-5)
    np.testing.assert_allclose(shares * np.exp(whole), np.exp(level), rtol=1e-4)


def test_steps_follow_from_slopes_of_magnitudes(spectral):
    """A tone, and a click: magnitudes say how phase turns over time and over bins, nearly, for the window is no Gaussian."""
    settings = load_config("compact")
    time = np.arange(40 * spectral.hop_length + spectral.overlap)
    tone = np.sin(2 * np.pi * 440.0 / 44100 * time)
    click = np.zeros(len(time))
    click[20 * spectral.hop_length + 900] = 1.0
    steps = PhaseSteps(settings)
    for audio, start in ((tone, 0), (click, 1)):
        level, advance, across, _ = true_steps(analyse(audio.astype(np.float32), spectral)[None], spectral)
        found = slopes_of(level, steps.advance_a_neper, np) + np.pad(centre_turn(settings, BINS - 1), (0, BINS - 1))
        loud = (level > level.max() - 1.0)[0, :, :-1]
        loud[:2] = loud[-2:] = False
        loud &= np.roll(loud, 1, axis=0) | bool(start)
        true = (advance, across)[start][0, :, :-1]
        without = np.cos(true - (0.0 if start else centre_turn(settings, BINS - 1)))[loud]
        error = np.cos(true - np.split(found[0], 2, axis=-1)[start])[loud]
        assert loud.sum() > 20
        assert error.mean() > 0.93
        assert error.mean() > without.mean() + 0.1


def test_phases_that_agree_with_all_steps_stay_and_those_that_do_not_come_to():
    rng = np.random.default_rng(4)
    true = np.cumsum(rng.uniform(-3, 3, (60, BINS)).astype(np.float32), axis=0)
    advance, across = np.zeros_like(true), np.zeros_like(true)
    advance[1:], across[:, :-1] = np.diff(true, axis=0), np.diff(true, axis=1)
    level = rng.uniform(-1, 1, true.shape).astype(np.float32)
    kept = agreed(true, level, advance, across)
    assert kept.dtype == np.complex64
    np.testing.assert_allclose(kept, np.exp(1j * true), atol=1e-4)
    rough = true + rng.normal(0, 0.8, true.shape).astype(np.float32)
    rough[[0, -1]] = true[[0, -1]]
    rough[:, :12] = true[:, :12]
    settled = agreed(rough, level, advance, across)
    inner = np.s_[1:-1, 13:]
    before, after = (np.cos(part - true)[inner].mean() for part in (rough, np.angle(settled)))
    assert before < 0.75 and after > 0.92
    np.testing.assert_allclose(settled[:, :12], np.exp(1j * rough[:, :12]), atol=1e-4)
    np.testing.assert_allclose(settled[[0, -1]], np.exp(1j * rough[[0, -1]]), atol=1e-4)


def test_what_sounds_before_an_attack_does_not_hear_it():
    level = np.full((60, BINS), -9.0, np.float32)
    level[30:] = 0.0
    zeros = np.zeros_like(level)
    phase = zeros.copy()
    phase[30:] = 2.0
    moved = np.abs(np.angle(agreed(phase, level, zeros, zeros)) - phase)[:, 13:]
    assert moved[:25].max() < 0.01 and moved[35:].max() < 0.01
    assert moved[30:].max() < 0.01  # the attack does not hear what was before it: that is 9 nepers softer
    assert moved[29].max() < 1.5
