"""The built-in embedding: how loud each band is, how it moves, and how wide it is, about twice a second.

    audio --frames of 46 ms--> mid and side energy in 20 mel bands, dB --windows of 45 frames--> 80 numbers

No weights, no network, nothing to download, and the whole band up to 22.05 kHz in stereo. Its distances are in square
decibels: 1 means that all 80 numbers together are about 1 dB apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from musika.evaluation.embeddings.base import Embedding, Floats, sliding
from musika.evaluation.embeddings.mel import mel_weights

_SAMPLE_RATE = 44100
_FFT_LENGTH = 2048  # 46 ms: 21.5 Hz a bin, enough for the lowest band
_FRAME_HOP = 1024
_BANDS = 20  # four statistics each: 80 numbers, whose covariance three minutes of music (350 windows) can estimate
_LOW, _HIGH = 20.0, 22050.0
_WINDOW_FRAMES = 44  # 1.04 s
_HOP_FRAMES = 22  # 0.51 s
_FLOOR = 1e-8  # -80 dB of a full-scale sine: dither and codec noise below it do not count
_GROUP_FRAMES = 64  # frames transformed at a time: 2 MB
_GROUP_WINDOWS = 64


class LogMel(Embedding):
    """Statistics of log-mel bands. See the module's head.

    A vector holds, each for all bands from low to high: the mean of mid's level over the window, its standard
    deviation, its mean absolute change from frame to frame, and the mean of side's level, all in dB.
    """

    name = "logmel"

    def __init__(self) -> None:
        self.sample_rate, self.channels = _SAMPLE_RATE, 2
        self.window_seconds = ((_WINDOW_FRAMES - 1) * _FRAME_HOP + _FFT_LENGTH) / _SAMPLE_RATE
        self.hop_seconds = _HOP_FRAMES * _FRAME_HOP / _SAMPLE_RATE
        self.dimension = 4 * _BANDS
        self.weights_hash = ""
        self.settings = {
            "version": 1,
            "fft_length": _FFT_LENGTH,
            "frame_hop": _FRAME_HOP,
            "bands": _BANDS,
            "low_hz": _LOW,
            "high_hz": _HIGH,
            "window_frames": _WINDOW_FRAMES,
            "hop_frames": _HOP_FRAMES,
            "floor_db": -80.0,
        }
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT_LENGTH) / _FFT_LENGTH)
        self._taper = hann * (2.0 / hann.sum())  # a sine at full scale has a peak of 1 in the spectrum
        self._mel = mel_weights(_BANDS, _FFT_LENGTH // 2 + 1, _SAMPLE_RATE, _LOW, _HIGH)

    def _rows(self, blocks: Iterator[Floats]) -> Iterator[NDArray]:
        """Vectors of a stream."""
        levels = (self._levels(frames) for frames in sliding(blocks, _FFT_LENGTH, _FRAME_HOP, _GROUP_FRAMES))
        for windows in sliding(levels, _WINDOW_FRAMES, _HOP_FRAMES, _GROUP_WINDOWS):
            mid, side = windows[:, :_BANDS], windows[:, _BANDS:]
            motion = np.abs(np.diff(mid, axis=-1)).mean(axis=-1)
            yield np.concatenate([mid.mean(axis=-1), mid.std(axis=-1), motion, side.mean(axis=-1)], axis=1)

    def _levels(self, frames: NDArray) -> NDArray[np.float64]:
        """Levels in dB `(frames, 2 * bands)` of mid, then side, of frames `(frames, 2, samples)`."""
        left, right = frames[:, 0].astype(np.float64), frames[:, 1].astype(np.float64)
        parts = []
        for part in (0.5 * (left + right), 0.5 * (left - right)):
            spectrum = np.fft.rfft(part * self._taper, axis=-1)
            power = np.square(spectrum.real) + np.square(spectrum.imag)
            parts.append(10.0 * np.log10(power @ self._mel + _FLOOR))
        return np.concatenate(parts, axis=1)
