"""Pieces as files: the six that ship, and what is refused."""

import numpy as np
import pytest

from musika.checks import UserError
from musika.paths import Path
from musika.pieces import find_piece, load_piece, make_score, piece_names, read_piece
from musika.score import LoopScore, Score, check_score, recorded_score


def test_six_pieces_of_two_minutes_ship():
    assert len(piece_names()) == 6
    for name in piece_names():
        score, values = check_score(load_piece(name)), read_piece(name)
        assert values["title"] and values["idea"]
        if score.loop is None:
            assert score.seconds == pytest.approx(120)
        else:
            assert score.loop.turns * score.loop.bars * 240 / score.controls["tempo"] == pytest.approx(120)
        assert score.path is None or score.path.seconds <= 120 + 1e-6


def test_the_sections_of_fibonacci_have_its_lengths():
    path, bar = load_piece("fibonacci").path, 60 / 128 * 4
    sections = [round((stop.glide + stop.hold) / bar, 6) for stop in path.stops]
    assert sections == [13, 8, 5, 3, 2, 1, 1, 2, 3, 5, 8, 13]


def test_the_density_arc_rises_and_falls():
    points = np.array(load_piece("density_arc").controls["note_density"])
    assert points[0, 1] == points[-1, 1] == points[:, 1].min() and 0 < points[:, 1].argmax() < len(points) - 1


def test_pieces_are_found_by_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_piece("loop") == find_piece("loop.yaml")
    (tmp_path / "loop.yaml").write_text("seconds: 5")  # a file here goes before a name
    assert load_piece("loop.yaml") == Score(seconds=5.0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "p.json").write_text('{"seed": 3, "style": 4}')
    (tmp_path / "mine" / "a.yaml").write_text("path: [p.json, 7]\nseconds: 10\n")
    path = load_piece("mine/a.yaml").path  # points lie beside the piece
    assert isinstance(path, Path) and path.stops[0].point.seed == 3 and path.stops[1].glide == 10


def test_lengths_in_bars_follow_the_tempo():
    score = make_score(
        {"tempo": 100, "beats_per_bar": 3, "bars": 10, "unit": "bars", "path": [{"point": 7, "hold": 4}]}
    )
    assert score.seconds == pytest.approx(18) and score.path.stops[0].hold == pytest.approx(7.2)


def test_numbers_may_be_written_as_text():
    score = make_score({"start": "5", "seconds": "10", "path": [1, 2]})
    assert score.start == 5.0 and score.path.stops[1].glide == 15.0
    score = check_score(make_score({"loop": {"seconds": "10"}, "path": [1, 2]}))
    assert score.loop.seconds == 10.0
    score = check_score(Score(start="1", loop=LoopScore(seconds="3"), path=[1, 2]))
    assert score.start == 1.0 and score.path.stops[1].glide == 4.0


def test_controls_are_left_out_by_null_and_none():
    score = make_score({"tempo": "none", "note_density": None, "controls": {"genre": "dub"}})
    assert score.controls == {"tempo": None, "note_density": None, "genre": "dub"}


def test_a_recorded_score_is_the_score():
    values = {"checkpoint": "x", "seconds": 9.0, "start": 1.0, "seed": 3, "truncation": 2.0, "precision": "float32"}
    values |= {"controls": {"tempo": 99.0}, "path": None, "file": "a.wav"}
    loop = {"seconds": 4.0, "bars": 2, "by_bars": True, "turns": 3, "on_beat": True, "tempo": 120.0}
    score = recorded_score(values | {"loop": loop})
    assert score == Score("x", 9.0, 1.0, 3, 2.0, "float32", {"tempo": 99.0}, None, LoopScore(2, None, 3, True))
    assert recorded_score(values).loop is None


MISTAKES = [
    ({"secnds": 3}, "unknown key 'secnds'; did you mean 'seconds'"),
    ({"colour": 3}, "unknown key 'colour'"),
    ({"seconds": "long"}, "seconds must be a number"),
    ({"bars": 8}, "lengths in bars need a constant tempo"),
    ({"bars": 8, "tempo": "90:120"}, "lengths in bars need a constant tempo"),
    ({"bars": 8, "seconds": 3, "tempo": 90}, "in seconds or in bars, not both"),
    ({"loop": 8}, "loop must hold bars or seconds"),
    ({"loop": {"bar": 8}}, "unknown key 'bar'; did you mean 'bars'"),
    ({"loop": {}}, "a loop needs its length in bars or in seconds"),
    ({"loop": {"bars": 8, "turns": 0}}, "turns must be a whole number from 1"),
    ({"points": {"A": 7}}, "'points' belongs to a path"),
    ({"path": [7], "unit": "beats"}, "unit must be one of seconds, bars"),
    ({"path": ["Z"], "points": {"A": 7}}, r"a name \(A\)"),
    ({"controls": 5}, "controls must be `name: value` lines"),
    ({"checkpoint": 5}, "checkpoint must be a name or a folder"),
]


@pytest.mark.parametrize(("values", "message"), MISTAKES)
def test_a_mistake_in_a_piece_is_named(values, message):
    with pytest.raises(UserError, match=message):
        make_score(values)


def test_a_file_that_is_no_piece_is_refused(tmp_path):
    for text, message in (
        ("[1", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("- 1", "must hold `key: value` lines"),
    ):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(UserError, match=message):
            load_piece(tmp_path / "a.yaml")
    with pytest.raises(UserError, match="there is no piece 'fibonaci'. Give a .yaml file or one of: a_b_a"):
        load_piece("fibonaci")
    (tmp_path / "b.yaml").write_text("!!python/object/apply:os.system [true]")
    with pytest.raises(UserError, match="is not valid YAML"):
        load_piece(tmp_path / "b.yaml")
