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


def _product(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    """Product of complex numbers in two parts."""
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def windowed_recurrence(turn: tuple[Any, Any], drive: tuple[Any, Any], window: int) -> tuple[Any, Any]:
    """Sum over the last frames of each one's drive, carried on by the turns since.

    That is ``sum_j turn[t] turn[t-1] .. turn[t-j+1] drive[t-j]`` for ``0 <= j < window``, zero before the first frame.
    Made by doubling: the sum over 2 n frames is that over the newer n plus the carried-on sum over the older n.

    Args:
        turn: Real and imaginary part `(batch, time, bins)` of what the state is multiplied by in each frame.
        drive: Real and imaginary part of what is added in each frame.
        window: Frames that are looked back over, this one included: a power of two.

    Returns:
        Real and imaginary part of the state.
    """
    state, carried = drive, turn
    length = 1
    while length < min(window, drive[0].shape[1]):
        real, imaginary = _product(carried, (_delayed(state[0], length), _delayed(state[1], length)))
        state = state[0] + real, state[1] + imaginary
        if 2 * length < window:
            carried = _product(carried, (_delayed(carried[0], length), _delayed(carried[1], length)))
        length *= 2
    return state
