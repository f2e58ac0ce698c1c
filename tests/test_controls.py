import dataclasses

import numpy as np
import pytest

from musika.checks import UserError
from musika.controls import OutOfRangeWarning, PieceControls, drawn_value, event_places
from musika.presets import random_preset
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", unit="BPM", low=90, high=160, clock=True, beats_per_bar=4, drawn=True)
DENSITY = ControlConfig("note_density", low=0.5, high=8.0, scaling="log", per="step")
GENRE = ControlConfig("genre", classes=("dub", "house"))


@pytest.fixture(scope="module")
def config(debug_config):
    generator = dataclasses.replace(debug_config.generator, controls=(TEMPO, DENSITY, GENRE))
    return dataclasses.replace(debug_config, generator=generator)


@pytest.fixture(scope="module")
def preset(config):
    return random_preset(config, seed=1)


def test_controls_change_the_music_and_leaving_them_out_does_too(preset):
    renders = [
        preset.piece(seed=7, **given).latents(0, 300)
        for given in ({}, {"tempo": None}, {"tempo": 100}, {"tempo": 101}, {"tempo": 100, "genre": "dub"})
    ]
    for index, one in enumerate(renders):
        for other in renders[index + 1 :]:
            assert not np.array_equal(one, other)
    again = preset.piece(seed=7, tempo="100").latents(0, 300)
    np.testing.assert_array_equal(again, renders[2])


def test_a_piece_draws_the_tempo_that_it_is_not_told(config):
    values = [drawn_value(TEMPO, seed) for seed in range(200)]
    assert min(values) >= 90 and max(values) <= 160 and len(set(values)) > 40
    assert all(value == round(value) for value in values)
    controls = PieceControls(config, 5, {})
    assert set(controls.curves) == {"tempo"}
    assert controls.describe() == {"tempo": drawn_value(TEMPO, 5), "note_density": None, "genre": None}


def test_beats_fall_on_the_grid_of_the_tempo(config):
    controls = PieceControls(config, 1, {"tempo": 120})
    np.testing.assert_allclose(controls.beats(0.0, 10.0), np.arange(21) * 0.5, atol=1e-9)
    np.testing.assert_allclose(controls.beats(3600.25, 1.0), [3600.5, 3601.0], atol=1e-7)
    assert len(PieceControls(config, 1, {"tempo": None}).beats(0.0, 9.0)) == 0


def test_beats_of_a_ramp_are_where_its_integral_is_whole(config):
    controls = PieceControls(config, 1, {"tempo": "90:150"}, seconds=60.0)
    beats = controls.beats(0.0, 60.0)
    assert len(beats) == 121  # the mean tempo is 120
    position = (90.0 * beats + 0.5 * beats**2) / 60.0
    np.testing.assert_allclose(position, np.arange(121), atol=1e-6)


def test_the_clock_that_the_generator_reads_is_the_grid(config, preset):
    condition = PieceControls(config, 1, {"tempo": 120}).condition(0, 400)
    seconds = (np.arange(400) + 0.5) / preset.config.latent_rate
    np.testing.assert_allclose(condition[:, 6], np.cos(2 * np.pi * 2.0 * seconds), atol=1e-5)
    np.testing.assert_allclose(condition[:, 11], np.cos(2 * np.pi * 0.5 * seconds), atol=1e-5)


def test_any_stretch_of_the_conditions_is_that_of_the_whole(config):
    controls = PieceControls(
        config, 1, {"tempo": lambda seconds: 120 + seconds % 7, "note_density": "1:4"}, seconds=9.0
    )
    whole = controls.condition(-40, 400)
    for first, steps in ((100, 50), (-40, 3), (350, 10)):
        part = PieceControls(
            config, 1, {"tempo": lambda seconds: 120 + seconds % 7, "note_density": "1:4"}, seconds=9.0
        ).condition(first, steps)
        np.testing.assert_array_equal(part, whole[first + 40 :][:steps])


def test_a_curve_that_changes_later_leaves_the_audio_before_it_equal(preset):
    patch = preset.config.generator.patch_latents / preset.config.latent_rate
    change = 10 * patch
    steady = preset.piece(seed=3, tempo=120, note_density=2.0)
    changed = preset.piece(seed=3, tempo=[(0, 120), (change, 120), (change + 1, 150)], note_density=2.0)
    before = change - patch - 0.2
    np.testing.assert_array_equal(steady.render(0.0, before), changed.render(0.0, before))
    assert not np.array_equal(steady.render(change + 1.0, 1.0), changed.render(change + 1.0, 1.0))


def test_values_outside_the_learned_range_warn_with_it(config):
    with pytest.warns(OutOfRangeWarning, match="tempo 170 lies outside the learned range, 90 to 160 BPM"):
        PieceControls(config, 1, {"tempo": 170})
    with pytest.warns(OutOfRangeWarning, match="90 to 200"):
        PieceControls(config, 1, {"tempo": "90:200"}, seconds=10.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tempo": -1}, "learned are 90 to 160 BPM. Received: -1"),
        ({"tempo": 0}, "Received: 0"),
        ({"tempo": 1e6}, "Received: 1e"),
        ({"tempo": float("nan")}, "finite"),
        ({"note_density": 0}, "Received: 0"),
        ({"genre": "jazz"}, "one of dub, house"),
        ({"swing": 1}, "no control 'swing'; it has: tempo, note_density, genre"),
    ],
)
def test_impossible_values_are_errors(config, given, message):
    with pytest.raises(UserError, match=message):
        PieceControls(config, 1, given)


def test_a_preset_without_controls_says_so(debug_preset):
    assert debug_preset.controls == {}
    with pytest.raises(UserError, match="no control 'tempo'; it has: none"):
        debug_preset.piece(seed=1, tempo=120)


def test_what_a_sidecar_keeps_gives_the_same_controls(config):
    given = {"tempo": "90:150", "note_density": None, "genre": [(0.0, "dub"), (2.0, "house")]}
    first = PieceControls(config, 9, given, seconds=30.0)
    second = PieceControls(config, 9, first.describe())
    np.testing.assert_array_equal(first.condition(-10, 500), second.condition(-10, 500))


def eventful(config, **changes):
    density = dataclasses.replace(DENSITY, events=True, **changes)
    return dataclasses.replace(config, generator=dataclasses.replace(config.generator, controls=(density,)))


@pytest.mark.parametrize("density", [1.0, 3.0, 8.0])
def test_as_many_onsets_are_told_as_are_asked_for(config, density):
    controls = PieceControls(eventful(config), 7, {"note_density": density})
    onsets = controls.onsets(0.0, 600.0)
    assert len(onsets) / 600.0 == pytest.approx(density, rel=0.05)
    gaps = np.diff(onsets) * density
    assert (gaps > 0.7).all() and gaps.std() == pytest.approx(0.28, abs=0.05)  # as regular as the practice piano


def test_the_event_clock_counts_each_onset_once_in_its_own_quarter_of_a_step(config):
    config = eventful(config)
    controls = PieceControls(config, 7, {"note_density": "1:8"}, seconds=20.0)
    steps = round(20.0 * config.latent_rate)
    counts = controls.condition(0, steps)[:, 6:10]
    edges = np.arange(4 * steps + 1) / (4 * config.latent_rate)
    expected = np.histogram(controls.onsets(0.0, edges[-1]), edges)[0].reshape(steps, 4)
    assert counts.sum() == pytest.approx(expected.sum(), abs=1)
    assert np.abs(counts - expected).sum() <= 4  # an onset at an edge may round to either side


def test_the_traces_of_a_piece_say_how_long_ago_the_last_onset_was(config):
    config = eventful(config, decays=(0.4,))
    controls = PieceControls(config, 7, {"note_density": 2.0})
    traces = controls.condition(0, 400)[:, 11]
    onsets = controls.onsets(-10.0, 60.0)
    times = (np.arange(400) + 0.5) / config.latent_rate
    age = times - onsets[np.searchsorted(onsets, times) - 1]
    np.testing.assert_allclose(traces, np.exp(-age / 0.4), atol=1e-3)
    np.testing.assert_array_equal(controls.condition(150, 40)[:, 11], traces[150:190])  # wherever one begins


@pytest.mark.parametrize(
    ("seed", "seconds", "density"), [(7, 8.03, 3.0), (8, 1.27, 2.0), (9, 0.91, 1.5), (3, 5.5, "2:8:2")]
)
def test_the_event_clock_of_a_loop_goes_round(config, seed, seconds, density):
    config = eventful(config, decays=(0.4,))
    controls = PieceControls(config, seed, {"note_density": density}, seconds=seconds)
    steps = round(seconds * config.latent_rate)
    told = controls.circular_condition((np.arange(steps) + 0.5) / steps, seconds, 0)
    counts, traces = told[:, 6:10], told[:, 11]
    whole = float(controls.curves["note_density"].integral(np.array(seconds)))
    places = event_places(seed, "note_density", 0.0, whole)
    assert counts.sum() == len(places)  # each of its onsets once, and no others
    times = (np.arange(steps) + 0.5) / steps * seconds
    onsets = controls.onsets(0.0, seconds)
    twice = np.concatenate([onsets - seconds, onsets])
    age = times - twice[np.searchsorted(twice, times) - 1]
    if isinstance(density, float):
        np.testing.assert_allclose(traces, np.exp(-age / 0.4), atol=1e-3)
    begins = np.searchsorted(times, onsets[0])  # before the first onset the last one's trace goes on
    assert (np.diff(np.concatenate([traces[-1:], traces[:begins]])) < 0).all()


def test_onsets_of_a_stretch_are_those_of_the_whole_and_of_another_seed_others(config):
    controls = PieceControls(eventful(config), 7, {"note_density": 4.0})
    whole = controls.onsets(0.0, 100.0)
    part = controls.onsets(40.0, 20.0)
    np.testing.assert_allclose(part, whole[(whole >= 40.0) & (whole < 60.0)], atol=1e-6)
    other = PieceControls(eventful(config), 8, {"note_density": 4.0}).onsets(0.0, 100.0)
    assert not np.array_equal(other[:50], whole[:50])


WANDERING = ControlConfig("note_density", low=0.5, high=10, scaling="log", per="step", events=True, drawn=True)


def drawn(config, seed, **given):
    generator = dataclasses.replace(config.generator, controls=(TEMPO, WANDERING))
    return PieceControls(dataclasses.replace(config, generator=generator), seed, given)


def test_a_piece_draws_a_density_that_comes_and_goes(config):
    times = np.arange(0.0, 1200.0, 0.25)
    ranges = []
    for seed in range(20):
        values = drawn(config, seed).curves["note_density"].at(times)
        assert values.min() >= 0.5 and values.max() <= 10
        # From end to end in no less than 10 s; straight pieces are a little steeper at their lower ends.
        assert np.abs(np.diff(np.log(values))).max() < 1.05 * 0.25 * np.log(20) / 10
        ranges += [
            values[start : start + 240].max() / values[start : start + 240].min() for start in range(0, 4560, 240)
        ]
    assert min(ranges) > 2.5  # every minute has sparse and dense places
    assert not np.array_equal(drawn(config, 1).curves["note_density"].at(times), values)
    told = drawn(config, 1).describe()
    assert told["note_density"] == "by seed" and isinstance(told["tempo"], float)
    again = drawn(config, 1, **told)
    np.testing.assert_array_equal(again.condition(500, 64), drawn(config, 1).condition(500, 64))


def test_what_a_piece_draws_it_draws_as_often_as_the_training_music_has_it(config):
    wanted = 0.5 * 20.0 ** np.linspace(0.0, 1.0, 21) ** 3  # mostly sparse
    wandering = dataclasses.replace(WANDERING, quantiles=tuple(wanted))
    tempo = dataclasses.replace(TEMPO, quantiles=(139.0, 140.0, 141.0, 150.0))
    generator = dataclasses.replace(config.generator, controls=(tempo, wandering))
    config = dataclasses.replace(config, generator=generator)
    times = np.arange(0.0, 600.0, 0.5)
    pieces = [PieceControls(config, seed, {}) for seed in range(40)]
    values = np.concatenate([piece.curves["note_density"].at(times) for piece in pieces])
    shares = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    below = [np.mean(values <= np.interp(share, np.linspace(0, 1, 21), wanted)) for share in shares]
    np.testing.assert_allclose(below, shares, atol=0.05)
    tempos = [drawn_value(tempo, seed) for seed in range(300)]
    assert min(tempos) >= 139 and max(tempos) <= 150
    assert np.mean(np.array(tempos) <= 141) == pytest.approx(2 / 3, abs=0.1)


def test_a_drawn_curve_has_no_end_and_its_integral_is_exact(config):
    curve = drawn(config, 3).curves["note_density"]
    times = np.linspace(-30.0, 1500.0, 1_530_001)
    values = curve.at(times)
    summed = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(times))])
    exact = curve.integral(times)
    np.testing.assert_allclose(exact - exact[0], summed, atol=1e-3)
    assert curve.integral(np.zeros(())) == 0.0
    assert values.max() > 3 * values[times > 1200].min()  # it goes on after its last turning point
    late = 1e9 + np.arange(4.0)
    np.testing.assert_allclose(np.diff(curve.integral(late)), curve.at(late[:-1] + 0.5), rtol=0.05)


def test_a_loop_stays_at_the_value_that_the_seed_draws(config):
    steady = drawn(config, 4).steady()
    assert steady.describe() == {"tempo": drawn_value(TEMPO, 4), "note_density": drawn_value(WANDERING, 4)}
    steady.check_circular(8.0)
    with pytest.raises(UserError, match="note_density must end where it begins"):
        drawn(config, 4).check_circular(8.0)


def test_any_control_can_be_asked_for_by_seed(config):
    controls = PieceControls(config, 5, {"note_density": "by seed", "genre": "by seed"})
    assert controls.describe() == {
        "tempo": drawn_value(TEMPO, 5),
        "note_density": "by seed",
        "genre": GENRE.classes[int(drawn_value(GENRE, 5))],
    }
