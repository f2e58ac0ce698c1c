"""The Fréchet distance between two normal distributions.

Source: Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions", equation 4:
``d^2 = |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2))``. As in the literature on generated audio and images the squared
distance is what is reported.
"""

from __future__ import annotations

import numpy as np

from musika.checks import UserError


def mean_and_covariance(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of samples, in double precision.

    Args:
        samples: Samples, `(count, features)`, at least two.

    Returns:
        The mean `(features,)` and the covariance `(features, features)`, normalised by ``count - 1``.

    Raises:
        UserError: If the array is not two-dimensional, has fewer than two samples, or holds a NaN.

    >>> mean, covariance = mean_and_covariance(np.array([[0.0], [2.0]]))
    >>> float(mean[0]), float(covariance[0, 0])
    (1.0, 2.0)
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or len(samples) < 2:
        raise UserError(f"samples must have the shape (count, features), count >= 2. Received: shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise UserError("samples must be finite numbers. Received: NaN or infinity among them.")
    mean = samples.mean(axis=0)
    centred = samples - mean
    return mean, centred.T @ centred / (len(samples) - 1)


def _symmetric_root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric matrix without negative eigenvalues (rounding below zero is cut)."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """The squared Fréchet distance between two normal distributions.

    The trace of ``(A B)^(1/2)`` is that of the symmetric ``(A^(1/2) B A^(1/2))^(1/2)``, whose eigenvalues are real and
    not negative, so neither complex numbers nor a regularising offset are needed, also for singular covariances.

    Args:
        mean_a: Mean of the first, `(features,)`.
        cov_a: Covariance of the first, `(features, features)`.
        mean_b: Mean of the second, `(features,)`.
        cov_b: Covariance of the second, `(features, features)`.

    Returns:
        The squared distance, at least 0.

    Raises:
        UserError: If the shapes do not fit or a number is not finite.

    >>> frechet_distance([0.0], [[1.0]], [3.0], [[4.0]])
    10.0
    """
    mean_a, mean_b = np.asarray(mean_a, np.float64), np.asarray(mean_b, np.float64)
    cov_a, cov_b = np.asarray(cov_a, np.float64), np.asarray(cov_b, np.float64)
    square = (len(mean_a), len(mean_a)) if mean_a.ndim == 1 else None
    if mean_a.shape != mean_b.shape or cov_a.shape != square or cov_b.shape != square:
        raise UserError(
            "means must be (features,) and covariances (features, features), the same for both. Received: "
            f"{mean_a.shape}, {cov_a.shape}, {mean_b.shape}, {cov_b.shape}"
        )
    if not all(np.isfinite(part).all() for part in (mean_a, cov_a, mean_b, cov_b)):
        raise UserError("means and covariances must be finite numbers. Received: NaN or infinity among them.")
    root = _symmetric_root(cov_a)
    shared = np.linalg.eigvalsh(root @ cov_b @ root)
    shared_trace = np.sqrt(np.maximum(shared, 0.0)).sum()
    distance = np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2.0 * shared_trace
    return float(max(distance, 0.0))
