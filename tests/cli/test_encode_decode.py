"""`musika encode` and `musika decode` from end to end."""

import numpy as np
import pytest
import soundfile

from musika.audio.files import read_audio
from musika.cli.main import main
from musika.config import load_config
from musika.data.latents import load_latents


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    from musika.presets import random_preset, save_preset

    folder = tmp_path_factory.mktemp("presets") / "toy"
    made = random_preset(load_config("debug"))
    return save_preset(folder, made.config, made.codec, made.generator, measure_precision=False)


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    audio = np.random.default_rng(0).uniform(-0.1, 0.1, (9000, 2))
    soundfile.write(folder / "a.wav", audio, 48000)
    soundfile.write(folder / "b.ogg", audio, 44100)
    (folder / "bad.mp3").write_bytes(b"not an mp3")
    return folder


def test_encode_then_decode(tmp_path, preset, music, capsys):
    latents, back = tmp_path / "latents", tmp_path / "back"
    assert main(["encode", str(music), "--out", str(latents), "--checkpoint", str(preset)]) == 0
    said = capsys.readouterr().out
    assert "skipped  1 file\n" in said
    assert "bad.mp3: not readable as audio" in said
    assert "used     2 files" in said
    assert load_latents(latents / "a.npz").codec_name == "toy"
    assert main(["decode", str(latents), "--out", str(back), "--checkpoint", str(preset), "--format", "flac"]) == 0
    assert "used     2 files" in capsys.readouterr().out
    assert len(read_audio(back / "a.flac")) == round(9000 * 44100 / 48000)
    assert len(read_audio(back / "b.flac")) == 9000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encode", "{tmp}/nowhere", "--out", "{tmp}/x"], "does not exist"),
        (["encode", "{tmp}/latents", "--out", "{tmp}/x"], "no audio files"),
        (["encode", "{music}/bad.mp3", "--out", "{tmp}/x", "--checkpoint", "{preset}"], "not readable as audio"),
        (["encode", "{music}", "--out", "{music}/a.wav"], "must be a folder"),
        (["encode", "{music}/a.wav", "--out", "{tmp}/x.npz"], "must be a folder. Received: "),
        (["encode", "{music}/a.wav", "{music}/b.wav", "--out", "{tmp}/x"], "give one file, or a folder"),
        (["decode", "{music}", "{music}", "--out", "{tmp}/x"], "give one file, or a folder"),
        (["encode", "{music}", "--out", "{tmp}/x", "--checkpoint", "{tmp}/nowhere"], "no preset"),
        (["decode", "{music}", "--out", "{tmp}/x"], "no latent files"),
        (["decode", "{music}/a.wav", "--out", "{tmp}/x", "--checkpoint", "{preset}"], "not a latent file"),
        (["decode", "{music}/a.wav", "--out", "{tmp}/x", "--format", "m4a"], "must be one of"),
    ],
)
def test_mistakes_take_one_line_and_exit_with_2(tmp_path, preset, music, capsys, arguments, message):
    (tmp_path / "latents").mkdir()
    filled = [argument.format(tmp=tmp_path, music=music, preset=preset) for argument in arguments]
    assert main(filled) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.strip().count("\n") == 0
    assert not list((tmp_path / "x").glob("*")) if (tmp_path / "x").exists() else True
