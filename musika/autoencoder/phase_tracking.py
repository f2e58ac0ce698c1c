"""Phase carried on from frame to frame along the loudest path, from steps that a network has told.

The phase of a steady tone cannot be told from its magnitudes, but two steps can: how far it turns from one frame to the
next, and how far apart it is in two neighbouring bins. Each bin of a frame takes its phase from the bin of the frame
before that leads to it by the loudest way: from itself, or by way of louder neighbours. So the bins around a tone turn
together, and where notes begin the new tone decides. Source: Prusa and Sondergaard, "Real-Time Spectrogram Inversion
Using Phase Gradient Heap Integration", DAFx 2016; here steps are learned, and the ways of all frames found at once.

A way hears one neighbour at a time. So afterwards phases come to agree: each becomes the weighted mean of what it would
be by the steps from all its four neighbours, in a few rounds (angular synchronisation: Singer, "Angular Synchronization
by Eigenvectors and Semidefinite Programming", 2011).

At both ends of a stretch the phase is drawn to the one that is decoded otherwise, so that stretches that were tracked
alone fit together; and in the lowest bins where something begins to sound: how drums begin is known there.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_ENDS = 12  # frames at either end over which phases come to those given
_ONSET_BINS = 12  # bins below which onsets take the phase given
_ONSET_FADE = 8  # bins above them over which that fades out
_LEAST_RISE = 0.5  # share of an amplitude that must be new where something begins: twice as loud as the frame before
_LOW = _ONSET_BINS + _ONSET_FADE
_CIRCLE = np.float32(2 * np.pi)
_CHUNK_FRAMES = 96  # frames that are brought to agree at a time: their arrays stay in the processor's cache
_ROUNDS = 3  # of agreement: more than three change little
_OWN_WEIGHT = 0.2  # of what a phase was before, against what the frames before and after say
_ACROSS_WEIGHT = 0.3  # of what the neighbouring bins say: steps from bin to bin are told less well


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
    for bins, furthest in ((range(count), np.maximum), (range(count - 1, -1, -1), np.minimum)):
        loudness, handed_on, passed = before.copy(), np.zeros(level.shape, bool), np.empty_like(level[0])
        for last, now in itertools.pairwise(bins):
            np.minimum(loudness[last], level[last], out=passed)
            np.greater(passed, loudness[now], out=handed_on[now])
            np.maximum(passed, loudness[now], out=loudness[now])
        source = own + np.multiply(handed_on, bins[0] - own, dtype=np.int16)  # then the last bin where a way begins
        for last, now in itertools.pairwise(bins):
            furthest(source[last], source[now], out=source[now])
        ways.append((source, loudness))
    (source, loudness), (downwards, loud_downwards) = ways
    source += np.multiply(loud_downwards > loudness, downwards - source, dtype=np.int16)
    return source


def _onset_pulls(level: Floats) -> Floats:
    """How far phases are drawn to those given where something begins, 0 to 1, of `(frames, low bins)`."""
    share = np.zeros(level.shape, np.float32)
    rise = 1.0 - np.exp(np.minimum(level[:-1] - level[1:], 0.0))
    fade = np.clip((_LOW - np.arange(level.shape[-1])) / _ONSET_FADE, 0.0, 1.0).astype(np.float32)
    np.multiply(rise, fade, out=share[1:], where=rise > _LEAST_RISE)
    return share


def joined_level(level: Floats) -> tuple[Floats, Floats]:
    """The level of all channels together. They are tracked as one: each alone, left and right would drift apart.

    Args:
        level: Natural logarithms of amplitudes `(channels, frames, bins)`.

    Returns:
        That of the amplitudes' sum, `(frames, bins)`, and the share of it that each channel has, as ``level``.
    """
    loudest = level.max(axis=0)
    shares = np.exp(level - loudest)
    total = shares.sum(axis=0)
    shares /= total
    return loudest + np.log(total), shares


def where_given_counts(bins: int) -> list[tuple[slice, int]]:
    """Where `track` looks at the phases that are given.

    Args:
        bins: How many bins there are.

    Returns:
        Frames, and up to which bin.
    """
    return [(slice(None), min(_LOW, bins)), (slice(_ENDS), bins), (slice(-_ENDS, None), bins)]


def track(level: Floats, advance: Floats, across: Floats, given: Floats) -> Floats:
    """Carry phases on through a stretch of frames.

    Args:
        level: Log-magnitudes `(frames, bins)`.
        advance: Phase of a bin minus that of the frame before, radians, likewise.
        across: Phase of the next bin minus that of this bin, radians, likewise.
        given: Phases that are given, radians, likewise: what they would be without tracking.

    Returns:
        Phases in radians, likewise, not wrapped.
    """
    frames = len(level)
    by_bin = np.ascontiguousarray(level.T)
    source = loudest_ways(np.roll(by_bin, 1, axis=1), by_bin)  # of the first frame it says nothing
    source = np.ascontiguousarray(source.T).astype(np.intp)
    # Along the bins a phase differs by their steps' sum, wherever the way begins: what is carried on is the rest.
    across = np.cumsum(across, axis=-1) - across
    advance = advance - across
    advance[1:] += across[:-1]
    given = given - across
    share = _onset_pulls(level[:, :_LOW])
    begins = np.any(share, axis=1).tolist()
    phase = np.empty_like(advance)
    phase[0] = last = given[0]
    for frame, (moved, ways, now) in enumerate(zip(advance[1:], source[1:], phase[1:], strict=True), 1):
        moved += last
        last = moved.take(ways, out=now, mode="clip")
        end = min(frame, frames - 1 - frame)
        if end < _ENDS:
            _draw(now, given[frame], 1.0 - end / _ENDS)
        elif begins[frame]:
            _draw(now[:_LOW], given[frame, :_LOW], share[frame])
    phase += across
    return phase


def _draw(phase: Floats, given: Floats, share: Floats | float) -> None:
    """Draw phases to those given, the shorter way round, in place."""
    away = given - phase
    away -= _CIRCLE * np.rint(away * (1 / _CIRCLE))
    away *= np.float32(share) if isinstance(share, float) else share
    phase += away


def agreed(phase: Floats, level: Floats, advance: Floats, across: Floats) -> Spectrum:
    """Bring tracked phases to agree with the steps from all their neighbours.

    A neighbour counts by the lesser of both amplitudes, so that nothing is heard before an attack. The lowest bins,
    where onsets took the phase given, and both ends of the stretch stay as they are.

    Args:
        phase: Phases in radians, `(frames, bins)`, as from `track`.
        level: As for `track`.
        advance: As for `track`.
        across: As for `track`.

    Returns:
        Unit phasors of the phases, `(frames, bins)`.
    """
    frames, settled = len(phase), np.empty(phase.shape, np.complex64)
    amplitude = np.exp(level - level.max())
    for start in range(0, frames, _CHUNK_FRAMES):
        # a round hears one frame further, so what lies as many frames inside as there are rounds is as in the whole
        part = slice(max(start - _ROUNDS, 0), min(start + _CHUNK_FRAMES + _ROUNDS, frames))
        own = slice(start - part.start, start - part.start + _CHUNK_FRAMES)
        ends = [0] * (start == 0) + [-1] * (part.stop == frames)
        found = _settled(phase[part], amplitude[part], advance[part], across[part], ends)[own]
        settled[start : start + len(found)] = found
    return settled


def _settled(phase: Floats, amplitude: Floats, advance: Floats, across: Floats, ends: list[int]) -> Spectrum:
    """`agreed` of some frames, those at the ends given staying as they are."""
    over_time = np.minimum(amplitude[1:], amplitude[:-1])
    over_bins = np.minimum(amplitude[:, 1:], amplitude[:, :-1]) * np.float32(_ACROSS_WEIGHT)
    own = amplitude * np.float32(_OWN_WEIGHT)
    total = own + np.float32(1e-20)
    total[1:] += over_time
    total[:-1] += over_time
    total[:, 1:] += over_bins
    total[:, :-1] += over_bins
    own /= total
    later, higher = unit_phasors(advance[1:]), unit_phasors(across[:, :-1])
    ways = (
        (np.s_[1:, :], np.s_[:-1, :], later * (over_time / total[1:])),
        (np.s_[:-1, :], np.s_[1:, :], later.conj() * (over_time / total[:-1])),
        (np.s_[:, 1:], np.s_[:, :-1], higher * (over_bins / total[:, 1:])),
        (np.s_[:, :-1], np.s_[:, 1:], higher.conj() * (over_bins / total[:, :-1])),
    )
    held = phasors = unit_phasors(phase)
    for _ in range(_ROUNDS):
        heard = phasors * own
        for here, there, turn in ways:
            heard[here] += phasors[there] * turn
        heard[:, :_ONSET_BINS] = held[:, :_ONSET_BINS]
        for frame in ends:
            heard[frame] = held[frame]
        phasors = heard
    length = phasors.real * phasors.real
    length += phasors.imag * phasors.imag
    phasors *= 1.0 / np.sqrt(length + np.float32(1e-20))
    return phasors


def unit_phasors(angle: Floats) -> Spectrum:
    """Phasors of length 1.

    Args:
        angle: Radians.

    Returns:
        complex64, of the same shape.
    """
    phasors = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=phasors.real)
    np.sin(angle, out=phasors.imag)
    return phasors
