import json
import shutil

import numpy as np
import pytest

from musika.app.fields import (
    read_path,
    read_points_file,
    read_settings,
    read_wish,
    usual_fields,
    write_fields,
    write_path,
)
from musika.app.shelf import Shelf
from musika.app.studio import make, make_piece
from musika.app.wishes import Wish
from musika.checks import UserError
from musika.points import Point


def test_the_fields_make_the_piece_that_generate_makes(shelf, usual, steered_folder):
    import musika

    wish = read_wish(shelf, usual | {"tempo.mode": "glide", "tempo.first": 100, "start": "0:02"}, 60.0)
    piece, sentences = make_piece(shelf, wish)
    expected = musika.Piece(musika.load(steered_folder, "float32"), 7, 2.0, {"tempo": "100:160"}, 3.0)
    assert np.array_equal(piece.render(2.0, 0.3), expected.render(2.0, 0.3)) and not sentences


def test_fields_written_for_a_piece_make_the_same_piece(shelf, usual, tmp_path):
    path = [["12", "", "", ""], ["7", "0.2", "0.5", "linear"]]
    fields = usual | {"tempo.mode": "glide", "note_density.mode": "steady", "path": path, "start": "1.2345"}
    made, _ = make(shelf, read_wish(shelf, fields, 60.0), tmp_path, "a")
    again = read_wish(shelf, usual | write_fields(shelf, made.wish, {}), 60.0)
    first, second = (make_piece(shelf, wish)[0].render(1.2345, 0.4) for wish in (made.wish, again))
    assert np.array_equal(first, second)


def test_settings_of_a_file_are_taken_over(shelf, usual, tmp_path):
    wish = read_wish(shelf, usual | {"loop": True, "loop.turns": 2, "note_density.mode": "steady"}, 60.0)
    made, _ = make(shelf, wish, tmp_path, "a")
    read, sentences = read_settings(shelf, made.files["settings"])
    assert (read.preset, read.seed, read.loop) == ("steered", 7, wish.loop) and not sentences
    again, _ = make(shelf, read, tmp_path, "b")
    assert again.audio.read_bytes() == made.audio.read_bytes()


def test_settings_of_another_preset_are_refused_or_warned_of(shelf, usual, tmp_path):
    made, _ = make(shelf, read_wish(shelf, usual, 60.0), tmp_path, "a")
    values = json.loads(made.files["settings"].read_text())
    for changed, name in (({"checkpoint": "elsewhere"}, "x.json"), ({"preset_hash": "0" * 16}, "y.json")):
        (tmp_path / name).write_text(json.dumps(values | changed))
    with pytest.raises(UserError, match="are of preset 'elsewhere', and here are only steered, toy"):
        read_settings(shelf, tmp_path / "x.json")
    assert "has changed since" in read_settings(shelf, tmp_path / "y.json")[1][0]


def test_settings_of_a_file_pull_nothing_from_the_hub(shelf, usual, tmp_path, monkeypatch):
    def pull(place, *args):
        raise AssertionError(f"{place} is pulled")

    monkeypatch.setattr("musika.hub.pull", pull)
    made, _ = make(shelf, read_wish(shelf, usual, 60.0), tmp_path, "a")
    values = json.loads(made.files["settings"].read_text())
    (tmp_path / "x.json").write_text(json.dumps(values | {"checkpoint": "hf://someone/huge"}))
    with pytest.raises(UserError, match="are of preset 'hf://someone/huge', and here are only steered, toy"):
        read_settings(shelf, tmp_path / "x.json")


def test_a_preset_that_was_pulled_before_is_found_by_its_name_on_the_hub(debug_preset_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSIKA_CACHE", str(tmp_path))
    (tmp_path / "hub" / "me").mkdir(parents=True)
    pulled = shutil.copytree(debug_preset_folder, tmp_path / "hub" / "me" / "toy")
    shelf = Shelf([str(pulled)], "float32")
    assert shelf.name_of("hf://me/toy") == shelf.names[0] and shelf.name_of("hf://me/other") is None
    assert shelf.name_of("hf://nonsense") is None


def test_settings_of_a_file_name_no_other_files(shelf, usual, tmp_path):
    made, _ = make(shelf, read_wish(shelf, usual, 60.0), tmp_path, "a")
    values = json.loads(made.files["settings"].read_text())
    secret = tmp_path / "secret.json"
    secret.write_text('{"seed": 1234567}')
    for changed in (
        {"path": {"path": [str(secret)], "repeat": False}},
        {"path": {"points": {"name": str(secret)}, "path": ["name"]}},
        {"path": f"{secret} ,7"},
        {"controls": {"tempo": "secret.csv"}},
    ):
        (tmp_path / "z.json").write_text(json.dumps(values | changed))
        with pytest.raises(UserError, match="may not name other files"):
            read_settings(shelf, tmp_path / "z.json")


def test_only_the_controls_of_the_preset_are_asked_for(shelf, usual):
    assert read_wish(shelf, usual | {"preset": "toy", "tempo.mode": "nonsense"}, 60.0).controls == {}
    assert set(usual_fields(shelf, "steered")) >= {"tempo.mode", "note_density.first"}
    assert usual_fields(shelf, "toy") == {}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"preset": "disco"}, "there is no preset 'disco' here. Choose one of steered, toy"),
        ({"length": "an age"}, "the length must be a time"),
        ({"length": "9:99:00"}, "the length may be at most"),
        ({"seed": "x"}, "the seed must be a whole number"),
        ({"truncation": "much"}, "variety must be a number"),
        ({"tempo.mode": "curve", "tempo.curve": ""}, "the curve is empty"),
        ({"path": [["secret.json", "", "", ""]]}, "a point must be a seed or the name of a loaded point"),
        ({"path": [["²", "", "", ""]]}, "a point must be a seed or the name of a loaded point"),
        ({"path": [["7", "-1", "", ""]]}, "hold must be a number"),
        ({"path": [["7", "", "", ""], ["8", "", "", "wild"]]}, "curve must be one of linear, smooth"),
        ({"loop": True, "loop.turns": 2.5}, "turns must be a whole number"),
    ],
)
def test_wrong_fields_are_answered_with_a_sentence(shelf, usual, changed, sentence):
    with pytest.raises(UserError, match=sentence):
        read_wish(shelf, usual | changed, 60.0)


def test_a_path_is_read_and_written(tmp_path):
    points = {"calm": Point(5, style=9)}
    rows = [["calm", "", "", ""], ["", "", "", ""], ["12", "3", "4", "linear"]]
    path = read_path(rows, True, points, 60.0)
    assert [(stop["hold"], stop["glide"], stop["curve"]) for stop in path["path"]] == [
        (0, 30, "smooth"),
        (3, 4, "linear"),
    ]
    known = {}
    assert read_path(write_path(path, known), True, known, 60.0) == path
    assert read_path([], False, {}, 60.0) is None


def test_a_points_file_is_added_under_its_name(tmp_path):
    file, known = tmp_path / "calm.json", {}
    file.write_text(json.dumps({"seed": 5, "style": [0.5, 1.0], "kind": "musika point", "format": 1}))
    assert read_points_file(file, known)[0][0] == "calm" and known["calm"].style == (0.5, 1.0)
    (tmp_path / "secret.json").write_text('{"seed": 1234567}')
    secret = tmp_path / "secret.json"
    for text in (f"path: [{secret}]", f"points: {{name: {secret}}}\npath: [name]", f'"{secret} ,7"', f'"{secret}"'):
        file.write_text(text)
        with pytest.raises(UserError, match="may not name other files"):
            read_points_file(file, known)
    assert set(known) == {"calm"}
    file.write_text("{")
    with pytest.raises(UserError, match="holds no point and no path"):
        read_points_file(file, known)


def test_a_wish_knows_nothing_of_the_page():
    assert Wish("techno", 7).check(60.0) == Wish("techno", 7)
