"""Sets of embedded tracks: a folder of audio as windows, file by file."""

from __future__ import annotations

import functools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import show_path
from musika.checks import UserError, check_number
from musika.data.encode import FileResult, audio_sources, check_any, skipped
from musika.evaluation.cache import CacheError, Embedded, EmbeddingCache, describe, embed_file

if TYPE_CHECKING:
    from musika.evaluation.embeddings.base import Embedding

Windows = NDArray[np.float32]
OpenEmbedding = Callable[[], "Embedding"]

MOST_PROCESSES = 1024


@functools.lru_cache(maxsize=2)
def opened(open_embedding: OpenEmbedding) -> Embedding:
    """Open an embedding, or give the one that is open.

    Args:
        open_embedding: Makes the embedding.

    Returns:
        The embedding; the same one for the same callable.
    """
    return open_embedding()


@dataclass(frozen=True)
class EmbeddedSet:
    """A set of tracks as windows.

    Attributes:
        source: The folder or file it came from.
        names: Name of each track.
        tracks: float32 windows `(windows, dimension)` of each track, none empty.
        seconds: Length of all tracks.
        results: What became of every file.
    """

    source: str
    names: tuple[str, ...]
    tracks: tuple[Windows, ...]
    seconds: float = 0.0
    results: tuple[FileResult, ...] = ()

    @property
    def windows(self) -> int:
        """Number of windows."""
        return sum(len(track) for track in self.tracks)

    def about(self) -> dict[str, Any]:
        """What a report says of the set.

        Returns:
            Source, counts and the files that were skipped with their reasons.
        """
        return {
            "source": self.source,
            "tracks": len(self.tracks),
            "windows": self.windows,
            "source_seconds": round(self.seconds, 3),
            "skipped": {show_path(item.source): item.note for item in self.results if item.target is None},
        }


def _embed_or_read(path: Path, open_embedding: OpenEmbedding, about: dict[str, Any], folder: Path) -> Embedded | str:
    """The windows of a file, from the cache or fresh; or why there are none."""
    cache = EmbeddingCache(folder)
    try:
        place = cache.place(path, about)
        found = cache.read(place)
        if found is None:
            found = embed_file(path, opened(open_embedding))
            cache.write(place, found)
        return found
    except CacheError:
        raise
    except UserError as error:
        return str(error)


class _Worker:
    """What a worker process keeps from file to file."""

    open_embedding: OpenEmbedding


def _start_worker(open_embedding: OpenEmbedding) -> None:
    """Remember the embedding, and leave Ctrl-C to the parent."""
    _Worker.open_embedding = open_embedding
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(path: Path, about: dict[str, Any], folder: Path) -> Embedded | str:
    """Do a file in a worker process."""
    return _embed_or_read(path, _Worker.open_embedding, about, folder)


def _map(
    files: Sequence[Path], open_embedding: OpenEmbedding, about: dict[str, Any], folder: Path, processes: int
) -> Iterator[Embedded | str]:
    """Embed files in order; in fresh processes, which share no threads or locks, if there are more than one."""
    processes = min(processes, len(files))
    if processes == 1:
        for path in files:
            yield _embed_or_read(path, open_embedding, about, folder)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _start_worker, (open_embedding,))
    try:
        yield from pool.map(partial(_work, about=about, folder=folder), files)
    finally:
        pool.shutdown(cancel_futures=True)


def embed_source(
    source: str | Path,
    open_embedding: OpenEmbedding,
    cache: EmbeddingCache,
    processes: int = 1,
    progress: bool = False,
    about: dict[str, Any] | None = None,
) -> EmbeddedSet:
    """Embed an audio file, or all in a folder and its subfolders.

    A file that cannot be used is skipped with its reason. The result does not depend on the cache or on the number of
    processes.

    Args:
        source: An audio file or a folder.
        open_embedding: Makes the embedding; with several processes it has to be picklable, and a script needs the usual
            ``if __name__ == "__main__":`` guard.
        cache: Where embeddings are kept.
        processes: Files that are embedded at once.
        progress: Whether to show a progress bar.
        about: The embedding, as `cache.describe` gives it; when left out, it is opened to be asked.

    Returns:
        The set, with at least one track.

    Raises:
        UserError: If there is no audio, none that can be used, or the cache cannot be written.
    """
    from tqdm import tqdm

    files = audio_sources(source)
    if about is None:
        about = describe(opened(open_embedding))
    jobs = _map(files, open_embedding, about, cache.folder, processes)
    names, tracks, results = [], [], []
    root = Path(source)
    done = tqdm(jobs, f"embed {root.name}", len(files), False, unit="file", disable=not progress)
    for path, outcome in zip(files, done, strict=True):
        if isinstance(outcome, str):
            results.append(skipped(path, UserError(outcome)))
            continue
        results.append(FileResult(path, path, outcome.seconds, outcome.note))
        names.append(show_path(path.relative_to(root) if root.is_dir() else path.name))
        tracks.append(outcome.windows)
    check_any(results, root)
    seconds = sum(result.seconds for result in results)
    return EmbeddedSet(show_path(source), tuple(names), tuple(tracks), seconds, tuple(results))


def split_tracks(tracks: EmbeddedSet, seconds: float, hop_seconds: float) -> EmbeddedSet:
    """Cut long tracks into pieces that count as tracks of their own.

    Args:
        tracks: The set.
        seconds: Length of a piece, at least a hop.
        hop_seconds: Time from one window to the next.

    Returns:
        The set with each track cut; what is left at a track's end is a shorter piece.

    Raises:
        UserError: If the length is out of range.

    >>> split_tracks(EmbeddedSet("x", ("a",), (np.zeros((5, 1)),)), 1.0, 0.5).names
    ('a #1', 'a #2', 'a #3')
    """
    check_number(seconds, "split", hop_seconds)
    size = max(1, round(seconds / hop_seconds))
    names, pieces = [], []
    for name, windows in zip(tracks.names, tracks.tracks, strict=True):
        cut = [windows[start : start + size] for start in range(0, len(windows), size)]
        names += [name] if len(cut) == 1 else [f"{name} #{index + 1}" for index in range(len(cut))]
        pieces += cut
    return replace(tracks, names=tuple(names), tracks=tuple(pieces))


def match_windows(tracks: EmbeddedSet, windows: int, seed: int) -> EmbeddedSet:
    """Choose as many windows as another set has, in whole tracks but for the last.

    Args:
        tracks: The set.
        windows: The windows wanted.
        seed: Seed of the choice.

    Returns:
        The set with at most ``windows`` windows, tracks in their order.

    >>> match_windows(EmbeddedSet("x", ("a", "b"), (np.zeros((5, 1)), np.zeros((5, 1)))), 7, 0).windows
    7
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 12]))
    chosen, left = {}, windows
    for index in rng.permutation(len(tracks.tracks)):
        if left <= 0:
            break
        chosen[int(index)] = tracks.tracks[index][:left]
        left -= len(chosen[int(index)])
    order = sorted(chosen)
    names = tuple(tracks.names[index] for index in order)
    return replace(tracks, names=names, tracks=tuple(chosen[index] for index in order))


def choose_windows(tracks: Sequence[Windows], most: int, seed: int) -> list[Windows]:
    """Thin out tracks to a number of windows, evenly by chance.

    Args:
        tracks: Windows of each track.
        most: Windows to keep altogether.
        seed: Seed of the choice.

    Returns:
        What is left of each track; tracks of which nothing is left are left out.

    >>> sum(len(track) for track in choose_windows([np.zeros((5, 1)), np.zeros((5, 1))], 7, 0))
    7
    """
    total = sum(len(track) for track in tracks)
    if total <= most:
        return list(tracks)
    rng = np.random.Generator(np.random.Philox(key=[seed, 13]))
    kept = np.zeros(total, bool)
    kept[rng.choice(total, most, replace=False)] = True
    masks = np.split(kept, np.cumsum([len(track) for track in tracks])[:-1])
    return [track[mask] for track, mask in zip(tracks, masks, strict=True) if mask.any()]
