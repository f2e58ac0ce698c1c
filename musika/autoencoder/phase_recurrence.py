"""Phase that goes on from frame to frame: a bank of learned oscillators, each looking back over a window of frames.

The phase of a steady tone cannot be told from its magnitudes, but how far it turns from one frame to the next can. So
each oscillator gets, frame by frame, a drive ``b``, a decay ``r`` and a turn ``theta``, and its state is what the
recurrence ``h[t] = r[t] exp(i theta[t]) h[t - 1] + b[t]`` would give, had it begun ``window - 1`` frames ago. Being a
function of these frames alone, it is the same wherever a block begins.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def _delayed(values: Any, frames: int) -> Any:
    """Values `(batch, time, bins)` of so many frames ago, zeros before the first."""
    return ops.pad(values[:, : values.shape[1] - frames], ((0, 0), (frames, 0), (0, 0)))


def windowed_recurrence(angle: Any, decay: Any, drive: tuple[Any, Any], window: int) -> tuple[Any, Any]:
    """Sum over the last frames of each one's drive, carried on by the turns and decays since.

    That is the sum of ``r[t] e^(i theta[t]) .. r[t-j+1] e^(i theta[t-j+1]) drive[t-j]`` over ``0 <= j < window``, zero
    before the first frame. Seen from a frame of reference that turns along, only the decays are left; their sum is made
    by doubling: that over 2 n frames is that over the newer n plus the decayed sum over the older n.

    Args:
        angle: How far the state turns from the frame before to each frame, radians `(batch, time, bins)`.
        decay: What remains of it, from 0 to 1.
        drive: Real and imaginary part of what is added in each frame.
        window: Frames that are looked back over, this one included: a power of two.

    Returns:
        Real and imaginary part of the state.
    """
    turned = ops.cumsum(angle, axis=1)
    cosine, sine = ops.cos(turned), ops.sin(turned)
    real, imaginary = drive[0] * cosine + drive[1] * sine, drive[1] * cosine - drive[0] * sine
    length = 1
    while length < min(window, angle.shape[1]):
        real = real + decay * _delayed(real, length)
        imaginary = imaginary + decay * _delayed(imaginary, length)
        if 2 * length < window:
            decay = decay * _delayed(decay, length)
        length *= 2
    return real * cosine - imaginary * sine, real * sine + imaginary * cosine
