"""Scores of annotators: perfect ones, wrong ones, and the command."""

import json

import numpy as np
import pytest

from musika.checks import UserError
from musika.cli.main import main
from musika.corpus.labels import Labels
from musika.data.annotators import ANNOTATORS, Annotator, Events
from musika.evaluation import annotators as subject

BEATS = np.arange(0.0, 30.0, 0.5)
TECHNO = Labels(120.0, BEATS, np.tile([1.0, 2, 3, 4], 15))
NOTES = np.cumsum(np.random.default_rng(2).uniform(0.1, 1.0, 50))
PIANO = Labels(onsets=NOTES, pitches=NOTES, velocities=NOTES)


@pytest.mark.parametrize(
    ("measured", "hits"),
    [
        (124.7, (True, True)),
        (125.0, (False, False)),
        (240.0, (False, True)),
        (40.0, (False, True)),
        (180.0, (False, False)),
        (None, (False, False)),
    ],
)
def test_tempo_hits_allow_four_percent_octaves_and_thirds(measured, hits):
    assert subject.tempo_hits(120.0, measured) == hits


def test_perfect_hearing_scores_perfectly():
    scores = subject.score_events(Events(120.0, 1.0, BEATS), TECHNO, 30.0)
    assert scores == {
        "accuracy1": 1.0,
        "accuracy2": 1.0,
        "tempo_error_percent": 0.0,
        "beat_f": 1.0,
        "beat_offset_ms": 0.0,
    }
    scores = subject.score_events(Events(onsets=NOTES), PIANO, 30.0)
    assert scores["onset_f"] == 1.0 and scores["density_correlation"] == pytest.approx(1.0)


def test_shifts_and_gaps_are_seen():
    late = subject.score_events(Events(120.0, 1.0, BEATS + 0.03), TECHNO, 30.0)
    assert late["beat_f"] == 1.0 and late["beat_offset_ms"] == pytest.approx(30.0)
    assert subject.score_events(Events(120.0, 1.0, BEATS + 0.25), TECHNO, 30.0)["beat_f"] == 0.0
    half = subject.score_events(Events(onsets=NOTES[::2]), PIANO, 30.0)
    assert half["onset_f"] == pytest.approx(2 / 3)
    assert subject.score_events(Events(onsets=np.zeros(0)), PIANO, 30.0)["onset_f"] == 0.0
    assert "tempo_error_percent" not in subject.score_events(Events(60.0), TECHNO, 30.0)


def test_the_summary_is_over_all_tracks_and_leaves_out_what_is_not_given(monkeypatch):
    heard = iter([Events(120.0, 1.0, BEATS), Events(90.0, 1.0, BEATS + 0.02)])
    monkeypatch.setitem(ANNOTATORS, "ears", Annotator(lambda recording: next(heard), "tempo", "none"))
    track = subject.Practice("a", np.zeros((30 * 44100, 2), np.float32), TECHNO)
    calls = []
    scores = subject.evaluate_annotators([track, track], ["ears"], lambda: calls.append(1))["ears"]
    assert len(calls) == 2 and tuple(scores) == subject.SCORES
    assert (scores["accuracy1"], scores["beat_f"], scores["onset_f"]) == (0.5, 1.0, None)
    assert scores["beat_offset_ms"] == pytest.approx(10.0) and scores["tempo_error_percent"] == 0.0


def test_practice_music_is_reproducible_and_labelled():
    first, again = (next(iter(subject.practice_tracks("piano", 0.1, 7, 3.0))) for _ in range(2))
    np.testing.assert_array_equal(first.audio, again.audio)
    assert first.name == "piano_00000" and len(first.labels.onsets)


def test_only_what_listens_can_be_measured():
    assert {"librosa", "comb"} <= set(subject.available_annotators())
    assert "labels" not in subject.available_annotators()
    with pytest.raises(UserError, match="annotator must be one of librosa, comb.*Received: annotator='labels'"):
        subject.available_annotators(["labels"])


def test_the_command_writes_a_table_and_a_report(tmp_path, capsys):
    command = ["evaluate", "annotators", "--minutes", "0.2", "--annotator", "comb", "--out", str(tmp_path / "a.json")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "| comb | MIT" in out and "not measured: librosa" in out
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["kind"] == "annotators" and report["scores"]["comb"]["accuracy1"] == 1.0
    assert main(["evaluate", "annotators", "--annotator", "ears"]) == 2
    assert "annotator must be one of" in capsys.readouterr().err
