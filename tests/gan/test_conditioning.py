import dataclasses

import numpy as np
import pytest

from musika.checks import UserError
from musika.gan.conditioning import (
    PHASE_COLUMNS,
    VALUE_COLUMNS,
    ControlTrack,
    check_controls,
    control_columns,
    drop_controls,
    encode_control,
    encode_controls,
    place_in_range,
    value_at_place,
    value_of_share,
    with_quantiles,
    without_unknown_bars,
)
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", unit="BPM", low=90, high=160, clock=True, beats_per_bar=4)
DENSITY = ControlConfig("note_density", low=0.5, high=8.0, scaling="log", per="step")
GENRE = ControlConfig("genre", classes=("dub", "house", "jungle"))


def test_the_range_goes_from_minus_one_to_one_and_back():
    assert place_in_range(TEMPO, np.array([90.0, 125.0, 160.0])).tolist() == [-1.0, 0.0, 1.0]
    assert place_in_range(DENSITY, np.array([0.5, 2.0, 8.0])) == pytest.approx([-1.0, 0.0, 1.0])
    for control in (TEMPO, DENSITY):
        for place in (-1.0, -0.3, 0.7):
            assert place_in_range(control, np.array([value_at_place(control, place)])) == pytest.approx(place)


def test_different_values_have_different_channels_and_unknown_ones_are_zero():
    values = np.append(np.linspace(90.0, 160.0, 71), np.nan)
    columns = encode_control(TEMPO, ControlTrack(values))
    assert columns.shape == (72, control_columns(TEMPO)) == (72, VALUE_COLUMNS + 2 * PHASE_COLUMNS)
    distances = np.linalg.norm(columns[:71, None] - columns[None, :71], axis=-1) + 9 * np.eye(71)
    assert distances.min() > 0.02
    assert not columns[71].any()
    assert (columns[:71, VALUE_COLUMNS - 1] == 1.0).all()


def test_the_clock_turns_once_a_beat_and_a_quarter_as_fast_a_bar():
    beats = np.linspace(0.0, 8.0, 65)
    track = ControlTrack(np.full(65, 120.0), beats, beats / 4)
    columns = encode_control(TEMPO, track)[:, VALUE_COLUMNS:]
    angle = np.unwrap(np.arctan2(columns[:, 1], columns[:, 0])) / (2 * np.pi)
    np.testing.assert_allclose(angle, beats, atol=1e-6)
    np.testing.assert_allclose(columns[:, 2], np.cos(4 * np.pi * beats), atol=1e-6)
    bars = np.unwrap(np.arctan2(columns[:, PHASE_COLUMNS + 1], columns[:, PHASE_COLUMNS])) / (2 * np.pi)
    np.testing.assert_allclose(bars, beats / 4, atol=1e-6)


def test_a_clock_is_as_exact_after_a_year_as_at_the_start():
    beats = np.arange(64) / 7.0
    near, far = (encode_control(TEMPO, ControlTrack(np.full(64, 120.0), beats + turns)) for turns in (0.0, 6.4e7))
    np.testing.assert_allclose(near, far, atol=1e-5)


def test_beats_may_be_known_where_bars_are_not():
    columns = encode_control(TEMPO, ControlTrack(np.full(4, 120.0), np.arange(4.0), np.full(4, np.nan)))
    assert columns[:, VALUE_COLUMNS + PHASE_COLUMNS - 1].all()
    assert not columns[:, VALUE_COLUMNS + PHASE_COLUMNS :].any()


def test_a_class_has_a_column_of_its_own():
    columns = encode_control(GENRE, ControlTrack(np.array([2.0, 0.0, np.nan])))
    assert columns.tolist() == [[0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]]


def test_controls_stand_side_by_side_in_the_order_of_the_config():
    tracks = {"genre": ControlTrack(np.array([1.0, 1.0]))}
    columns = encode_controls((DENSITY, GENRE), tracks, 2)
    assert columns.shape == (2, 6 + 4)
    assert not columns[:, :6].any() and columns[:, 7].all()
    assert encode_controls((), {}, 5).shape == (5, 0)


def test_a_dropped_control_loses_all_its_channels_and_others_none():
    controls = (TEMPO, ControlConfig("loudness", drop=0.5))
    masks = drop_controls(np.random.default_rng(0), controls, 2000)[:, 0]
    assert masks.shape == (2000, 16 + 6)
    for part in (masks[:, :16], masks[:, 16:]):
        assert (part == part[:, :1]).all()
    assert masks[:, 0].mean() == pytest.approx(0.85, abs=0.03)
    assert masks[:, 16].mean() == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(masks[:, 0], masks[:, 16])[0, 1] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (ControlConfig("two words"), "letters"),
        (ControlConfig("x", low=1.0, high=1.0), "low must be below high"),
        (ControlConfig("x", scaling="cubic"), "linear or log"),
        (ControlConfig("x", scaling="log"), "low above 0"),
        (ControlConfig("x", clock=True), "low above 0"),
        (ControlConfig("x", per="bar"), "file or step"),
        (ControlConfig("x", drop=2.0), "drop must be from 0 to 1"),
    ],
)
def test_senseless_controls_are_refused(control, message):
    with pytest.raises(UserError, match=message):
        check_controls((control,))


def test_two_controls_of_one_name_are_refused():
    with pytest.raises(UserError, match="declared twice"):
        check_controls((DENSITY, DENSITY))


def test_bars_are_played_only_where_training_music_had_some():
    beats = np.arange(8.0)
    with_bars = ControlTrack(np.full(8, 120.0), beats, beats / 4)
    without = ControlTrack(np.full(8, 120.0), beats, np.full(8, np.nan))
    controls = (DENSITY, TEMPO)
    for track, expected in ((with_bars, 4), (without, 0)):
        conditions = [encode_controls(controls, {"tempo": item}, 8) for item in (without, track)]
        assert [control.beats_per_bar for control in without_unknown_bars(controls, conditions)] == [0, expected]


def test_decays_need_events_and_time():
    with pytest.raises(UserError, match=r"decays need events: true. Received: decays=\[0.1\]"):
        check_controls((ControlConfig("x", low=1, high=2, decays=(0.1,)),))
    with pytest.raises(UserError, match="decays must be seconds above 0"):
        check_controls((ControlConfig("x", low=1, high=2, events=True, decays=(0.0,)),))


def test_quantiles_are_those_of_the_known_steps_within_the_range():
    drawn = dataclasses.replace(DENSITY, drawn=True)
    rng = np.random.default_rng(0)
    tracks = [np.append(0.5 * 16.0 ** rng.beta(0.5, 1.0, 4000), np.nan), np.array([0.1, 20.0])]
    conditions = [
        encode_controls((TEMPO, drawn), {"note_density": ControlTrack(values)}, len(values)) for values in tracks
    ]
    tempo, density = with_quantiles((TEMPO, drawn), conditions)
    assert tempo == TEMPO  # pieces do not draw it
    assert density.quantiles[0] == 0.5 and density.quantiles[-1] == 8.0  # clipped to the learned range
    expected = np.quantile(tracks[0][:-1], [0.25, 0.5, 0.75])
    np.testing.assert_allclose([density.quantiles[index] for index in (5, 10, 15)], expected, rtol=0.01)
    assert value_of_share(density, 0.5) == pytest.approx(expected[1], rel=0.01)
    shares = [value_of_share(density, share) for share in np.linspace(0, 1, 200)]
    assert np.all(np.diff(shares) >= 0)
    check_controls((density,))


def test_of_a_control_that_no_music_has_nothing_is_measured():
    drawn = dataclasses.replace(TEMPO, drawn=True, quantiles=(100.0, 140.0))
    assert with_quantiles((drawn,), [np.zeros((50, control_columns(drawn)), np.float32)]) == (drawn,)
    assert value_of_share(drawn, 0.25) == pytest.approx(110.0)
    assert value_of_share(dataclasses.replace(drawn, quantiles=()), 0.25) == pytest.approx(107.5)


@pytest.mark.parametrize("quantiles", [(3.0,), (1.0, 3.0, 2.0)])
def test_quantiles_that_are_none_are_refused(quantiles):
    with pytest.raises(UserError, match="quantiles must be two values or more that do not fall"):
        check_controls((dataclasses.replace(DENSITY, quantiles=quantiles),))
