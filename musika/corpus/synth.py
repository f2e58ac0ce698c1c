"""The instrument maker's bench: oscillators, damped partials, filters, echoes, reverb and the final master.

Sounds are float32 arrays, mono ``(samples,)`` or stereo ``(2, samples)``: filters run along the last axis, where memory
is contiguous. Everything is at `SAMPLE_RATE`.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import signal

SAMPLE_RATE = 44100
LOUDNESS = 0.17  # root mean square of a finished track: lively, yet the soft limiter rarely bends it
HIGHEST_PARTIAL = 16000.0  # Hz: no partial above it, so nothing folds back at the Nyquist frequency
_TABLE_BITS = 12  # a table of 4,096 points read with linear interpolation: errors lie below -90 dB
_FRACTION_BITS = 32 - _TABLE_BITS
_PARTIAL_BLOCK = 256  # samples a row of the product in `damped_partials`
_SMALL_PRODUCT = 2**18  # multiplications up to which OpenBLAS stays on one thread

Array = np.ndarray


def midi_to_hertz(pitch: float) -> float:
    """Frequency of a MIDI pitch in equal temperament.

    Args:
        pitch: MIDI note number; 69 is the A at 440 Hz.

    Returns:
        The frequency in Hz.

    >>> midi_to_hertz(57)
    220.0
    """
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


def harmonic_amplitudes(shape: str, count: int) -> Array:
    """Fourier amplitudes of a waveform's first harmonics.

    Args:
        shape: ``sine``, ``triangle``, ``square``, ``saw``, ``organ``, ``pulse`` or ``reed``.
        count: Number of harmonics.

    Returns:
        Amplitudes, shape `(count,)`, the fundamental first.

    >>> harmonic_amplitudes("square", 4).round(2).tolist()
    [1.0, 0.0, 0.33, 0.0]
    """
    order = np.arange(1, count + 1)
    odd = order % 2 == 1
    shapes = {
        "sine": order == 1,
        "triangle": odd / order**2,
        "square": odd / order,
        "saw": 1 / order,
        "organ": np.isin(order, (1, 2, 3, 4, 6, 8)) / order**0.7,
        "pulse": np.sin(np.pi * order / 8) / (order * np.sin(np.pi / 8)),  # an eighth of the period high
        "reed": 1 / order**2 + 0.6 * np.exp(-0.5 * ((order - 5) / 1.5) ** 2),  # a resonance at the fifth harmonic
    }
    return shapes[shape].astype(float)


@functools.lru_cache(maxsize=256)
def _wavetable(shape: str, count: int) -> Array:
    """One period of a waveform with `count` harmonics, and its first point again at the end."""
    phase = 2 * np.pi * np.arange(2**_TABLE_BITS + 1) / 2**_TABLE_BITS
    order = np.arange(1, count + 1)
    return (harmonic_amplitudes(shape, count) @ np.sin(np.outer(order, phase))).astype(np.float32)


def oscillate(shape: str, hertz: float, samples: int, phase: float = 0.0, highest: float = HIGHEST_PARTIAL) -> Array:
    """A steady band-limited tone.

    The phase counts in 32-bit integers that wrap by themselves, which is exact and fast.

    Args:
        shape: Waveform, see `harmonic_amplitudes`.
        hertz: Fundamental frequency in Hz.
        samples: Length.
        phase: Start within the period, 0 to 1.
        highest: No harmonic above this frequency in Hz.

    Returns:
        The tone, shape `(samples,)`, float32.

    >>> oscillate("sine", 441.0, 101)[[0, 25, 100]].round(3).tolist()
    [0.0, 1.0, 0.0]
    """
    count = 1 if shape == "sine" else int(np.clip(highest // hertz, 1, 64))
    table = _wavetable(shape, count)
    increment = np.uint32(round(hertz / SAMPLE_RATE * 2**32))
    position = np.arange(samples, dtype=np.uint32) * increment + np.uint32(int(phase % 1.0 * 2**32))
    index = position >> np.uint32(_FRACTION_BITS)
    fraction = (position & np.uint32(2**_FRACTION_BITS - 1)).astype(np.float32) * np.float32(2.0**-_FRACTION_BITS)
    left = table[index]
    return left + fraction * (table[index + np.uint32(1)] - left)


def damped_partials(hertz: Array, amplitudes: Array, decay_seconds: Array, samples: int) -> Array:
    """A sum of sines that start at phase 0 and die away exponentially: a struck or plucked body.

    With time split as ``n = a * block + b``, each damped sine is a product of a factor in ``a`` and one in ``b``, so
    the sum over partials is a matrix product instead of a sine per sample and partial. It is taken a few rows at a
    time: products this small run on one thread, so the bytes do not depend on how many threads there are.

    Args:
        hertz: Frequencies in Hz, shape `(partials,)`.
        amplitudes: Amplitudes at the start, shape `(partials,)`.
        decay_seconds: Times in which each falls to 1/e, shape `(partials,)`.
        samples: Length.

    Returns:
        The sum, shape `(samples,)`, float32. Partials above `HIGHEST_PARTIAL` are left out.

    >>> one = np.ones(1)
    >>> damped_partials(441.0 * one, one, 0.001 * one, 30)[[0, 25]].astype(float).round(2).tolist()
    [0.0, 0.57]
    """
    audible = np.asarray(hertz) < HIGHEST_PARTIAL
    rates = (2j * np.pi * hertz[audible] - 1 / decay_seconds[audible]) / SAMPLE_RATE
    rows = max(1, _SMALL_PRODUCT // (_PARTIAL_BLOCK * 2 * max(1, len(rates))))
    groups = -(-samples // (_PARTIAL_BLOCK * rows))
    coarse = np.exp(np.outer(np.arange(groups * rows) * _PARTIAL_BLOCK, rates)) * amplitudes[audible]
    fine = np.exp(np.outer(rates, np.arange(_PARTIAL_BLOCK)))
    # Im(coarse * fine) = Im(coarse) Re(fine) + Re(coarse) Im(fine)
    left = np.concatenate([coarse.imag, coarse.real], axis=1).astype(np.float32)
    right = np.concatenate([fine.real, fine.imag], axis=0).astype(np.float32)
    return np.matmul(left.reshape(groups, rows, -1), right).reshape(-1)[:samples]


def decay(samples: int, seconds: float) -> Array:
    """An exponential envelope from 1 that falls to 1/e in the given time.

    Args:
        samples: Length.
        seconds: Time constant in seconds.

    Returns:
        The envelope, shape `(samples,)`, float32.
    """
    return np.exp(np.arange(samples) * (-1 / (seconds * SAMPLE_RATE))).astype(np.float32)


def fade(audio: Array, start_seconds: float, end_seconds: float) -> Array:
    """Ease a sound in and out, so that it neither starts nor ends with a click.

    Args:
        audio: The sound, shape `(..., samples)`.
        start_seconds: Length of the rise in seconds.
        end_seconds: Length of the fall in seconds.

    Returns:
        The faded sound (a copy), same shape, float32.
    """
    result = np.array(audio, dtype=np.float32)
    length = result.shape[-1]
    rise = min(length, int(start_seconds * SAMPLE_RATE))
    fall = min(length, int(end_seconds * SAMPLE_RATE))
    result[..., :rise] *= np.sin(np.linspace(0, np.pi / 2, rise, dtype=np.float32)) ** 2
    result[..., length - fall :] *= np.cos(np.linspace(0, np.pi / 2, fall, dtype=np.float32)) ** 2
    return result


def band(audio: Array, low: float | None = None, high: float | None = None, order: int = 2) -> Array:
    """Keep what lies between two frequencies (Butterworth; a missing end is left open).

    Args:
        audio: The sound, shape `(..., samples)`.
        low: Lower edge in Hz.
        high: Upper edge in Hz.
        order: Filter order.

    Returns:
        The filtered sound, same shape, float32.
    """
    edges, kind = ([low, high], "bandpass") if low and high else (high, "lowpass") if high else (low, "highpass")
    sections = signal.butter(order, edges, kind, fs=SAMPLE_RATE, output="sos")
    return signal.sosfilt(sections, audio, axis=-1).astype(np.float32)


def swept_lowpass(audio: Array, position: Array, low: float, high: float, stages: int = 4) -> Array:
    """A low-pass whose cutoff moves: a crossfade between a few fixed filters spaced evenly in octaves.

    Args:
        audio: The sound, shape `(..., samples)`.
        position: Where the cutoff is, 0 (`low`) to 1 (`high`), shape `(samples,)`.
        low: Lowest cutoff in Hz.
        high: Highest cutoff in Hz.
        stages: Number of fixed filters.

    Returns:
        The filtered sound, same shape, float32.
    """
    place = position.astype(np.float32) * (stages - 1)
    result = np.zeros_like(audio, dtype=np.float32)
    for stage, cutoff in enumerate(np.geomspace(low, high, stages)):
        weight = np.clip(1 - np.abs(place - stage), 0, 1)
        if weight.any():
            result += weight * band(audio, high=cutoff)
    return result


def normalise(audio: Array) -> Array:
    """Scale a sound to a peak of 1.

    Args:
        audio: The sound, any shape, not all zero.

    Returns:
        The scaled sound, float32.
    """
    return (audio / np.abs(audio).max()).astype(np.float32)


def pan(audio: Array, place: float) -> Array:
    """Place a mono sound between the loudspeakers at constant power.

    Args:
        audio: The sound, shape `(samples,)`.
        place: -1 (left) to 1 (right).

    Returns:
        Stereo, shape `(2, samples)`; at the centre each side holds the sound unchanged.
    """
    sides = np.sqrt(np.array([1 - place, 1 + place], dtype=np.float32))
    return sides[:, None] * audio


def mix_in(stem: Array, sound: Array, start: int, gain: float = 1.0) -> None:
    """Add a sound to a stem in place; what would lie beyond the stem's end is cut.

    Args:
        stem: What is added to, shape `(2, samples)`.
        sound: The sound, shape `(length,)` or `(2, length)`.
        start: Sample at which it begins, 0 or more.
        gain: Factor on the sound.
    """
    length = min(sound.shape[-1], stem.shape[-1] - start)
    if length > 0:
        stem[:, start : start + length] += np.float32(gain) * sound[..., :length]


def ping_pong(audio: Array, delay: int, feedback: float, repeats: int = 4) -> Array:
    """Echoes that swap sides at every repeat.

    Args:
        audio: Stereo, shape `(2, samples)`.
        delay: Samples between echoes.
        feedback: Factor from one echo to the next.
        repeats: Number of echoes.

    Returns:
        The sound with its echoes, same shape.
    """
    result = audio.copy()
    for repeat in range(1, repeats + 1):
        source = audio[::-1] if repeat % 2 else audio
        mix_in(result, source, delay * repeat, feedback**repeat)
    return result


def reverb(audio: Array, rng: np.random.Generator, seconds: float, low: float, high: float) -> Array:
    """The echo of a room: convolution with decaying noise, its own on each side.

    Args:
        audio: Stereo, shape `(2, samples)`.
        rng: Source of the noise.
        seconds: Time in which the room falls by 60 dB.
        low: The room's lower edge in Hz.
        high: The room's upper edge in Hz.

    Returns:
        The echo alone, without the direct sound, same shape, float32.
    """
    length = int(seconds * SAMPLE_RATE)
    noise = rng.standard_normal((2, length)) * decay(length, seconds / np.log(1000))
    response = fade(band(noise, low, high, order=1), 0.004, seconds / 4)
    response /= np.sqrt(np.sum(response**2, axis=1, keepdims=True))
    return signal.oaconvolve(audio, response, axes=-1)[:, : audio.shape[1]].astype(np.float32)


def master(audio: Array, loudness: float = LOUDNESS) -> Array:
    """Finish a track: no rumble or constant offset, an even loudness, a soft limit below 1, clean edges.

    Args:
        audio: The mix, shape `(2, samples)`.
        loudness: Root mean square before the soft limit.

    Returns:
        The track, shape `(samples, 2)`, float32, peaks below 0.92.
    """
    clean = signal.sosfilt(signal.butter(2, 28, "highpass", fs=SAMPLE_RATE, output="sos"), audio, axis=-1)
    clean *= loudness / max(np.sqrt(np.mean(clean**2)), 1e-9)
    limited = np.tanh(1.1 * clean) / 1.1
    limited -= limited.mean(axis=-1, keepdims=True)  # the bend of lopsided peaks leaves a little offset
    return np.ascontiguousarray(fade(limited, 0.001, 0.03).T)
