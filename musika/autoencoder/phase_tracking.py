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

import numpy as np
from numpy.typing import NDArray

from musika.compiled import compiled

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_ENDS = 12  # frames at either end over which phases come to those given
_ONSET_BINS = 12  # bins below which onsets take the phase given
_ONSET_FADE = 8  # bins above them over which that fades out
_LEAST_RISE = 0.5  # share of an amplitude that must be new where something begins: twice as loud as the frame before
_LOW = _ONSET_BINS + _ONSET_FADE
_CIRCLE = np.float32(2 * np.pi)
_ROUNDS = 3  # of agreement: more than three change little
_OWN_WEIGHT = np.float32(0.2)  # of what a phase was before, against what the frames before and after say
_ACROSS_WEIGHT = np.float32(0.3)  # of what the neighbouring bins say: steps from bin to bin are told less well
_LEAST = np.float32(1e-20)


@compiled
def _ways(before: Floats, level: Floats, source: NDArray[np.int32], loudness: Floats) -> None:
    """`loudest_ways` of one frame into ``source``; ``loudness`` is scratch, `(bins,)` each."""
    count = len(level)
    for bin_ in range(count):
        source[bin_], loudness[bin_] = bin_, before[bin_]
    for bin_ in range(1, count):
        passed = min(loudness[bin_ - 1], level[bin_ - 1])
        if passed > loudness[bin_]:
            source[bin_], loudness[bin_] = source[bin_ - 1], passed
    below, way = before[count - 1], count - 1  # downwards, where that is louder still
    for bin_ in range(count - 2, -1, -1):
        passed = min(below, level[bin_ + 1])
        if passed > before[bin_]:
            below = passed
        else:
            below, way = before[bin_], bin_
        if below > loudness[bin_]:
            source[bin_] = way


@compiled
def loudest_ways(before: Floats, level: Floats) -> NDArray[np.int32]:
    """From which bin of the frame before each phase comes.

    A way is as loud as its quietest place; it goes up or down along the bins, so one sweep each way finds all of them.

    Args:
        before: Log-magnitudes of the frames before, `(frames, bins)`.
        level: Log-magnitudes, likewise.

    Returns:
        The bin, `(frames, bins)`.
    """
    source, loudness = np.empty(level.shape, np.int32), np.empty(level.shape[1], np.float32)
    for frame in range(len(level)):
        _ways(before[frame], level[frame], source[frame], loudness)
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
    return _carried(level, advance, across, given, _onset_pulls(level[:, :_LOW]))


@compiled
def _carried(level: Floats, advance: Floats, across: Floats, given: Floats, share: Floats) -> Floats:
    """`track`, with the shares by which onsets draw the lowest bins to the phases given."""
    frames, bins = level.shape
    phase, source = np.empty_like(level), np.empty(bins, np.int32)
    loudness, beside, moved = np.empty(bins, np.float32), np.empty(bins, np.float32), np.empty(bins, np.float32)
    phase[0] = given[0]
    for frame in range(1, frames):
        before, now = phase[frame - 1], phase[frame]
        _ways(level[frame - 1], level[frame], source, loudness)
        total = np.float32(0.0)
        for bin_ in range(bins):  # along the bins phases differ by the steps' sum
            beside[bin_] = total
            total += across[frame, bin_]
        for bin_ in range(bins):
            moved[bin_] = before[bin_] + advance[frame, bin_] - beside[bin_]
        for bin_ in range(bins):
            now[bin_] = moved[source[bin_]] + beside[bin_]
        end = min(frame, frames - 1 - frame)
        for bin_ in range(bins if end < _ENDS else share.shape[1]):
            away = given[frame, bin_] - now[bin_]
            away -= _CIRCLE * np.rint(away / _CIRCLE)  # the shorter way round
            now[bin_] += away * (np.float32(1.0 - end / _ENDS) if end < _ENDS else share[frame, bin_])
    return phase


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
    amplitude = np.exp(level - level.max())
    return _settled(unit_phasors(phase), unit_phasors(advance), unit_phasors(across), amplitude)


@compiled
def _settled(given: Spectrum, later: Spectrum, higher: Spectrum, amplitude: Floats) -> Spectrum:
    """`agreed` of unit phasors of phases and of steps, and amplitudes.

    A round follows the one before by a frame, so all that it needs is still in the processor's cache.
    """
    frames, bins = given.shape
    heard = np.empty((_ROUNDS + 1, frames, bins), np.complex64)
    heard[0] = given
    turns, own = np.empty((_ROUNDS, 4, bins), np.complex64), np.empty((_ROUNDS, bins), np.float32)
    for step in range(frames + _ROUNDS - 1):
        if 0 < step < frames - 1:
            _weigh(amplitude[step - 1 : step + 2], later, higher, step, turns[step % _ROUNDS], own[step % _ROUNDS])
        for done in range(_ROUNDS):
            frame = step - done
            if 0 <= frame < frames:
                now, here = heard[done + 1, frame], heard[done, frame]
                now[:] = given[frame]
                if 0 < frame < frames - 1 and bins > _ONSET_BINS:
                    turn, first = turns[frame % _ROUNDS], _ONSET_BINS
                    for bin_ in range(first, bins):
                        now[bin_] = here[bin_] * own[frame % _ROUNDS, bin_]
                    _add_product(now[first:], turn[0, first:], heard[done, frame - 1, first:])
                    _add_product(now[first:], turn[1, first:], heard[done, frame + 1, first:])
                    _add_product(now[first:], turn[2, first:], here[first - 1 :])
                    _add_product(now[first:-1], turn[3, first:], here[first + 1 :])
    settled = heard[_ROUNDS]
    for frame in range(frames):
        row = settled[frame]
        for bin_ in range(bins):
            length = row[bin_].real * row[bin_].real + row[bin_].imag * row[bin_].imag
            row[bin_] *= np.float32(1.0) / np.sqrt(length + _LEAST)
    return settled


@compiled
def _weigh(amplitude: Floats, later: Spectrum, higher: Spectrum, frame: int, turns: Spectrum, own: Floats) -> None:
    """How a frame's phasors follow from their own and, by `turns`, those before, after, below and above.

    Loops over few arrays each: such ones are compiled to vector instructions.
    """
    before, now, after = amplitude
    bins = len(now)
    weights = np.zeros((4, bins), np.float32)
    for bin_ in range(bins):
        weights[0, bin_] = min(before[bin_], now[bin_])
        weights[1, bin_] = min(after[bin_], now[bin_])
    for bin_ in range(1, bins):
        weights[2, bin_] = min(now[bin_ - 1], now[bin_]) * _ACROSS_WEIGHT
    for bin_ in range(bins - 1):
        weights[3, bin_] = weights[2, bin_ + 1]
    for bin_ in range(bins):
        own[bin_] = now[bin_] * _OWN_WEIGHT
        whole = own[bin_] + weights[0, bin_] + weights[1, bin_] + weights[2, bin_] + weights[3, bin_] + _LEAST
        own[bin_] /= whole
        for way in range(4):
            weights[way, bin_] /= whole
    for bin_ in range(bins):
        turns[0, bin_] = later[frame, bin_] * weights[0, bin_]
        turns[3, bin_] = higher[frame, bin_].conjugate() * weights[3, bin_]
    for bin_ in range(bins):
        turns[1, bin_] = later[frame + 1, bin_].conjugate() * weights[1, bin_]
    for bin_ in range(1, bins):
        turns[2, bin_] = higher[frame, bin_ - 1] * weights[2, bin_]


@compiled
def _add_product(total: Spectrum, turn: Spectrum, phasors: Spectrum) -> None:
    """Add the products of two arrays, as far as the total goes."""
    for bin_ in range(len(total)):
        total[bin_] += turn[bin_] * phasors[bin_]


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
