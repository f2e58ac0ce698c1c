"""Left and right, middle and side, and how far apart they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError

Floats = NDArray[np.float32]

_SHORTEST_DELAY, _LONGEST_DELAY = 40.0, 85.0  # samples
DEEPEST_SWING = 1.1  # radians: half of the power is the side's then


def as_stereo(audio: NDArray) -> Floats:
    """Check a waveform; a single channel is doubled.

    Args:
        audio: Waveform in [-1, 1], `(samples, 2)`, `(samples, 1)` or `(samples,)`.

    Returns:
        float32 waveform `(samples, 2)`.

    Raises:
        UserError: If the shape is another one, the numbers are whole ones, or there is a NaN or an infinity.
    """
    kind = np.asarray(audio).dtype
    if np.issubdtype(kind, np.integer):
        raise UserError(
            f"codec: audio must be floating-point numbers from -1 to 1. Received: {kind}. Divide it by the largest that"
            f" it can hold, {-np.iinfo(kind).min or np.iinfo(kind).max}, first."
        )
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[1] not in (1, 2):
        raise UserError(
            "codec: audio must have the shape (samples, 2), or (samples,) for one channel."
            f" Received: shape {np.shape(audio)}. Mix other channels down first."
        )
    if not np.isfinite(samples).all():
        raise UserError("codec: audio must hold finite numbers only. Received: NaN or infinity. Repair the file first.")
    return np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples


def to_mid_side(values: Floats) -> Floats:
    """Middle and side of stereo channels.

    Args:
        values: `(..., 2 * channels)`, left channels first.

    Returns:
        The same shape: ``(left + right) / 2``, then ``(left - right) / 2``.

    >>> to_mid_side(np.array([3.0, 1.0])).tolist()
    [2.0, 1.0]
    """
    left, right = np.split(values, 2, axis=-1)
    return np.concatenate([(left + right) / 2, (left - right) / 2], axis=-1)


def from_mid_side(values: Floats) -> Floats:
    """Left and right of middle and side; undoes `to_mid_side`.

    Args:
        values: `(..., 2 * channels)`, middle channels first.

    Returns:
        The same shape, left channels first.

    >>> from_mid_side(np.array([2.0, 1.0])).tolist()
    [3.0, 1.0]
    """
    middle, side = np.split(values, 2, axis=-1)
    return np.concatenate([middle + side, middle - side], axis=-1)


def swing_wave(bins: int, fft_length: int) -> Floats:
    """How left and right are set apart over frequency: a wave for the phase of left, the opposite one for right.

    Turned by it, a spectrum goes through a short all-pass filter: the phase of left is ahead of right's in some bins
    and behind it in others, in waves that stand for delays of 1 to 2 ms, far below what is heard as an echo.

    Args:
        bins: Number of bins.
        fft_length: Samples of a frame.

    Returns:
        Array `(bins,)` from -1 to 1, to be multiplied by the depth of the swing in radians.
    """
    delays = np.geomspace(_SHORTEST_DELAY, _LONGEST_DELAY, bins)
    return np.sin(2.0 * np.pi * np.cumsum(delays) / fft_length).astype(np.float32)


def swing_depth(share: NDArray[np.float64], wanted: NDArray[np.float64]) -> Floats:
    """How far the phases must swing for the side to have its share of the power.

    Left and right that are turned apart by an angle to either side leave ``s + (1 - 2 s) sin(angle)^2`` of the power
    to a side that had ``s`` of it, see `side_share_of_swing`.

    Args:
        share: The side's share of the power as it is, 0 to 1.
        wanted: The share that it should have.

    Returns:
        Radians, 0 where the side is wide enough.
    """
    missing = (wanted - share) / np.maximum(1.0 - 2.0 * share, 0.1)
    depths = np.linspace(0.0, DEEPEST_SWING, 200)
    return np.interp(missing, side_share_of_swing(depths), depths).astype(np.float32)


def side_share_of_swing(depth: NDArray) -> NDArray[np.float64]:
    """The side's share of the power in one channel that is set apart: a swing's mean square sine.

    Args:
        depth: Depth of the swing in radians.

    Returns:
        ``(1 - J0(2 * depth)) / 2``.
    """
    from scipy.special import j0

    return (1.0 - j0(2.0 * np.asarray(depth, np.float64))) / 2.0
