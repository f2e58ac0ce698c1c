"""From what a compact level-1 decoder's heads give to the spectrum, in NumPy.

Done a few frames at a time, in the processor's cache, it costs half of what it costs as operations of a graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from musika.autoencoder import phase_tracking
from musika.autoencoder.phase_steps import full_steps

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
_TINY = np.float32(1e-6)


def widened(values: NDArray) -> Floats:
    """float32 of bfloat16, whose bits are the upper half of it; float32 stays as it is."""
    if values.dtype == np.float32:
        return values
    bits = values.view(np.uint16).astype(np.uint32)
    bits <<= 16
    return bits.view(np.float32)


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
        self.scale = soft_floor.amplitude_scale * decoder.turn
        self.offset = (_array(decoder.components.mean) + _array(decoder.magnitude.bias)) * self.inverse_weights
        self.offset_above_floor, self.limit_above_floor = self.offset - floor, decoder.limit() - floor
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

    def compose(self, weighted: NDArray, cosine: NDArray, sine: NDArray, *lower: Spectrum) -> Spectrum:
        """Make the spectrum of what `track` gives.

        Args:
            weighted: Weighted levels of some frames, less their mean, `(..., bins)`, as from `track`.
            cosine: One part of the phasors, likewise; of the upper bins.
            sine: The other part.
            *lower: Unit phasors of the bins below them, if there are any.

        Returns:
            Spectrum `(..., bins)`, complex64.
        """
        amplitude = self._amplitude(widened(weighted))
        spectrum = np.empty(weighted.shape, np.complex64)
        above = cosine.shape[-1]
        count = weighted.shape[-1] - above
        for phasor in lower:
            np.multiply(phasor, amplitude[..., :count], out=spectrum[..., :count])
        upper = amplitude[..., count:]
        cosine, sine = (widened(part) + bias[-above:] for part, bias in zip((cosine, sine), self.bias, strict=True))
        length = cosine * cosine
        length += sine * sine
        length += _TINY
        upper /= np.sqrt(length, out=length)
        np.multiply(upper, cosine, out=spectrum.real[..., count:])
        np.multiply(upper, sine, out=spectrum.imag[..., count:])
        return spectrum

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

    def _amplitude(self, weighted: Floats) -> Floats:
        """`SoftFloor.backward` of weighted levels less their mean, with the sign that moves a frame's phase."""
        above = weighted * self.inverse_weights
        above += self.offset_above_floor
        np.exp(np.minimum(above, self.limit_above_floor, out=above), out=above)
        above -= np.float32(1.0)
        root = above * above
        root += np.float32(0.01)
        above += np.sqrt(root, out=root)
        above *= self.scale
        return above
