import pytest

from musika.app.wishes import Wish, control_modes, read_clock, read_control, read_points, read_seed, show_clock
from musika.checks import UserError
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", "BPM", 90, 160, clock=True, drawn=True)
DENSITY = ControlConfig("note_density", "", 1, 9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45", 45), ("90 s", 90), ("1.5 min", 90), ("2 h", 7200), ("1 hour", 3600), ("1:30", 90), ("1:00:00.5", 3600.5)],
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert read_clock(text, "the length") == seconds


@pytest.mark.parametrize("seconds", [0, 0.5, 59.9, 90, 3600, 7325.5, 36000])
def test_a_shown_time_is_read_back(seconds):
    assert read_clock(show_clock(seconds), "") == seconds


@pytest.mark.parametrize("text", ["", None, "soon", "-3", "1:2:3:4", "5 parsec", "nan", "1e9"])
def test_other_times_are_refused_in_a_sentence(text):
    with pytest.raises(UserError, match="the length must be a time such as 45, 90 s, 1:30"):
        read_clock(text, "the length")


@pytest.mark.parametrize("text", ["-1", "seven", "1.5", "9" * 19, "9" * 40])
def test_impossible_seeds_are_refused(text):
    with pytest.raises(UserError, match="the seed must be a whole number from 0 to 9223372036854775807"):
        read_seed(text)


def test_seeds_keep_all_their_digits_and_an_empty_field_draws_one():
    assert read_seed("9223372036854775807") == 2**63 - 1
    assert 0 <= read_seed("") < 2**32


def test_a_control_is_read_in_each_of_its_modes():
    fields = {"first": 100, "last": 140, "curve": "0:00 100\n0:30 140"}
    values = {mode: read_control(TEMPO, fields | {"mode": mode}) for mode in control_modes(TEMPO)}
    assert values == {
        "by seed": {},
        "steady": {"tempo": 100.0},
        "glide": {"tempo": "100.0:140.0"},
        "curve": {"tempo": [[0.0, 100.0], [30.0, 140.0]]},
        "free": {"tempo": None},
    }
    assert control_modes(DENSITY)[0] == "free" and "by seed" not in control_modes(DENSITY)


def test_a_control_never_names_a_file_of_this_machine():
    with pytest.raises(UserError, match="tempo must be a number"):
        read_control(TEMPO, {"mode": "steady", "first": "/etc/secret.csv", "last": 1, "curve": ""})
    with pytest.raises(UserError, match="a curve is a time and a value on each line"):
        read_points("/etc/secret.csv", "tempo")
    with pytest.raises(UserError, match="how tempo is set must be one of"):
        read_control(TEMPO, {"mode": "secret.csv", "first": 1, "last": 1, "curve": ""})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seconds": 7200.0}, "the length may be at most 1:00:00 here. Received: 2:00:00"),
        ({"seconds": 0.1}, "the length must be a number from 0.5"),
        ({"start": 1e12}, "the start time must be a number"),
        ({"truncation": 0.0}, "truncation must be a number from 0.1"),
        ({"ending": "exe"}, "the format must be one of wav"),
        ({"precision": "int4"}, "the precision must be one of auto"),
    ],
)
def test_what_is_out_of_range_is_refused(changed, sentence):
    with pytest.raises(UserError, match=sentence):
        Wish("techno", 7, **changed).check(longest=3600.0)
