"""Mel bands as AudioSet's front end has them: triangles whose sides are straight in mel, not in Hz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hertz_to_mel(frequency: NDArray | float) -> NDArray:
    """Convert frequencies to the mel scale of HTK.

    Args:
        frequency: In Hz.

    Returns:
        ``1127 ln(1 + f / 700)``.

    >>> round(float(hertz_to_mel(1000.0)), 1)
    1000.0
    """
    return 1127.0 * np.log1p(np.asarray(frequency, np.float64) / 700.0)


def mel_weights(bands: int, bins: int, sample_rate: int, low: float, high: float) -> NDArray[np.float64]:
    """Weights that gather the bins of a spectrum into bands.

    Edges are equally spaced in mel from ``low`` to ``high``; a band rises from one edge to 1 at the next and falls to
    the one after. Bin 0, the mean of the signal, counts nowhere.

    Args:
        bands: Number of bands.
        bins: Bins of the spectrum from 0 Hz to half the sample rate, both included.
        sample_rate: In Hz.
        low: Lower edge of the lowest band in Hz.
        high: Upper edge of the highest band in Hz.

    Returns:
        Array of shape `(bins, bands)`.

    >>> mel_weights(64, 257, 16000, 125.0, 7500.0).shape
    (257, 64)
    """
    place = hertz_to_mel(np.linspace(0.0, sample_rate / 2, bins))[:, None]
    edges = np.linspace(hertz_to_mel(low), hertz_to_mel(high), bands + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((place - left) / (centre - left), (right - place) / (right - centre)))
    weights[0] = 0.0
    return weights
