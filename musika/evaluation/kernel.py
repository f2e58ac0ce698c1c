"""The kernel audio distance: the squared maximum mean discrepancy, which assumes no distribution.

Sources: Gretton et al. 2012, "A kernel two-sample test", equation 3 (the unbiased estimate); Chung et al. 2025, "KAD:
no more FAD" (Gaussian kernel, bandwidth the median distance within the reference, times 100). The unbiased estimate
does not depend on the number of windows but for its spread, and may be a little below 0 where the sets are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError

Array = NDArray[np.float64]

SCALE = 100.0
_CHUNK_ROWS = 1024
_MEDIAN_ROWS = 4000  # rows whose distances to each other the median is taken of: 8 million


def squared_distances(first: NDArray, second: NDArray) -> Array:
    """Squared Euclidean distances, in double precision.

    Args:
        first: `(rows, features)`.
        second: `(columns, features)`.

    Returns:
        `(rows, columns)`, none negative.

    >>> squared_distances(np.array([[0.0]]), np.array([[3.0], [-1.0]])).tolist()
    [[9.0, 1.0]]
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    centre = second.mean(axis=0)  # distances stay; what is subtracted from each other gets smaller
    first, second = first - centre, second - centre
    lengths = np.einsum("ij,ij->i", first, first)[:, None] + np.einsum("ij,ij->i", second, second)
    return np.maximum(lengths - 2.0 * (first @ second.T), 0.0)


def median_distance(samples: NDArray, seed: int = 0) -> float:
    """The median Euclidean distance between two different rows: the kernel's bandwidth.

    Args:
        samples: `(rows, features)`, at least two; of more than 4,000 a seeded choice of 4,000 is taken.
        seed: Seed of that choice.

    Returns:
        The median.

    Raises:
        UserError: If there are fewer than two rows, or more than half of the pairs are equal.

    >>> median_distance(np.array([[0.0], [3.0], [4.0]]))
    3.0
    """
    if len(samples) < 2:
        raise UserError(f"a median distance needs at least 2 windows. Received: {len(samples)}. Give more audio.")
    if len(samples) > _MEDIAN_ROWS:
        rng = np.random.Generator(np.random.Philox(key=[seed, 11]))
        samples = samples[np.sort(rng.choice(len(samples), _MEDIAN_ROWS, replace=False))]
    squared = squared_distances(samples, samples)
    median = float(np.sqrt(np.median(squared[np.triu_indices(len(samples), 1)])))
    if median == 0.0:
        raise UserError("the reference is the same nearly everywhere (median distance 0). Give real, varied audio.")
    return median


def _block_sums(first: NDArray, second: NDArray, starts: tuple[NDArray, NDArray], bandwidth: float) -> Array:
    """Sums of the kernel over all pairs of a group of the first and a group of the second."""
    sums = np.zeros((len(starts[0]), len(starts[1])))
    group = np.searchsorted(starts[0], np.arange(len(first)), side="right") - 1
    for begin in range(0, len(first), _CHUNK_ROWS):
        rows = slice(begin, begin + _CHUNK_ROWS)
        kernel = np.exp(squared_distances(first[rows], second) / (-2.0 * bandwidth**2))
        np.add.at(sums, group[rows], np.add.reduceat(kernel, starts[1], axis=1))
    return sums


def _starts(sizes: NDArray) -> NDArray:
    """Where groups of these sizes begin."""
    return np.concatenate([[0], np.cumsum(sizes)[:-1]])


@dataclass(frozen=True)
class KernelSums:
    """Sums of the kernel over pairs of groups: distances of any choice of groups follow without the windows.

    Attributes:
        reference: Within the reference, `(groups, groups)`.
        evaluated: Within the evaluated, `(groups, groups)`.
        between: From one to the other, `(reference groups, evaluated groups)`.
        reference_sizes: Windows in each group of the reference.
        evaluated_sizes: Windows in each group of the evaluated.
        bandwidth: Standard deviation of the Gaussian kernel.
    """

    reference: Array
    evaluated: Array
    between: Array
    reference_sizes: NDArray
    evaluated_sizes: NDArray
    bandwidth: float

    def distance(self, reference: NDArray | None = None, evaluated: NDArray | None = None) -> float:
        """The unbiased estimate of the squared discrepancy, times 100.

        Args:
            reference: How often each group of the reference counts, `(groups,)`; once each when left out.
            evaluated: The same of the evaluated.

        Returns:
            The distance; may be slightly negative.
        """
        first = np.ones(len(self.reference_sizes)) if reference is None else np.asarray(reference, np.float64)
        second = np.ones(len(self.evaluated_sizes)) if evaluated is None else np.asarray(evaluated, np.float64)
        counts = first @ self.reference_sizes, second @ self.evaluated_sizes
        within = [
            (weights @ sums @ weights - count) / (count * (count - 1))  # k(x, x) = 1 is left out
            for weights, sums, count in zip((first, second), (self.reference, self.evaluated), counts, strict=True)
        ]
        return float(SCALE * (sum(within) - 2.0 * (first @ self.between @ second) / (counts[0] * counts[1])))

    def floor(self, half: NDArray) -> float:
        """The distance between two halves of the reference.

        Args:
            half: Which groups are the one half, bool `(groups,)`.

        Returns:
            The distance, as `distance`.
        """
        one, other = np.flatnonzero(half), np.flatnonzero(~half)
        block = self.reference
        return KernelSums(
            block[np.ix_(one, one)],
            block[np.ix_(other, other)],
            block[np.ix_(one, other)],
            self.reference_sizes[one],
            self.reference_sizes[other],
            self.bandwidth,
        ).distance()


def kernel_sums(reference: list[NDArray], evaluated: list[NDArray], bandwidth: float | None = None) -> KernelSums:
    """Add up the kernel over all pairs of windows, in chunks.

    Args:
        reference: Windows `(windows, features)` of each group, none empty.
        evaluated: The same.
        bandwidth: Standard deviation of the kernel; the reference's median distance when left out.

    Returns:
        The sums.

    Raises:
        UserError: If there are fewer than two windows on a side.
    """
    ours, theirs = (np.array([len(group) for group in groups]) for groups in (reference, evaluated))
    if min(ours.sum(), theirs.sum()) < 2:
        raise UserError("the kernel distance needs at least 2 windows on each side. Give more audio.")
    first, second = np.concatenate(reference), np.concatenate(evaluated)
    bandwidth = median_distance(first) if bandwidth is None else bandwidth
    starts = _starts(ours), _starts(theirs)
    return KernelSums(
        _block_sums(first, first, (starts[0], starts[0]), bandwidth),
        _block_sums(second, second, (starts[1], starts[1]), bandwidth),
        _block_sums(first, second, starts, bandwidth),
        ours,
        theirs,
        bandwidth,
    )


def kernel_distance(reference: NDArray, evaluated: NDArray, bandwidth: float | None = None) -> float:
    """The kernel audio distance of two sets.

    Args:
        reference: Windows `(windows, features)`.
        evaluated: The same.
        bandwidth: Standard deviation of the kernel; the reference's median distance when left out.

    Returns:
        The unbiased squared discrepancy, times 100.

    Raises:
        UserError: If there are fewer than two windows on a side.

    >>> round(kernel_distance(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])), 2)
    -39.35
    """
    return kernel_sums([reference], [evaluated], bandwidth).distance()
