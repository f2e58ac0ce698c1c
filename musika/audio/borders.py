"""Where blocks of frames meet in a waveform, and which steps of its spectral flux lie there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musika.config import Config

WINDOW = 512  # samples of the windows between which the flux is measured
HOP = WINDOW // 4  # samples from one to the next
FLOOR = 1e-3  # added to magnitudes before the logarithm


def decoder_borders(config: Config) -> tuple[int, int]:
    """Where the blocks meet that the decoders make.

    Args:
        config: The config.

    Returns:
        Samples between two borders, and the sample of the first border, in a waveform that begins with the first whole
        sample of a block.
    """
    codec, spectral = config.codec, config.spectral
    frames = codec.decoder_frames if codec.architecture == "published" else codec.frames_per_latent
    # frame t is centred at sample t * hop + fft / 2; a border lies half a hop before frame 0 of a block
    first = spectral.fft_length // 2 - spectral.hop_length // 2 - spectral.overlap
    return frames * spectral.hop_length, first


def near_borders(steps: int, period: int, first: int) -> NDArray[np.bool_]:
    """Which steps of the spectral flux lie at borders.

    Args:
        steps: Number of steps; step i is from window i to the next.
        period: Samples between two borders.
        first: Sample of the first border.

    Returns:
        Array `(steps,)`, true where a window enters or leaves a border.
    """
    centres = np.arange(steps) * HOP + (WINDOW + HOP) / 2
    distance = np.abs((centres - first + period / 2) % period - period / 2)
    return distance <= (WINDOW + HOP) / 2
