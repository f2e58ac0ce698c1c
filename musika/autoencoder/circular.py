"""Decoding a circle of latents: the waveform's end runs into its beginning as any two of its blocks into each other."""

from __future__ import annotations

import math

import numpy as np

from musika.autoencoder.codec import Codec, Floats
from musika.settings import BLOCK_STEPS


def add_around(circle: Floats, start: int, wave: Floats) -> None:
    """Add a waveform to a circle of samples, as often around it as it is long.

    Args:
        circle: The circle, ``(samples, channels)``; changed in place.
        start: Where the waveform begins.
        wave: The waveform, ``(samples, channels)``.

    >>> circle = np.zeros((3, 1), np.float32)
    >>> add_around(circle, 2, np.ones((4, 1), np.float32))
    >>> circle[:, 0].tolist()
    [1.0, 1.0, 2.0]
    """
    done = 0
    while done < len(wave):
        place = (start + done) % len(circle)
        part = wave[done : done + len(circle) - place]
        circle[place : place + len(part)] += part
        done += len(part)


def decode_circular(codec: Codec, latents: Floats, noise_seed: int | None) -> Floats:
    """Decode latents that stand in a circle.

    Frames are decoded in the blocks of `Codec.play`, counted from the circle's beginning, with the circle going on as
    context; of the last block only the frames that belong to the turn are kept. The overlap-add goes round the circle.
    So the join is a border of blocks like those inside, also for decoders that see nothing beyond a block, and all
    noise is that of the one turn.

    Args:
        codec: The codec.
        latents: Latents of one turn, ``(steps, 2 * latent_channels)``.
        noise_seed: Seed of the decoders' noise; None leaves the noise out.

    Returns:
        float32 waveform of one turn, ``(steps * latent_hop, 2)``, not limited; sample 0 is time zero as `Codec.play`
        counts it.
    """
    config, steps = codec.config, len(latents)
    frames = steps * config.codec.frames_per_latent
    circle = np.zeros((steps * config.latent_hop, 2), np.float32)

    def source(first: int, count: int) -> Floats:
        """Latents of any stretch, turn after turn."""
        return latents[np.arange(first, first + count) % steps]

    blocks = iter(range(math.ceil(steps / BLOCK_STEPS)))
    for block, wave in codec.block_waves(source, blocks, noise_seed, frames):
        add_around(circle, block * codec.block_samples - config.spectral.overlap, wave)
    return circle
