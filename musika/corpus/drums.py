"""Drum sounds of the techno corpus: kick, hats, clap, percussion, crash and riser.

Each function makes one sound, stereo `(2, samples)` or mono `(samples,)`, with a peak of 1, from a random generator
that picks its character.
"""

from __future__ import annotations

import numpy as np

from musika.corpus.synth import SAMPLE_RATE, Array, band, decay, fade, normalise, swept_lowpass


def kick(rng: np.random.Generator) -> Array:
    """A kick: a sine that dives to a low pitch, driven a little, with a short click.

    Args:
        rng: Picks its character.

    Returns:
        The sound, mono.
    """
    samples = int(SAMPLE_RATE * rng.uniform(0.26, 0.4))
    seconds = np.arange(samples) / SAMPLE_RATE
    low, dive, fall = rng.uniform(44, 56), rng.uniform(130, 300), rng.uniform(0.015, 0.035)
    phase = 2 * np.pi * (low * seconds + dive * fall * (1 - np.exp(-seconds / fall)))
    drive = rng.uniform(1.2, 3.0)
    body = np.tanh(drive * np.sin(phase) * decay(samples, rng.uniform(0.1, 0.18)))
    click = band(rng.standard_normal(samples) * decay(samples, 0.004), low=rng.uniform(1500, 3500), order=1)
    return normalise(fade(body + rng.uniform(0.15, 0.4) * click, 0.0005, 0.03))


def _noise(rng: np.random.Generator, samples: int, width: float) -> Array:
    """Stereo noise; `width` 0 is the same on both sides, 1 is independent."""
    centre, sides = rng.standard_normal(samples), rng.standard_normal((2, samples))
    return np.sqrt(1 - width) * centre + np.sqrt(width) * sides


def hat(rng: np.random.Generator, ring: float) -> Array:
    """A hi-hat: bright noise with some metal in it.

    Args:
        rng: Picks its character.
        ring: Decay time in seconds; about 0.03 is closed, 0.15 open.

    Returns:
        The sound, stereo.
    """
    samples = int(SAMPLE_RATE * 5 * ring)
    seconds = np.arange(samples) / SAMPLE_RATE
    tones = np.sign(np.sin(2 * np.pi * rng.uniform(3000, 7500, (6, 1)) * seconds)).sum(axis=0)
    mixed = _noise(rng, samples, rng.uniform(0.4, 0.9)) + rng.uniform(0.1, 0.5) * tones
    bright = band(mixed, rng.uniform(6000, 8500), rng.uniform(15000, 19000))
    return normalise(fade(bright * decay(samples, ring), 0.0005, ring))


def clap(rng: np.random.Generator) -> Array:
    """A clap, or with one burst a snare-like hit.

    Args:
        rng: Picks its character.

    Returns:
        The sound, stereo.
    """
    samples = int(SAMPLE_RATE * 0.4)
    ring, gap = rng.uniform(0.07, 0.14), int(SAMPLE_RATE * rng.uniform(0.009, 0.012))
    envelope = np.zeros(samples, np.float32)
    bursts = rng.integers(1, 5)
    for burst in range(bursts):
        time_constant = ring if burst == bursts - 1 else 0.005
        envelope[burst * gap :] = decay(samples - burst * gap, time_constant)
    noise = band(_noise(rng, samples, 0.4), rng.uniform(800, 1300), rng.uniform(5000, 9000))
    return normalise(fade(noise * envelope, 0.0005, 0.05))


def percussion(rng: np.random.Generator, hertz: float) -> Array:
    """A small tuned hit: a conga, a metallic blip or a shaker.

    Args:
        rng: Picks which, and its character.
        hertz: Pitch of the tuned ones in Hz.

    Returns:
        The sound, mono.
    """
    samples = int(SAMPLE_RATE * 0.2)
    seconds = np.arange(samples) / SAMPLE_RATE
    kind = rng.integers(3)
    if kind == 0:
        bend = 1 + 0.3 * np.exp(-seconds * 50)
        sound = np.sin(2 * np.pi * hertz * seconds * bend) * decay(samples, rng.uniform(0.03, 0.06))
    elif kind == 1:
        wobble = 2.5 * np.sin(2 * np.pi * 1.41 * hertz * seconds) * decay(samples, 0.02)
        sound = np.sin(2 * np.pi * hertz * seconds + wobble) * decay(samples, 0.03)
    else:
        sound = band(rng.standard_normal(samples), 4000, 10000) * decay(samples, rng.uniform(0.015, 0.03))
    return normalise(fade(sound, 0.001, 0.05))


def crash(rng: np.random.Generator) -> Array:
    """A crash that opens a section.

    Args:
        rng: Source of its noise.

    Returns:
        The sound, stereo.
    """
    samples = int(SAMPLE_RATE * 2.0)
    noise = band(_noise(rng, samples, 0.8), 4000, 16000)
    return normalise(fade(noise * decay(samples, 0.45), 0.001, 0.3))


def riser(rng: np.random.Generator, samples: int) -> Array:
    """Noise that brightens and swells towards the end of a break.

    Args:
        rng: Source of its noise.
        samples: Length.

    Returns:
        The sound, stereo.
    """
    ramp = np.linspace(0, 1, samples, dtype=np.float32)
    noise = band(_noise(rng, samples, 0.7), low=400)
    return normalise(fade(swept_lowpass(noise, ramp, 600, 9000) * ramp**2, 0.01, 0.01))
