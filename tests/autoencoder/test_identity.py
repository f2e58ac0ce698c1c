"""Two codecs that encode alike have one fingerprint; two presets have one only if they also sound alike."""

import dataclasses

import pytest

from musika.autoencoder.codec import Codec
from musika.config import load_config
from musika.presets import Preset
from musika.weights import randomise

TOY = {
    "spectral": {"hop_length": 32, "fft_length": 128},
    "codec": {
        "latent_channels": 8,
        "level1_channels": 16,
        "compact": {
            "level1_hidden": 8,
            "trunk": 8,
            "head": 8,
            "level2_frame": 4,
            "level2_hidden": 8,
            "phase_recurrence": 8,
            "phase_tracking": 12,
            "phase_width": 4,
        },
    },
}


@pytest.fixture(scope="module")
def config():
    return load_config("compact", TOY)


@pytest.fixture
def codec(config):
    made = Codec(config, precision="float32")
    randomise(made.networks.values(), seed=1)
    return made


def test_decoders_do_not_enter_the_fingerprint_of_latents(codec, config):
    before, heard = codec.hash, Preset("toy", config, codec).hash
    randomise([codec.networks["level1_decoder"]], seed=2)
    assert codec.hash == before
    assert Preset("toy", config, codec).hash != heard


@pytest.mark.parametrize("name", ["level1_encoder", "level2_encoder"])
def test_encoders_do(codec, config, name):
    before, heard = codec.hash, Preset("toy", config, codec).hash
    randomise([codec.networks[name]], seed=2)
    assert codec.hash != before
    assert Preset("toy", config, codec).hash != heard


def test_settings_of_the_decoders_do_not_matter_and_those_of_latents_do(codec, config):
    def with_settings(codec_settings=(), widths=()):
        compact = dataclasses.replace(config.codec.compact, **dict(widths))
        changed = dataclasses.replace(config.codec, compact=compact, **dict(codec_settings))
        return Codec(dataclasses.replace(config, codec=changed), codec.networks).hash

    same = [{"head": 9}, {"phase_tracking": 0}, {"phase_window": 8}, {"trunk": 5}, {"latent_noise": 0.5}]
    assert {with_settings(widths=widths) for widths in same} == {codec.hash}
    assert with_settings({"phase_iterations": 5}) == codec.hash
    assert with_settings(widths={"floor_db": -9.0}) != codec.hash
    assert with_settings({"context_latents": 2}) != codec.hash
