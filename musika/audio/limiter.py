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

Floats = NDArray[np.float32]

# -1.9 dB: most music passes unchanged, and a full-scale peak is still only 0.5 dB lower (0.94).
KNEE = 0.8


def soft_limit(audio: Floats, knee: float = KNEE) -> Floats:
    """Limit a waveform to [-1, 1].

    Args:
        audio: Waveform of any shape.
        knee: Magnitude up to which samples stay as they are, from 0 to under 1.

    Returns:
        float32 array of the same shape: ``audio`` itself where no sample lies above the knee, else a new one.

    >>> soft_limit(np.float32([0.5, 0.8, -30.0])).round(3).tolist()
    [0.5, 0.800000011920929, -1.0]
    """
    samples = np.asarray(audio, dtype=np.float32)
    above = np.abs(samples) > np.float32(knee)
    if not above.any():
        return samples
    limited = samples.copy()
    peaks = samples[above].astype(np.float64)
    # 1e9 is where the curve is 1 in double precision; beyond, its square would overflow.
    excess = np.minimum((np.abs(peaks) - knee) / (1 - knee), 1e9)
    limited[above] = np.copysign(knee + (1 - knee) * excess / np.sqrt(1 + excess * excess), peaks)
    return limited
