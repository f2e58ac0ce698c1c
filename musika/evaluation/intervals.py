"""What chance does to a distance: extrapolation over sample sizes, intervals, and the floor of real against real.

All of it resamples whole tracks: windows of a track are alike, and drawing them one by one would promise too much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_TRACKS = 5  # with fewer tracks resampling them says nothing
_SIZES = 10
_DRAWS = 10  # a size
_SMALLEST_SHARE = 0.2  # of the tracks, in the extrapolation
_QUANTILES = (0.025, 0.975)


def generator(seed: int, stream: int) -> np.random.Generator:
    """A counter-based random generator.

    Args:
        seed: The user's seed.
        stream: What it is for, so that no two uses share numbers.

    Returns:
        The generator.
    """
    return np.random.Generator(np.random.Philox(key=[seed, stream]))


@dataclass(frozen=True)
class Extrapolation:
    """A distance at unlimited sample size.

    Attributes:
        value: The line's value at 1 / windows = 0.
        slope: The line's slope against 1 / windows.
        r2: Share of the variance of the points that the line explains.
        windows: Windows at each point, on average.
        distances: Distance at each point, on average over the draws.
        draws: Draws at each point.
    """

    value: float
    slope: float
    r2: float
    windows: tuple[float, ...]
    distances: tuple[float, ...]
    draws: int = _DRAWS


def extrapolation_sizes(counts: Sequence[int], least_windows: int) -> list[int]:
    """Choose numbers of tracks, evenly in 1 / size.

    Args:
        counts: Windows of each track.
        least_windows: Windows that the smallest size shall have, on average.

    Returns:
        Sizes, from small to all; fewer than three different ones mean that there is too little to extrapolate from.

    >>> extrapolation_sizes([10] * 20, 40)
    [4, 5, 6, 7, 9, 11, 14, 20]
    """
    total, mean = len(counts), float(np.mean(counts))
    smallest = max(2, int(np.ceil(least_windows / mean)), int(np.ceil(_SMALLEST_SHARE * total)))
    if smallest >= total:
        return [total]
    return sorted({round(1 / inverse) for inverse in np.linspace(1 / smallest, 1 / total, _SIZES)})


def extrapolate(
    tracks: Sequence[NDArray], distance: Callable[[list[NDArray]], float], least_windows: int, seed: int
) -> Extrapolation | None:
    """Extrapolate a distance to unlimited sample size.

    The Fréchet distance of finite samples is too large by an amount that falls with 1 / windows. Subsets of tracks,
    drawn without replacement, give the distance at smaller sizes; a line through it over 1 / windows meets the axis at
    the distance without that bias. Source: Chong and Forsyth 2020, "Effectively unbiased FID and inception score", for
    audio Gui et al. 2024, "Adapting Fréchet audio distance for generative music evaluation"; here tracks are drawn, not
    windows.

    Args:
        tracks: Windows of each track of the evaluated set.
        distance: Gives the distance of some of them to the reference.
        least_windows: Windows below which the distance has no meaning.
        seed: Seed of the subsets.

    Returns:
        The extrapolation; None when there are too few tracks.
    """
    counts = [len(track) for track in tracks]
    sizes = extrapolation_sizes(counts, least_windows)
    if len(tracks) < LEAST_TRACKS or len(sizes) < 3:
        return None
    rng = generator(seed, 14)
    windows: list[float] = []
    distances: list[float] = []
    for size in sizes:
        found = []
        for _ in range(_DRAWS if size < len(tracks) else 1):
            chosen = [tracks[index] for index in sorted(rng.choice(len(tracks), size, replace=False))]
            found.append((sum(len(track) for track in chosen), distance(chosen)))
        mean = np.mean(found, axis=0)
        windows.append(float(mean[0]))
        distances.append(float(mean[1]))
    places, heights = 1 / np.array(windows), np.array(distances)
    slope, value = np.polyfit(places, heights, 1)
    left = np.square(heights - (value + slope * places)).sum()
    spread = np.square(heights - heights.mean()).sum()
    r2 = float(1 - left / spread) if spread > 0 else 1.0
    return Extrapolation(float(value), float(slope), r2, tuple(windows), tuple(distances))


def interval(estimate: float, draws: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval that bootstrap draws give.

    Resampled tracks repeat, so the draws hold fewer different windows and lie farther away than the estimate, by the
    bias that the extrapolation measures. The percentile interval is therefore moved to have its middle (the draws'
    median) at the estimate.

    Args:
        estimate: The distance of all tracks.
        draws: Distances of resampled tracks.

    Returns:
        Lower and upper end.

    >>> [round(end, 2) for end in interval(4.0, [2.0, 3.0, 4.0])]
    [3.05, 4.95]
    """
    low, high = np.quantile(draws, _QUANTILES) - np.median(draws) + estimate
    return float(low), float(high)


def resample(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Draw as many tracks as there are, with replacement.

    Args:
        rng: The random generator.
        count: Number of tracks.

    Returns:
        Their indices, sorted, `(count,)`.
    """
    return np.sort(rng.integers(count, size=count))


def half_masks(count: int, repeats: int, seed: int) -> list[NDArray[np.bool_]]:
    """Split tracks into two halves by chance, several times.

    Args:
        count: Number of tracks, at least 2.
        repeats: Number of splits.
        seed: Seed of the splits.

    Returns:
        For each split which tracks are the first half, bool `(count,)`.

    >>> [int(mask.sum()) for mask in half_masks(5, 2, 0)]
    [2, 2]
    """
    rng = generator(seed, 15)
    return [rng.permutation(count) < count // 2 for _ in range(repeats)]
