"""Whether following is told from not following: presets that obey, and presets that do not."""

import dataclasses
import json
import types

import numpy as np
import pytest

from musika.checks import UserError
from musika.cli.main import main
from musika.controls import PieceControls
from musika.corpus.labels import Labels
from musika.data.annotation import Annotation, annotation_path, save_annotation
from musika.data.annotators import ANNOTATORS, Annotator, Events
from musika.data.latents import LatentFile, save_latents
from musika.evaluation import control as subject
from musika.evaluation.annotators import Practice
from musika.evaluation.control_cost import control_cost
from musika.evaluation.control_plot import save_control_plot
from musika.evaluation.control_practice import practice_kind, study_practice
from musika.presets import random_preset, save_preset
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", unit="BPM", low=90, high=160, clock=True)
DENSITY = ControlConfig("note_density", low=0.5, high=10.0, scaling="log", per="step", events=True)
BRIGHT = ControlConfig("brightness", low=500, high=4000, per="step")
RATE = 8000
STUDY = subject.Study(annotator="ears", pieces=5, curves=2, seconds=14.0, curve_seconds=30.0, seeds=(3, 4))


class Player:
    """A stand-in for a preset: a sample is 1 where an event begins, so that `ears` can hear them exactly."""

    def __init__(self, config, events, controls=(TEMPO, DENSITY)):
        generator = dataclasses.replace(config.generator, controls=controls)
        spectral = dataclasses.replace(config.spectral, hop_length=64)
        self.config = dataclasses.replace(config, generator=generator, sample_rate=RATE, spectral=spectral)
        self.controls = {control.name: control for control in controls}
        self.events, self.asked = events, []

    def piece(self, seed, **controls):
        self.asked.append((seed, controls))
        told = PieceControls(self.config, seed, controls)

        def render(start, seconds):
            audio = np.zeros((round(seconds * RATE), 2), np.float32)
            times = self.events(told, seconds)
            places = np.rint(times[(times >= 0) & (times < seconds - 0.01)] * RATE).astype(int)
            audio[places] = 1
            return audio

        return types.SimpleNamespace(render=render, controls=told, sample_rate=RATE)


@pytest.fixture(autouse=True)
def ears(monkeypatch):
    def listen(recording):
        times = np.flatnonzero(recording.audio[:, 0]) / RATE
        tempo = 60 / np.mean(np.diff(times)) if len(times) > 1 else None
        return Events(tempo, 1.0, times, onsets=times)

    monkeypatch.setitem(ANNOTATORS, "ears", Annotator(listen, "all", "none"))


def test_an_obedient_preset_has_all_scores(debug_config):
    player = Player(debug_config, lambda told, seconds: told.beats(0.0, seconds))
    found = subject.study_tempo(player, TEMPO, STUDY)
    assert found.scores["accuracy1"] == found.scores["accuracy2"] == 1.0
    assert found.scores["beat_distance_ms"] < 0.1 and found.scores["line_spearman"] == 1.0
    assert [row["requested"] for row in found.constants] == pytest.approx([95, 110, 125, 140, 155])
    assert [row["seed"] for row in found.constants] == [3, 4, 3, 4, 3]
    assert found.curves[0]["requested"][0] == pytest.approx(100 + 50 * 6 / 30)
    assert player.asked[5] == (3, {"tempo": [(0.0, 100.0), (30.0, 150.0)]})


def test_beats_beside_the_grid_and_a_deaf_preset_are_seen(debug_config):
    late = Player(debug_config, lambda told, seconds: told.beats(0.0, seconds) + 0.03)
    scores = subject.study_tempo(late, TEMPO, dataclasses.replace(STUDY, curves=0)).scores
    assert scores["accuracy1"] == 1.0 and scores["beat_distance_ms"] == pytest.approx(30.0, abs=0.2)
    assert "line_spearman" not in scores
    deaf = Player(debug_config, lambda told, seconds: np.arange(0, seconds, 0.78))
    found = subject.study_tempo(deaf, TEMPO, STUDY)
    assert found.scores["accuracy1"] == 0.0 and found.scores["line_spearman"] < 0.5
    double = Player(debug_config, lambda told, seconds: np.sort(np.r_[b := told.beats(0.0, seconds), b + 0.01]))
    assert subject.study_tempo(double, TEMPO, STUDY).scores["accuracy2"] == 1.0


def test_a_silent_preset_is_measured_too(debug_config):
    silent = Player(debug_config, lambda told, seconds: np.zeros(0))
    scores = subject.study_tempo(silent, TEMPO, STUDY).scores
    assert scores == {"accuracy1": 0.0, "accuracy2": 0.0, "beat_distance_ms": None, "line_spearman": 0.0}
    scores = subject.study_values(silent, DENSITY, STUDY).scores
    assert scores["spearman"] is None and scores["onset_f"] == 0.0


def test_densities_and_curves_are_followed_or_not(debug_config):
    study = dataclasses.replace(STUDY, low=1.0, high=8.0)
    obedient = Player(debug_config, lambda told, seconds: told.onsets(0.0, seconds))
    found = subject.study_values(obedient, DENSITY, study)
    assert found.scores["spearman"] == 1.0 and found.scores["onset_f"] > 0.99
    assert found.scores["median_ratio"] == pytest.approx(1.0, abs=0.1)
    assert found.scores["curve_spearman"] > 0.8
    assert [row["requested"] for row in found.constants] == pytest.approx(np.geomspace(1, 8, 5), abs=1e-3)
    deaf = Player(debug_config, lambda told, seconds: np.random.default_rng(told._seed).uniform(0, seconds, 40))
    found = subject.study_values(deaf, DENSITY, dataclasses.replace(study, pieces=9))
    assert abs(found.scores["spearman"] or 0) < 0.6 and abs(found.scores["curve_spearman"]) < 0.5


def test_any_number_that_has_a_measure_can_be_studied(debug_config, monkeypatch):
    def measured(recording, control):
        return np.full(recording.steps, recording.audio.sum())

    monkeypatch.setitem(subject.measure_control.__globals__["MEASURES"], "brightness", measured)
    count = Player(
        debug_config,
        lambda told, seconds: np.linspace(0.1, seconds - 0.1, int(told.curves["brightness"].at(np.zeros(1))[0] / 10)),
        controls=(BRIGHT,),
    )
    assert subject.study_values(count, BRIGHT, STUDY).scores["spearman"] == 1.0


def test_random_curves_cover_the_range_and_repeat(debug_config):
    study = dataclasses.replace(STUDY, low=1.0, high=8.0)
    first, again, other = (subject.random_curve(DENSITY, study, index, 1000, 10.0) for index in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 1 <= first.min() < 1.1 and 7 < first.max() <= 8
    assert np.abs(np.diff(np.log(first))).max() < np.log(8) / 60 + 1e-9


def test_what_audio_cannot_tell_is_refused():
    for control in (ControlConfig("genre", classes=("a", "b")), ControlConfig("place", measure="position")):
        with pytest.raises(UserError, match=f"control {control.name} cannot be measured in rendered music"):
            subject.check_measurable(control)
    subject.check_measurable(TEMPO)


def test_rank_correlation_counts_what_was_not_measured_as_lowest():
    assert subject.spearman([1, 2, 3], [1, 2, 3]) == 1.0
    assert subject.spearman([1, 2, 3], [np.nan, 2, 3]) == 1.0
    assert subject.spearman([1, 2, 3], [5, 5, 5]) is None
    assert subject.spearman([1, 2], [1, 2]) is None


def test_distances_to_a_grid():
    grid = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(subject.grid_distances(np.array([-0.1, 0.26, 1.2]), grid), [100, 240, 200])
    assert len(subject.grid_distances(np.array([1.0]), np.zeros(0))) == 0
    np.testing.assert_allclose(subject.grid_distances(np.array([0.3]), np.array([0.1])), [200])


def test_practice_music_is_measured_in_the_same_way(debug_config):
    player = Player(debug_config, lambda told, seconds: np.zeros(0))
    beats = np.arange(0.1, 13.9, 0.5)
    audio = np.zeros((14 * RATE, 2), np.float32)
    audio[np.rint(beats * RATE).astype(int)] = 1
    techno = Practice("t", audio, Labels(120.0, beats, np.ones(len(beats))))
    scores = study_practice(player, TEMPO, STUDY, [techno]).scores
    assert scores["accuracy1"] == 1.0 and scores["beat_distance_ms"] < 0.1
    piano = Practice("p", audio, Labels(onsets=beats, pitches=beats, velocities=beats))
    found = study_practice(player, DENSITY, STUDY, [piano])
    assert found.scores["onset_f"] == 1.0 and found.scores["median_ratio"] == pytest.approx(1.0, abs=0.01)
    assert practice_kind(TEMPO) == "techno" and practice_kind(DENSITY) == "piano" and practice_kind(BRIGHT) is None


@pytest.fixture(scope="module")
def toy(debug_config):
    """A toy preset that can be asked for a tempo."""
    generator = dataclasses.replace(debug_config.generator, controls=(TEMPO,))
    return random_preset(dataclasses.replace(debug_config, generator=generator), seed=1)


def write_real_music(preset, folder, annotate=True):
    random = np.random.default_rng(4)
    width = 2 * preset.config.codec.latent_channels
    for index in range(4):
        latents = random.normal(size=(200, width)).astype(np.float32)
        path = folder / f"{index}.npz"
        save_latents(path, LatentFile(latents, preset.codec.hash, 44100, 200 * preset.config.latent_hop, "x.wav"))
        if annotate:
            tempo = 100.0 + 10 * index
            marks = Annotation("x.wav", "labels", preset.config.latent_rate, 200, tempo, controls={"tempo": tempo})
            save_annotation(annotation_path(path), marks)


def test_the_cost_of_control_compares_told_with_untold_pieces(toy, tmp_path):
    with pytest.raises(UserError, match="no latent files"):
        control_cost(toy, tmp_path)
    write_real_music(toy, tmp_path, annotate=False)
    with pytest.raises(UserError, match="has an annotation of tempo. Run `musika annotate`"):
        control_cost(toy, tmp_path)
    write_real_music(toy, tmp_path)
    cost = control_cost(toy, tmp_path, pieces=3)
    assert cost["files"] == 4 and cost["frechet_real_halves"] > 0
    assert cost["frechet_ratio"] == pytest.approx(cost["frechet_controlled"] / cost["frechet_uncontrolled"], abs=1e-3)
    assert cost == control_cost(toy, tmp_path, pieces=3)
    assert cost["frechet_controlled"] != cost["frechet_uncontrolled"]


def test_the_picture_is_drawn_with_and_without_curves(tmp_path):
    rows = [{"requested": 100.0, "measured": 101.0}, {"requested": 120.0, "measured": None}]
    curve = {"seed": 1, "spearman": None, "seconds": [1, 2], "requested": [1, 2], "measured": [None, 2]}
    for name, found in (("a", subject.Findings({}, rows, [curve] * 4)), ("b", subject.Findings({}, rows, []))):
        save_control_plot(tmp_path / f"{name}.png", TEMPO, found, found, "costs $ and _")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_command_measures_a_preset(toy, tmp_path, capsys):
    folder = save_preset(tmp_path / "toy", toy.config, toy.codec, toy.generator, measure_precision=False)
    out = tmp_path / "report" / "control.json"
    command = ["evaluate", "control", str(folder), "--pieces", "3", "--seconds", "12", "--curves", "0"]
    assert main([*command, "--no-practice", "--seeds", "5", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "| tempo | pieces |" in text and "| accuracy1 |" in text
    report = json.loads(out.read_text())
    assert report["seeds"] == [5] and len(report["pieces"]) == 3 and report["annotator"] == "comb"
    assert out.with_suffix(".png").is_file()
    assert main([*command, "--control", "mood"]) == 2
    assert "control must be one of tempo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--seeds", "x"], "seeds must be numbers with ','"),
        (["--range", "8:1"], "range must be LOW:HIGH"),
        (["--annotator", "labels"], "annotator must be one of"),
        (["--seconds", "1"], "seconds must be a number from 12"),
        (["--pieces", "2"], "pieces must be a whole number from 3"),
    ],
)
def test_the_command_refuses_impossible_arguments(extra, message, capsys):
    assert main(["evaluate", "control", "techno", *extra]) == 2
    assert message in capsys.readouterr().err


def test_a_preset_without_controls_says_so(debug_preset_folder, capsys):
    assert main(["evaluate", "control", str(debug_preset_folder)]) == 2
    assert "has no controls" in capsys.readouterr().err


@pytest.mark.slow
def test_the_cost_can_be_measured_on_practice_music(toy):
    assert control_cost(toy, "corpus:techno:0.1", pieces=2)["files"] == 1
    with pytest.raises(UserError, match="corpus must be one of techno, piano"):
        control_cost(toy, "corpus:jazz")
