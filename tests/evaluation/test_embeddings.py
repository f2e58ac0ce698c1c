import subprocess
import sys

import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation.embeddings import EMBEDDINGS, load_embedding
from musika.evaluation.embeddings.base import fit_channels, sliding
from musika.evaluation.embeddings.mel import hertz_to_mel, mel_weights

RATE = 44100


def stereo(seconds, seed=0, rate=RATE):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((round(seconds * rate), 2))).astype(np.float32)


def sine(frequency, seconds=3.0, amplitude=1.0, rate=RATE):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def cut(audio, seed):
    """The audio in pieces of random lengths, with an empty one and one of a single sample."""
    places = np.random.default_rng(seed).integers(1, len(audio) - 1, 10)
    return np.split(audio, np.sort([*places, places[0], places[0] + 1]))


@pytest.fixture(scope="module")
def logmel():
    return load_embedding("logmel")


@pytest.mark.parametrize("length,hop,group", [(4, 1, 3), (5, 5, 2), (7, 3, 1), (1, 1, 4)])
@pytest.mark.parametrize("items", [0, 1, 4, 5, 23])
def test_sliding_gives_the_windows_of_the_whole_array_however_it_is_cut(length, hop, group, items):
    whole = np.arange(2 * items).reshape(items, 2)
    expected = [whole[start : start + length].T for start in range(0, items - length + 1, hop)]
    for seed in range(5):
        pieces = np.split(whole, np.sort(np.random.default_rng(seed).integers(0, items + 1, 4)))
        groups = list(sliding(pieces, length, hop, group))
        assert all(len(windows) == group for windows in groups[:-1])
        got = [window for windows in groups for window in windows]
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_channels_are_mixed_or_doubled():
    both = np.array([[1.0, 0.0], [0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(next(fit_channels([both], 1)), [[0.5], [0.5]])
    np.testing.assert_array_equal(next(fit_channels([both[:, 0]], 2)), [[1.0, 1.0], [0.5, 0.5]])
    assert next(fit_channels([both], 2)) is both


@pytest.mark.parametrize("block", [np.zeros((4, 3)), np.zeros((2, 2, 2)), np.float32(0.0)])
def test_other_shapes_are_refused(logmel, block):
    with pytest.raises(UserError, match=r"must have the shape \(samples, 1\) or \(samples, 2\)"):
        logmel.embed([block])


def test_nan_is_refused(logmel):
    with pytest.raises(UserError, match="finite"):
        logmel.embed([np.full((10, 2), np.nan)])


def test_every_embedding_is_described():
    for entry in EMBEDDINGS.values():
        assert list(entry.row()) == ["rate", "window", "hop", "dimension", "licence", "needs", "note"]
        assert all(entry.row().values())
    assert next(iter(EMBEDDINGS)) == "logmel"
    assert EMBEDDINGS["logmel"].note.startswith("not comparable with published FAD")


def test_the_list_and_logmel_need_nothing_heavy():
    code = (
        "import sys; from musika.evaluation.embeddings import EMBEDDINGS, load_embedding; load_embedding('logmel');"
        "print({'tensorflow', 'keras', 'torch', 'scipy', 'librosa'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_unknown_names_and_options_are_refused():
    with pytest.raises(UserError, match="embedding must be one of logmel, codec, vggish, clap, encodec"):
        load_embedding("panns")
    with pytest.raises(UserError, match="'logmel' takes no options. Received: preset"):
        load_embedding("logmel", preset="x", weights=None)
    with pytest.raises(UserError, match="'codec' takes preset. Received: weights"):
        load_embedding("codec", preset="x", weights="y")


def test_mel_weights_are_triangles_that_share_every_bin():
    weights = mel_weights(10, 513, 16000, 100.0, 7000.0)
    assert float(hertz_to_mel(700.0)) == pytest.approx(1127.0 * np.log(2.0))
    frequencies = np.linspace(0, 8000, 513)
    centres = 700.0 * (np.exp(np.linspace(hertz_to_mel(100.0), hertz_to_mel(7000.0), 12) / 1127.0) - 1.0)
    inside = (frequencies > centres[1]) & (frequencies < centres[-2])
    np.testing.assert_allclose(weights[inside].sum(axis=1), 1.0, atol=1e-12)
    assert not weights[frequencies < 100.0].any() and not weights[frequencies > 7000.0].any()


# logmel


def test_logmel_states_what_it_gives(logmel):
    samples = stereo(10.0)
    got = logmel.embed([samples])
    window, hop = (round(value * logmel.sample_rate) for value in (logmel.window_seconds, logmel.hop_seconds))
    assert got.dtype == np.float32
    assert got.shape == (1 + (len(samples) - window) // hop, logmel.dimension)
    assert logmel.embed([samples[:window]]).shape == (1, 80)
    assert logmel.embed([samples[: window - 1]]).shape == logmel.embed([]).shape == (0, 80)
    assert logmel.weights_hash == "" and logmel.channels == 2 and "published" in logmel.note


def test_logmel_does_not_depend_on_how_the_audio_is_cut(logmel):
    audio = stereo(7.3, seed=1)
    whole = logmel.embed([audio])
    for seed in range(4):
        np.testing.assert_array_equal(logmel.embed(cut(audio, seed)), whole)


def test_logmel_windows_are_those_of_the_stretch_alone(logmel):
    audio = stereo(6.0, seed=2)
    hop = round(logmel.hop_seconds * RATE)
    np.testing.assert_allclose(logmel.embed([audio[3 * hop :]]), logmel.embed([audio])[3:], atol=1e-4)


def test_logmel_shows_a_sine_at_full_scale_as_0_db_in_its_band(logmel):
    bands = mel_weights(20, 1025, RATE, 20.0, 22050.0)
    for frequency in (300.0, 1000.0, 9000.0, 18000.0):
        tone = sine(frequency)
        mean, spread, motion, side = logmel.embed([np.stack([tone, tone], 1)])[0].reshape(4, 20)
        assert np.argmax(mean) == np.argmax(bands[round(frequency / RATE * 2048)])
        # The window spreads a sine over bins that add up to 1.5 times its power, shared by two bands.
        assert 10 * np.log10(np.sum(10 ** (mean / 10))) == pytest.approx(10 * np.log10(1.5), abs=0.2)
        assert spread.max() < 2.0 and motion.max() < 2.0
        np.testing.assert_allclose(side, -80.0, atol=1e-6)


def test_logmel_hears_width(logmel):
    tone = sine(1000.0)
    together, apart, left = (
        logmel.embed([np.stack(pair, 1)])[0].reshape(4, 20).max(axis=1)
        for pair in ((tone, tone), (tone, -tone), (tone, 0 * tone))
    )
    assert together[0] > -5 and together[3] == pytest.approx(-80.0)
    assert apart[0] == pytest.approx(-80.0) and apart[3] > -5
    assert left[0] == pytest.approx(left[3], abs=1e-3) == pytest.approx(together[0] - 6.02, abs=0.05)


def test_logmel_of_silence_is_the_floor(logmel):
    got = logmel.embed([np.zeros((2 * RATE, 2))])
    np.testing.assert_allclose(got, np.tile(np.repeat([-80.0, 0.0, 0.0, -80.0], 20), (len(got), 1)), atol=1e-6)


def test_logmel_follows_gain_in_decibels(logmel):
    audio = stereo(2.0, seed=3)
    loud, soft = logmel.embed([audio]), logmel.embed([0.5 * audio])
    np.testing.assert_allclose((loud - soft)[:, :20], 6.02, atol=0.02)
    np.testing.assert_allclose((loud - soft)[:, 20:60], 0.0, atol=0.02)


# codec


@pytest.fixture(scope="module")
def codec(debug_preset_folder):
    return load_embedding("codec", preset=debug_preset_folder)


def test_codec_gives_the_presets_latents_however_the_audio_is_cut(codec, debug_preset):
    audio = stereo(4.0, seed=4)
    whole = codec.embed([audio])
    np.testing.assert_array_equal(whole, debug_preset.codec.encode(audio))
    np.testing.assert_array_equal(codec.embed(cut(audio, 0)), whole)
    assert whole.shape[1] == codec.dimension == 2 * debug_preset.config.codec.latent_channels
    assert codec.weights_hash == debug_preset.codec.hash
    assert codec.hop_seconds == pytest.approx(debug_preset.config.latent_hop / RATE)
    assert codec.embed([]).shape == (0, codec.dimension)


def test_codec_needs_a_preset():
    with pytest.raises(UserError, match="embedding 'codec' needs a preset .* Give --preset"):
        load_embedding("codec")
