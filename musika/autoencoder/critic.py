"""The codec's critic: a 2-D convolutional network on spectrograms of the re-synthesised waveform.

It looks at another window length and at frame positions that differ from the codec's own grid, so it sees what crosses
the borders of the decoder's blocks. It judges patches: its output is a map of scores.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

FFT_LENGTH = 1024
HOP_LENGTH = 256


def build_codec_critic(channels: int = 8, dtype: str | None = None) -> keras.Model:
    """Build the critic.

    Args:
        channels: Channels of its first layer.
        dtype: Type of its computation.

    Returns:
        A network from log-magnitudes `(batch, frames, bins, 1)` to scores `(batch, time, frequency, 1)`.
    """
    inputs = keras.Input((None, FFT_LENGTH // 2, 1))
    hidden: Any = inputs
    for width, kernel, strides in (
        (channels, (3, 9), (1, 4)),
        (2 * channels, (3, 7), (2, 2)),
        (4 * channels, (3, 5), (2, 2)),
        (6 * channels, (3, 3), (2, 2)),
    ):
        hidden = layers.Conv2D(width, kernel, strides, padding="same", dtype=dtype)(hidden)
        hidden = layers.LeakyReLU(0.2, dtype=dtype)(hidden)
    outputs = layers.Conv2D(1, (3, 3), padding="same", dtype="float32")(hidden)
    return keras.Model(inputs, outputs, name="codec_critic")


def critic_view(audio: Any, hop_length: int = HOP_LENGTH) -> Any:
    """What the critic sees of a waveform.

    Args:
        audio: Waveforms `(batch, samples)`.
        hop_length: Samples between two frames.

    Returns:
        Log-magnitudes `(batch, frames, bins, 1)`, about -1 to 1; the highest bin is left out.
    """
    from musika.training.losses import short_time_spectrum

    real, imaginary = short_time_spectrum(audio, FFT_LENGTH, hop_length)
    power = real * real + imaginary * imaginary
    return (ops.log(power[..., :-1] + 1e-3) * 0.15)[..., None]
