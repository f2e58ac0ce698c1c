"""Points and paths: where a piece stays it is the point's music; where it glides, lengths are kept."""

import json

import numpy as np
import pytest

from musika.checks import UserError
from musika.gan.coordinates import anchor, coordinates, style
from musika.paths import Path, Stop, make_path, slerp
from musika.points import Point, load_point, make_point, save_point

STAY = [{"point": 7, "hold": 3.2}, {"point": 12, "glide": 2.0, "hold": 3.2}, {"point": 7, "glide": 2.0}]


def test_where_it_stays_a_path_is_the_music_of_its_point(debug_preset):
    patch = debug_preset.config.generator.patch_latents
    piece = debug_preset.piece(path=STAY)
    assert piece.seed == 7
    plain = debug_preset.piece(seed=7)
    assert np.array_equal(piece.latents(-patch, 3 * patch), plain.latents(-patch, 3 * patch))
    assert not np.array_equal(piece.latents(3 * patch, patch), plain.latents(3 * patch, patch))
    assert np.array_equal(piece.latents(7 * patch, 2 * patch), plain.latents(7 * patch, 2 * patch))  # and back again


def test_a_path_of_one_point_is_the_plain_piece_to_the_byte(debug_preset):
    audio = debug_preset.piece(path=[7]).render(0.3, 0.5)
    assert np.array_equal(audio, debug_preset.piece(seed=7).render(0.3, 0.5))


def test_any_stretch_of_a_path_is_the_same_alone(debug_preset):
    whole = debug_preset.piece(path=STAY).render(0.0, 6.0)
    for start in (0.0, 2.9, 4.4, 5.5):
        audio = debug_preset.piece(path=STAY).render(start, 0.4)
        assert np.array_equal(audio, whole[round(start * 44100) :][: len(audio)]), start


def test_a_glide_keeps_the_length_of_styles_and_begins_and_ends_at_the_points(debug_config):
    config, channels = debug_config, debug_config.generator.coordinate_channels
    path = make_path([{"point": 7}, {"point": 12, "glide": 10.0, "curve": "linear"}])
    steps = round(10 * config.latent_rate)
    made = path.coordinates(config, 0, steps, 2.0)
    ends = [np.linalg.norm(style(seed, channels)) for seed in (7, 12)]
    lengths = np.linalg.norm(made[:, channels:], axis=1)
    np.testing.assert_allclose(lengths, np.linspace(*ends, steps), atol=0.01 * max(ends))
    np.testing.assert_allclose(made[0], coordinates(config, 7, 0, 1)[0], atol=0.02)
    np.testing.assert_allclose(made[-1], coordinates(config, 12, steps - 1, 1)[0], atol=0.02)
    assert np.abs(np.diff(made, axis=0)).max() < 0.05  # no jump on the way


def test_slerp_turns_evenly():
    first, second = np.array([2.0, 0.0, 0.0]), np.array([0.0, 4.0, 0.0])
    shares = np.linspace(0, 1, 5)
    turned = slerp(np.tile(first, (5, 1)), np.tile(second, (5, 1)), shares)
    np.testing.assert_allclose(np.degrees(np.arctan2(turned[:, 1], turned[:, 0])), 90 * shares, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 2 + 2 * shares)
    np.testing.assert_allclose(slerp(first, first, np.array(0.3)), first)
    assert np.isfinite(slerp(first, -first, np.array(0.5))).all()


def test_a_path_goes_from_station_to_station():
    path = Path([Stop(Point(1), hold=2), Stop(Point(2), glide=4, hold=2, curve="linear"), Stop(Point(3))])
    assert path.seconds == 8
    before, after, far = path.between(np.array([-5.0, 1.9, 3.0, 5.0, 7.0, 8.5, 900.0]))
    assert after.tolist() == [0, 0, 1, 1, 1, 2, 2]
    np.testing.assert_allclose(far, [1, 1, 0.25, 0.75, 1, 1, 1])
    assert before[2:4].tolist() == [0, 0]


def test_a_path_that_repeats_comes_back_for_ever():
    path = Path([Stop(Point(1), hold=1, glide=2), Stop(Point(2), glide=3, hold=4)], repeat=True)
    assert path.seconds == 10
    times = np.array([0.5, 2.0, 6.0, 9.0])
    for one, other in zip(path.between(times), path.between(times + 30), strict=True):
        np.testing.assert_allclose(one, other)
    before, after, far = path.between(np.array([9.0]))
    assert (before[0], after[0], far[0]) == (1, 0, 0.5)


def test_a_loop_of_a_path_goes_round_it_once(debug_preset):
    loop = debug_preset.piece(path=[7, 12, 30], seconds=4).loop(seconds=3.0)
    path, config = loop.path, debug_preset.config
    made = path.circular_coordinates(config, np.array([0.0, 1.0, 1.0 - 1e-6]), loop.steps, 2.0)
    assert np.array_equal(made[0], made[1])
    np.testing.assert_allclose(made[0], made[2], atol=1e-3)
    assert len(loop.render()) == 3 * 44100
    for points, stations in (([7, 12, 7], 2), ([7, 12], 2), ([7], 1)):
        assert len(make_path(points).closed().stops) == stations


def test_a_path_writes_itself_down(debug_preset):
    path = make_path({"points": {"A": {"seed": 7, "style": 9}, "B": 12}, "path": ["A", {"point": "B", "hold": 2}, "A"]})
    again = make_path(json.loads(json.dumps(path.describe())))
    assert again.stops == path.stops and again.repeat == path.repeat
    assert np.array_equal(
        debug_preset.piece(path=again).latents(0, 300), debug_preset.piece(path=path.describe()).latents(0, 300)
    )


def test_a_path_is_given_in_many_ways(tmp_path):
    stops = make_path([7, 12, 7], seconds=60).stops
    assert [stop.glide for stop in stops] == [0, 30, 30]
    assert make_path("7,12,7", seconds=60).stops == stops
    (tmp_path / "path.yaml").write_text("points: {A: 7, B: b.json}\npath: [A, B, A]\n")
    (tmp_path / "b.json").write_text('{"seed": 12}')
    assert [stop.point.seed for stop in make_path(tmp_path / "path.yaml", 60).stops] == [7, 12, 7]
    (tmp_path / "path.json").write_text("[7, 12]")
    assert len(make_path(str(tmp_path / "path.json")).stops) == 2
    assert make_path(tmp_path / "b.json").stops[0].point.seed == 12


def test_a_point_is_saved_and_read_again(debug_preset, tmp_path):
    file = save_point(tmp_path / "warm.json", Point(7), debug_preset, truncation=1.5)
    point = load_point(file)
    assert (point.seed, point.truncation, point.name) == (7, 1.5, "warm")
    channels = debug_preset.config.generator.coordinate_channels
    np.testing.assert_array_equal(
        point.style_numbers(channels, None), style(7, channels, 1.5).astype(np.float32).astype(float)
    )
    saved, plain = debug_preset.piece(path=[point]), debug_preset.piece(seed=7, truncation=1.5)
    assert np.array_equal(saved.latents(0, 200), plain.latents(0, 200))
    assert json.loads(file.read_text())["preset_hash"] == debug_preset.hash


def test_style_and_anchors_are_chosen_apart(debug_preset):
    config, channels = debug_preset.config, debug_preset.config.generator.coordinate_channels
    made = make_path([{"seed": 7, "style": 12}]).coordinates(config, 50, 90, 2.0)
    np.testing.assert_array_equal(made[:, :channels], coordinates(config, 7, 50, 90)[:, :channels])
    np.testing.assert_array_equal(made[:, channels:], coordinates(config, 12, 50, 90)[:, channels:])


def test_a_point_that_does_not_wander_stays_where_it_begins(debug_config):
    config, channels = debug_config, debug_config.generator.coordinate_channels
    made = {}
    for wander in (0.0, 0.3, 1.0):
        path = make_path(json.loads(json.dumps(make_path([{"seed": 7, "wander": wander}]).describe())))
        made[wander] = path.coordinates(config, 0, 4000, 2.0)[:, :channels]
    assert np.abs(made[0.0] - anchor(7, 0, channels)).max() < 1e-6
    assert np.array_equal(made[1.0], coordinates(config, 7, 0, 4000)[:, :channels])
    np.testing.assert_allclose(made[0.3], 0.91**0.5 * made[0.0] + 0.3 * made[1.0], atol=1e-5)


MISTAKES = [
    ([], "a path must be a list of points"),
    (5, "a path must be a list of points"),
    ("7,x", "a point must be a seed, a name or a .json file. Received: 'x'"),
    ("7,²", "a point must be a seed, a name or a .json file. Received: '²'"),
    ("nothing.yaml", "cannot read the path nothing.yaml"),
    ([-1], "a point's seed must be a whole number"),
    ([{"point": 7, "hodl": 3}], "unknown key 'hodl'; did you mean 'hold'"),
    ([{"point": 7, "hold": -3}], "hold must be a number from 0"),
    ([{"point": 7, "curve": "bumpy"}], "curve must be one of linear, smooth"),
    ([{"seed": 7, "stile": 3}], "unknown key 'stile'; did you mean 'style'"),
    ([{"seed": 7, "style": ["a"]}], "a style must be a seed, or a list of numbers"),
    ([{"seed": 7, "style": [float("nan")]}], "a style must be a seed, or a list of numbers"),
    ([{"seed": 7, "wander": 2}], "wander must be a number from 0 to 1"),
    ([{"style": 7}], "a point needs a seed"),
    (["nothing.json"], "cannot read the point nothing.json"),
    ({"path": [7], "repeat": True}, "a path that repeats must take some time"),
    ({"path": ["C"], "points": {"A": 7}}, r"a name \(A\)"),
    ({"path": [7], "repeat": "yes"}, "repeat must be true or false"),
    ({"paths": [7]}, "unknown key 'paths'; did you mean 'path'"),
]


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_a_mistake_in_a_path_is_named(given, message):
    if isinstance(given, dict) and given.get("repeat") is True:
        given = {"path": [{"point": 7, "hold": 0, "glide": 0}], "repeat": True}
    with pytest.raises(UserError, match=message):
        make_path(given)


def test_a_path_names_no_files_where_none_may_be_named(tmp_path):
    file = str(tmp_path / "b.json")
    (tmp_path / "b.json").write_text('{"seed": 12}')
    stop = [{"point": file, "hold": 2}]
    for given in (file, f"{file} ,7", [file], stop, {"points": {"name": file}, "path": ["name"]}, {"path": stop}):
        if given != f"{file} ,7":
            assert make_path(given).stops[0].point.seed == 12
        with pytest.raises(UserError, match="may not name other files"):
            make_path(given, files=False)
    assert make_path({"points": {"name": 7}, "path": ["name", "12"]}, files=False).stops[0].point.name == "name"


def test_a_style_of_another_preset_is_refused(debug_preset):
    with pytest.raises(UserError, match="the point odd has a style of 3 numbers, this preset's have 16"):
        debug_preset.piece(path=[{"seed": 7, "style": [0.1, 0.2, 0.3], "name": "odd"}])


def test_json_may_be_indented_with_tabs(tmp_path):
    (tmp_path / "path.json").write_text(json.dumps({"path": [7, {"point": {"seed": 9}, "glide": 1e1}]}, indent="\t"))
    assert make_path(tmp_path / "path.json").seconds == 10
    (tmp_path / "path.json").write_text("path: [7, 12]  # a person's\n")  # not quite JSON
    assert len(make_path(tmp_path / "path.json").stops) == 2


def test_a_file_that_is_no_path_is_refused(tmp_path):
    for text in ("[1", "[" * 5000, "path: 2026-13-45"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(UserError, match="is not valid YAML"):
            make_path(tmp_path / "a.yaml")
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="is not valid YAML"):
        make_path(tmp_path / "a.json")


def test_a_file_that_is_no_point_is_refused(tmp_path):
    for text, message in (
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "is not a point"),
        ('{"kind": "cat"}', "is not a point"),
    ):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(UserError, match=message):
            make_point(str(tmp_path / "a.json"))
    (tmp_path / "a.json").write_text('{"seed": 7, "format": 9}')
    with pytest.raises(UserError, match="has format 9"):
        load_point(tmp_path / "a.json")
