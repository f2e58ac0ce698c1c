"""`musika fad`, as a user runs it."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from musika.cli.main import main


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two folders of coloured noise, 240 windows each, and their cache."""
    root = tmp_path_factory.mktemp("fad")
    for name, tilt in (("real", 0.3), ("made", 0.6)):
        (root / name).mkdir()
        for index in range(12):
            noise = np.random.default_rng([len(name), index]).standard_normal((11 * 44100, 2), np.float32)
            noise[1:] += (tilt + 0.02 * index) * noise[:-1]
            soundfile.write(root / name / f"{index}.wav", 0.05 * noise, 44100)
    return root


def fad(sets, *more):
    return main(["fad", *map(str, more), "--cache", str(sets / "cache"), "--bootstrap", "5"])


@pytest.fixture(scope="module")
def report(sets):
    assert fad(sets, sets / "real", sets / "made", "--json", sets / "a.json", "--per-track") == 0
    return json.loads((sets / "a.json").read_text())


def test_the_report_names_everything_that_the_figures_depend_on(report):
    assert report["kind"] == "fad" and report["command"].startswith("musika fad ")
    assert report["embedding"]["name"] == "logmel" and "weights_hash" in report["embedding"]
    assert {"resampler", "window_seconds", "hop_seconds", "settings", "sample_rate"} <= set(report["embedding"])
    assert report["reference"]["windows"] == report["evaluated"]["windows"] == 240
    assert report["settings"] == {
        "seed": 0,
        "match": False,
        "shrink": False,
        "infinity": True,
        "bootstrap": 5,
        "per_track": True,
    }
    assert "numpy" in report["environment"]["versions"] and report["decoder"].startswith("libsndfile")
    assert report["scores"]["frechet"] > report["scores"]["floor_frechet"] > 0
    assert len(report["details"]["tracks"]) == 12


@pytest.mark.slow
def test_fresh_cached_and_two_processes_give_the_same_numbers(report, sets, capsys):
    fad(sets, sets / "real", sets / "made", "--json", sets / "b.json", "--per-track")
    assert json.loads((sets / "b.json").read_text())["scores"] == report["scores"]
    shutil.rmtree(sets / "cache")
    fad(sets, sets / "real", sets / "made", "--json", sets / "c.json", "--per-track", "--processes", 2)
    assert json.loads((sets / "c.json").read_text())["scores"] == report["scores"]
    text = capsys.readouterr().out
    assert "Fréchet distance" in text and "the worst of 12 tracks:" in text and "not comparable with published" in text


def test_saved_statistics_give_the_same_distance(report, sets, capsys):
    saved = sets / "real.npz"
    assert fad(sets, sets / "real", "--save-statistics", saved) == 0
    assert fad(sets, saved, sets / "made", "--json", sets / "d.json", "--plot", sets / "d.png") == 0
    scores = json.loads((sets / "d.json").read_text())["scores"]
    for name in ("frechet", "frechet_infinity", "floor_frechet"):
        assert scores[name] == pytest.approx(report["scores"][name], rel=1e-6)
    assert scores["kernel"] is None and "note: no kernel distance" in capsys.readouterr().out
    assert (sets / "d.png").exists()


def test_a_bad_file_is_named_in_the_closing_table(sets, tmp_path, capsys):
    shutil.copytree(sets / "made", tmp_path / "made")
    (tmp_path / "made" / "bad.wav").write_text("no audio")
    assert fad(sets, sets / "real", tmp_path / "made", "--json", tmp_path / "a.json") == 0
    text = capsys.readouterr().out
    assert f"skipped  {tmp_path}/made/bad.wav: not readable as audio" in text and "skipped  1 file" in text
    assert len(json.loads((tmp_path / "a.json").read_text())["evaluated"]["skipped"]) == 1


def test_a_long_file_can_be_split_into_tracks(sets, tmp_path):
    audio = np.concatenate([soundfile.read(sets / "made" / f"{index}.wav")[0] for index in range(6)])
    soundfile.write(tmp_path / "long.flac", audio, 44100)
    assert fad(sets, sets / "real", tmp_path / "long.flac", "--split", 9, "--json", tmp_path / "a.json") == 0
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["evaluated"]["tracks"] == 8 and report["scores"]["frechet_low"] is not None


def test_the_list_and_the_help_are_there(capsys):
    assert main(["fad", "--list"]) == 0
    text = capsys.readouterr().out
    for word in ("logmel", "codec", "vggish", "licence", "44100 Hz", "dimension"):
        assert word in text


def test_clearing_needs_nothing_else(tmp_path, capsys):
    assert main(["fad", "--clear", "--cache", str(tmp_path)]) == 0
    assert "cleared 0 embeddings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give REFERENCE and EVALUATED"),
        (["nothing"], "give EVALUATED as well"),
        (["nothing", "nowhere"], "audio file or folder does not exist: nothing"),
        (["nothing", "nowhere", "--embedding", "mfcc"], "embedding must be one of logmel"),
        (["nothing", "nowhere", "--option", "hop"], "--option must be NAME=VALUE"),
        (["nothing", "nowhere", "--option", "size=3"], "takes no options. Received: size"),
        (["nothing", "nowhere", "--bootstrap", "-1"], "bootstrap must be a whole number"),
        (["nothing", "nowhere", "--split", "0"], "split must be a number"),
        (["nothing", "--save-statistics", "x.txt"], "must end in .npz"),
        (["nothing.npz", "nowhere"], "cannot be read"),
    ],
)
def test_mistakes_take_one_line(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fad", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_too_little_audio_says_how_much_is_needed(sets, capsys):
    assert fad(sets, sets / "real", sets / "made" / "0.wav") == 2
    error = capsys.readouterr().err
    assert "EVALUATED has 20 windows" in error and "at least 81, about 0.7 minutes" in error
    assert fad(sets, sets / "real", sets / "made" / "0.wav", "--shrink") == 0
