"""Embeddings of audio files, each computed once.

A cache file holds the windows of one audio file. Its name is a hash of the audio file's bytes and of everything else
that the windows depend on, so it is found again under any path and never for other settings. It appears when it is
whole: after a kill, what was done is there, and the next run goes on from it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.arrays import read_arrays
from musika.audio.reading import AudioReader, show_path
from musika.audio.writing import replacing
from musika.checks import UserError
from musika.resources import cache_folder, file_hash

if TYPE_CHECKING:
    from musika.evaluation.embeddings.base import Embedding

_FORMAT = 1  # of the cache files; a new one leaves the old ones unused
_ENDING = ".windows.npz"


def default_folder() -> Path:
    """Where embeddings are kept when nothing else is said.

    Returns:
        ``musika/embeddings`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``.
    """
    return cache_folder("embeddings")


def resampler() -> str:
    """What resamples audio to an embedding's rate.

    Returns:
        Its name, quality and version.
    """
    return f"soxr HQ {version('soxr')}"


def describe(embedding: Embedding) -> dict[str, Any]:
    """What a distance depends on and others have to know of an embedding.

    Args:
        embedding: The embedding.

    Returns:
        Its name, weights, settings, rate, window and so on, as JSON can hold them.
    """
    names = ("name", "weights_hash", "sample_rate", "channels", "window_seconds", "hop_seconds", "dimension")
    about = {name: getattr(embedding, name) for name in (*names, "settings", "licence", "note")}
    return json.loads(json.dumps(about | {"resampler": resampler()}))


@dataclass(frozen=True)
class Embedded:
    """The windows of one audio file.

    Attributes:
        windows: float32 `(windows, dimension)`.
        seconds: Length of the audio.
        note: What is worth knowing about the file; may be empty.
    """

    windows: NDArray[np.float32]
    seconds: float
    note: str = ""


def _content_hash(path: Path) -> str:
    """The hash of a file's bytes."""
    try:
        return file_hash(path)
    except OSError as error:
        raise UserError(f"{show_path(path)}: cannot be opened: {error.strerror or error}. Check the path.") from None


class EmbeddingCache:
    """A folder of embeddings.

    Args:
        folder: The folder, made when it is needed; None for `default_folder`.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder)

    def place(self, path: Path, about: dict[str, Any]) -> Path:
        """Where the windows of an audio file are kept.

        Args:
            path: The audio file.
            about: The embedding, as `describe` gives it.

        Returns:
            The cache file, there or not.

        Raises:
            UserError: If the audio file cannot be read.
        """
        decisive = {key: value for key, value in about.items() if key not in ("licence", "note")}
        key = json.dumps({"format": _FORMAT, "content": _content_hash(path), **decisive}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}{_ENDING}"

    def read(self, place: Path) -> Embedded | None:
        """Read a cache file.

        Args:
            place: The file.

        Returns:
            What it holds; None if it is not there or damaged.
        """
        try:
            arrays = read_arrays(place, "no windows", "Clear the cache.")
            return Embedded(arrays["windows"], float(arrays["seconds"]), str(arrays["note"]))
        except (KeyError, ValueError, TypeError):  # UserError is a ValueError
            return None

    def write(self, place: Path, embedded: Embedded) -> None:
        """Write a cache file.

        Args:
            place: The file.
            embedded: What it shall hold.

        Raises:
            UserError: If it cannot be written.
        """
        try:
            with replacing(place) as aside, open(aside, "wb") as handle:
                np.savez(
                    handle,
                    windows=embedded.windows,
                    seconds=np.float64(embedded.seconds),
                    note=np.str_(embedded.note),
                )
        except UserError as error:
            raise CacheError(f"{error} Give --cache another folder.") from None

    def clear(self) -> int:
        """Delete the cache files, and nothing else.

        Returns:
            How many there were.
        """
        files = list(self.folder.glob(f"*{_ENDING}"))
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)


class CacheError(UserError):
    """The cache cannot be written: no fault of the audio file at hand."""


def embed_file(path: Path, embedding: Embedding) -> Embedded:
    """Embed an audio file, streamed: an hour needs the memory of a minute.

    Args:
        path: The file.
        embedding: The embedding.

    Returns:
        Its windows, at least one.

    Raises:
        UserError: If the file cannot be read, or is shorter than a window.
    """
    with AudioReader(path, embedding.sample_rate) as reader:
        windows = embedding.embed(reader.blocks())
    seconds = reader.samples / reader.sample_rate
    if not len(windows):
        raise UserError(
            f"{show_path(path)}: {seconds:.2f} s is shorter than a window of {embedding.name},"
            f" {embedding.window_seconds:.2f} s."
        )
    return Embedded(windows, seconds, "ends earlier than its header says" if reader.ended_early else "")
