"""A folder of audio made ready for training: every file accounted for, nothing done twice, nothing lost to a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musika.checks import UserError
from musika.corpus.labels import Labels, labels_path, write_labels
from musika.data import prepare_file
from musika.data.annotation import annotation_path, load_annotation
from musika.data.annotators import ANNOTATORS, Annotator, Events
from musika.data.crops import load_latent_data
from musika.data.encode import encode_folder
from musika.data.latents import load_latents
from musika.data.prepare import prepare_folder, usable_processes
from musika.data.prepare_report import advice, summary

RATE = 44100
WINDOW = 256  # latent steps of the debug preset's training window: 3 s


def music(seconds, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    clicks = np.zeros((round(seconds * RATE), channels))
    clicks[:: RATE // 2] = 0.8
    return (clicks + 0.05 * rng.standard_normal(clicks.shape)).astype(np.float32)


def write(path, seconds, channels=2, rate=RATE, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = music(seconds * rate / RATE, channels, seed)
    soundfile.write(path, samples, rate, format="FLAC" if path.suffix.lower() == ".flac" else None)
    return samples


def label(path, seconds):
    beats = np.arange(0.0, seconds, 0.5)
    onsets = np.arange(0.0, seconds, 0.25)
    places = np.arange(len(beats)) % 4 + 1.0
    notes = onsets, np.full(len(onsets), 60.0), np.full(len(onsets), 90.0)
    write_labels(labels_path(path), Labels(120.0, beats, places, *notes))


@pytest.fixture(autouse=True)
def loaded(monkeypatch, debug_preset):
    """The toy preset, built once: that is most of a short test's time."""
    monkeypatch.setattr("musika.presets.load_preset", lambda name: debug_preset)


def run(source, preset, out, **options):
    return prepare_folder(source, preset, out, **{"processes": 1, "annotator": "labels", **options})


def entries(prepared):
    return {entry["source"]: entry for entry in prepared.manifest["files"]}


@pytest.fixture
def folder(tmp_path):
    """Two labelled files, one of them deep down with an upper-case ending and a name beyond ASCII."""
    for path, seconds, seed in ((tmp_path / "a.wav", 4.0, 1), (tmp_path / "Sub" / "Müsik ♪.FLAC", 5.0, 2)):
        write(path, seconds, seed=seed)
        label(path, seconds)
    return tmp_path


def test_a_prepared_folder_is_what_a_training_reads(folder, debug_preset, debug_preset_folder, tmp_path):
    done = run(folder, debug_preset_folder, tmp_path / "data")
    preset = debug_preset
    made = entries(done)
    assert {name: entry["seconds"] for name, entry in made.items()} == {"a.wav": 4.0, "Sub/Müsik ♪.FLAC": 5.0}
    file = load_latents(tmp_path / "data" / "Sub" / "Müsik ♪.npz", preset.codec.hash)
    audio, _ = soundfile.read(folder / "Sub" / "Müsik ♪.FLAC", dtype="float32")
    np.testing.assert_array_equal(file.latents, preset.codec.encode(audio))
    annotation = load_annotation(annotation_path(tmp_path / "data" / "a.npz"), steps=preset.codec.steps_for(4 * RATE))
    assert annotation.tempo == 120.0 and annotation.annotator == "labels"
    assert made["a.wav"]["controls"]["tempo"] == 120.0
    assert made["a.wav"]["controls"]["note_density"][1] == pytest.approx(4.0, abs=0.1)
    assert -30 < made["a.wav"]["loudness_db"] < -20 and -3 < made["a.wav"]["peak_db"] < 0
    data = load_latent_data(tmp_path / "data", preset.codec.hash, preset.config)
    assert len(data.used) == 2 and data.skipped == []
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"manifest.json", "a.npz", "a.controls.json", "Sub"}


def test_every_file_is_accounted_for(folder, debug_preset_folder, tmp_path, monkeypatch):
    heard = Events(121.0, 0.9, np.arange(0.0, 3.0, 0.5), onsets=np.arange(0.0, 3.0, 0.25))
    monkeypatch.setitem(ANNOTATORS, prepare_file.LISTENER, Annotator(lambda recording: heard, "tempo", "none"))
    write(folder / "mono.wav", 3.5, channels=1, rate=22050, seed=3)
    write(folder / "surround.wav", 3.5, channels=6, seed=4)
    write(folder / "many.wav", 1.0, channels=12, seed=5)
    write(folder / "blip.wav", 0.1, seed=8)
    (folder / "empty.mp3").touch()
    (folder / "text.ogg").write_text("no music")
    soundfile.write(folder / "click.wav", np.full((1, 2), 0.5), 192000)
    write(folder / "odd.wav", 3.5, seed=7)
    labels_path(folder / "odd.wav").write_bytes("seconds,label,value,velocity\n0,Stück,1,\n".encode("latin-1"))
    (folder / "notes.txt").write_text("not audio")
    (folder / "twice.wav").write_bytes((folder / "a.wav").read_bytes())
    soundfile.write(folder / "silent.wav", np.zeros((4 * RATE, 2)), RATE)
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    (folder / "Sub" / "loop").symlink_to(folder)
    write(folder / "unlabelled.wav", 3.5, seed=6)
    done = run(folder, debug_preset_folder, tmp_path / "data", annotator="auto")
    made = entries(done)
    used = {name for name, entry in made.items() if "latents" in entry}
    assert used == {"a.wav", "Sub/Müsik ♪.FLAC", "mono.wav", "surround.wav", "unlabelled.wav"}
    reasons = {
        "many.wav": "12 channels cannot be mixed down",
        "blip.wav": "0.1 s long, too short to be music",
        "empty.mp3": "the file is empty",
        "text.ogg": "not readable as audio",
        "click.wav": "the file holds no audio",
        "odd.wav": "The label file",
        "twice.wav": "the same file as a.wav",
        "silent.wav": "silent",
        "gone.wav": "cannot be opened",
    }
    for name, reason in reasons.items():
        assert made.pop(name)["note"].startswith(reason)
    assert set(made) == used
    table = summary(done)
    assert "used          5 files, 0:19.5 of music (5 new" in table
    assert "1: silent" in table and "1: the same as another file" in table and "1 .txt" in table
    assert "\ntempo         121 (from 120 to 121) BPM; known in 5 of 5" in table
    assert "Expect copies" in table


def test_a_second_run_does_only_what_is_new(folder, debug_preset_folder, tmp_path, monkeypatch):
    run(folder, debug_preset_folder, tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.npz")}
    (folder / "a.wav").rename(folder / "renamed.wav")
    labels_path(folder / "a.wav").rename(labels_path(folder / "renamed.wav"))
    write(folder / "new.wav", 4.0, seed=9)
    label(folder / "new.wav", 4.0)
    done = run(folder, debug_preset_folder, tmp_path / "data")
    assert (done.new, done.before, done.gone) == (1, 2, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert set(entries(done)) == {"renamed.wav", "new.wav", "Sub/Müsik ♪.FLAC"}
    monkeypatch.setattr("musika.data.prepare.start_worker", None)  # nothing new: not even the codec is loaded
    done = run(folder, debug_preset_folder, tmp_path / "data")
    assert (done.new, done.before) == (0, 3)


def test_a_moved_file_keeps_its_latents_when_another_takes_its_name(folder, debug_preset_folder, tmp_path):
    run(folder, debug_preset_folder, tmp_path / "data")
    moved, late = folder / "A0.flac", folder / "Sub" / "Müsik ♪.FLAC"
    late.rename(moved)
    labels_path(late).rename(labels_path(moved))
    write(late, 3.5, seed=8)
    label(late, 3.0)
    done = run(folder, debug_preset_folder, tmp_path / "data")
    assert (done.new, done.before, done.gone) == (1, 2, 0)
    seconds = {name: entry["seconds"] for name, entry in entries(done).items()}
    assert seconds == {"A0.flac": 5.0, "a.wav": 4.0, "Sub/Müsik ♪.FLAC": 3.5}
    assert len({entry["latents"] for entry in entries(done).values()}) == 3
    assert all((tmp_path / "data" / entry["latents"]).is_file() for entry in entries(done).values())


def test_changed_and_lost_files_leave_nothing_behind(folder, debug_preset_folder, tmp_path):
    run(folder, debug_preset_folder, tmp_path / "data")
    write(folder / "a.wav", 3.5, seed=8)
    label(folder / "a.wav", 3.0)
    done = run(folder, debug_preset_folder, tmp_path / "data")
    assert (done.new, done.before) == (1, 1) and entries(done)["a.wav"]["seconds"] == 3.5
    (folder / "a.wav").unlink()
    done = run(folder, debug_preset_folder, tmp_path / "data")
    assert done.gone == 1 and "--prune" in summary(done) and (tmp_path / "data" / "a.npz").exists()
    done = run(folder, debug_preset_folder, tmp_path / "data", prune=True)
    assert done.gone == 0 and set(entries(done)) == {"Sub/Müsik ♪.FLAC"}
    assert not (tmp_path / "data" / "a.npz").exists() and not (tmp_path / "data" / "a.controls.json").exists()


def test_a_short_file_is_looped_and_its_beats_with_it(debug_preset, debug_preset_folder, tmp_path):
    samples = write(tmp_path / "music" / "short.wav", 1.0, seed=1)
    label(tmp_path / "music" / "short.wav", 1.0)
    done = run(tmp_path / "music", debug_preset_folder, tmp_path / "data")
    entry = entries(done)["short.wav"]
    assert (entry["seconds"], entry["repeats"]) == (1.0, 4) and "played 4 times" in entry["note"]
    file = load_latents(tmp_path / "data" / "short.npz")
    codec = debug_preset.codec
    audio, _ = soundfile.read(tmp_path / "music" / "short.wav", dtype="float32")
    np.testing.assert_array_equal(file.latents, codec.encode(np.tile(audio, (4, 1))))
    own = codec.steps_for(len(samples))
    assert abs(len(file.latents) - WINDOW - own) <= own  # about as many places to begin as it has steps
    annotation = load_annotation(tmp_path / "data" / "short.controls.json")
    np.testing.assert_allclose(annotation.beats, np.arange(8) * 0.5)
    assert "looped" in summary(done)


def test_a_long_file_is_cut_into_parts(debug_preset_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_file, "PART_SECONDS", 4.0)
    write(tmp_path / "music" / "long.wav", 11.0, seed=1)
    label(tmp_path / "music" / "long.wav", 11.0)
    done = run(tmp_path / "music", debug_preset_folder, tmp_path / "data")
    parts = [entry for entry in done.manifest["files"] if "latents" in entry]
    assert [entry["latents"] for entry in parts] == ["long~000.npz", "long~001.npz"]  # the rest is 3 s and some
    assert [(entry["start"], entry["seconds"]) for entry in parts] == [(0.0, 4.0), (4.0, 7.0)]
    beats = load_annotation(tmp_path / "data" / "long~001.controls.json").beats
    np.testing.assert_allclose(beats, np.arange(0.0, 7.0, 0.5), atol=1e-9)
    assert done.new == 1 and "cut into parts" in summary(done)
    assert run(tmp_path / "music", debug_preset_folder, tmp_path / "data").before == 1


def test_a_journal_is_taken_in_and_a_torn_line_is_not(folder, debug_preset_folder, tmp_path):
    done = run(folder, debug_preset_folder, tmp_path / "data")
    manifest = tmp_path / "data" / "manifest.json"
    content = json.loads(manifest.read_text())
    noted = content["files"]
    manifest.write_text(json.dumps({**content, "files": []}))
    lines = [json.dumps({"settings": content["settings"], "entries": [entry]}) for entry in noted]
    (tmp_path / "data" / "journal.jsonl").write_text(f"{lines[0]}\n{lines[1][:40]}")
    again = run(folder, debug_preset_folder, tmp_path / "data")
    assert (again.new, again.before) == (1, 1)
    assert not (tmp_path / "data" / "journal.jsonl").exists()
    assert set(entries(again)) == set(entries(done))


def test_another_annotator_or_codec_is_not_mixed_in(folder, debug_preset_folder, tmp_path, monkeypatch):
    run(folder, debug_preset_folder, tmp_path / "data")
    monkeypatch.setitem(ANNOTATORS, "comb", Annotator(lambda recording: Events(99.0), "tempo", "none"))
    done = run(folder, debug_preset_folder, tmp_path / "data", annotator="comb")
    assert done.new == 2 and entries(done)["a.wav"]["controls"] == {"tempo": 99.0, "note_density": None}
    manifest = tmp_path / "data" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "codec": "feed", "codec_name": "other"}))
    with pytest.raises(UserError, match="was prepared for codec 'other'"):
        run(folder, debug_preset_folder, tmp_path / "data")


def test_what_encode_wrote_is_not_taken_over(folder, debug_preset, debug_preset_folder, tmp_path):
    encode_folder(debug_preset.codec, folder, tmp_path / "data")
    with pytest.raises(UserError, match="written by `musika encode`"):
        run(folder, debug_preset_folder, tmp_path / "data")


def test_the_output_may_lie_in_the_folder(folder, debug_preset_folder):
    run(folder, debug_preset_folder, folder / "data")
    write(folder / "data" / "codec-report" / "x.wav", 1.0)
    done = run(folder, debug_preset_folder, folder / "data")
    assert set(entries(done)) == {"a.wav", "Sub/Müsik ♪.FLAC"}


def test_nothing_usable_is_an_error_that_says_what_was_found(debug_preset_folder, tmp_path):
    (tmp_path / "music").mkdir()
    with pytest.raises(UserError, match="found no files at all"):
        run(tmp_path / "music", debug_preset_folder, tmp_path / "data")
    (tmp_path / "music" / "a.txt").touch()
    with pytest.raises(UserError, match=r"there is no audio .* found 1 \.txt"):
        run(tmp_path / "music", debug_preset_folder, tmp_path / "data")
    (tmp_path / "music" / "a.wav").write_text("no music")
    with pytest.raises(UserError, match=r"none of the 1 audio files .* a\.wav: not readable"):
        run(tmp_path / "music", debug_preset_folder, tmp_path / "data")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "no such folder"}, "the folder of audio does not exist"),
        ({"preset": "no such preset"}, "no preset"),
        ({"annotator": "ears"}, "annotator must be one of auto, "),
        ({"processes": 0}, "processes must be a whole number"),
    ],
)
def test_wrong_arguments_are_named(folder, debug_preset_folder, tmp_path, options, message):
    given = {"source": folder, "preset": debug_preset_folder, "out": tmp_path / "data", **options}
    with pytest.raises(UserError, match=message):
        run(**given)


def test_advice_and_processes():
    assert [advice(hours).split()[0] for hours in (0.5, 5.0, 50.0)] == ["Expect", "Fine-tune:", "Train"]
    assert usable_processes(1) == 1
    assert 1 <= usable_processes(1000) <= (os.cpu_count() or 1)


SCRIPT = """
import sys
from musika.data.prepare import prepare_folder
if __name__ == "__main__":
    prepare_folder(sys.argv[1], sys.argv[2], sys.argv[3], annotator="labels", processes=int(sys.argv[4]))
"""


@pytest.mark.slow
def test_a_kill_loses_nothing_already_done(debug_preset_folder, tmp_path):
    for index in range(60):
        write(tmp_path / "music" / f"{index}.wav", 4.0, seed=index)
        label(tmp_path / "music" / f"{index}.wav", 4.0)
    (tmp_path / "script.py").write_text(SCRIPT)
    data, root = tmp_path / "data", Path(prepare_file.__file__).parents[2]
    command = [
        sys.executable,
        str(tmp_path / "script.py"),
        str(tmp_path / "music"),
        str(debug_preset_folder),
        str(data),
    ]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen([*command, "1"], env=environment)
    until = time.monotonic() + 120
    journal = data / "journal.jsonl"
    while time.monotonic() < until and not (journal.exists() and journal.read_text().count("\n") >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    noted = journal.read_text().count("\n")
    done = run(tmp_path / "music", debug_preset_folder, data)
    assert noted >= 3 and noted <= done.before < 60 and done.new == 60 - done.before
    whole = run(tmp_path / "music", debug_preset_folder, tmp_path / "whole")
    assert {path.name for path in data.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
    for entry in whole.manifest["files"]:
        ours, theirs = (load_latents(place / entry["latents"]).latents for place in (data, tmp_path / "whole"))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_processes_give_what_one_gives(folder, debug_preset_folder, tmp_path):
    one = run(folder, debug_preset_folder, tmp_path / "one")
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(prepare_file.__file__).parents[2])}
    arguments = [str(folder), str(debug_preset_folder), str(tmp_path / "two"), "2"]
    subprocess.run([sys.executable, str(tmp_path / "script.py"), *arguments], env=environment, check=True)
    two = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert two["files"] == one.manifest["files"]
    for entry in two["files"]:
        ours, theirs = (load_latents(tmp_path / name / entry["latents"]).latents for name in ("one", "two"))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
