"""The Fréchet distance between two normal distributions.

Source: Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions", equation 4:
``d^2 = |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2))``. As in the literature on generated audio and images the squared
distance is what is reported.

With factors ``A = F F'`` and ``B = G G'`` the trace of ``(A B)^(1/2)`` is the sum of the singular values of ``F' G``:
they are the square roots of the eigenvalues of the symmetric ``F' B F``, hence real and not negative. The factors come
from symmetric eigendecompositions, or from the samples themselves where there are fewer samples than features, so
singular covariances need no regularising offset, and nothing is lost to the root of a rounding error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError

Array = NDArray[np.float64]

_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class Normal:
    """A normal distribution.

    Attributes:
        mean: `(features,)`.
        factor: A root of the covariance, `(features, rank)`: ``factor @ factor.T`` is the covariance.
        count: Samples that it was estimated from; 0 if unknown.
        shrinkage: Share of the covariance that was replaced by a multiple of the identity.
    """

    mean: Array
    factor: Array
    count: int = 0
    shrinkage: float = 0.0

    @property
    def covariance(self) -> Array:
        """The covariance, `(features, features)`."""
        return self.factor @ self.factor.T


def _check_samples(samples: Sequence[NDArray]) -> int:
    """Check parts of a sample, give their number of rows."""
    shapes = [part.shape for part in samples]
    count = sum(shape[0] for shape in shapes if shape)
    if any(len(shape) != 2 or shape[1] != shapes[0][1] for shape in shapes) or count < 2:
        shown = shapes[0] if len(shapes) == 1 else f"{shapes[:3]}"
        raise UserError(f"samples must have the shape (count, features), count >= 2. Received: shape {shown}")
    if not all(np.isfinite(part).all() for part in samples):
        raise UserError("samples must be finite numbers. Received: NaN or infinity among them.")
    return count


def _chunks(samples: Sequence[NDArray]) -> list[NDArray]:
    """Views of the parts, of a bounded number of rows."""
    return [part[start : start + _CHUNK_ROWS] for part in samples for start in range(0, len(part), _CHUNK_ROWS)]


def _moments(samples: Sequence[NDArray]) -> tuple[Array, Array, float]:
    """Mean, sum of outer products and sum of fourth powers of the centred rows' lengths, chunk by chunk."""
    count, chunks = _check_samples(samples), _chunks(samples)
    mean = np.sum([np.sum(chunk, axis=0, dtype=np.float64) for chunk in chunks], axis=0) / count
    scatter, fourth = np.zeros((len(mean), len(mean))), 0.0
    for chunk in chunks:
        centred = chunk - mean
        scatter += centred.T @ centred
        fourth += float(np.square(np.einsum("ij,ij->i", centred, centred)).sum())
    return mean, scatter, fourth


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
    samples = np.asarray(samples)
    mean, scatter, _ = _moments([samples])
    return mean, scatter / (len(samples) - 1)


def shrunk_covariance(scatter: Array, fourth: float, count: int) -> tuple[Array, float]:
    """A covariance that is drawn towards a multiple of the identity, as far as its own uncertainty asks for.

    Source: Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", section 3.2.

    Args:
        scatter: Sum of the outer products of centred samples, `(features, features)`.
        fourth: Sum of the fourth powers of their lengths.
        count: Number of samples.

    Returns:
        The covariance, and the share that the identity has in it, from 0 to 1.
    """
    features = len(scatter)
    covariance = scatter / count
    level = np.trace(covariance) / features
    away = np.square(covariance).sum() - features * level**2  # squared distance to the multiple of the identity
    uncertain = (fourth / count - np.square(covariance).sum()) / count
    share = float(np.clip(uncertain / away, 0.0, 1.0)) if away > 0 else 0.0
    return (1 - share) * covariance + share * level * np.eye(features), share


def factor_covariance(covariance: Array) -> Array:
    """Factor a covariance by a symmetric eigendecomposition.

    Args:
        covariance: Symmetric, without negative eigenvalues but for rounding, `(features, features)`.

    Returns:
        A factor `(features, rank)`; eigenvalues that are zero but for rounding are left out.

    >>> factor_covariance(np.array([[4.0, 0.0], [0.0, 0.0]])).shape
    (2, 1)
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    return vectors[:, kept] * np.sqrt(values[kept])


def fit_normal(samples: NDArray | Sequence[NDArray], shrink: bool = False) -> Normal:
    """Fit a normal distribution.

    Args:
        samples: Samples `(count, features)`, or several such parts, which count as one.
        shrink: Whether the covariance is shrunk, see `shrunk_covariance`; without it, normalised by ``count - 1``.

    Returns:
        The distribution.

    Raises:
        UserError: If a shape is wrong, there are fewer than two samples, or a number is not finite.

    >>> round(fit_normal(np.array([[0.0], [2.0]])).covariance.item(), 9)
    2.0
    """
    parts = [samples] if isinstance(samples, np.ndarray) else list(samples)
    count = _check_samples(parts)
    if not shrink and count <= parts[0].shape[1]:
        centred = np.concatenate(parts).astype(np.float64)
        mean = centred.mean(axis=0)
        return Normal(mean, (centred - mean).T / np.sqrt(count - 1), count)
    mean, scatter, fourth = _moments(parts)
    covariance, share = shrunk_covariance(scatter, fourth, count) if shrink else (scatter / (count - 1), 0.0)
    return Normal(mean, factor_covariance(covariance), count, share)


def normal_distance(first: Normal, second: Normal) -> float:
    """The squared Fréchet distance between two normal distributions.

    Args:
        first: The one.
        second: The other, of as many features.

    Returns:
        The squared distance, at least 0.

    Raises:
        UserError: If the numbers of features differ.

    >>> normal_distance(fit_normal(np.array([[0.0], [2.0]])), fit_normal(np.array([[3.0], [5.0]])))
    9.0
    """
    if first.mean.shape != second.mean.shape:
        raise UserError(
            "only distributions of as many features can be compared."
            f" Received: {len(first.mean)} and {len(second.mean)}. Use one embedding for both."
        )
    shared = np.linalg.svd(first.factor.T @ second.factor, compute_uv=False).sum()
    sizes = np.square(first.factor).sum() + np.square(second.factor).sum()
    return float(max(np.square(first.mean - second.mean).sum() + sizes - 2.0 * shared, 0.0))


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """The squared Fréchet distance between two normal distributions, given by their moments.

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
    return normal_distance(Normal(mean_a, factor_covariance(cov_a)), Normal(mean_b, factor_covariance(cov_b)))
