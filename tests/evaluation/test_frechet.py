import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation.frechet import frechet_distance, mean_and_covariance


def random_covariance(rng, size):
    factor = rng.standard_normal((size, size + 3))
    return factor @ factor.T / size


def test_equal_distributions_have_no_distance():
    rng = np.random.default_rng(0)
    mean, covariance = rng.standard_normal(8), random_covariance(rng, 8)
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0.0, abs=1e-10)


def test_one_dimension_is_the_difference_of_means_and_deviations():
    assert frechet_distance([1.0], [[4.0]], [4.0], [[25.0]]) == pytest.approx(3.0**2 + (2.0 - 5.0) ** 2)


def test_covariances_that_commute_have_a_closed_form():
    rng = np.random.default_rng(1)
    rotation, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    first, second = rng.uniform(0.1, 3.0, 6), rng.uniform(0.1, 3.0, 6)
    got = frechet_distance(np.zeros(6), (rotation * first) @ rotation.T, np.ones(6), (rotation * second) @ rotation.T)
    assert got == pytest.approx(6.0 + np.sum((np.sqrt(first) - np.sqrt(second)) ** 2), rel=1e-12)


def test_general_covariances_agree_with_the_matrix_square_root():
    import scipy.linalg

    rng = np.random.default_rng(2)
    first, second = random_covariance(rng, 10), random_covariance(rng, 10)
    root = scipy.linalg.sqrtm(first @ second).real
    expected = np.trace(first + second - 2 * root)
    assert frechet_distance(np.zeros(10), first, np.zeros(10), second) == pytest.approx(expected, rel=1e-10)


def test_singular_covariances_are_allowed():
    flat = np.diag([1.0, 0.0, 0.0])
    assert frechet_distance(np.zeros(3), flat, np.zeros(3), np.diag([0.0, 4.0, 0.0])) == pytest.approx(5.0)


def test_the_distance_is_symmetric():
    rng = np.random.default_rng(3)
    a = (rng.standard_normal(5), random_covariance(rng, 5))
    b = (rng.standard_normal(5), random_covariance(rng, 5))
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-12)


def test_moments_agree_with_numpy():
    samples = np.random.default_rng(4).standard_normal((50, 4))
    mean, covariance = mean_and_covariance(samples)
    np.testing.assert_allclose(mean, samples.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(samples.T), atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: frechet_distance([0.0], [[1.0]], [0.0, 0.0], np.eye(2)),
        lambda: frechet_distance([0.0], [[np.nan]], [0.0], [[1.0]]),
        lambda: mean_and_covariance(np.zeros((1, 3))),
        lambda: mean_and_covariance(np.full((3, 3), np.nan)),
    ],
)
def test_what_cannot_be_compared_is_refused(call):
    with pytest.raises(UserError, match="Received"):
        call()
