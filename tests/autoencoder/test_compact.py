"""The compact codec: its linear path alone is a codec, and its two outputs say the same."""

import keras
import numpy as np
import pytest

from musika.audio import limiter
from musika.autoencoder import compact, composer, decoded, phase_tracking
from musika.autoencoder.level1 import build_level1_decoder
from musika.autoencoder.soft_floor import SoftFloor
from musika.config import load_config
from musika.training.codec_phase import NETWORKS
from musika.training.components import set_components
from musika.training.losses import scaled_level, short_time_spectrum

OVERRIDES = {
    "spectral": {"hop_length": 64, "fft_length": 256},
    "codec": {
        "latent_channels": 32,
        "level1_channels": 48,
        "compact": {
            "level1_hidden": 16,
            "trunk": 16,
            "head": 16,
            "level2_frame": 8,
            "level2_hidden": 16,
            "phase_recurrence": 12,
            "phase_tracking": 20,
            "phase_width": 8,
            "phase_steps_width": 8,
            "phase_steps_head": 8,
            "ceiling": False,
        },
    },
}
CEILING = {**OVERRIDES["codec"], "compact": {**OVERRIDES["codec"]["compact"], "ceiling": True}}


@pytest.fixture(scope="module")
def config():
    return load_config("compact", OVERRIDES)


@pytest.fixture(scope="module")
def networks(config):
    keras.utils.set_random_seed(0)  # one time in hundreds other weights leave a phase that is nearly nothing
    return {name: getattr(compact, f"build_{name}")(config) for name in NETWORKS}


def tones(count, samples, seed):
    """Mixtures of decaying tones: audio of low dimension, as principal components like it."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples)
    frequency = rng.choice([0.02, 0.031, 0.05, 0.09], (count, 3, 1))
    phase, gain = rng.uniform(0, 6.28, (count, 3, 1)), rng.uniform(0.02, 0.3, (count, 3, 1))
    return (gain * np.sin(2 * np.pi * frequency * time + phase)).sum(axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def measured(config, networks):
    samples = config.latent_hop - config.spectral.hop_length + config.spectral.fft_length
    return set_components(networks, tones(600, samples, 0), config)


def test_soft_floor_is_undone(config):
    soft = SoftFloor(config)
    level = np.random.default_rng(0).uniform(0.2, 1.2, (1, 4, config.spectral.bins)).astype(np.float32)
    back = soft.level(soft.backward(soft.forward(level)))
    np.testing.assert_allclose(np.asarray(back), level, atol=0.01)


def test_principal_components_alone_give_magnitudes_back(config, networks, measured):
    assert measured["level1_variance"] > 0.99
    assert measured["level2_variance"] > 0.9
    frames = 4 * config.codec.frames_per_latent
    audio = tones(4, (frames - 1) * config.spectral.hop_length + config.spectral.fft_length, 1)
    target = np.asarray(scaled_level(*short_time_spectrum(audio, 256, 64), config.spectral))
    latents = networks["level2_encoder"](networks["level1_encoder"](target))
    level, _ = networks["level1_decoder"](networks["level2_decoder"](latents))
    loud = target > target.max() - 30 / config.spectral.level_scale_db
    error = np.abs(np.asarray(level) - target)[loud].mean() * config.spectral.level_scale_db
    assert error < 3.0


def test_latents_are_about_normal(config, networks, measured):
    frames = 4 * config.codec.frames_per_latent
    audio = tones(16, (frames - 1) * config.spectral.hop_length + config.spectral.fft_length, 2)
    target = scaled_level(*short_time_spectrum(audio, 256, 64), config.spectral)
    latents = np.asarray(networks["level2_encoder"](networks["level1_encoder"](target)))
    assert 0.5 < latents.std() < 1.5


def composed(decoder, level1, margin=0):
    composer = decoder.composer()
    return composer.compose(*composer.track(tuple(np.asarray(item) for item in decoder.heads(level1, margin))))


def test_the_composed_spectrum_is_level_and_phase_together(config, networks):
    level1 = np.random.default_rng(3).standard_normal((1, 16, config.codec.level1_channels)).astype(np.float32)
    decoder = networks["level1_decoder"]
    level, phasor = (np.asarray(item) for item in decoder(level1))
    spectrum = composed(decoder, level1)
    assert spectrum.dtype == np.complex64
    amplitude = 10 ** ((level * config.spectral.level_scale_db + config.spectral.level_offset_db) / 20)
    np.testing.assert_allclose(np.abs(spectrum), amplitude, rtol=2e-3, atol=1e-5)
    cosine, sine = np.split(phasor, 2, axis=-1)
    np.testing.assert_allclose(cosine**2 + sine**2, 1.0, atol=1e-3)
    tracked = config.codec.compact.phase_tracking
    own = amplitude * (cosine + 1j * sine)
    np.testing.assert_allclose(spectrum[..., tracked:], own[..., tracked:], rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(spectrum[:, [0, -1]], own[:, [0, -1]], rtol=2e-3, atol=1e-5)  # where stretches meet
    assert np.abs(spectrum - own)[:, 3:-3, :tracked].max() > 0.1 * amplitude[:, 3:-3, :tracked].max()


def test_left_and_right_have_one_phase_in_the_tracked_bins(config, networks):
    level1 = np.random.default_rng(3).standard_normal((2, 32, config.codec.level1_channels)).astype(np.float32)
    left, right = np.angle(composed(networks["level1_decoder"], level1))
    tracked = config.codec.compact.phase_tracking
    np.testing.assert_allclose(np.cos(left - right)[:, :tracked], 1.0, atol=1e-4)
    assert np.cos(left - right)[:, tracked:].mean() < 0.9


def test_playing_tracks_by_the_steps_that_training_compares(config, networks, monkeypatch):
    """One channel's steps, as NumPy makes them, are those of the network's own method."""
    level1 = np.random.default_rng(5).standard_normal((1, 16, config.codec.level1_channels)).astype(np.float32)
    decoder, seen = networks["level1_decoder"], []
    decoder.phase_steps.trust.assign(np.random.default_rng(6).uniform(0.5, 1.5, 2 * decoder.tracked))
    parts = decoder.heads(level1)
    monkeypatch.setattr(phase_tracking, "track", lambda *given: seen.append(given) or given[-1])
    decoder.composer().track(tuple(np.asarray(part) for part in parts))
    (_, advance, across, _) = seen[0]
    np.testing.assert_allclose(np.concatenate([advance, across], -1), np.asarray(decoder.steps(parts))[0], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_compiled_ahead_is_all_that_is_compiled(config, dtype):
    def variants():
        loops = (composer._composed, phase_tracking._carried, phase_tracking._settled, limiter._limit)
        return {signature for loop in loops for signature in loop.signatures}

    decoder = build_level1_decoder(config, dtype)
    decoded.compile_ahead(decoder, config.spectral)
    before = variants()
    level1 = np.random.default_rng(4).standard_normal((2, 16, config.codec.level1_channels)).astype(np.float32)
    parts = tuple(np.asarray(part) for part in decoder.heads(level1))
    assert str(parts[0].dtype) == dtype
    waveform = decoded.waveform_of(parts, decoder, config.spectral)
    assert limiter.soft_limit(waveform[1:-1]).any()
    assert variants() == before


def test_the_margin_is_context_only(config, networks):
    level1 = np.random.default_rng(3).standard_normal((2, 16, config.codec.level1_channels)).astype(np.float32)
    decoder = networks["level1_decoder"]
    for inner, whole in zip(decoder.heads(level1, margin=3), decoder.heads(level1), strict=True):
        np.testing.assert_allclose(np.asarray(inner), np.asarray(whole)[:, 3:-3], rtol=1e-4, atol=1e-5)


def test_what_lies_beyond_the_context_is_not_seen(config, networks):
    context, steps = config.codec.context_latents, 4
    latents = np.random.default_rng(4).standard_normal((1, 3 * context + steps, 32)).astype(np.float32)

    def decoded(values):
        level, _ = networks["level1_decoder"](networks["level2_decoder"](values))
        return np.asarray(level)

    frames = config.codec.frames_per_latent
    whole = decoded(latents)[:, context * frames : (context + steps) * frames]
    cut = decoded(latents[:, : 2 * context + steps])[:, context * frames : (context + steps) * frames]
    np.testing.assert_allclose(cut, whole, atol=1e-4)


def test_no_bin_is_louder_than_in_the_training_music(config):
    decoder = build_level1_decoder(load_config("compact", {**OVERRIDES, "codec": CEILING}))
    bins, soft = config.spectral.bins, decoder.soft_floor
    full_scale = 20 * np.log10(config.spectral.fft_length / 4)

    def decibels(limit):
        return 20 / np.log(10) * (limit - soft.emphasis)

    np.testing.assert_allclose(decibels(decoder.limit()), full_scale + 2.2, atol=0.1)  # a square wave's first partial
    level = np.full((3, bins), -20.0)
    level[1, 40], level[2, 90] = full_scale - 10.0, full_scale + 20.0
    offset, scale = config.spectral.level_offset_db, config.spectral.level_scale_db
    frames = np.asarray(soft.forward((level - offset) / scale))
    decoder.set_ceiling(frames)
    ceiling = decibels(decoder.limit())
    np.testing.assert_allclose(ceiling[36:45], full_scale - 10.0, atol=0.7)  # the next tone's main lobe is left room
    np.testing.assert_allclose(ceiling[86:95], full_scale + 2.2, atol=0.7)
    upper = 30.0 * np.ones((1, 2, bins - decoder.tracked), np.float32)
    lower = np.ones((1, 2, decoder.tracked), np.complex64)
    spectrum = decoder.composer().compose(30.0 * np.ones((1, 2, bins), np.float32), upper, upper, lower)
    loud = ceiling > full_scale - 15.0
    found = 20 * np.log10(np.abs(spectrum[0, 0]))
    np.testing.assert_allclose(found[loud], ceiling[loud], atol=0.1)
    assert found[~loud].max() < full_scale - 15.0
    before = decoder.limit().copy()
    decoder.set_ceiling(frames[:1], before)
    np.testing.assert_array_equal(decoder.limit(), before)
    decoder.set_ceiling(frames[:1])
    assert decibels(decoder.limit()).max() < 0.0


def test_level_and_composed_spectrum_have_the_same_ceiling(config):
    decoder = build_level1_decoder(load_config("compact", {**OVERRIDES, "codec": CEILING}))
    decoder.set_ceiling(np.full((1, config.spectral.bins), 1.5, np.float32))
    level1 = 3.0 * np.random.default_rng(3).standard_normal((1, 16, config.codec.level1_channels)).astype(np.float32)
    level, _ = decoder(level1)
    spectrum = composed(decoder, level1)
    decibels = np.asarray(level) * config.spectral.level_scale_db + config.spectral.level_offset_db
    np.testing.assert_allclose(decibels, 20 * np.log10(np.abs(spectrum)), atol=0.05)
    limit = 20 / np.log(10) * (decoder.limit() - decoder.soft_floor.emphasis)
    assert (decibels < limit + 0.1).all() and (decibels > limit - 2.0).any()
    decoder.ceiling.assign(decoder.highest)
    assert (np.asarray(decoder(level1)[0]) > np.asarray(level) + 0.1).any()
