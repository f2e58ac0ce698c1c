"""From what a compact level-1 decoder's heads give to the spectrum, outside of the graph.

Done in compiled loops, it costs a fifth of what it costs as operations of a graph.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from musika.audio.stereo import DEEPEST_SWING, swing_wave
from musika.autoencoder import phase_tracking
from musika.autoencoder.phase_steps import full_steps
from musika.jit import jit

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
_TINY = np.float32(1e-6)
_SOFT = np.float32(0.01)
_NONE = np.float32(0.0)
_LOG2_E, _LOG_2 = np.float32(np.log2(np.e)), np.float32(np.log(2.0))
_BIAS, _LEAST_POWER, _HALF = np.float32(127.0), np.float32(-126.0), np.float32(0.5)  # of exponents in float32
_1, _2, _3, _4, _5, _6, _7 = (np.float32(1 / math.factorial(order)) for order in range(1, 8))  # the series of exp
_DEEPEST = np.float32(DEEPEST_SWING)


def widened(values: NDArray) -> Floats:
    """float32 of bfloat16, whose bits are the upper half of it; float32 stays as it is."""
    if values.dtype == np.float32:
        return values
    bits = values.view(np.uint16).astype(np.uint32)
    bits <<= 16
    return bits.view(np.float32)


def _plain(values: NDArray, width: int) -> NDArray:
    """Rows of a width in a writable array without gaps: all that `_composed` is compiled for."""
    return np.require(values, requirements=["C", "W"]).reshape(values.size // max(width, 1), width)


def _array(values: Any) -> Floats:
    """Weights as float32."""
    return ops.convert_to_numpy(ops.cast(values, "float32"))


class Composer:
    """Makes spectra of what the heads of a `Level1Decoder` give.

    Args:
        decoder: The decoder; its weights are looked at now.
    """

    def __init__(self, decoder: Any):
        soft_floor = decoder.soft_floor
        floor = np.float32(soft_floor.floor)
        self.recurrent, self.tracked, self.steps = decoder.recurrent, decoder.tracked, decoder.phase_steps
        self.inverse_weights, self.emphasis = soft_floor.inverse_weights, soft_floor.emphasis
        self.offset = (_array(decoder.components.mean) + _array(decoder.magnitude.bias)) * self.inverse_weights
        nothing = np.zeros_like(self.offset)
        matching = decoder.matching()
        gain, at_floor, a_neper = (nothing,) * 3 if matching is None else matching
        self.of_level = (  # as `_composed` takes it
            self.inverse_weights,
            self.offset - floor,
            np.broadcast_to(decoder.limit() - floor, self.offset.shape).copy(),
            soft_floor.amplitude_scale * decoder.turn * np.exp(gain),
        )
        wave = swing_wave(len(nothing), decoder.fft_length)
        self._swings = [(at_floor, a_neper, np.float32(side) * wave) for side in (0, 1, -1)]  # by `side`
        self.bias = np.split(_array(decoder.phase.bias), 2)
        self.trust = _array(self.steps.trust) if self.steps else None

    def track(self, parts: tuple[NDArray, ...]) -> tuple[NDArray, ...]:
        """Carry the phase of the lower bins on through a stretch of frames.

        Args:
            parts: What `Level1Decoder.heads` gives of the stretch, `(channels, frames, ...)` each; channels of one
                recording.

        Returns:
            What `compose` takes of each frame: the first three parts, and the phasors of lower bins.
        """
        weighted, cosine, sine, *low = parts
        if not low:
            return parts
        if self.tracked:
            phasor = self._tracked(parts)
        else:
            real, imaginary = np.split(widened(low[0]), 2, axis=-1)
            phasor = phase_tracking.unit_phasors(np.arctan2(imaginary, real))
        above = max(self.tracked - self.recurrent, 0)  # tracked, but not of the recurrence
        phasor = np.broadcast_to(phasor, (len(weighted), *phasor.shape[1:]))
        return weighted, cosine[..., above:], sine[..., above:], phasor

    def compose(self, weighted: NDArray, cosine: NDArray, sine: NDArray, *lower: Spectrum, side: int = 0) -> Spectrum:
        """Make the spectrum of what `track` gives.

        Args:
            weighted: Weighted levels of some frames, less their mean, `(..., bins)`, as from `track`.
            cosine: One part of the phasors, likewise; of the upper bins.
            sine: The other part.
            *lower: Unit phasors of the bins below them, if there are any.
            side: 1 for left and -1 for right, which are set apart by as much as in the training music; 0 for a channel
                that is both.

        Returns:
            Spectrum `(..., bins)`, complex64.
        """
        bins, above = weighted.shape[-1], cosine.shape[-1]
        frames = weighted.size // bins
        spectrum = np.empty((frames, bins), np.complex64)
        _composed(
            _plain(widened(weighted), bins),
            _plain(widened(cosine), above),
            _plain(widened(sine), above),
            _plain(lower[0], bins - above) if lower else np.empty((frames, 0), np.complex64),
            self.of_level,
            (self.bias[0][-above:], self.bias[1][-above:]),
            self._swings[side],
            spectrum,
        )
        return spectrum.reshape(weighted.shape)

    def _tracked(self, parts: tuple[NDArray, ...]) -> Spectrum:
        """Unit phasors of the tracked bins, `(1, frames, bins)`: all channels as one."""
        weighted, told, count = parts[0], widened(parts[-1]), self.tracked + 1
        level = widened(weighted[..., :count]) * self.inverse_weights[:count]
        level += (self.offset - self.emphasis)[:count]
        whole, shares = phase_tracking.joined_level(level)
        shares = shares[..., :-1]
        halves = [(shares * half).sum(axis=0) for half in np.split(told, 2, axis=-1)]
        steps = full_steps(
            whole[None],
            np.concatenate(halves, axis=-1)[None],
            self.steps.turn,
            self.steps.advance_a_neper,
            self.trust,
            np,
        )
        given = np.zeros_like(halves[0])
        for frames, bins in phase_tracking.where_given_counts(self.tracked):
            real, imaginary = self._decoded_phasors(tuple(part[:, frames] for part in parts), bins)
            weights = shares[:, frames, :bins] / np.sqrt(real * real + imaginary * imaginary + _TINY)
            given[frames, :bins] = np.arctan2((weights * imaginary).sum(axis=0), (weights * real).sum(axis=0))
        advance, across = np.split(steps[0], 2, axis=-1)
        phase = phase_tracking.track(whole[:, :-1], advance, across, given)
        return phase_tracking.agreed(phase, whole[:, :-1], advance, across)[None]

    def _decoded_phasors(self, parts: tuple[NDArray, ...], bins: int) -> tuple[Floats, Floats]:
        """Both parts of the lowest bins' phasors as they are decoded, of any length."""
        _, cosine, sine, low, *_ = parts
        real, imaginary = np.split(widened(low), 2, axis=-1)
        above = max(bins - self.recurrent, 0)  # not of the recurrence
        cosine, sine = (
            widened(part[..., :above]) + bias[:above] for part, bias in zip((cosine, sine), self.bias, strict=True)
        )
        return np.concatenate([real[..., :bins], cosine], -1), np.concatenate([imaginary[..., :bins], sine], -1)


@jit
def _composed(
    weighted: Floats,
    cosine: Floats,
    sine: Floats,
    lower: Spectrum,
    of_level: tuple[Floats, Floats, Floats, Floats],
    bias: tuple[Floats, Floats],
    swing: tuple[Floats, Floats, Floats],
    spectrum: Spectrum,
) -> None:
    """`Composer.compose` into ``spectrum``; levels and limits are above the soft floor, where the swing is in radians.

    Loops over few arrays each: such ones are compiled to vector instructions, as a call of ``exp`` is not.
    """
    inverse_weights, offset, limit, scale = of_level
    cosine_bias, sine_bias = bias
    at_floor, a_neper, wave = swing
    turned = wave.any()
    frames, bins = weighted.shape
    low, above = lower.shape[1], cosine.shape[1]
    amplitude, power = np.empty(bins, np.float32), np.empty(bins, np.int32)
    power_of_two, length = power.view(np.float32), np.empty(above, np.float32)
    angle, turn = np.zeros(bins, np.float32), np.empty(bins, np.complex64)
    for frame in range(frames):
        for bin_ in range(bins):
            level = min(weighted[frame, bin_] * inverse_weights[bin_] + offset[bin_], limit[bin_])
            angle[bin_] = level
            # exp as a power of two, written as the exponent of a float32, and the series of what is left
            binary = max(level * _LOG2_E, _LEAST_POWER)
            whole = np.int32(binary + _BIAS + _HALF)
            rest = (binary - (np.float32(whole) - _BIAS)) * _LOG_2
            power[bin_] = whole << 23
            amplitude[bin_] = _1 + rest * (_1 + rest * (_2 + rest * (_3 + rest * (_4 + rest * (_5 + rest * _6)))))
        for bin_ in range(bins):
            over = amplitude[bin_] * power_of_two[bin_] - _1  # `SoftFloor.backward`
            amplitude[bin_] = (over + np.sqrt(over * over + _SOFT)) * scale[bin_]
        if turned:
            for bin_ in range(bins):
                depth = at_floor[bin_] + a_neper[bin_] * max(angle[bin_], _NONE)
                angle[bin_] = min(max(depth, _NONE), _DEEPEST) * wave[bin_]
            for bin_ in range(bins):  # the series of cosine and sine
                square = angle[bin_] * angle[bin_]
                real = _1 - square * (_2 - square * (_4 - square * _6))
                imaginary = angle[bin_] * (_1 - square * (_3 - square * (_5 - square * _7)))
                turn[bin_] = complex(real * amplitude[bin_], imaginary * amplitude[bin_])
        else:
            for bin_ in range(bins):
                turn[bin_] = amplitude[bin_]
        row = spectrum[frame]
        for bin_ in range(low):
            row[bin_] = lower[frame, bin_] * turn[bin_]
        for bin_ in range(above):
            real, imaginary = cosine[frame, bin_] + cosine_bias[bin_], sine[frame, bin_] + sine_bias[bin_]
            length[bin_] = _1 / np.sqrt(real * real + imaginary * imaginary + _TINY)
        for bin_ in range(above):
            real, imaginary = cosine[frame, bin_] + cosine_bias[bin_], sine[frame, bin_] + sine_bias[bin_]
            row[low + bin_] = complex(real * length[bin_], imaginary * length[bin_]) * turn[low + bin_]
