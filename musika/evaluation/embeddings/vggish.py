"""VGGish, the embedding of the published Fréchet audio distance, with its front end.

    audio 16 kHz mono --25 ms every 10 ms--> |spectrum| --64 mel bands--> log(x + 0.01) --96 frames--> network --> 128

Sources: Hershey et al. 2017, "CNN architectures for large-scale audio classification"; the constants and the graph
are those of AudioSet's published code (tensorflow/models, research/audioset/vggish), without its post-processing.
That code ended in a ReLU when the first distances were published (2018) and has given the value before it since 2020;
``activation`` chooses. What it hears ends at 7.5 kHz, in mono.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from musika.checks import UserError, check_choice, check_number
from musika.evaluation.embeddings.base import Embedding, Floats, sliding
from musika.evaluation.embeddings.mel import mel_weights
from musika.evaluation.embeddings.vggish_weights import OFFICIAL_SHA256, obtain_weights

_SAMPLE_RATE = 16000
_FRAME, _FRAME_HOP, _FFT_LENGTH = 400, 160, 512
_BANDS, _LOW, _HIGH = 64, 125.0, 7500.0
_LOG_OFFSET = 0.01
_PATCH_FRAMES = 96
_FRAME_SECONDS = _FRAME_HOP / _SAMPLE_RATE
_GROUP_FRAMES = 512
_GROUP_PATCHES = 16  # 72 million parameters are read once for this many patches; more gains nothing on a CPU
_CONVOLUTIONS = (("conv1", 64), ("conv2", 128), ("conv3", 256, 256), ("conv4", 512, 512))
_DIMENSION = 128


def build_vggish(activation: str = "none") -> keras.Model:
    """Build the network up to its embedding layer.

    Args:
        activation: Of the embedding layer: ``none`` or ``relu``.

    Returns:
        A model from log-mel patches `(batch, 96, 64)` to `(batch, 128)`, with the original's layer names.

    Raises:
        UserError: If the activation is neither.
    """
    check_choice(activation, "activation", ["none", "relu"])
    patches = keras.Input((_PATCH_FRAMES, _BANDS), name="input_features")
    x = layers.Reshape((_PATCH_FRAMES, _BANDS, 1))(patches)
    zeros = {"kernel_initializer": "zeros"}  # the weights come from a file: random ones would only take a second
    for number, (stage, *widths) in enumerate(_CONVOLUTIONS, 1):
        for index, width in enumerate(widths, 1):
            name = stage if len(widths) == 1 else f"{stage}_{index}"
            x = layers.Conv2D(
                width, 3, padding="same", activation="relu", data_format="channels_last", name=name, **zeros
            )(x)
        x = layers.MaxPooling2D(2, padding="same", data_format="channels_last", name=f"pool{number}")(x)
    x = layers.Flatten(data_format="channels_last")(x)
    x = layers.Dense(4096, activation="relu", name="fc1_1", **zeros)(x)
    x = layers.Dense(4096, activation="relu", name="fc1_2", **zeros)(x)
    x = layers.Dense(_DIMENSION, activation=None if activation == "none" else "relu", name="fc2", **zeros)(x)
    return keras.Model(patches, x, name="vggish")


class LogMelFrontEnd:
    """AudioSet's features: log-mel frames of a stream of 16 kHz mono audio."""

    def __init__(self) -> None:
        self._taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
        self._mel = mel_weights(_BANDS, _FFT_LENGTH // 2 + 1, _SAMPLE_RATE, _LOW, _HIGH)

    def patches(self, blocks: Iterator[Floats], hop_frames: int) -> Iterator[Floats]:
        """Cut a stream into what the network takes.

        Args:
            blocks: Audio of shape `(samples, 1)`.
            hop_frames: Frames of 10 ms from one patch to the next.

        Yields:
            float32 patches `(patches, 96, 64)`, 16 at a time.
        """
        levels = (self._levels(frames) for frames in sliding(blocks, _FRAME, _FRAME_HOP, _GROUP_FRAMES))
        for patches in sliding(levels, _PATCH_FRAMES, hop_frames, _GROUP_PATCHES):
            yield np.ascontiguousarray(np.swapaxes(patches, 1, 2), np.float32)

    def _levels(self, frames: NDArray) -> NDArray[np.float64]:
        """Log-mel levels `(frames, 64)` of frames `(frames, 1, 400)`."""
        spectrum = np.abs(np.fft.rfft(frames[:, 0] * self._taper, _FFT_LENGTH))
        return np.log(spectrum @ self._mel + _LOG_OFFSET)


class Vggish(Embedding):
    """The VGGish network. See the module's head.

    Args:
        weights: The file ``vggish_model.ckpt``; when left out, what was kept of it before, else it is downloaded.
        hop: Seconds from one patch to the next, in steps of 0.01, at most 0.96.
        activation: ``none`` as in today's published code, or ``relu`` as in that of 2018.

    Raises:
        UserError: If the weights cannot be had, or an option is out of range.
    """

    name = "vggish"

    def __init__(self, weights: str | Path | None = None, hop: float = 0.96, activation: str = "none") -> None:
        self._hop_frames = round(check_number(hop, "hop", 0.01, 0.96) / _FRAME_SECONDS)
        self._network = build_vggish(activation)
        self.weights_hash = obtain_weights(self._network, weights)
        self._front_end = LogMelFrontEnd()
        self.sample_rate, self.channels = _SAMPLE_RATE, 1
        self.window_seconds = _PATCH_FRAMES * _FRAME_SECONDS
        self.hop_seconds = round(self._hop_frames * _FRAME_SECONDS, 2)
        self.dimension = _DIMENSION
        self.settings = {
            "version": 1,
            "hop_frames": self._hop_frames,
            "activation": activation,
            "post_processing": False,
            "official_weights": self.weights_hash == OFFICIAL_SHA256,
        }

    def _rows(self, blocks: Iterator[Floats]) -> Iterator[NDArray]:
        """Embeddings of the stream's patches."""
        for patches in self._front_end.patches(blocks, self._hop_frames):
            made = np.asarray(self._network.predict_on_batch(patches), np.float32)
            if not np.isfinite(made).all():
                raise UserError("embedding 'vggish' gave NaN or infinity: the weights are damaged. Give another file.")
            yield made
