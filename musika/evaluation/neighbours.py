"""What nearest neighbours say: fidelity, diversity and copying.

Sources: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models"; Naeem et al.
2020, "Reliable fidelity and diversity metrics for generative models" (density and coverage, equations 3 and 4); the
copying score follows the idea of Meehan et al. 2020, "A non-parametric test to detect data-copying".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError
from musika.evaluation.kernel import squared_distances

Array = NDArray[np.float64]

NEIGHBOURS = 5  # as in Naeem et al., section 5
_CHUNK_ROWS = 1024
_SAME = 1e-6  # windows nearer than this, relative to the spread of a set, are the same but for rounding


def _rows(first: NDArray, second: NDArray) -> Iterator[tuple[slice, Array]]:
    """Squared distances of some rows of the first at a time to all of the second."""
    for begin in range(0, len(first), _CHUNK_ROWS):
        rows = slice(begin, min(begin + _CHUNK_ROWS, len(first)))
        yield rows, squared_distances(first[rows], second)


def _check(samples: dict[str, NDArray], least: int) -> None:
    """Check that arrays are windows of as many features, and enough of them."""
    shapes = {name: np.shape(part) for name, part in samples.items()}
    features = {shape[-1] for shape in shapes.values() if len(shape) == 2}
    if any(len(shape) != 2 or shape[0] < least for shape in shapes.values()) or len(features) != 1:
        raise UserError(
            f"{', '.join(shapes)} must have the shape (windows, features), the same features, at least {least} windows."
            f" Received: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}"
        )


def nearest_distances(samples: NDArray, others: NDArray) -> Array:
    """Distance of every window to the nearest of others.

    Args:
        samples: Windows `(windows, features)`.
        others: Windows `(windows, features)`.

    Returns:
        Euclidean distances, `(windows,)`.

    >>> nearest_distances(np.array([[0.0], [5.0]]), np.array([[1.0], [3.0]])).tolist()
    [1.0, 2.0]
    """
    return np.sqrt(np.concatenate([squared.min(axis=1) for _, squared in _rows(samples, others)]))


def _radii(samples: NDArray, neighbours: int) -> Array:
    """Squared distance of every window to its k-th neighbour among its own set."""
    radii = []
    for rows, squared in _rows(samples, samples):
        squared[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = np.inf  # not itself
        radii.append(np.partition(squared, neighbours - 1, axis=1)[:, neighbours - 1])
    return np.concatenate(radii)


def precision_recall(real: NDArray, generated: NDArray, neighbours: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density and coverage.

    A window lies *by* another one if it is nearer to it than that one's k-th neighbour among its own set.

    Args:
        real: Windows of the reference, `(windows, features)`.
        generated: Windows of what is evaluated, `(windows, features)`.
        neighbours: The k.

    Returns:
        ``precision``: share of the generated windows that lie by a real one; ``recall``: share of the real windows that
        lie by a generated one; ``density``: real windows that a generated one lies by, on average, over k;
        ``coverage``: share of the real windows that a generated one lies by.

    Raises:
        UserError: If there are not more than k windows on both sides.

    >>> precision_recall(np.arange(8.0)[:, None], np.arange(8.0)[:, None] + 0.1, 1)["coverage"]
    1.0
    """
    _check({"real": real, "generated": generated}, neighbours + 1)
    real_radii, generated_radii = _radii(real, neighbours), _radii(generated, neighbours)
    hits, covered = np.zeros(len(generated)), np.zeros(len(real), bool)
    recalled = np.zeros(len(real), bool)
    for rows, squared in _rows(real, generated):
        by_real = squared < real_radii[rows, None]
        hits += by_real.sum(axis=0)
        covered[rows] = by_real.any(axis=1)
        recalled[rows] = (squared < generated_radii).any(axis=1)
    return {
        "precision": float((hits > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(hits.mean() / neighbours),
        "coverage": float(covered.mean()),
    }


def copying_score(generated: NDArray, training: NDArray, held_out: NDArray) -> dict[str, float]:
    """How near generated music comes to the music that it was trained on, seen against real music that was not.

    With ``d(x)`` the distance of a window to the nearest window of the training music,
    ``score = median d(generated) / median d(held_out)``: 0 is a copy, 1 as new as other real music. ``closer`` is the
    share of the generated windows that are nearer to the training music than 95 % of the held-out windows are (0.05
    where nothing is copied); ``chance`` is the chance that a generated window is farther from it than a held-out one
    (0.5 where nothing is copied, ties count half).

    Args:
        generated: Generated windows or latents, `(windows, features)`.
        training: Those of the training music.
        held_out: Those of real music that was kept from training.

    Returns:
        ``score``, ``closer``, ``chance``, and both medians, ``generated_distance`` and ``held_out_distance``.

    Raises:
        UserError: If a set is empty, the features differ, or the held-out music lies in the training music.

    >>> copying_score(np.array([[1.0]]), np.array([[0.0]]), np.array([[2.0]]))["score"]
    0.5
    """
    _check({"generated": generated, "training": training, "held_out": held_out}, 1)
    ours, theirs = nearest_distances(generated, training), np.sort(nearest_distances(held_out, training))
    if np.median(theirs) < _SAME * np.sqrt(np.var(training, axis=0, dtype=np.float64).sum()):
        raise UserError("copying: most of the held-out windows are in the training music. Give music that is not.")
    below = np.searchsorted(theirs, ours, side="left") + np.searchsorted(theirs, ours, side="right")
    return {
        "score": float(np.median(ours) / np.median(theirs)),
        "closer": float((ours < np.quantile(theirs, 0.05)).mean()),
        "chance": float(below.mean() / (2 * len(theirs))),
        "generated_distance": float(np.median(ours)),
        "held_out_distance": float(np.median(theirs)),
    }
