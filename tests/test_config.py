"""Configs: they extend one another, refuse what they do not know, and survive being saved."""

import pytest

from musika.checks import UserError
from musika.config import config_from_dict, config_names, load_config


@pytest.mark.parametrize("name", ["base", "small", "compact", "debug"])
def test_every_shipped_config_survives_a_round_trip(name):
    config = load_config(name)
    assert config.name == name
    assert config_from_dict(config.to_dict()) == config


def test_shipped_configs_are_listed():
    assert {"base", "small", "compact", "debug"} <= set(config_names())


def test_a_config_lays_its_values_over_those_it_extends(tmp_path):
    (tmp_path / "first.yaml").write_text("codec: {latent_channels: 8, level1_channels: 4}\n")
    (tmp_path / "second.yaml").write_text("extends: first.yaml\ncodec: {latent_channels: 16}\n")
    config = load_config(tmp_path / "second.yaml")
    assert (config.codec.latent_channels, config.codec.level1_channels) == (16, 4)
    assert config.name == "second"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("codec: {latent_chanels: 8}", "unknown key 'codec.latent_chanels'; did you mean 'latent_channels'"),
        ("zzz: 1", "unknown key 'zzz'; known here: codec"),
        ("codec: {latent_channels: many}", "codec.latent_channels must be of type int"),
        ("codec: 3", "codec must be a group of settings"),
        ("codec: [", "not valid YAML"),
        ("- 1", "must hold settings"),
        ("extends: other.yaml", "cannot read .*other.yaml"),
        ("extends: bad.yaml", "extends itself"),
        ("generator: {small: 1}", "generator.small must be of type bool"),
        ("codec: {architecture: compct}", "codec.architecture must be one of published, compact. .*'compct'"),
        ("codec: {phase: phasr}", "codec.phase must be one of angle, phasor. .*'phasr'"),
        ("sample_rate: 0", "sample_rate must be a whole number from 1000"),
        ("codec: {latent_channels: 0}", "codec.latent_channels must be a whole number from 1"),
        ("codec: {decoder_frames: 80}", "decoder_frames must be a multiple of 16 .*1536 frames.*: 16, 32, 48, 64, 96"),
        ("spectral: {hop_length: 0}", "spectral.hop_length must be a whole number from 1"),
        ("spectral: {level_scale_db: 0}", "spectral.level_scale_db must be a number greater than 0"),
        ("codec: {architecture: compact, compact: {trunk: 0}}", "codec.compact.trunk must be a whole number from 1"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text + "\n")
    with pytest.raises(UserError, match=message):
        load_config(path)


def test_a_missing_config_lists_those_there_are():
    with pytest.raises(UserError, match="no config 'nothing'.*base, compact"):
        load_config("nothing")


def test_exponents_without_a_point_are_numbers(tmp_path):
    (tmp_path / "rate.yaml").write_text("generator_training: {learning_rate: 2e-4}\n")
    assert load_config(tmp_path / "rate.yaml").generator_training.learning_rate == 2e-4
