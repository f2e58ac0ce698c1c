"""The phase of the lowest bins: where drums and basses begin, it is no accident and can be learned."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from musika.autoencoder.phase_recurrence import windowed_recurrence
from musika.autoencoder.residual import build_in_order, dense, residual_blocks
from musika.config import Config

_DEVIATION_BINS = 1.5  # how far from a bin's centre the tone may lie that dominates it: about its main lobe
_DECAY_START = 2.0  # the recurrence first keeps sigmoid(2) = 0.88 of its state from frame to frame


@keras.saving.register_keras_serializable("musika")
class LowPhase(layers.Layer):
    """The phase of the lowest bins, by a recurrence that a small network drives. See ``phase_recurrence.py``.

    Frame by frame the network gives each bin a drive, a decay, and how far off its centre the tone lies that rules it.
    """

    def __init__(self, config: Config, dtype: Any = None, **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        widths, spectral = config.codec.compact, config.spectral
        self.bins, self.window = widths.phase_recurrence, widths.phase_window
        self.turn_of_bin = 2 * math.pi * spectral.hop_length / spectral.fft_length  # from frame to frame, a bin further
        self.turn = (self.turn_of_bin * np.arange(self.bins)).astype("float32")
        self.first = layers.Conv1D(widths.phase_width, 3, padding="same", dtype=dtype, name="first")
        self.blocks = residual_blocks(widths.phase_blocks, widths.phase_width, dtype)
        self.head = dense(2 * widths.phase_width, dtype, name="head")
        self.drive = dense(2 * self.bins, dtype, name="drive")
        self.decay = dense(self.bins, dtype, bias_initializer=keras.initializers.Constant(_DECAY_START), name="decay")
        # in float32, whatever the network: errors of the turn add up over the window
        self.deviation = dense(self.bins, "float32", 0.1, name="deviation")

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        wide = build_in_order(shape, self.first, *self.blocks, self.head)
        for part in (self.deviation, self.decay, self.drive):
            part.build(wide)

    def call(self, hidden: Any) -> tuple[Any, Any]:
        """Hidden frames `(batch, frames, width)` to cosine and sine of the phase, float32."""
        hidden = self.first(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = ops.silu(self.head(hidden))
        deviation = _DEVIATION_BINS * ops.tanh(self.deviation(ops.cast(hidden, "float32")))
        angle = ops.add(self.turn_of_bin * deviation, self.turn)
        decay = ops.sigmoid(ops.cast(self.decay(hidden), "float32"))
        drive = ops.split(ops.cast(self.drive(hidden), "float32"), 2, axis=-1)
        real, imaginary = windowed_recurrence(angle, decay, (drive[0], drive[1]), self.window)
        inverse = ops.rsqrt(real * real + imaginary * imaginary + 1e-8)
        return real * inverse, imaginary * inverse
