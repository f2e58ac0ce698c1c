"""A soft limiter that keeps a waveform in [-1, 1].

It has no memory: a sample's new value depends on that sample alone, so that any stretch of a piece, rendered alone,
is the same to the byte. With ``u = (|x| - knee) / (1 - knee)``

    y = x                                                 where |x| <= knee
    y = sign(x) * (knee + (1 - knee) * u / sqrt(1 + u^2))   elsewhere

which leaves everything up to the knee as it is and goes on with the same slope and curvature towards 1. It uses
only operations that IEEE 754 rounds exactly, so the bytes are the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musika.jit import jit_exactly

Floats = NDArray[np.float32]

# -1.9 dB: most music passes unchanged, and a full-scale peak is still only 0.5 dB lower (0.94).
KNEE = 0.8


def soft_limit(audio: Floats, knee: float = KNEE) -> Floats:
    """Limit a waveform to [-1, 1].

    Args:
        audio: Waveform of any shape.
        knee: Magnitude up to which samples stay as they are, from 0 to under 1.

    Returns:
        A new float32 array of the same shape.

    >>> soft_limit(np.float32([0.5, 0.8, -30.0])).round(3).tolist()
    [0.5, 0.800000011920929, -1.0]
    """
    samples = np.asarray(audio, dtype=np.float32)
    limited = np.empty(samples.shape, np.float32)
    rows = samples if samples.ndim == 2 else samples.reshape(-1, 1)
    _limit(rows, knee, limited.reshape(rows.shape))
    return limited


@jit_exactly
def _limit(samples: Floats, knee: float, limited: Floats) -> None:
    """Limit samples `(samples, channels)` into another array, in double precision where the curve bends."""
    straight = np.float32(knee)
    for index in range(samples.shape[0]):
        for channel in range(samples.shape[1]):
            sample = samples[index, channel]
            if abs(sample) > straight:
                # 1e9 is where the curve is 1 in double precision; beyond, its square would overflow.
                excess = min((abs(np.float64(sample)) - knee) / (1 - knee), 1e9)
                sample = np.float32(np.copysign(knee + (1 - knee) * excess / np.sqrt(1 + excess * excess), sample))
            limited[index, channel] = sample
