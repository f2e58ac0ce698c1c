"""Whole folders to annotations."""

import json

import numpy as np
import pytest
import soundfile

from musika.checks import UserError
from musika.cli.main import main
from musika.config import config_from_dict, load_config
from musika.corpus.labels import Labels, write_labels
from musika.data.annotate import annotate_folder, annotation_table, choose_controls
from musika.data.annotation import load_annotation
from musika.data.latents import LatentFile, save_latents
from musika.data.measures import MEASURES

STEPS, SECONDS = 109, 10.0


@pytest.fixture(scope="module")
def config():
    return load_config("compact")


def write_latents(path, source, steps=STEPS, samples=int(SECONDS * 44100)):
    save_latents(path, LatentFile(np.zeros((steps, 4), np.float32), "c0dec", 44100, samples, source))


def write_music(folder, name, tempo=120.0):
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).normal(0, 0.01, (int(SECONDS * 44100), 2))
    soundfile.write(folder / f"{name}.flac", noise, 44100)
    beats = np.arange(0, SECONDS, 60 / tempo)
    onsets = np.arange(0.25, SECONDS, 0.5)
    labels = Labels(tempo, beats, np.arange(len(beats)) % 4 + 1.0, onsets, onsets, onsets)
    write_labels(folder / f"{name}.labels.csv", labels)


def test_annotations_lie_beside_the_latents(tmp_path, config):
    for name in ("a", "live/b"):
        write_music((tmp_path / "audio" / name).parent, name.split("/")[-1])
        up = "../" * (1 + name.count("/"))
        write_latents(tmp_path / "latents" / f"{name}.npz", f"{up}audio/{name}.flac")
    results = annotate_folder(tmp_path / "latents", config, choose_controls(config), "labels")
    assert [result.target.relative_to(tmp_path / "latents").as_posix() for result in results] == [
        "a.controls.json",
        "live/b.controls.json",
    ]
    found = load_annotation(tmp_path / "latents" / "live" / "b.controls.json", steps=STEPS)
    assert (found.tempo, found.annotator, found.source) == (120.0, "labels", "../../audio/live/b.flac")
    assert found.controls["tempo"] == 120.0 and len(found.beats) == 20 and len(found.bars) == 5
    np.testing.assert_allclose(found.controls["note_density"], 2.0, rtol=0.02)
    assert found.latent_rate == pytest.approx(44100 / 4096)


def test_latents_that_moved_find_their_audio_by_the_manifest_or_by_audio(tmp_path, config):
    write_music(tmp_path / "music" / "x", "a")
    write_latents(tmp_path / "moved" / "a.npz", "../gone/a.flac")
    controls = choose_controls(config)
    with pytest.raises(UserError, match=r"there is no .*a\.labels\.csv"):
        annotate_folder(tmp_path / "moved", config, controls, "labels")
    manifest = {"audio": str(tmp_path / "music"), "files": [{"source": "x/a.flac", "latents": "a.npz"}]}
    (tmp_path / "moved" / "manifest.json").write_text(json.dumps(manifest))
    annotate_folder(tmp_path / "moved", config, controls, "labels")
    (tmp_path / "moved" / "manifest.json").unlink()
    annotate_folder(tmp_path / "moved", config, controls, "labels", audio=tmp_path / "music" / "x", again=True)
    with pytest.raises(UserError, match="folder of the audio does not exist"):
        annotate_folder(tmp_path / "moved", config, controls, "labels", audio=tmp_path / "nowhere")


def test_what_is_done_is_left_alone_and_what_fails_is_named(tmp_path, config):
    write_music(tmp_path, "a")
    write_latents(tmp_path / "latents" / "a.npz", "../a.flac")
    write_latents(tmp_path / "latents" / "b.npz", "../b.flac")
    write_latents(tmp_path / "latents" / "c.npz", "../a.flac", steps=20)
    (tmp_path / "latents" / "d.npz").write_bytes(b"no latents")

    def run(**options):
        return annotate_folder(tmp_path / "latents", config, choose_controls(config), "labels", **options)

    table = annotation_table(run(), "latents").splitlines()
    assert "b.npz: there is no" in table[0] and "c.npz: its latents are 22050 samples a step" in table[1]
    assert "d.npz: not a latent file" in table[2]
    assert table[3:] == ["skipped   3", "annotated 1", "in all    4 files   latents"]
    made = (tmp_path / "latents" / "a.controls.json").stat().st_mtime_ns
    assert "was done before" in annotation_table(run(), "latents")
    assert (tmp_path / "latents" / "a.controls.json").stat().st_mtime_ns == made
    run(again=True)
    assert (tmp_path / "latents" / "a.controls.json").stat().st_mtime_ns > made


def test_a_folder_of_audio_gets_annotations_beside_the_audio(tmp_path, config):
    write_music(tmp_path, "a")
    annotate_folder(tmp_path, config, choose_controls(config, ["tempo"]), "labels")
    found = load_annotation(tmp_path / "a.controls.json", steps=STEPS)  # as many steps as the codec makes
    assert found.source == "a.flac" and list(found.controls) == ["tempo"]


def test_a_folder_with_nothing_to_annotate_is_an_error(tmp_path, config):
    with pytest.raises(UserError, match="neither latent files nor audio files"):
        annotate_folder(tmp_path, config, [], "labels")
    with pytest.raises(UserError, match="annotator must be one of"):
        annotate_folder(tmp_path, config, [], "ears")


def test_a_new_control_is_one_entry_and_one_function(tmp_path, config, monkeypatch):
    monkeypatch.setitem(MEASURES, "pulse", lambda music, control: 60 / music.events.tempo)
    entry = {"name": "beat_seconds", "measure": "pulse", "low": 0.3, "high": 1.0}
    generator = config.to_dict()["generator"] | {"controls": [entry]}
    extended = config_from_dict(config.to_dict() | {"generator": generator})
    write_music(tmp_path, "a", tempo=150.0)
    annotate_folder(tmp_path, extended, choose_controls(extended), "labels")
    assert load_annotation(tmp_path / "a.controls.json").controls == {"beat_seconds": pytest.approx(0.4)}


def test_the_command_says_what_became_of_the_files(tmp_path, capsys):
    write_music(tmp_path, "a")
    assert main(["annotate", str(tmp_path), "--annotator", "labels", "--control", "tempo"]) == 0
    out = capsys.readouterr().out
    assert "annotated 1\nin all    1 file" in out and "tempo, by labels" in out
    assert main(["annotate", str(tmp_path), "--control", "mood"]) == 2
    assert "control must be one of tempo, note_density" in capsys.readouterr().err
