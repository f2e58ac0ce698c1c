"""What every embedding has in common: it turns a stream of audio into one vector a window, in flat memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError
from musika.evaluation.embeddings.registry import EMBEDDINGS

Floats = NDArray[np.float32]


def sliding(stream: Iterable[NDArray], length: int, hop: int, group: int) -> Iterator[NDArray]:
    """Cut a stream into windows that overlap, a fixed number at a time.

    The windows of a result lie on a grid that begins with the stream, so what is computed from them is the same, to
    the byte, however the stream is cut into blocks.

    Args:
        stream: Blocks of shape `(items, ...)`, of any lengths, also 0.
        length: Items in a window.
        hop: Items from one window's beginning to the next one's, at most ``length``.
        group: Windows in a result; the last result may hold fewer.

    Yields:
        Windows of shape `(windows, ..., length)`. What is left at the end, shorter than a window, is dropped.

    >>> [windows.tolist() for windows in sliding([np.arange(3), np.arange(3, 6)], 3, 1, 2)]
    [[[0, 1, 2], [1, 2, 3]], [[2, 3, 4], [3, 4, 5]]]
    """
    need = (group - 1) * hop + length
    pieces: list[NDArray] = []
    held = 0
    for block in stream:
        pieces.append(block)
        held += len(block)
        if held < need:
            continue
        joined, begin = np.concatenate(pieces), 0
        while len(joined) - begin >= need:
            yield _windows(joined[begin : begin + need], length, hop)
            begin += group * hop
        pieces = [joined[begin:].copy()]
        held = len(pieces[0])
    if held >= length:
        yield _windows(np.concatenate(pieces), length, hop)


def _windows(items: NDArray, length: int, hop: int) -> NDArray:
    """A view of every window of an array."""
    return np.lib.stride_tricks.sliding_window_view(items, length, axis=0)[::hop]


def fit_channels(blocks: Iterable[NDArray], channels: int) -> Iterator[Floats]:
    """Mix stereo down, or double mono, where an embedding wants the other.

    Args:
        blocks: Audio of shape `(samples, 1)`, `(samples, 2)` or `(samples,)`.
        channels: How many are wanted, 1 or 2.

    Yields:
        float32 blocks of shape `(samples, channels)`.

    Raises:
        UserError: If a block has another shape or holds a NaN.
    """
    for block in blocks:
        audio = np.asarray(block, np.float32)
        audio = audio[:, None] if audio.ndim == 1 else audio
        if audio.ndim != 2 or audio.shape[1] not in (1, 2):
            raise UserError(
                "embedding: audio must have the shape (samples, 1) or (samples, 2)."
                f" Received: shape {np.shape(block)}. Mix other channels down first."
            )
        if not np.isfinite(audio).all():
            raise UserError("embedding: audio must hold finite numbers. Received: NaN or infinity. Repair the file.")
        if audio.shape[1] > channels:
            audio = audio.mean(axis=1, keepdims=True)
        elif audio.shape[1] < channels:
            audio = np.repeat(audio, channels, axis=1)
        yield audio


class Embedding(ABC):
    """An embedding of audio.

    Attributes:
        name: Its name in the registry.
        sample_rate: Sample rate of the audio that it takes, in Hz.
        channels: Channels that it looks at, 1 or 2; `embed` takes either and mixes or doubles.
        window_seconds: Length of the audio behind one vector.
        hop_seconds: Time from one vector to the next.
        dimension: Numbers in a vector.
        weights_hash: Fingerprint of the weights; empty where there are none.
        settings: Everything else that the vectors depend on, as JSON can hold it.
    """

    name: ClassVar[str]
    sample_rate: int
    channels: int
    window_seconds: float
    hop_seconds: float
    dimension: int
    weights_hash: str
    settings: dict[str, Any]

    @property
    def licence(self) -> str:
        """Licence of the weights, or of this package where there are none."""
        return EMBEDDINGS[self.name].licence

    @property
    def note(self) -> str:
        """What the distances may and may not be compared with."""
        return EMBEDDINGS[self.name].note

    def embed(self, blocks: Iterable[NDArray]) -> Floats:
        """Embed a stream of audio.

        Args:
            blocks: Consecutive pieces at ``sample_rate`` of shape `(samples, channels)`, of any lengths.

        Returns:
            float32 array of shape `(windows, dimension)`, the same however the audio is cut into pieces; no rows
            where the audio is shorter than a window.

        Raises:
            UserError: If a piece has another shape or holds a NaN.
        """
        rows = list(self._rows(fit_channels(blocks, self.channels)))
        return np.concatenate(rows).astype(np.float32) if rows else np.zeros((0, self.dimension), np.float32)

    @abstractmethod
    def _rows(self, blocks: Iterator[Floats]) -> Iterator[NDArray]:
        """Vectors `(windows, dimension)` of a stream that has the right channels, some windows at a time."""
