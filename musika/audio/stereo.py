"""Left and right, middle and side, and how far apart they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError

Floats = NDArray[np.float32]

_SHORTEST_DELAY, _LONGEST_DELAY = 40.0, 85.0  # samples
_DEEPEST = 1.1  # radians: half of the power is the side's then
_SHARE_REACH = 12  # bins to either side over which powers are summed: a wave of the all-pass filters and more


def as_stereo(audio: NDArray) -> Floats:
    """Check a waveform; a single channel is doubled.

    Args:
        audio: Waveform `(samples, 2)`, `(samples, 1)` or `(samples,)`.

    Returns:
        float32 waveform `(samples, 2)`.

    Raises:
        UserError: If the shape is another one, or there is a NaN or an infinity.
    """
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


def spread_rotation(depth: Floats, fft_length: int) -> NDArray[np.complex64]:
    """What the spectra of left and right are multiplied by to set them apart: a pair of short all-pass filters.

    The phase of left is ahead of right's in some bins and behind it in others, in waves over frequency that stand for
    delays of 1 to 2 ms: far below what is heard as an echo.

    Args:
        depth: How far the phase of either side swings at each bin, radians `(bins,)`.
        fft_length: Samples of a frame.

    Returns:
        complex64 array `(2, bins)` of magnitude 1.
    """
    delays = np.geomspace(_SHORTEST_DELAY, _LONGEST_DELAY, len(depth))
    angle = depth * np.sin(2.0 * np.pi * np.cumsum(delays) / fft_length)
    return np.exp(1j * np.stack([angle, -angle])).astype(np.complex64)


def spread_depth(share: NDArray[np.float64], wanted: NDArray[np.float64]) -> Floats:
    """How far the phases must swing for the side to have its share of the power.

    Left and right that are turned apart by an angle to either side leave ``s + (1 - 2 s) sin(angle)^2`` of the power
    to a side that had ``s`` of it, and a swing of depth ``a`` has ``(1 - J0(2 a)) / 2`` for a mean square sine.

    Args:
        share: The side's share of the power of each bin as it is, 0 to 1.
        wanted: The share that it should have.

    Returns:
        Radians of each bin, 0 where the side is wide enough.
    """
    from scipy.special import j0

    missing = (wanted - share) / np.maximum(1.0 - 2.0 * share, 0.1)
    depths = np.linspace(0.0, _DEEPEST, 200)
    return np.interp(missing, (1.0 - j0(2.0 * depths)) / 2.0, depths).astype(np.float32)


def side_share(left: NDArray, right: NDArray) -> NDArray[np.float64]:
    """The side's share of the power.

    Args:
        left: Spectra of the left channel, `(frames, bins)`.
        right: Those of the right channel.

    Returns:
        Share of each bin, 0 for one channel twice, 1 for opposite ones; 0 where there is silence.
    """
    middle, side = (np.square(np.abs(part)).sum(axis=0, dtype=np.float64) for part in (left + right, left - right))
    reach = np.ones(2 * _SHARE_REACH + 1)
    middle, side = (np.convolve(np.pad(part, _SHARE_REACH, mode="edge"), reach, "valid") for part in (middle, side))
    return side / np.maximum(middle + side, 1e-12)
