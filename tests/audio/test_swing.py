"""Setting left and right apart: oracles on noise, impulses and channels of known relation."""

import numpy as np
import pytest
from scipy.special import j0

import musika
from musika.audio.spectral import analyse, synthesise
from musika.audio.stereo import side_share_of_swing, swing_depth, swing_wave
from musika.config import SpectralConfig
from musika.corpus.tracks import render_track

SPECTRAL = SpectralConfig(hop_length=512, fft_length=2048)
BINS = SPECTRAL.bins
BANDS = [slice(*edges) for edges in ((9, 37), (37, 93), (93, 186), (186, 465), (465, 744))]  # 200 Hz to 16 kHz


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal(200_000).astype(np.float32) * 0.1


def turned(audio, depth):
    """One channel, set apart."""
    spectrum = analyse(audio, SPECTRAL)
    angle = depth * swing_wave(BINS, SPECTRAL.fft_length)
    return synthesise(
        np.stack([spectrum * np.exp(1j * side * angle) for side in (1, -1)]).astype("complex64"), SPECTRAL
    )


def side_share(left, right):
    """The side's share of all power but at the edges of the spectrum."""
    middle, side = (np.square(np.abs(part[:, 20:-20])).sum() for part in (left + right, left - right))
    return side / (middle + side)


@pytest.mark.parametrize("wanted", [0.02, 0.1, 0.3, 0.45])
def test_one_channel_twice_gets_the_side_that_is_wanted(noise, wanted):
    sound = turned(noise, swing_depth(np.zeros(BINS), np.full(BINS, wanted)))[2048:-2048]
    left, right = (analyse(sound[:, side], SPECTRAL) for side in range(2))
    assert side_share(left, right) == pytest.approx(wanted, rel=0.1)
    for part in (left, right):
        power = np.square(np.abs(part)).sum()
        assert power == pytest.approx(np.square(np.abs(analyse(noise[2048:-2048], SPECTRAL))).sum(), rel=0.02)


def test_a_side_that_is_wide_enough_stays(noise):
    assert not swing_depth(np.full(BINS, 0.3), np.full(BINS, 0.2)).any()
    still = turned(noise, np.zeros(BINS))[2048:-2048]
    np.testing.assert_allclose(still, np.repeat(noise[2048 : len(still) + 2048, None], 2, axis=1), atol=1e-5)


def test_what_is_there_already_counts():
    share = np.full(BINS, 0.2)
    depth = swing_depth(share, np.full(BINS, 0.35))
    swing = np.mean(np.sin(depth[:, None] * np.sin(np.linspace(0, 2 * np.pi, 1000, endpoint=False))) ** 2, axis=1)
    np.testing.assert_allclose(share + (1 - 2 * share) * swing, 0.35, atol=0.005)
    np.testing.assert_allclose(side_share_of_swing(depth), swing, atol=1e-3)
    np.testing.assert_allclose(side_share_of_swing(depth), (1 - j0(2 * depth)) / 2)


def test_an_attack_stays_within_three_milliseconds():
    click = np.zeros(20_000, np.float32)
    click[10_000] = 1.0
    sound = turned(click, np.full(BINS, 1.0))
    power = np.square(sound).sum(axis=1)
    assert power[10_000 - 132 : 10_000 + 133].sum() > 0.9 * power.sum()
    assert power[10_000 - 265 : 10_000 + 266].sum() > 0.98 * power.sum()


def test_the_shipped_codec_keeps_one_channel_one_and_wide_noise_wide(noise):
    codec = musika.load("techno").codec
    centre = codec.decode(codec.encode(noise[:88_200]), samples=88_200)
    np.testing.assert_array_equal(centre[:, 0], centre[:, 1])
    wide = np.stack([noise[:88_200], noise[-88_200:]], axis=1)
    decoded = codec.decode(codec.encode(wide), samples=len(wide))
    left, right = (analyse(decoded[:, side], SPECTRAL) for side in range(2))
    assert side_share(left, right) > 0.15  # of noise that is another in each channel it is one half


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["techno", "piano"])
def test_the_shipped_codecs_are_as_loud_and_as_wide_as_practice_music(kind):
    codec = musika.load(kind).codec
    pieces = [render_track(kind, 77, index, 12.0).audio for index in range(4)]
    heard = [codec.decode(codec.encode(piece), samples=len(piece)) for piece in pieces]
    lacking = {}
    for part, weights in (("middle", [0.5, 0.5]), ("side", [0.5, -0.5])):
        spectra = [
            np.concatenate([analyse(item @ np.float32(weights), SPECTRAL) for item in items])
            for items in (pieces, heard)
        ]
        powers = [np.array([np.square(np.abs(part[:, band])).mean() for band in BANDS]) for part in spectra]
        lacking[part] = 10 * np.log10(powers[0] / powers[1])
    assert np.abs(lacking["middle"]).max() < 1.5
    assert np.abs(lacking["side"]).max() < 4.0
