"""`musika prepare` and `musika finetune` as they are typed."""

import argparse
import json

import numpy as np
import pytest
import soundfile

from musika.checks import UserError
from musika.cli import finetune, prepare
from musika.corpus.labels import Labels, write_labels

RATE = 44100


def parsed(verb, *words):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal((4 * RATE, 2))
    soundfile.write(folder / "a.wav", noise, RATE)
    write_labels(folder / "a.labels.csv", Labels(120.0, np.arange(0.0, 4.0, 0.5), np.ones(8)))
    return folder


@pytest.mark.slow
def test_prepare_says_what_became_of_the_files_and_lets_hear_the_codec(music, debug_preset_folder, tmp_path, capsys):
    out = tmp_path / "data"
    words = (music, "--codec", debug_preset_folder, "--out", out, "--processes", 1, "--codec-report", 1)
    assert prepare.run(parsed(prepare, *words)) == 0
    said = capsys.readouterr().out
    assert "used          1 files, 0:04.0 of music" in said and "| a.wav |" in said and "codec-report" in said
    report = json.loads((out / "codec-report" / "report.json").read_text())
    assert report["scores"]["a.wav"]["log_spectral_distance"] > 0
    before, _ = soundfile.read(out / "codec-report" / "0-before.flac", dtype="float32")
    after, _ = soundfile.read(out / "codec-report" / "0-after.flac", dtype="float32")
    original, _ = soundfile.read(music / "a.wav", dtype="float32")
    np.testing.assert_allclose(before, original, atol=1e-4)
    assert after.shape == before.shape
    page = (out / "codec-report" / "index.html").read_text()
    assert page.count("<audio") == 2 and "http" not in page


def test_mistakes_are_said_before_anything_heavy_is_done(tmp_path):
    with pytest.raises(UserError, match="codec-report must be a whole number"):
        prepare.run(parsed(prepare, tmp_path, "--out", tmp_path / "x", "--codec-report", 0))
    with pytest.raises(UserError, match="needs a folder of latents and --from"):
        finetune.run(parsed(finetune, "--out", tmp_path / "x"))
    with pytest.raises(UserError, match="holds no training run"):
        finetune.run(parsed(finetune, "--out", tmp_path / "x", "--resume"))
