"""A control that nobody has thought of yet takes one entry of a config and one function: from audio to a piece."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from training.toy_gan import toy_config

from musika.cli.main import main
from musika.data.measures import MEASURES
from musika.presets import load_preset, random_preset, save_preset
from musika.training import generator_saves


def peak(recording, control):
    """How loud the loudest sample of a file is."""
    return float(np.abs(recording.audio).max())


@pytest.mark.slow
def test_one_entry_and_one_function_make_a_control(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(MEASURES, "peak", peak)
    monkeypatch.setattr(generator_saves, "SAMPLE_SECONDS", 0.5)
    rng = np.random.default_rng(0)
    (tmp_path / "music").mkdir()
    for index, level in enumerate((0.2, 0.5, 0.9)):
        audio = rng.uniform(-level, level, (100_000, 2))
        soundfile.write(tmp_path / "music" / f"{index}.wav", audio, 44100)

    settings = dataclasses.asdict(toy_config(steps=2, normalise=True))
    entry = {"name": "peak", "low": 0.1, "high": 1.0, "drop": 0.2, "drawn": True}
    settings["generator"]["controls"] = [entry]  # the one entry
    (tmp_path / "mine.yaml").write_text(json.dumps(settings, default=list))
    config = toy_config()
    save_preset(tmp_path / "codec", config, random_preset(config).codec, measure_precision=False)

    def musika(*words):
        assert main([str(word) for word in words]) == 0

    musika("encode", tmp_path / "music", "--checkpoint", tmp_path / "codec", "--out", tmp_path / "latents")
    musika("annotate", tmp_path / "latents", "--config", tmp_path / "mine.yaml")
    measured = json.loads((tmp_path / "latents" / "1.controls.json").read_text())["controls"]
    assert measured == {"peak": pytest.approx(0.5, abs=1e-3)}
    data, run = ("--data", tmp_path / "latents"), tmp_path / "run"
    musika("train", "generator", "--config", tmp_path / "mine.yaml", "--codec", tmp_path / "codec", *data, "--out", run)

    preset = load_preset(run)
    assert list(preset.controls) == ["peak"]
    quantiles = preset.controls["peak"].quantiles
    assert len(quantiles) == 21 and min(quantiles) >= 0.19 and max(quantiles) <= 0.91  # of the music, not of the range
    assert 0.19 <= preset.piece(seed=1).controls.describe()["peak"] <= 0.91
    quiet, loud = (preset.piece(seed=1, peak=value).latents(0, 64) for value in (0.2, 0.9))
    assert not np.array_equal(quiet, loud)
    capsys.readouterr()
    out = tmp_path / "a.wav"
    musika("generate", "--checkpoint", run, "--control", "peak=0.2:0.9", "--seconds", 0.5, "--seed", 1, "--out", out)
    assert "peak 0.2 to 0.9" in capsys.readouterr().out
    assert main(["generate", "--checkpoint", str(run), "--control", "peek=1", "--seconds", "1"]) == 2
    assert "no control 'peek'; it has: peak" in capsys.readouterr().err
