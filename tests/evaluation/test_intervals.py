import numpy as np
import pytest

from musika.evaluation.frechet import Normal, fit_normal, normal_distance
from musika.evaluation.intervals import extrapolate, extrapolation_sizes, half_masks, interval, resample

FEATURES = 8
TRUTH = Normal(np.zeros(FEATURES), np.eye(FEATURES))


def tracks(seed, count=120, windows=5):
    return list(np.random.default_rng(seed).standard_normal((count, windows, FEATURES)))


def distance(chosen):
    return normal_distance(TRUTH, fit_normal(chosen))


def test_the_extrapolation_removes_the_bias_of_finite_samples():
    lines = [extrapolate(tracks(seed), distance, FEATURES + 1, seed) for seed in range(8)]
    plain = np.mean([distance(tracks(seed)) for seed in range(8)])
    assert np.mean([line.value for line in lines]) == pytest.approx(0.0, abs=0.2 * plain)
    assert all(line.slope > 0 and line.r2 > 0.9 for line in lines)
    assert lines[0].windows[-1] == 600 and lines[0].distances[-1] == pytest.approx(distance(tracks(0)))


def test_the_extrapolation_is_seeded():
    assert extrapolate(tracks(0), distance, 9, 3) == extrapolate(tracks(0), distance, 9, 3)
    assert extrapolate(tracks(0), distance, 9, 3) != extrapolate(tracks(0), distance, 9, 4)


@pytest.mark.parametrize(("count", "least"), [(4, 2), (20, 10_000), (6, 25)])
def test_too_few_tracks_give_no_extrapolation(count, least):
    assert extrapolate(tracks(0, count), distance, least, 0) is None


def test_sizes_lie_evenly_in_their_inverse_and_hold_enough_windows():
    sizes = extrapolation_sizes([5] * 200, 300)
    assert sizes[0] == 60 and sizes[-1] == 200
    steps = -np.diff(1 / np.array(sizes))
    assert steps.max() < 1.2 * steps.min()


def test_the_interval_holds_the_estimate_and_narrows_with_more_tracks():
    def width(count):
        sets, rng = tracks(1, count), np.random.default_rng(0)
        draws = [distance([sets[index] for index in resample(rng, count)]) for _ in range(60)]
        low, high = interval(distance(sets), draws)
        assert low < distance(sets) < high
        return high - low

    assert width(200) < 0.5 * width(20)


def test_halves_have_no_track_in_common_and_are_seeded():
    masks = half_masks(7, 4, 1)
    assert [int(mask.sum()) for mask in masks] == [3] * 4
    assert len({mask.tobytes() for mask in masks}) > 1
    np.testing.assert_array_equal(masks, half_masks(7, 4, 1))
