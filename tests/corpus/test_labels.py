import numpy as np
import pytest

from musika.checks import UserError
from musika.corpus import Labels, labels_path, read_labels, write_labels


def assert_same(first, second):
    assert first.tempo == second.tempo
    for name in ("beats", "places", "onsets", "pitches", "velocities"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


@pytest.mark.parametrize(
    "labels",
    [
        Labels(tempo=123.4, beats=np.arange(9) * 60 / 123.4, places=np.arange(9) % 4 + 1.0),
        Labels(
            onsets=np.array([1 / 3, 1 / 3, 0.7]), pitches=np.array([60.0, 64, 67]), velocities=np.array([80.0, 1, 127])
        ),
        Labels(),
    ],
)
def test_reading_gives_back_what_was_written_to_the_bit(labels, tmp_path):
    path = tmp_path / "a.labels.csv"
    write_labels(path, labels)
    assert_same(read_labels(path), labels)


def test_the_file_is_a_plain_table(tmp_path):
    path = tmp_path / "a.labels.csv"
    write_labels(path, Labels(tempo=120.0, beats=np.array([0.0, 0.5]), places=np.array([1.0, 2.0])))
    assert path.read_text() == "seconds,label,value,velocity\n0.0,tempo,120.0,\n0.0,beat,1,\n0.5,beat,2,\n"


def test_notes_struck_together_are_one_event():
    labels = Labels(onsets=np.array([0.5, 0.5, 1.0]), pitches=np.zeros(3), velocities=np.zeros(3))
    assert labels.distinct_onsets.tolist() == [0.5, 1.0]


def test_labels_lie_beside_the_audio(tmp_path):
    assert labels_path(tmp_path / "piano_00007.flac") == tmp_path / "piano_00007.labels.csv"


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="Label file does not exist"):
        read_labels(tmp_path / "none.csv")
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="begins with seconds,label,value,velocity. Received: a,b"):
        read_labels(foreign)
    foreign.write_text("seconds,label,value,velocity\nx,beat,1,\n")
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(foreign)


def test_labels_of_other_programs_are_read_or_refused(tmp_path):
    path = tmp_path / "a.labels.csv"
    table = "seconds,label,value,velocity\n0.0,tempo,120.0,\n"
    path.write_bytes(table.encode("utf-8-sig"))  # as spreadsheets save it
    assert read_labels(path).tempo == 120.0
    path.write_bytes((table + "0.0,Stück,1,\n").encode("latin-1"))
    with pytest.raises(UserError, match="a.labels.csv cannot be read as text .*Save it as CSV in UTF-8"):
        read_labels(path)
    path.write_text(table + "0.0," + "x" * 200_000 + ",1,\n")
    with pytest.raises(UserError, match="field larger than field limit"):
        read_labels(path)
