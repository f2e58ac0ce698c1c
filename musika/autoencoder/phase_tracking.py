"""Phase carried on from frame to frame along the loudest path, from steps that a network has told.

The phase of a steady tone cannot be told from its magnitudes, but two steps can: how far it turns from one frame to the
next, and how far apart it is in two neighbouring bins. Each bin of a frame takes its phase from the bin of the frame
before that leads to it by the loudest way: from itself, or by way of louder neighbours. So the bins around a tone turn
together, and where notes begin the new tone decides. Source: Prusa and Sondergaard, "Real-Time Spectrogram Inversion
Using Phase Gradient Heap Integration", DAFx 2016; here the steps are learned and the way is found for all frames at once.

At both ends of a stretch the phase is drawn to the one that the network gives for each frame alone, so that stretches
that were tracked alone fit together; and in the lowest bins where something begins to sound.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ENDS = 24  # frames at either end over which phases come to those of the network
_ONSET_BINS = 12  # bins below which onsets take the network's phase, which knows how drums and basses begin
_ONSET_FADE = 8  # bins above them over which that fades out
_LOW = _ONSET_BINS + _ONSET_FADE
_CIRCLE = np.float32(2 * np.pi)


def loudest_ways(before: Floats, level: Floats) -> NDArray[np.int16]:
    """From which bin of the frame before each phase comes.

    A way is as loud as its quietest place; it goes up or down along the bins, so one sweep each way finds all of them.

    Args:
        before: Log-magnitudes of the frame before, `(bins, frames)`.
        level: Log-magnitudes, likewise.

    Returns:
        The bin, `(bins, frames)`.
    """
    count = len(level)
    own = np.arange(count, dtype=np.int16)[:, None]
    ways = []
    for bins, furthest in ((range(count), 0), (range(count - 1, -1, -1), count - 1)):
        loudness, handed_on, passed = before.copy(), np.zeros(level.shape, bool), np.empty_like(level[0])
        for last, now in itertools.pairwise(bins):
            np.minimum(loudness[last], level[last], out=passed)
            np.greater(passed, loudness[now], out=handed_on[now])
            np.maximum(passed, loudness[now], out=loudness[now])
        start = np.where(handed_on, np.int16(furthest), own)  # where a way along the bins begins
        if furthest:
            source = np.minimum.accumulate(start[::-1], axis=0)[::-1]
        else:
            source = np.maximum.accumulate(start, axis=0)
        ways.append((source, loudness))
    (upwards, loud_upwards), (downwards, loud_downwards) = ways
    return np.where(loud_downwards > loud_upwards, downwards, upwards)


def _pulls(level: Floats) -> Floats:
    """How far each phase is drawn to the one given, from 0 to 1: `(frames, bins, channels)`, as ``level``."""
    frames, bins = level.shape[:2]
    share = np.zeros(level.shape, np.float32)
    onsets = np.clip((_ONSET_BINS + _ONSET_FADE - np.arange(bins)) / _ONSET_FADE, 0.0, 1.0)[:, None]
    rise = 1.0 - np.exp(np.minimum(level[:-1, :_LOW] - level[1:, :_LOW], 0.0))
    share[1:, :_LOW] = rise * onsets[:_LOW].astype(np.float32)
    distance = np.minimum(np.arange(frames), np.arange(frames)[::-1])
    ends = np.maximum(0.0, 1.0 - distance / _ENDS).astype(np.float32)
    return np.maximum(share, ends[:, None, None], out=share)


def track(level: Floats, advance: Floats, across: Floats, given: Floats) -> Floats:
    """Carry phases on through a stretch of frames.

    Args:
        level: Log-magnitudes `(channels, frames, bins)`.
        advance: Phase of a bin minus that of the frame before, radians, likewise.
        across: Phase of the next bin minus that of this bin, radians, likewise.
        given: Phases that are given for each frame alone, radians, likewise.

    Returns:
        Phases in radians, likewise, not wrapped.
    """
    channels, frames, bins = level.shape
    by_bin = np.ascontiguousarray(level.transpose(2, 1, 0)).reshape(bins, -1)
    source = loudest_ways(np.roll(by_bin, channels, axis=1), by_bin)  # of the first frame it says nothing
    # frames first, then bins: what a step of the loop takes lies side by side
    order = (frames, bins * channels)
    source = source.reshape(bins, frames, channels).transpose(1, 0, 2).astype(np.intp) * channels
    source = (source + np.arange(channels)).reshape(order)
    # along the bins a phase differs by their steps' sum, wherever the way begins
    across = np.cumsum(across, axis=-1) - across
    advance = advance - across
    advance, across, given, level = (part.transpose(1, 2, 0) for part in (advance, across, given, level))
    share = _pulls(level).reshape(order)
    advance, across, given = (part.reshape(order) for part in (advance, across, given))
    phase, moved = np.empty(order, np.float32), np.empty(order[1], np.float32)
    phase[0] = given[0]
    for frame in range(1, frames):
        now = phase[frame]
        np.add(phase[frame - 1], advance[frame], out=moved)
        np.take(moved, source[frame], out=now, mode="clip")
        now += across[frame]
        drawn = slice(None if min(frame, frames - 1 - frame) < _ENDS else _LOW * channels)
        away = given[frame, drawn] - now[drawn]
        away -= _CIRCLE * np.rint(away * (1 / _CIRCLE))
        away *= share[frame, drawn]
        now[drawn] += away
    return phase.reshape(frames, bins, channels).transpose(2, 0, 1)
