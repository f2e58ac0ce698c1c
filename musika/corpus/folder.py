"""A folder of practice tracks, made in parallel."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from musika.checks import UserError, check_choice, check_integer, check_number
from musika.corpus.labels import labels_path, write_labels
from musika.corpus.synth import SAMPLE_RATE
from musika.corpus.tracks import KINDS, LARGEST_SEED, LONGEST_TRACK, SHORTEST_TRACK, render_track
from musika.threads import cores

MOST_MINUTES = 50_000.0


def track_lengths(minutes: float, track_seconds: float) -> list[float]:
    """Lengths of the tracks that make up a corpus: all equal, but the last takes what is left.

    Args:
        minutes: Length of the corpus in minutes.
        track_seconds: Length of a track in seconds.

    Returns:
        Seconds of each track. A remainder below a second is left out; a lone track has at least a second.

    >>> track_lengths(1.0, 32.0)
    [32.0, 28.0]
    """
    full, rest = divmod(round(60 * minutes, 6), track_seconds)
    lengths = [float(track_seconds)] * int(full)
    return [*lengths, max(rest, SHORTEST_TRACK)] if rest >= SHORTEST_TRACK or not lengths else lengths


def _write_track(job: tuple[Path, float, int], kind: str, seed: int) -> Path:
    """Make one track and its labels; each file appears under its name only when it is whole."""
    path, seconds, index = job
    track = render_track(kind, seed, index, seconds)
    aside = [path.with_name(f".{path.name}.part"), path.with_name(f".{labels_path(path).name}.part")]
    try:
        samples = np.round(track.audio * 32767).astype(np.int16)
        soundfile.write(aside[0], samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        write_labels(aside[1], track.labels)
        os.replace(aside[1], labels_path(path))
        os.replace(aside[0], path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"Cannot write {path} ({error}). Check the folder's permissions and the space left.") from None
    finally:
        for leftover in aside:
            leftover.unlink(missing_ok=True)
    return path


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, which lets the tracks in work finish and stops."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_parallel(work: partial[Path], jobs: list[tuple[Path, float, int]], processes: int) -> Iterator[Path]:
    """Run the jobs in fresh processes, which share no threads or locks with this one."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context, initializer=_ignore_interrupt)
    try:
        yield from pool.map(work, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_folder(folder: Path, prefix: str, planned: set[Path]) -> None:
    """Make the folder; refuse one in which tracks of another corpus would remain among the new ones."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {folder} ({error}). Choose another.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"The folder {folder} cannot be written to. Choose another or change its permissions.")
    others = sorted(set(folder.glob(f"{prefix}_*.flac")) - planned)
    if others:
        raise UserError(
            f"The folder {folder} holds {len(others)} more {prefix} tracks, of another corpus (first:"
            f" {others[0].name}). Choose another folder or delete them."
        )


def write_corpus(
    kind: str,
    out: str | Path,
    minutes: float,
    seed: int,
    track_seconds: float = 32.0,
    processes: int | None = None,
    progress: bool = True,
) -> list[Path]:
    """Write a folder of tracks: ``KIND_00000.flac``, ``KIND_00000.labels.csv`` and so on.

    Equal arguments give equal bytes, whatever the number of processes. With more than one process, a script that calls
    this needs the usual ``if __name__ == "__main__":`` guard.

    Args:
        kind: ``techno``, its variant ``techno@breaks`` (files ``techno-breaks_00000.flac``), or ``piano``.
        out: The folder, made if missing. Tracks of the same names are replaced.
        minutes: Length of all tracks together in minutes.
        seed: Seed, 0 or more.
        track_seconds: Length of a track in seconds; the last takes what is left.
        processes: How many tracks are made at once; None for one a core.
        progress: Whether to show a progress bar.

    Returns:
        The audio files; `labels_path` gives their labels.

    Raises:
        UserError: If an argument is out of its range, or the folder cannot be written to or holds another corpus.
    """
    check_choice(kind, "kind", KINDS)
    check_number(minutes, "minutes", above=0, high=MOST_MINUTES)
    check_integer(seed, "seed", 0, LARGEST_SEED)
    check_number(track_seconds, "track_seconds", SHORTEST_TRACK, LONGEST_TRACK)
    processes = check_integer(cores() if processes is None else processes, "processes", 1, 1024)
    folder, prefix = Path(out), kind.replace("@", "-")
    lengths = track_lengths(minutes, track_seconds)
    jobs = [(folder / f"{prefix}_{index:05d}.flac", seconds, index) for index, seconds in enumerate(lengths)]
    _prepare_folder(folder, prefix, {path for path, _, _ in jobs})
    work = partial(_write_track, kind=kind, seed=seed)
    done = map(work, jobs) if min(processes, len(jobs)) == 1 else _in_parallel(work, jobs, processes)
    return list(tqdm(done, total=len(jobs), desc=kind, unit="track", disable=not progress))
