import argparse
import os

import numpy as np
import pytest
import soundfile

from musika.checks import UserError
from musika.cli import corpus as verb
from musika.corpus import KINDS, labels_path, read_labels, render_track, write_corpus
from musika.corpus.folder import track_lengths


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_do_not_depend_on_the_number_of_processes(kind, tmp_path):
    for name, processes in (("one", 1), ("two", 2)):
        write_corpus(kind, tmp_path / name, 0.1, seed=4, track_seconds=2.5, processes=processes, progress=False)
    assert len(contents(tmp_path / "one")) == 6
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_files_hold_the_tracks_and_their_labels(tmp_path):
    files = write_corpus("techno", tmp_path, 0.1, seed=4, track_seconds=4.0, processes=1, progress=False)
    assert [path.name for path in files] == ["techno_00000.flac", "techno_00001.flac"]
    info = soundfile.info(files[0])
    assert (info.channels, info.samplerate, info.subtype, info.frames) == (2, 44100, "PCM_16", 4 * 44100)
    track = render_track("techno", seed=4, index=1, seconds=2.0)
    audio, _ = soundfile.read(files[1])
    assert np.abs(audio - track.audio).max() < 1e-4
    assert read_labels(labels_path(files[1])).tempo == track.labels.tempo


@pytest.mark.parametrize(
    ("minutes", "seconds", "expected"),
    [(2.0, 40.0, [40.0] * 3), (1.0, 32.0, [32.0, 28.0]), (1.0, 59.5, [59.5]), (0.001, 32.0, [1.0])],
)
def test_lengths_add_up_to_the_minutes_asked_for(minutes, seconds, expected):
    assert track_lengths(minutes, seconds) == expected


def test_a_longer_corpus_begins_with_the_shorter_one(tmp_path):
    short = write_corpus("piano", tmp_path / "short", 0.05, seed=1, track_seconds=1.5, processes=1, progress=False)
    long = write_corpus("piano", tmp_path / "long", 0.1, seed=1, track_seconds=1.5, processes=1, progress=False)
    assert [path.read_bytes() for path in short] == [path.read_bytes() for path in long[: len(short)]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "jazz"}, "kind must be one of techno, piano, techno@breaks. Received: kind='jazz'"),
        ({"minutes": 0.0}, "minutes must be a number greater than 0"),
        ({"minutes": -1.0}, "minutes must be a number greater than 0"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"track_seconds": 0.5}, "track_seconds must be a number from 1 to 600"),
        ({"processes": 0}, "processes must be a whole number from 1"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_written(changes, message, tmp_path):
    arguments = {"kind": "techno", "out": tmp_path / "new", "minutes": 0.1, "seed": 0, "progress": False} | changes
    with pytest.raises(UserError, match=message):
        write_corpus(**arguments)
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="Cannot make the folder"):
        write_corpus("techno", tmp_path / "taken", 0.1, seed=0, progress=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written to"):
        write_corpus("techno", tmp_path, 0.1, seed=0, progress=False)


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr("musika.corpus.folder.write_labels", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_corpus("techno", tmp_path, 0.02, seed=0, processes=1, progress=False)
    assert contents(tmp_path) == {}


def test_tracks_of_another_corpus_are_not_mixed_in(tmp_path):
    (tmp_path / "piano_00400.flac").write_bytes(b"")
    with pytest.raises(UserError, match="holds 1 more piano tracks"):
        write_corpus("piano", tmp_path, 0.02, seed=0, progress=False)


def test_the_command_writes_files_and_says_so(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    arguments = ["techno", "--out", str(tmp_path / "music"), "--minutes", "0.04", "--seed", "3", "--processes", "1"]
    assert verb.run(parser.parse_args(arguments)) == 0
    closing = capsys.readouterr().out
    assert closing.startswith("1 techno file, 2.4 seconds, made in ") and str(tmp_path / "music") in closing
    assert len(list((tmp_path / "music").glob("*.flac"))) == 1


def test_a_variant_has_files_and_a_name_of_its_own(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    out = ["--out", str(tmp_path), "--minutes", "0.02", "--processes", "1"]
    verb.run(parser.parse_args(["techno", "--variant", "breaks", *out]))
    assert {path.name for path in tmp_path.iterdir()} == {"techno-breaks_00000.flac", "techno-breaks_00000.labels.csv"}
    assert "1 techno@breaks file" in capsys.readouterr().out
    assert 165 <= read_labels(tmp_path / "techno-breaks_00000.labels.csv").tempo <= 180
    with pytest.raises(UserError, match="kind must be one of techno, piano, techno@breaks"):
        verb.run(parser.parse_args(["piano", "--variant", "breaks", *out]))
