import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation.frechet import fit_normal, frechet_distance, mean_and_covariance, normal_distance


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


def test_shifted_gaussians_differ_by_the_squared_shift():
    covariance = random_covariance(np.random.default_rng(5), 7)
    shift = np.arange(7.0)
    assert frechet_distance(shift, covariance, np.zeros(7), covariance) == pytest.approx(91.0, rel=1e-12)


def test_scaled_gaussians_differ_by_the_squared_difference_of_scales():
    covariance = random_covariance(np.random.default_rng(6), 7)
    got = frechet_distance(np.zeros(7), 4.0 * covariance, np.zeros(7), 0.25 * covariance)
    assert got == pytest.approx((2.0 - 0.5) ** 2 * np.trace(covariance), rel=1e-12)


@pytest.mark.parametrize(("count", "features"), [(1000, 120), (40, 300), (2, 50)])
def test_equal_sets_have_no_distance(count, features):
    rng = np.random.default_rng(7)
    samples = 30.0 * rng.standard_normal((count, features)) @ rng.standard_normal((features, features))
    size = np.square(samples - samples.mean(axis=0)).sum() / (count - 1)
    first, second = fit_normal(samples), fit_normal(samples[::-1].copy())
    assert normal_distance(first, second) <= 1e-6 * size
    assert normal_distance(first, first) <= 1e-6


@pytest.mark.parametrize("count", [12, 60])
def test_samples_agree_with_the_matrix_square_root(count):
    import scipy.linalg

    rng = np.random.default_rng(8)
    first, second = rng.standard_normal((60, 20)), rng.standard_normal((count, 20)) * np.linspace(0.5, 2.0, 20) + 0.3
    cov_a, cov_b = np.cov(first.T), np.cov(second.T)
    expected = np.square(first.mean(0) - second.mean(0)).sum()
    # the small offset makes the root of a singular product well conditioned
    offset = 1e-12 * np.eye(20)
    expected += np.trace(cov_a + cov_b - 2 * scipy.linalg.sqrtm((cov_a + offset) @ (cov_b + offset)).real)
    assert normal_distance(fit_normal(first), fit_normal(second)) == pytest.approx(expected, rel=1e-4)


def test_rank_deficient_samples_are_exact():
    rng = np.random.default_rng(9)
    low = rng.standard_normal((30, 3)), 2.0 * rng.standard_normal((30, 3)) + 1.0
    embed, _ = np.linalg.qr(rng.standard_normal((80, 3)))
    inside = normal_distance(fit_normal(low[0]), fit_normal(low[1]))
    outside = normal_distance(fit_normal(low[0] @ embed.T), fit_normal(low[1] @ embed.T))
    assert outside == pytest.approx(inside, rel=1e-10)


def test_few_samples_and_their_moments_give_one_distance():
    rng = np.random.default_rng(10)
    few, many = rng.standard_normal((9, 15)), rng.standard_normal((70, 15))
    by_moments = frechet_distance(*mean_and_covariance(few), *mean_and_covariance(many))
    assert normal_distance(fit_normal(few), fit_normal(many)) == pytest.approx(by_moments, rel=1e-9)


def test_parts_count_as_one_set():
    samples = np.random.default_rng(11).standard_normal((40, 3)).astype(np.float32) + 1000
    whole, parts = fit_normal(samples), fit_normal([samples[:1], samples[1:25], samples[25:]])
    np.testing.assert_allclose(parts.covariance, np.cov(samples.astype(np.float64).T), rtol=1e-9)
    assert parts.count == 40
    assert normal_distance(whole, parts) < 1e-9


@pytest.mark.parametrize("count", [6, 30, 500])
def test_the_shrunk_covariance_is_ledoit_and_wolfs(count):
    samples = np.random.default_rng(12).standard_normal((count, 20)) * np.linspace(0.2, 3.0, 20)
    centred = samples - samples.mean(axis=0)
    plain, level = centred.T @ centred / count, np.trace(centred.T @ centred) / count / 20
    spread = np.square(plain - level * np.eye(20)).sum()
    error = sum(np.square(np.outer(row, row) - plain).sum() for row in centred) / count**2
    share = min(error, spread) / spread  # their section 3.2, by loops
    expected = share * level * np.eye(20) + (1 - share) * plain
    fitted = fit_normal(samples, shrink=True)
    assert fitted.shrinkage == pytest.approx(share, rel=1e-9)
    np.testing.assert_allclose(fitted.covariance, expected, atol=1e-12)


def test_distributions_of_other_features_are_refused():
    with pytest.raises(UserError, match="as many features"):
        normal_distance(fit_normal(np.eye(3)), fit_normal(np.eye(4)))
