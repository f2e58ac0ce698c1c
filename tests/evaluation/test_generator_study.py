"""Generated music against real music, with a toy preset."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from musika.checks import UserError
from musika.cli.main import main
from musika.data.latents import LatentFile, save_latents
from musika.evaluation.fad import FadOptions
from musika.evaluation.generator import (
    COPYING_STEPS,
    GENERATED,
    REAL,
    GeneratorStudy,
    draw_values,
    evaluate_generator,
    quality_tables,
    real_clips,
    stacked_latents,
)
from musika.evaluation.intervals import generator as random_generator
from musika.settings import ControlConfig

STUDY = GeneratorStudy(pieces=4, seconds=3.0, seed=5, options=FadOptions(bootstrap=3, shrink=True))


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Ten tracks of 5 s whose samples tell the track: a constant and noise below it."""
    folder = tmp_path_factory.mktemp("music")
    for index in range(10):
        noise = np.random.default_rng(index).standard_normal((5 * 44100, 2))
        soundfile.write(folder / f"{index}.wav", 0.05 * (index + 1) + 0.002 * noise, 44100)
    return folder


def track_of(clip):
    return round(float(clip.mean()) / 0.05) - 1


def test_the_halves_have_no_track_in_common(music):
    ours, theirs = real_clips(str(music), STUDY, 44100)
    assert len(ours) == len(theirs) == 4 and {len(clip) for clip in (*ours, *theirs)} == {3 * 44100}
    tracks = [{track_of(clip) for clip in half} for half in (ours, theirs)]
    assert not tracks[0] & tracks[1] and len(tracks[0]) == len(tracks[1]) == 4
    np.testing.assert_array_equal(ours[0], real_clips(str(music), STUDY, 44100)[0][0])


def drawn_places(monkeypatch, tracks, study):
    """Where the clips of the first half begin, of tracks whose samples count."""
    music = [np.stack([np.arange(length, dtype=np.int16)] * 2, axis=1) for length in tracks]
    pool = SimpleNamespace(held_out=music, train=music)
    monkeypatch.setattr("musika.evaluation.generator.open_pool", lambda *given: pool)
    clips, _ = real_clips("corpus:techno:1", study, 100)
    return [round(float(clip[0, 0]) * 32768) for clip in clips]


def test_clips_of_one_track_do_not_overlap_and_reach_its_end(monkeypatch):
    studies = [GeneratorStudy(pieces=3, seconds=1.0, seed=seed) for seed in range(60)]
    places = np.array([drawn_places(monkeypatch, [390], study) for study in studies])
    assert np.diff(places, axis=1).min() >= 100
    assert 370 < places.max() + 100 <= 390


def test_one_clip_a_track_is_taken_where_it_always_was(monkeypatch):
    """The published reports: tracks of 32 s, clips of 26 s."""
    study = GeneratorStudy(pieces=5, seconds=26.0, seed=1)
    rng = random_generator(1, 18)
    expected = [int(rng.integers(600 + 1)) for _ in range(5)]
    assert drawn_places(monkeypatch, [3200] * 5, study) == expected


def test_too_little_music_is_an_error(music):
    with pytest.raises(UserError, match="holds 5 clips of 3 s in one half .* but 6 are wanted"):
        real_clips(str(music), GeneratorStudy(pieces=6, seconds=3.0), 44100)


def test_drawn_values_lie_in_the_learned_range_and_are_seeded():
    controls = {
        "tempo": ControlConfig("tempo", low=90, high=160, scaling="log"),
        "style": ControlConfig("style", classes=("a", "b", "c")),
    }
    values = draw_values(controls, GeneratorStudy(pieces=40))
    assert values == draw_values(controls, GeneratorStudy(pieces=40))
    assert {value["style"] for value in values} == {"a", "b", "c"}
    tempos = [value["tempo"] for value in values]
    assert 90 <= min(tempos) < 105 and 140 < max(tempos) <= 160


def test_stacked_latents_hold_consecutive_steps():
    latents = np.arange(40, dtype=np.float32).reshape(20, 2)
    windows = stacked_latents([latents, latents[:3]], hop=5)
    assert windows.shape == (3, 2 * COPYING_STEPS)
    np.testing.assert_array_equal(windows[1], np.arange(10, 26))


@pytest.fixture(scope="module")
def report(debug_preset_folder, debug_preset, music, tmp_path_factory):
    """A report for which the generator's pieces were the training music."""
    folder = tmp_path_factory.mktemp("report")
    for seed in range(5, 8):
        latents = debug_preset.piece(seed).latents(0, 700)
        file = LatentFile(latents, debug_preset.codec.hash, 44100, 0, "a.wav")
        save_latents(folder / "latents" / f"{seed}.npz", file)
    words = ["evaluate", "generator", str(debug_preset_folder), str(music), "--pieces", "3", "--seconds", "1.6"]
    words += ["--bootstrap", "3", "--shrink", "--seed", "5", "--training", str(folder / "latents")]
    assert main([*words, "--out", str(folder / "g.json")]) == 0
    return folder / "g.json"


@pytest.mark.slow
def test_the_report_holds_rows_scores_seeds_and_settings(report, debug_preset):
    values = json.loads(report.read_text())
    assert values["kind"] == "generator" and "--pieces 3 --seconds 1.6 --seed 5" in values["command"]
    assert values["seeds"] == [5, 6, 7] and values["codec"] == debug_preset.codec.hash
    assert set(values["embeddings"]) == {"logmel", "codec"} and "numpy" in values["environment"]["versions"]
    rows = values["rows"]
    assert rows[GENERATED]["logmel"]["windows"] == rows[REAL]["logmel"]["reference_windows"]
    for embedding in ("logmel", "codec"):
        assert rows[GENERATED][embedding]["frechet"] > rows[REAL][embedding]["frechet"] > 0
    assert rows["reference"]["sound"]["loudness_lufs"] < 0
    assert values["scores"]["generated_logmel_frechet"] == rows[GENERATED]["logmel"]["frechet"]
    assert all(isinstance(value, float) for value in values["scores"].values())


@pytest.mark.slow
def test_copying_is_judged_against_the_training_latents(report):
    copying = json.loads(report.read_text())["copying"]
    assert copying[GENERATED]["score"] < 0.01 and copying[GENERATED]["closer"] > 0.95
    assert copying[REAL]["score"] == pytest.approx(1.0, abs=0.2)


@pytest.mark.slow
def test_the_tables_and_the_picture_lie_beside_the_report(report):
    values, text = json.loads(report.read_text()), report.with_suffix(".md").read_text()
    assert quality_tables(values) in text and values["command"] in text
    for word in ("| through the codec |", "Fréchet", "FAD-infinity", "loudness range", "seam flux", "copying"):
        assert word in text
    assert report.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("generator-*.json")), ids=lambda path: path.stem)
def test_the_quality_tables_of_the_readme_are_those_of_the_reports(path):
    assert quality_tables(json.loads(path.read_text())) in (ROOT / "README.md").read_text(encoding="utf-8")


class Controlled:
    """The toy preset, as if it had a tempo control that its pieces ignore."""

    def __init__(self, preset):
        self._preset = preset
        self.controls = {"tempo": ControlConfig("tempo", low=90, high=160)}
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._preset, name)

    def piece(self, seed, seconds, **controls):
        self.asked.append((seed, controls))
        return self._preset.piece(seed)


def test_controls_are_asked_for_with_drawn_values(debug_preset, music):
    from musika.evaluation.embeddings import load_embedding

    preset = Controlled(debug_preset)
    study = GeneratorStudy(pieces=2, seconds=1.6, options=FadOptions(bootstrap=0, shrink=True, infinity=False))
    found = evaluate_generator(preset, str(music), [load_embedding("logmel")], study)
    assert [controls for _, controls in preset.asked] == [{}, {}, *found["controls"]]
    assert [seed for seed, _ in preset.asked] == [1, 2, 1, 2]
    assert "controlled_logmel_frechet" in found["scores"] and "| generated, controlled |" in quality_tables(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "x"], "no preset 'nothing'"),
        (["techno", "x", "--pieces", "1"], "pieces must be a whole number"),
        (["techno", "x", "--seconds", "0"], "seconds must be a number"),
        (["techno", "x", "--embedding", "mfcc"], "embedding must be one of"),
    ],
)
def test_mistakes_take_one_line(arguments, message, capsys):
    assert main(["evaluate", "generator", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
