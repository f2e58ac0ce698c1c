import threading

import numpy as np
import pytest

from musika.checks import UserError
from musika.curves import FunctionCurve, make_curve, points_curve


def numeric_integral(curve, end):
    grid = np.linspace(0.0, end, 200_001)
    return np.trapezoid(curve.at(grid), grid)


@pytest.mark.parametrize("value", [128, 128.0, "128", [[0.0, 128.0]], lambda seconds: 128.0])
def test_a_constant_is_the_same_however_it_is_given(value):
    curve = make_curve(value, "tempo")
    times = np.array([-3.0, 0.0, 0.1, 1000.0])
    np.testing.assert_allclose(curve.at(times), 128.0)
    np.testing.assert_allclose(curve.integral(times), 128.0 * times, atol=1e-8)


def test_a_line_goes_over_the_piece_and_stays():
    curve = make_curve("90:160", "tempo", seconds=70.0)
    assert curve.at(np.array([-1.0, 0.0, 35.0, 70.0, 99.0])).tolist() == [90.0, 90.0, 125.0, 160.0, 160.0]
    arc = make_curve("2:8:2", "note_density", seconds=10.0)
    assert arc.at(np.array([0.0, 2.5, 5.0, 10.0])).tolist() == [2.0, 5.0, 8.0, 2.0]


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("end", [0.5, 1.0, 3.0, 4.2, 9.0, 30.0])
def test_the_integral_of_points_is_that_of_their_values(steps, end):
    curve = points_curve([(1.0, 100.0), (4.0, 160.0), (4.5, 90.0), (9.0, 120.0)], "tempo", steps)
    assert curve.integral(np.array(end)) == pytest.approx(numeric_integral(curve, end), rel=2e-4)
    assert curve.integral(np.array(-2.0)) == pytest.approx(-200.0)


def test_the_integral_of_a_function_is_that_of_its_values_in_any_order():
    def wave(seconds):
        return 120.0 + 20.0 * np.sin(seconds)

    exact = 120.0 * 50.0 + 20.0 * (1.0 - np.cos(50.0))
    assert FunctionCurve(wave, "tempo").integral(np.array(50.0)) == pytest.approx(exact, rel=1e-5)
    curve = FunctionCurve(wave, "tempo")
    times = np.array([40.0, 3.0, 0.0, 17.3])
    one_by_one = [float(curve.integral(np.array(at))) for at in times]
    np.testing.assert_array_equal(FunctionCurve(wave, "tempo").integral(times), one_by_one)


def test_two_threads_may_follow_one_function():
    inside, go_on = threading.Event(), threading.Event()

    def ramp(seconds):
        if threading.current_thread() is other and not inside.is_set():
            inside.set()
            go_on.wait(5)
        return 100.0 + seconds

    curve = FunctionCurve(ramp, "tempo")
    other = threading.Thread(target=curve.integral, args=(np.array(1.0),))
    other.start()
    inside.wait(5)  # it is in the middle of its sums
    curve.integral(np.array(1.0))
    go_on.set()
    other.join()
    assert float(curve.integral(np.array(2.0))) == pytest.approx(202.0)


def test_an_array_has_a_value_a_latent_step():
    curve = make_curve(np.array([1.0, 3.0, 5.0]), "note_density", latent_rate=10.0)
    np.testing.assert_allclose(curve.at(np.array([0.05, 0.1, 0.25, 9.0])), [1.0, 2.0, 5.0, 5.0])


def test_a_csv_file_is_a_curve_with_or_without_a_heading(tmp_path):
    for heading in ("", "seconds,value\n"):
        path = tmp_path / "curve.csv"
        path.write_text(heading + "# slow first\n0,90\n60,150\n")
        assert make_curve(str(path), "tempo").at(np.array([30.0]))[0] == 120.0


def test_classes_are_given_by_name_and_change_at_once():
    curve = make_curve([(0.0, "dub"), (8.0, "house")], "genre", classes=("dub", "house"))
    assert curve.at(np.array([-1.0, 7.9, 8.0])).tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(UserError, match="one of dub, house. Received: 'jazz'"):
        make_curve("jazz", "genre", classes=("dub", "house"))
    for value in (3, lambda seconds: "dub", [1, 2], [(0.0, "dub", 1)]):
        with pytest.raises(UserError, match="genre must be one of dub, house, or points"):
            make_curve(value, "genre", classes=("dub", "house"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", "must be a number"),
        ("90:", "must be a number"),
        ("90:160", "needs the piece's length"),
        ("nothing.csv", "cannot read the curve"),
        ([(1.0, 2.0), (1.0, 3.0)], "must rise"),
        ([(-1.0, 2.0)], "from 0 or later"),
        ([(0.0, np.nan)], "finite"),
        (np.zeros((2, 3)), "pairs"),
        (object(), "must be a number, points, an array or a function"),
    ],
)
def test_what_is_no_curve_is_named(value, message):
    with pytest.raises(UserError, match=message):
        make_curve(value, "tempo")


def test_a_curve_names_no_file_where_none_may_be_named(tmp_path):
    (tmp_path / "a.csv").write_text("0,a\n")
    for classes in ((), ("a", "b")):
        with pytest.raises(UserError, match="may not name other files"):
            make_curve(str(tmp_path / "a.csv"), "key", classes=classes, files=False)
    assert make_curve("a", "key", classes=("a", "b"), files=False).at(np.zeros(1)) == 0


def test_a_bad_row_of_a_csv_file_is_named(tmp_path):
    for text, row in (
        ("0,90\nsoon,100\n", 2),
        ("# a comment\n\nseconds,value\n0,120\nfive,130\n", 5),
        ("0;90\n30,150\n", 1),  # no heading, for it has digits
        ("90\n0,100\n", 1),
    ):
        (tmp_path / "curve.csv").write_text(text)
        with pytest.raises(UserError, match=f"row {row} of .*curve.csv"):
            make_curve(str(tmp_path / "curve.csv"), "tempo")


@pytest.mark.parametrize("function", [lambda seconds: "fast", lambda seconds: np.inf])
def test_a_function_that_gives_no_number_is_named(function):
    with pytest.raises(UserError, match="tempo: the function"):
        make_curve(function, "tempo").at(np.array([1.0]))
