"""The whole comparison, on made-up windows and on real audio."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import soxr

from musika.checks import UserError
from musika.corpus.tracks import render_track
from musika.evaluation.embedded import EmbeddedSet
from musika.evaluation.embeddings import load_embedding
from musika.evaluation.fad import FadOptions, compare, set_floor
from musika.evaluation.frechet import fit_normal, normal_distance
from musika.evaluation.kernel import kernel_distance
from musika.evaluation.neighbours import precision_recall
from musika.evaluation.plots import save_fad_plot
from musika.evaluation.statistics import Statistics

EMBEDDING = {"name": "made up", "dimension": 4, "hop_seconds": 0.5, "window_seconds": 1.0, "note": ""}
FEW = FadOptions(bootstrap=20)


def made_up(seed, count=12, windows=15, shift=0.0, source="x"):
    rng = np.random.default_rng(seed)
    tracks = [(rng.standard_normal((windows, 4)) + shift).astype(np.float32) for _ in range(count)]
    return EmbeddedSet(source, tuple(f"{index}.wav" for index in range(count)), tuple(tracks))


def test_the_scores_are_those_of_the_parts():
    real, made = made_up(0), made_up(1, shift=0.5)
    report = compare(real, made, EMBEDDING, FEW)
    joined = np.concatenate(real.tracks), np.concatenate(made.tracks)
    scores = report["scores"]
    assert scores["frechet"] == pytest.approx(normal_distance(*map(fit_normal, joined)), rel=1e-9)
    assert scores["kernel"] == pytest.approx(kernel_distance(*joined), rel=1e-9)
    assert {key: scores[key] for key in ("precision", "recall", "density", "coverage")} == precision_recall(*joined)
    assert scores["frechet_low"] < scores["frechet"] < scores["frechet_high"]
    assert scores["kernel_low"] < scores["kernel"] < scores["kernel_high"]
    assert 0 < scores["frechet_infinity"] < scores["frechet"]
    assert 0 <= scores["frechet_infinity_r2"] <= 1 and scores["frechet_infinity_slope"] > 0
    assert scores["floor_frechet"] < scores["frechet"] and abs(scores["floor_kernel"]) < scores["kernel"]
    assert report["notes"] == []


def test_the_report_is_json_with_settings_and_counts_and_repeats_itself():
    first, second = (compare(made_up(0), made_up(1), EMBEDDING, FEW) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first["settings"]["seed"] == 0 and first["reference"]["windows"] == 180 and first["embedding"] == EMBEDDING
    other = compare(made_up(0), made_up(1), EMBEDDING, replace(FEW, seed=5))
    assert other["scores"]["frechet"] == first["scores"]["frechet"]
    assert other["scores"]["frechet_infinity"] != first["scores"]["frechet_infinity"]


def test_a_set_against_itself_has_no_distance():
    real = made_up(0)
    scores = compare(real, replace(real, source="copy"), EMBEDDING, FEW)["scores"]
    assert scores["frechet"] <= 1e-6 and scores["precision"] == scores["recall"] == 1.0


def test_statistics_take_the_place_of_the_reference():
    real, made = made_up(0), made_up(1, shift=0.3)
    about = real.about() | {"floor": set_floor(real, EMBEDDING, FEW)}
    whole = compare(real, made, EMBEDDING, FEW)
    report = compare(Statistics(fit_normal(real.tracks), EMBEDDING, about), made, EMBEDDING, FEW)
    for name in ("frechet", "frechet_infinity", "floor_frechet"):
        assert report["scores"][name] == pytest.approx(whole["scores"][name], rel=1e-9)
    assert report["scores"]["kernel"] is None and "statistics hold no windows" in " ".join(report["notes"])


def test_unequal_sets_are_warned_about_and_matched_when_asked():
    real, made = made_up(0, count=20), made_up(1, count=8)
    assert "--match makes them equal" in compare(real, made, EMBEDDING, FEW)["notes"][0]
    matched = compare(real, made, EMBEDDING, replace(FEW, match=True))
    assert matched["reference"]["windows"] == matched["evaluated"]["windows"] == 120
    turned = compare(made, real, EMBEDDING, replace(FEW, match=True))
    assert turned["evaluated"]["windows"] == 120
    fixed = Statistics(fit_normal(real.tracks), EMBEDDING, real.about())
    assert "cannot be cut" in compare(fixed, made, EMBEDDING, replace(FEW, match=True))["notes"][0]


def test_too_few_windows_are_an_error_or_a_shrunk_estimate():
    few = made_up(0, count=2, windows=2)
    with pytest.raises(UserError, match="EVALUATED has 4 windows .* at least 5, .* --shrink"):
        compare(made_up(1), few, EMBEDDING, FEW)
    with pytest.raises(UserError, match="REFERENCE has 4 windows"):
        compare(few, made_up(1), EMBEDDING, FEW)
    report = compare(made_up(1), few, EMBEDDING, replace(FEW, shrink=True))
    assert np.isfinite(report["scores"]["frechet"]) and report["scores"]["frechet_infinity"] is None


def test_the_worst_track_comes_first():
    made = made_up(1)
    tracks = (*made.tracks[:3], made.tracks[3] + 5, *made.tracks[4:])
    report = compare(made_up(0), replace(made, tracks=tracks), EMBEDDING, replace(FEW, per_track=True))
    entries = report["details"]["tracks"]
    assert len(entries) == 12 and entries[0]["track"] == "3.wav"
    assert entries[0]["frechet"] > 50 > entries[1]["frechet"]
    one = normal_distance(fit_normal(np.concatenate(made_up(0).tracks)), fit_normal(tracks[3]))
    assert entries[0]["frechet"] == pytest.approx(one, rel=1e-9)


def test_copies_of_the_training_music_are_found():
    training = made_up(2, source="training")
    scores = compare(made_up(0), training, EMBEDDING, FEW, training=training)["scores"]
    assert scores["copying"] < 1e-3
    assert compare(made_up(0), made_up(1), EMBEDDING, FEW, training=training)["scores"]["copying"] > 0.7


def test_a_picture_is_drawn(tmp_path):
    report = compare(made_up(0), made_up(1), EMBEDDING, replace(FEW, per_track=True))
    save_fad_plot(tmp_path / "a.png", report)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def audio():
    return np.concatenate([render_track(kind, 3, 0, 9.0).audio for kind in ("techno", "piano")]).astype(np.float32)


def distances(audio, changed):
    embedding = load_embedding("logmel")
    reference = fit_normal(embedding.embed(iter([audio])))
    return [normal_distance(reference, fit_normal(embedding.embed(iter([other])))) for other in changed]


def check_rising(values):
    assert values[0] <= 1e-6 and (np.diff(values) > 0).all(), values


def test_the_distance_rises_with_noise(audio):
    noise = np.random.default_rng(0).standard_normal(audio.shape).astype(np.float32)
    check_rising(distances(audio, [audio + level * noise for level in (0.0, 0.001, 0.01, 0.1)]))


def test_the_distance_rises_as_a_low_pass_closes(audio):
    changed = [audio]
    for cutoff in (12_000, 6000, 3000, 1000):
        sections = scipy.signal.butter(4, cutoff, fs=44100, output="sos")
        changed.append(scipy.signal.sosfilt(sections, audio, axis=0).astype(np.float32))
    check_rising(distances(audio, changed))


def test_the_distance_rises_with_a_shift_of_pitch(audio):
    semitones = (0, 1, 3, 6, 12)
    shifted = [soxr.resample(audio, 44100, 44100 / 2 ** (shift / 12)) if shift else audio for shift in semitones]
    check_rising(distances(audio, shifted))
