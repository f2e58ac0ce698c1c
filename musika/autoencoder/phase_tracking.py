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

from musika.jit import jit

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_ENDS = 12  # frames at either end over which phases come to those given
_ONSET_BINS = 12  # bins below which onsets take the phase given
_ONSET_FADE = 8  # bins above them over which that fades out
_LEAST_RISE = np.log(4)  # of the power of all these bins together, where something begins
_BEFORE, _AFTER = 1, 3  # frames about that one that take the phase given: a window spans four
_LOW = _ONSET_BINS + _ONSET_FADE
_CIRCLE = np.float32(2 * np.pi)
_ROUNDS = 3  # of agreement: more than three change little
_OWN_WEIGHT = np.float32(0.2)  # of what a phase was before, against what the frames before and after say
_ACROSS_WEIGHT = np.float32(0.3)  # of what the neighbouring bins say: steps from bin to bin are told less well
_LEAST = np.float32(1e-20)


@jit
def loudest_ways(before: Floats, level: Floats, source: NDArray[np.int32], loudness: Floats) -> None:
    """Find from which bin of the frame before each phase comes.

    A way is as loud as its quietest place; it goes up or down along the bins, so one sweep each way finds all of them.

    Args:
        before: Log-magnitudes of the frame before, `(bins,)`.
        level: Log-magnitudes, likewise.
        source: Where the bins are written, likewise.
        loudness: Room to work in, likewise.
    """
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


def _onset_pulls(level: Floats) -> Floats:
    """How far phases are drawn to those given where something begins, 0 to 1, of `(frames, low bins)`.

    All low bins take them together: how a drum begins lies in how their phases stand to each other.
    """
    power = np.logaddexp.reduce(2 * level[:, :_ONSET_BINS], axis=-1)
    begins = np.diff(power, prepend=power[:1]) > _LEAST_RISE
    near = np.convolve(begins, np.ones(_BEFORE + 1 + _AFTER))[_BEFORE : _BEFORE + len(begins)] > 0
    fade = np.clip((_LOW - np.arange(level.shape[-1])) / _ONSET_FADE, 0.0, 1.0)
    return (near[:, None] * fade).astype(np.float32)


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


@jit
def _carried(level: Floats, advance: Floats, across: Floats, given: Floats, share: Floats) -> Floats:
    """`track`, with the shares by which onsets draw the lowest bins to the phases given."""
    frames, bins = level.shape
    phase, source = np.empty_like(level), np.empty(bins, np.int32)
    loudness, beside, moved = np.empty(bins, np.float32), np.empty(bins, np.float32), np.empty(bins, np.float32)
    for frame in range(frames):
        now = phase[frame]
        if frame == 0:
            for bin_ in range(bins):
                now[bin_] = given[0, bin_]
            continue
        before = phase[frame - 1]
        loudest_ways(level[frame - 1], level[frame], source, loudness)
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


@jit
def _settled(given: Spectrum, later: Spectrum, higher: Spectrum, amplitude: Floats) -> Spectrum:
    """`agreed` of unit phasors of phases and of steps, and amplitudes.

    A round follows the one before by a frame, so all that it needs is still in the processor's cache.
    """
    frames, bins = given.shape
    heard = np.empty((_ROUNDS, frames, bins), np.complex64)
    turns, own = np.empty((_ROUNDS, 4, bins), np.complex64), np.empty((_ROUNDS, bins), np.float32)
    for step in range(frames + _ROUNDS - 1):
        for done in range(_ROUNDS):
            frame = step - done  # the next one has come as far as the round before
            if not 0 <= frame < frames:
                continue
            slot, now, last = frame % _ROUNDS, heard[done, frame], heard[done - 1] if done else given
            first = bins if frame in (0, frames - 1) else min(_ONSET_BINS, bins)
            for bin_ in range(first):
                now[bin_] = given[frame, bin_]
            if first == bins:
                continue
            before, here, after = last[frame - 1], last[frame], last[frame + 1]
            if done == 0:
                _weigh(amplitude, later, higher, frame, turns[slot], own[slot])
            for bin_ in range(first, bins):
                now[bin_] = here[bin_] * own[slot, bin_]
            for way, phasors in enumerate((before[first:], after[first:], here[first - 1 :], here[first + 1 :])):
                _add_product(now[first:], turns[slot, way, first:], phasors)
    settled = heard[_ROUNDS - 1]
    for frame in range(frames):
        for bin_ in range(bins):
            value = settled[frame, bin_]
            length = value.real * value.real + value.imag * value.imag + _LEAST
            settled[frame, bin_] = value * (np.float32(1.0) / np.sqrt(length))
    return settled


@jit
def _weigh(amplitude: Floats, later: Spectrum, higher: Spectrum, frame: int, turns: Spectrum, own: Floats) -> None:
    """How a frame's phasors follow from their own and, by `turns`, those before, after, below and above.

    Loops over few arrays each: such ones are compiled to vector instructions.
    """
    bins = own.shape[0]
    before, after, beside = np.empty(bins, np.float32), np.empty(bins, np.float32), np.zeros(bins + 1, np.float32)
    for bin_ in range(bins):
        before[bin_] = min(amplitude[frame - 1, bin_], amplitude[frame, bin_])
        after[bin_] = min(amplitude[frame + 1, bin_], amplitude[frame, bin_])
    for bin_ in range(1, bins):
        beside[bin_] = min(amplitude[frame, bin_ - 1], amplitude[frame, bin_]) * _ACROSS_WEIGHT
    for bin_ in range(bins):
        own[bin_] = amplitude[frame, bin_] * _OWN_WEIGHT
    for bin_ in range(bins):
        share = np.float32(1.0) / (own[bin_] + before[bin_] + after[bin_] + beside[bin_] + beside[bin_ + 1] + _LEAST)
        own[bin_] *= share
        before[bin_] *= share
        after[bin_] *= share
        turns[2, bin_] = beside[bin_] * share
        turns[3, bin_] = beside[bin_ + 1] * share
    for bin_ in range(bins):
        turns[0, bin_] = later[frame, bin_] * before[bin_]
    for bin_ in range(bins):
        turns[1, bin_] = later[frame + 1, bin_].conjugate() * after[bin_]
    for bin_ in range(1, bins):
        turns[2, bin_] *= higher[frame, bin_ - 1]
    for bin_ in range(bins):
        turns[3, bin_] *= higher[frame, bin_].conjugate()


@jit
def _add_product(total: Spectrum, turn: Spectrum, phasors: Spectrum) -> None:
    """Add the products of a frame's turns and phasors, as far as both go: a loop for vector instructions."""
    for bin_ in range(min(len(total), len(phasors))):
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
