"""New decoders on one's own music: latents keep their meaning."""

import json

import numpy as np
import pytest
import soundfile

from musika.autoencoder.codec import Codec
from musika.checks import UserError
from musika.config import load_config
from musika.presets import load_preset
from musika.training.finetune_codec import DECODERS, audio_folder, decoder_config, tune_decoders

RATE = 44100


@pytest.fixture
def data(tmp_path):
    """A folder of latents, as far as the decoders ask for it: the manifest that says where the audio is."""
    music, folder = tmp_path / "music", tmp_path / "data"
    music.mkdir()
    folder.mkdir()
    for seed in range(2):
        noise = 0.1 * np.random.default_rng(seed).standard_normal((2 * RATE, 2))
        soundfile.write(music / f"{seed}.wav", noise, RATE)
    (folder / "manifest.json").write_text(json.dumps({"audio": str(music), "files": []}))
    return folder


def test_only_the_decoders_are_trained_and_slowly():
    config = load_config("compact")
    phase = decoder_config(config, 10).codec_training
    assert phase.order == ("level1_phase",)
    assert (phase.level1_phase.trains, phase.level1_phase.steps) == (DECODERS, 10)
    assert phase.level1_phase.phase_steps > 0
    assert phase.level1_phase.learning_rate < config.codec_training.level1_phase.learning_rate
    assert decoder_config(load_config("base")).codec_training.level1_phase.waveform > 0


@pytest.mark.slow
def test_new_decoders_sound_otherwise_and_read_the_same_latents(data, debug_preset_folder, tmp_path):
    before = load_preset(debug_preset_folder)
    folder = tune_decoders(data, before, tmp_path / "codec", steps=2, shown=False, say=lambda line: None)
    after = load_preset(folder)
    assert after.codec.hash == before.codec.hash and after.codec.decoder_hash != before.codec.decoder_hash
    again = tune_decoders(data, before, tmp_path / "codec", steps=2, shown=False, say=lambda line: None)
    assert load_preset(again).codec.decoder_hash == after.codec.decoder_hash  # it was done already


def test_audio_that_is_gone_is_missed(data, tmp_path):
    assert audio_folder(data) == tmp_path / "music"
    (tmp_path / "music").rename(tmp_path / "moved")
    with pytest.raises(UserError, match="which is not at .*music"):
        audio_folder(data)
    with pytest.raises(UserError, match="the decoders need the audio"):
        audio_folder(tmp_path)


def test_networks_that_come_in_another_order_are_saved_in_the_one_that_is_read(debug_preset):
    codec = debug_preset.codec
    shuffled = Codec(codec.config, dict(reversed(codec.networks.items())), precision="float32")
    assert list(shuffled.networks) == list(codec.networks)
