import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation import kernel
from musika.evaluation.kernel import kernel_distance, kernel_sums, median_distance, squared_distances


def brute_force(real, made, bandwidth):
    """Gretton et al., equation 3, by loops."""

    def k(x, y):
        return np.exp(-np.square(x - y).sum() / (2 * bandwidth**2))

    m, n = len(real), len(made)
    within_real = sum(k(real[i], real[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_made = sum(k(made[i], made[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    between = sum(k(x, y) for x in real for y in made) / (m * n)
    return 100 * (within_real + within_made - 2 * between)


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return rng.standard_normal((23, 4)), rng.standard_normal((17, 4)) + 0.5


def test_the_estimate_is_that_of_the_definition(sets, monkeypatch):
    monkeypatch.setattr(kernel, "_CHUNK_ROWS", 5)
    assert kernel_distance(*sets, bandwidth=1.3) == pytest.approx(brute_force(*sets, 1.3), rel=1e-10)


def test_the_bandwidth_is_the_median_of_the_references_distances(sets):
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(sets[0]) for b in sets[0][:i]]
    assert median_distance(sets[0]) == pytest.approx(np.median(pairs), rel=1e-12)
    assert kernel_distance(*sets) == pytest.approx(brute_force(*sets, np.median(pairs)), rel=1e-9)


def test_a_large_sets_bandwidth_is_estimated_from_a_seeded_choice(monkeypatch):
    samples = np.random.default_rng(1).standard_normal((900, 3))
    exact = median_distance(samples)
    monkeypatch.setattr(kernel, "_MEDIAN_ROWS", 300)
    assert median_distance(samples, 1) == median_distance(samples, 1) != median_distance(samples, 2)
    assert median_distance(samples, 1) == pytest.approx(exact, rel=0.05)


def test_repeated_groups_count_as_repeated_windows(sets):
    real, made = [sets[0][:10], sets[0][10:]], [sets[1][:4], sets[1][4:9], sets[1][9:]]
    got = kernel_sums(real, made, 1.0).distance(np.array([1, 2]), np.array([0, 3, 1]))
    repeated = [real[0], real[1], real[1]], [made[1], made[1], made[1], made[2]]
    assert got == pytest.approx(kernel_sums(*repeated, 1.0).distance(), rel=1e-10)


def test_the_floor_is_the_distance_of_the_halves(sets):
    groups = [sets[0][:5], sets[0][5:11], sets[0][11:]]
    floor = kernel_sums(groups, [sets[1]], 1.1).floor(np.array([True, False, True]))
    halves = np.concatenate([groups[0], groups[2]]), groups[1]
    assert floor == pytest.approx(brute_force(*halves, 1.1), rel=1e-10)


def test_the_estimate_has_no_bias():
    rng = np.random.default_rng(2)
    draws = [kernel_distance(rng.standard_normal((12, 3)), rng.standard_normal((9, 3)), 2.0) for _ in range(400)]
    assert abs(np.mean(draws)) < 3 * np.std(draws) / 20


def test_distances_far_from_zero_stay_exact():
    samples = np.random.default_rng(3).standard_normal((6, 2))
    far = squared_distances(samples + 1e6, samples[:4] + 1e6)
    np.testing.assert_allclose(far, squared_distances(samples, samples[:4]), atol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: median_distance(np.zeros((1, 2))), "at least 2 windows. Received: 1"),
        (lambda: median_distance(np.ones((9, 2))), "median distance 0"),
        (lambda: kernel_distance(np.eye(3), np.zeros((1, 3))), "at least 2 windows on each side"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
