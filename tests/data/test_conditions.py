import numpy as np
import pytest

from musika.checks import UserError
from musika.data.annotation import Annotation
from musika.data.conditions import annotated_condition, annotated_tracks
from musika.settings import ControlConfig

RATE = 10.0
TEMPO = ControlConfig("tempo", low=90, high=160, clock=True, beats_per_bar=4)
GENRE = ControlConfig("genre", classes=("dub", "house"))


def annotation(**controls):
    beats = 0.2 + 0.5 * np.arange(17)
    return Annotation("a.flac", "labels", RATE, 80, 120.0, 1.0, beats, beats[::4], controls=controls)


def test_the_clock_of_training_stands_at_whole_numbers_on_beats_and_bars():
    track = annotated_tracks([TEMPO], annotation(tempo=120.0), 80, RATE)["tempo"]
    seconds = (np.arange(80) + 0.5) / RATE
    np.testing.assert_allclose(track.beats, (seconds - 0.2) / 0.5, atol=1e-9)
    np.testing.assert_allclose(track.bars, (seconds - 0.2) / 2.0, atol=1e-9)
    np.testing.assert_allclose(track.values, 120.0)


def test_training_and_playing_tell_the_generator_the_same(debug_config):
    import dataclasses

    from musika.controls import PieceControls

    config = dataclasses.replace(debug_config, generator=dataclasses.replace(debug_config.generator, controls=(TEMPO,)))
    beats = 0.5 * np.arange(40)
    known = Annotation("a", "labels", config.latent_rate, 900, 120.0, 1.0, beats, beats[::4], controls={"tempo": 120.0})
    learned = annotated_condition([TEMPO], known, 900, config.latent_rate)
    played = PieceControls(config, 0, {"tempo": 120}).condition(0, 900)
    np.testing.assert_allclose(learned, played, atol=1e-5)


def test_beats_without_a_tempo_still_drive_the_clock():
    condition = annotated_condition([TEMPO], annotation(tempo=None), 80, RATE)
    assert not condition[:, :6].any()
    assert condition[:, 10].all() and condition[:, 15].all()


def test_bars_are_left_out_where_a_control_has_none():
    control = ControlConfig("tempo", low=90, high=160, clock=True)
    assert not annotated_condition([control], annotation(tempo=120.0), 80, RATE)[:, 11:].any()


def test_nothing_known_is_all_zero():
    assert not annotated_condition([TEMPO, GENRE], None, 12, RATE).any()
    assert not annotated_condition([GENRE], annotation(), 80, RATE).any()


def test_a_class_that_the_control_lacks_is_named():
    with pytest.raises(UserError, match=r"a\.flac: genre must be one of dub, house. Received: 'jazz'"):
        annotated_condition([GENRE], annotation(genre="jazz"), 80, RATE)


def test_the_event_clock_of_training_counts_onsets_where_they_fall():
    control = ControlConfig("note_density", low=0.5, high=8.0, per="step", events=True)
    known = Annotation(
        "a", "labels", RATE, 80, controls={"note_density": 2.0}, onsets=np.array([0.01, 0.03, 0.33, 7.99])
    )
    columns = annotated_condition([control], known, 80, RATE)[:, 6:]
    assert columns[0].tolist() == [1, 1, 0, 0, 1]
    assert columns[3].tolist() == [0, 1, 0, 0, 1]
    assert columns[79].tolist() == [0, 0, 0, 1, 1]
    assert columns[:, :4].sum() == 4
    unheard = Annotation("a", "labels", RATE, 80, controls={"note_density": 2.0})
    assert not annotated_condition([control], unheard, 80, RATE)[:, 6:].any()


def test_the_traces_of_training_say_how_long_ago_the_last_onset_was():
    control = ControlConfig("note_density", low=0.5, high=8.0, per="step", events=True, decays=(0.1, 0.4))
    known = Annotation("a", "labels", RATE, 80, controls={"note_density": 2.0}, onsets=np.array([1.0, 2.0]))
    traces = annotated_condition([control], known, 80, RATE)[:, 11:]
    times = (np.arange(80) + 0.5) / RATE
    age = np.where(times < 1.0, np.inf, np.where(times < 2.0, times - 1.0, times - 2.0))
    np.testing.assert_allclose(traces[:, 0], np.exp(-age / 0.1), atol=1e-6)
    np.testing.assert_allclose(traces[:, 1], np.exp(-age / 0.4), atol=1e-6)
    assert (traces[:, 2] == 1).all()
    unheard = Annotation("a", "labels", RATE, 80, controls={"note_density": 2.0})
    assert not annotated_condition([control], unheard, 80, RATE)[:, 11:].any()
