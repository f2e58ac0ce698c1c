"""The file that holds what was measured of an audio file."""

import json

import numpy as np
import pytest

from musika.checks import UserError
from musika.data.annotation import Annotation, annotation_path, load_annotation, save_annotation


def example(**changes):
    values = {
        "source": "../music/ä.flac",
        "annotator": "comb",
        "latent_rate": 10.7666015625,
        "steps": 3,
        "tempo": 128.25,
        "tempo_confidence": 0.75,
        "beats": np.array([0.0, 0.5, 1.0]),
        "bars": np.array([0.0]),
        "controls": {"tempo": 128.25, "note_density": np.array([1.0, 2.5, 0.0]), "genre": "dub", "mood": None},
        "onsets": np.array([0.25]),
    }
    return Annotation(**(values | changes))


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path = annotation_path(tmp_path / "new" / "a.npz")
    save_annotation(path, example())
    assert [entry.name for entry in path.parent.iterdir()] == ["a.controls.json"]
    found = load_annotation(path, steps=3)
    for name, value in vars(example()).items():
        if name == "controls":
            assert list(found.controls) == list(value)
            assert found.controls["genre"] == "dub" and found.controls["mood"] is None
            assert found.controls["tempo"] == 128.25
            np.testing.assert_array_equal(found.controls["note_density"], value["note_density"])
        else:
            np.testing.assert_array_equal(getattr(found, name), value)


def test_what_is_not_known_stays_unknown(tmp_path):
    path = tmp_path / "a.controls.json"
    save_annotation(path, Annotation("a.wav", "labels", 10.0, 5))
    found = load_annotation(path)
    assert found.tempo is None and found.onsets is None and len(found.beats) == 0 and found.controls == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be a whole number, 1 or more"),
        ({"latent_rate": 0.0}, "latent_rate must be greater than 0"),
        ({"tempo": 0.0}, "tempo must be a number from 1 to 1000"),
        ({"tempo_confidence": 1.5}, "tempo_confidence must be a number from 0 to 1"),
        ({"beats": np.array([1.0, 0.5])}, "beats must be rising times"),
        ({"controls": {"x": np.zeros(2)}}, "control x must have 3 numbers. Received: 2"),
        ({"controls": {"x": np.array([0.0, np.nan, 1.0])}}, "control x must be a list of finite numbers"),
        ({"controls": {"x": float("inf")}}, "control x must be a number, a list, a class or null"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        save_annotation(tmp_path / "a.controls.json", example(**changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it has no controls"),
        ('{"format": 2, "controls": {}}', "reads annotations of format 1. Received: format=2"),
        ('{"format": 1, "controls": {}, "source": 1, "annotator": "x", "steps": 1}', "must be text"),
    ],
)
def test_a_file_that_is_no_annotation_is_named(tmp_path, text, message):
    path = tmp_path / "a.controls.json"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"a\.controls\.json.*{message}"):
        load_annotation(path)


def test_an_annotation_of_another_length_or_none_says_what_to_do(tmp_path):
    path = tmp_path / "a.controls.json"
    with pytest.raises(UserError, match="cannot be read.*musika annotate"):
        load_annotation(path)
    save_annotation(path, example())
    with pytest.raises(UserError, match="3 latent steps, but the latents have 4.*--again"):
        load_annotation(path, steps=4)


def test_the_file_is_plain_json(tmp_path):
    path = tmp_path / "a.controls.json"
    save_annotation(path, example())
    content = json.loads(path.read_text())
    assert content["format"] == 1 and content["controls"]["note_density"] == [1.0, 2.5, 0.0]
