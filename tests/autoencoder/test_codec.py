import dataclasses

import numpy as np
import pytest

from musika.autoencoder.codec import BLOCK_STEPS, Codec
from musika.autoencoder.graphs import cpu_has_bfloat16, decoder_noise
from musika.checks import UserError
from musika.config import config_from_dict, load_config
from musika.weights import randomise


@pytest.fixture(scope="module")
def codec(debug_preset):
    return debug_preset.codec


def _compact(**changes):
    """The compact architecture at toy widths: its networks see neighbouring latents."""
    widths = {
        "level1_hidden": 8, "trunk": 8, "trunk_blocks": 2, "head": 8,
        "level2_frame": 4, "level2_hidden": 8, "level2_blocks": 1, "phase_recurrence": 12, "phase_tracking": 20,
        "phase_width": 8, "phase_steps_width": 8, "phase_steps_head": 8,
    }  # fmt: skip
    values = load_config("compact").to_dict()
    values["spectral"] |= {"hop_length": 64, "fft_length": 256}
    widths |= changes
    values["codec"] |= {"latent_channels": 8, "level1_channels": 8, "compact": values["codec"]["compact"] | widths}
    codec = Codec(config_from_dict(values), precision="float32")
    randomise(codec.networks.values(), seed=2)
    return codec


@pytest.fixture(scope="module")
def compact_codec():
    return _compact()


def _noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((samples, 2))).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 31, 512, 5000, 65536, 70001])
@pytest.mark.parametrize("which", ["codec", "compact_codec"])
def test_a_round_trip_keeps_the_length(which, samples, request):
    codec = request.getfixturevalue(which)
    audio = _noise(samples)
    latents = codec.encode(audio)
    assert latents.shape == (codec.steps_for(samples), 2 * codec.config.codec.latent_channels)
    assert latents.dtype == np.float32
    decoded = codec.decode(latents, samples=samples)
    assert decoded.shape == audio.shape and decoded.dtype == np.float32
    assert np.abs(decoded).max() <= 1.0
    assert len(codec.decode(latents)) >= samples


@pytest.mark.parametrize("which", ["codec", "compact_codec"])
def test_pieces_of_audio_encode_as_the_whole(which, request):
    codec = request.getfixturevalue(which)
    audio = _noise(3 * codec.block_samples // 2 + 17)
    whole = codec.encode(audio)
    for length in (1000, codec.block_samples, len(audio) - 1):
        pieces = [audio[start : start + length] for start in range(0, len(audio), length)]
        assert np.array_equal(np.concatenate(list(codec.encode_stream(pieces))), whole)


def test_encoding_does_not_look_beyond_the_context(compact_codec):
    """A later change leaves earlier latents alone, but for the stated context."""
    audio = _noise(2 * compact_codec.block_samples)
    changed = audio.copy()
    middle = len(audio) // 2
    changed[middle:] = 0
    steps = middle // compact_codec.config.latent_hop - compact_codec.config.codec.context_latents
    before, after = compact_codec.encode(audio), compact_codec.encode(changed)
    assert np.array_equal(before[:steps], after[:steps])
    assert not np.array_equal(before[steps + 16 :], after[steps + 16 :])


@pytest.mark.parametrize("which", ["codec", "compact_codec"])
def test_any_stretch_decodes_the_same(which, request):
    codec = request.getfixturevalue(which)
    latents = codec.encode(_noise(2 * codec.block_samples + 3000))

    def source(first, steps):
        return latents[np.clip(np.arange(first, first + steps), 0, len(latents) - 1)]

    whole = np.concatenate(list(codec.play(source, 0, 2 * codec.block_samples, 5)))
    assert whole.shape == (2 * codec.block_samples, 2)
    overlap, size = codec.config.spectral.overlap, codec.block_samples
    for start in (1, overlap, size - overlap - 1, size - overlap, size - 1, size, size + 777):
        part = np.concatenate(list(codec.play(source, start, start + 1000, 5)))
        assert np.array_equal(part, whole[start : start + 1000]), start
    assert list(codec.play(source, 100, 100, 5)) == []


def test_blocks_of_the_compact_codec_join_without_a_seam():
    """One block decoded with its context is what decoding around its border gives.

    Phases are not tracked: tracking begins anew in every block, so what it adds depends on where blocks begin.
    """
    compact_codec = _compact(phase_recurrence=0, phase_tracking=0)
    latents = compact_codec.encode(_noise(3 * compact_codec.block_samples))
    shifted = latents[BLOCK_STEPS // 2 :]
    whole = compact_codec.decode(latents, noise=False)
    other = compact_codec.decode(shifted, noise=False)
    offset = BLOCK_STEPS // 2 * compact_codec.config.latent_hop
    inside = slice(compact_codec.block_samples // 4, compact_codec.block_samples)
    assert np.allclose(other[inside], whole[offset:][inside], atol=1e-4)


def test_noise_can_be_left_out_and_has_a_seed(codec):
    latents = codec.encode(_noise(9000))
    silent = codec.decode(latents, noise=False)
    assert np.array_equal(silent, codec.decode(latents, noise=False, seed=4))
    assert not np.array_equal(silent, codec.decode(latents))
    assert not np.array_equal(codec.decode(latents, seed=1), codec.decode(latents, seed=2))


def test_decoder_noise_is_counted():
    noise = decoder_noise(3, -5, 64, 4, level=1)
    assert noise.shape == (2, 64, 4)
    assert np.array_equal(noise, decoder_noise(3, -5, 64, 4, level=1))
    others = [decoder_noise(*numbers) for numbers in ((4, -5, 64, 4, 1), (3, 5, 64, 4, 1), (3, -5, 64, 4, 2))]
    others.append(noise[::-1])
    assert all(abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.2 for other in others)
    many = decoder_noise(0, 0, 20000, 4, 2)
    assert abs(many.mean()) < 0.01 and abs(many.std() - 1) < 0.01


def test_one_channel_is_doubled(codec):
    audio = _noise(6000)
    doubled = codec.encode(np.stack([audio[:, 0], audio[:, 0]], axis=1))
    assert np.array_equal(codec.encode(audio[:, 0]), doubled)
    assert np.array_equal(codec.encode(audio[:, :1]), doubled)


def test_channels_do_not_mix(codec):
    audio = _noise(6000)
    latents = codec.encode(audio)
    swapped = codec.encode(audio[:, ::-1])
    assert np.allclose(np.roll(swapped, codec.config.codec.latent_channels, axis=1), latents, atol=1e-5)


def test_nothing_encodes_to_nothing(codec):
    assert codec.encode(np.zeros((0, 2))).shape == (0, 32)
    assert codec.decode(np.zeros((0, 32))).shape == (0, 2)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros((100, 6)), "audio must have the shape"),
        (np.zeros((1, 100, 2)), "audio must have the shape"),
        (np.full((100, 2), np.nan), "finite"),
        (
            np.zeros((100, 2), np.int16),
            "must be floating-point numbers from -1 to 1. Received: int16. Divide it by the largest that it can hold, 32768",
        ),
        (np.full(100, np.inf), "finite"),
    ],
)
def test_wrong_audio_is_refused(codec, audio, message):
    with pytest.raises(UserError, match=message):
        codec.encode(audio)


def test_wrong_latents_are_refused(codec):
    with pytest.raises(UserError, match=r"shape \(steps, 32\).*codec that made them"):
        codec.decode(np.zeros((4, 128)))
    with pytest.raises(UserError, match="finite"):
        codec.decode(np.full((4, 32), np.nan))
    with pytest.raises(UserError, match=r"4 latent steps hold 0 to 1952 samples\. Received: samples=9999"):
        codec.decode(np.zeros((4, 32)), samples=9999)


def test_the_hash_is_of_settings_and_weights(codec, debug_config, tmp_path):
    other = Codec(debug_config, precision="float32")
    randomise(other.networks.values(), seed=3)
    assert other.hash != codec.hash
    codec.save(tmp_path, weights_dtype="float16")
    loaded = Codec.load(tmp_path, debug_config, precision="float32")
    assert loaded.hash == codec.hash
    assert Codec(dataclasses.replace(debug_config, sample_rate=48000), codec.networks).hash != codec.hash


def test_bfloat16_is_close_and_automatic_only_where_it_helps(codec, debug_config, monkeypatch):
    exact = codec.decode(codec.encode(_noise(9000)))
    rough = Codec(debug_config, codec.networks, precision="bfloat16")
    error = rough.decode(codec.encode(_noise(9000))) - exact
    assert 0 < np.abs(error).mean() < 0.1 * np.abs(exact).mean()
    for measured, expected in ((0.05, "bfloat16"), (0.2, "float32")):
        monkeypatch.setattr("musika.autoencoder.graphs.cpu_has_bfloat16", lambda: True)
        assert Codec(debug_config, codec.networks, "auto", measured).precision == expected
    monkeypatch.setattr("musika.autoencoder.graphs.cpu_has_bfloat16", lambda: False)
    assert Codec(debug_config, codec.networks, "auto", 0.0).precision == "float32"
    with pytest.raises(UserError, match="precision must be one of auto, float32, bfloat16"):
        Codec(debug_config, codec.networks, "half")


@pytest.mark.skipif(not cpu_has_bfloat16(), reason="the processor has no bfloat16")
def test_the_error_of_bfloat16_is_measured(codec, debug_config):
    assert 0.0 < Codec(debug_config, codec.networks).bfloat16_error_db < 1.0


def test_a_consumer_that_stops_early_leaves_no_thread_behind(codec):
    import threading

    before = threading.active_count()
    stream = codec.play(lambda first, steps: np.zeros((steps, 32), np.float32), 0, None, 0)
    next(stream)
    stream.close()
    assert threading.active_count() <= before + 2  # the transform's own two threads stay
