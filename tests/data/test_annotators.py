"""The registry of annotators: true labels, and listeners of other packages that stand in for the real ones."""

import sys
import types

import numpy as np
import pytest

from musika.audio.files import read_audio
from musika.audio.writing import write_audio
from musika.checks import UserError
from musika.corpus.labels import Labels, write_labels
from musika.data.annotators import ANNOTATORS, Recording, is_installed


def recording(annotator, path=None, audio=None):
    audio = np.zeros((44100, 2), np.float32) if audio is None and path is None else audio
    return Recording(path, 10, 10.0, 44100, annotator=annotator, audio=audio)


def module(monkeypatch, name, **content):
    made = types.ModuleType(name)
    vars(made).update(content)
    monkeypatch.setitem(sys.modules, name, made)


def test_labels_are_taken_as_they_are(tmp_path):
    beats = np.array([0.1, 0.6, 1.1, 1.6, 2.1])
    labels = Labels(120.0, beats, np.array([1.0, 2, 3, 4, 1]), np.array([0.1, 0.1, 0.7]), np.ones(3), np.ones(3))
    write_labels(tmp_path / "a.labels.csv", labels)
    events = recording("labels", tmp_path / "a.wav").events  # the audio itself is not needed
    assert (events.tempo, events.tempo_confidence) == (120.0, 1.0)
    np.testing.assert_array_equal(events.beats, beats)
    np.testing.assert_array_equal(events.bars, [0.1, 2.1])
    np.testing.assert_array_equal(events.onsets, [0.1, 0.7])


def test_labels_made_by_hand_may_tell_little(tmp_path):
    (tmp_path / "a.labels.csv").write_text("seconds,label,value,velocity\n0,tempo,90,\n0.5,beat,,\n")
    events = recording("labels", tmp_path / "a.wav").events
    assert events.tempo == 90 and events.onsets is None and len(events.bars) == 0
    np.testing.assert_array_equal(events.beats, [0.5])


def test_a_file_without_labels_says_which_are_missing(tmp_path):
    with pytest.raises(UserError, match=r"there is no .*a\.labels\.csv.*another --annotator"):
        _ = recording("labels", tmp_path / "a.wav").events
    with pytest.raises(UserError, match="there is no a label file|there is no label file"):
        _ = recording("labels").events


def test_an_unknown_annotator_names_the_known_ones():
    with pytest.raises(UserError, match="annotator must be one of librosa, comb, labels.*Received: annotator='ears'"):
        _ = recording("ears").events


@pytest.mark.parametrize("name", ["tempocnn", "madmom", "beat_this"])
def test_one_that_is_not_installed_says_what_to_install(monkeypatch, name):
    for part in ("tempocnn", "madmom", "beat_this"):
        monkeypatch.setitem(sys.modules, part, None)
    with pytest.raises(UserError, match=f"needs the package {name.replace('_', '.')}.*pip install"):
        _ = recording(name).events


def test_every_annotator_states_its_licence_and_what_it_gives():
    for name, annotator in ANNOTATORS.items():
        assert annotator.licence and annotator.gives, name
    assert is_installed("librosa") and is_installed("comb")


def test_tempocnn_gives_the_tempo_of_its_strongest_class(monkeypatch):
    shares = np.full((4, 256), 0.001)
    shares[:, 98] = 0.7
    seen = []

    class TempoClassifier:
        def __init__(self, model):
            assert model == "fcn"

        def estimate(self, features):
            return shares

    module(monkeypatch, "tempocnn")
    module(monkeypatch, "tempocnn.classifier", TempoClassifier=TempoClassifier)
    module(monkeypatch, "tempocnn.feature", read_features=lambda path: seen.append(read_audio(path)))
    events = recording("tempocnn").events
    assert events.tempo == 128 and 0.7 < events.tempo_confidence < 0.71 and events.onsets is None
    assert seen[0].shape == (44100, 2)


def test_madmom_gives_beats_bars_and_onsets(monkeypatch):
    rows = np.array([[0.01, 4], [0.51, 1], [1.01, 2], [1.51, 3], [2.01, 4], [2.51, 1]])
    module(monkeypatch, "madmom")
    module(monkeypatch, "madmom.features")
    module(
        monkeypatch,
        "madmom.features.downbeats",
        RNNDownBeatProcessor=lambda: lambda file: "activations",
        DBNDownBeatTrackingProcessor=lambda beats_per_bar, fps: lambda activations: rows,
    )
    module(
        monkeypatch,
        "madmom.features.onsets",
        CNNOnsetProcessor=lambda: lambda file: "activations",
        OnsetPeakPickingProcessor=lambda threshold, fps: lambda activations: [0.3, 0.9],
    )
    events = recording("madmom").events
    assert events.tempo == pytest.approx(120)
    np.testing.assert_array_equal(events.bars, [0.51, 2.51])
    np.testing.assert_array_equal(events.onsets, [0.3, 0.9])


def test_beat_this_gives_beats_and_bars(monkeypatch):
    heard = []

    def listen(mono, rate):
        heard.append((mono.shape, rate))
        return np.arange(8) * 0.4, np.array([0.0, 1.6])

    module(monkeypatch, "beat_this")
    module(monkeypatch, "beat_this.inference", Audio2Beats=lambda checkpoint_path, device, dbn: listen)
    events = recording("beat_this").events
    assert events.tempo == pytest.approx(150) and heard == [((44100,), 44100)] and events.onsets is None
    np.testing.assert_array_equal(events.bars, [0.0, 1.6])


@pytest.mark.parametrize("name", [pytest.param("librosa", marks=pytest.mark.slow), "comb"])
def test_listeners_hear_a_steady_click(tmp_path, name):
    times = np.arange(0.3, 11.9, 0.5)
    wave = np.zeros(12 * 44100, np.float32)
    click = np.sin(2 * np.pi * 80 * np.arange(4000) / 44100) * np.exp(-np.arange(4000) / 300)
    for time in times:
        wave[round(time * 44100) :][:4000] += click.astype(np.float32)
    path = write_audio(tmp_path / "click.wav", np.stack([wave, wave], axis=1))
    events = Recording(path, 129, 10.77, len(wave), annotator=name).events
    assert events.tempo == pytest.approx(120, rel=0.005)
    np.testing.assert_allclose(events.onsets, times, atol=0.02)
    assert np.median(np.abs(events.beats[:, None] - times[None]).min(axis=1)) < 0.015


@pytest.mark.parametrize("name", ["librosa", "comb"])
def test_silence_is_heard_as_nothing(name):
    events = recording(name).events
    assert events.tempo is None and len(events.beats) == 0 and len(events.onsets) == 0
