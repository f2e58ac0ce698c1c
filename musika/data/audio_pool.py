"""Audio to train the codec on: whole tracks in one memory-mapped file, random crops out of it.

The tracks come from a folder of audio or from the practice corpus; they are decoded once, into 16-bit samples beside
the run, so that training needs the memory of its crops only and a resumed run starts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import SAMPLE_RATE
from musika.checks import UserError, check_number
from musika.corpus.tracks import KINDS

_DEFAULT_CORPUS_MINUTES = 60.0
_CORPUS_TRACK_SECONDS = 32.0


class AudioPool:
    """Tracks of stereo audio, split into those to train on and those held out.

    Attributes:
        train: Tracks `(samples, 2)` int16 to train on.
        held_out: Tracks kept for scores and examples.
        sample_rate: Samples a second.
    """

    def __init__(self, tracks: list[NDArray[np.int16]], held_out: float, seed: int, sample_rate: int = SAMPLE_RATE):
        """Split tracks.

        Args:
            tracks: Arrays `(samples, 2)` int16.
            held_out: Share of the tracks that is held out, at least one and not all; of a single track the end.
            seed: Seed of the choice.
            sample_rate: Samples a second.
        """
        self.sample_rate = sample_rate
        if len(tracks) == 1:
            cut = int(len(tracks[0]) * (1 - max(held_out, 0.1)))
            self.train, self.held_out = [tracks[0][:cut]], [tracks[0][cut:]]
            return
        order = np.random.Generator(np.random.Philox(key=[seed, 1])).permutation(len(tracks))
        count = min(max(1, round(held_out * len(tracks))), len(tracks) - 1)
        self.held_out = [tracks[index] for index in order[:count]]
        self.train = [tracks[index] for index in order[count:]]

    @property
    def seconds(self) -> float:
        """Length of what is trained on."""
        return sum(len(track) for track in self.train) / self.sample_rate

    def crops(
        self, count: int, samples: int, rng: np.random.Generator, gain_low_db: float = 0.0, gain_high_db: float = 0.0
    ) -> NDArray[np.float32]:
        """Draw random mono crops: a random channel of a random place, at a random gain.

        Polarity stays: it cannot be told from magnitudes, but phases where drums begin can, if it is always the same.

        Args:
            count: Number of crops.
            samples: Samples of a crop; shorter tracks are padded with silence.
            rng: Source of randomness.
            gain_low_db: Lowest gain in decibels.
            gain_high_db: Highest gain.

        Returns:
            Array `(count, samples)` float32.
        """
        lengths = np.array([max(len(track) - samples, 1) for track in self.train], float)
        crops = np.zeros((count, samples), np.float32)
        for index, track in enumerate(rng.choice(len(self.train), count, p=lengths / lengths.sum())):
            start = rng.integers(max(len(self.train[track]) - samples, 0) + 1)
            crop = self.train[track][start : start + samples, rng.integers(2)]
            crops[index, : len(crop)] = crop
        gain = 10 ** (rng.uniform(gain_low_db, gain_high_db, (count, 1)) / 20)
        return crops * (gain / 32768).astype(np.float32)


def parse_corpus(data: str) -> tuple[list[str], float] | None:
    """Read a practice-corpus source such as ``corpus:techno+piano`` or ``corpus:techno@breaks:30`` (minutes).

    Args:
        data: The source as given.

    Returns:
        Kinds and minutes of each, or None if the source is not a corpus.

    Raises:
        UserError: If a kind or the minutes are not valid.

    >>> parse_corpus("corpus:techno+piano:5")
    (['techno', 'piano'], 5.0)
    """
    if not data.startswith("corpus:"):
        return None
    kinds, _, minutes = data[len("corpus:") :].partition(":")
    chosen = kinds.split("+")
    for kind in chosen:
        if kind not in KINDS:
            raise UserError(
                f"data: there is no practice corpus {kind!r}; allowed are {', '.join(KINDS)}, joined by +. "
                f"Received: {data!r}"
            )
    length = check_number(minutes or str(_DEFAULT_CORPUS_MINUTES), "minutes of corpus", above=0, high=6000)
    return chosen, length


def _render(job: tuple[str, int, int, float]) -> NDArray[np.int16]:
    from musika.corpus import render_track

    kind, seed, index, seconds = job
    audio = render_track(kind, seed, index, seconds).audio
    return np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)


def _corpus_tracks(kinds: list[str], minutes: float, seed: int) -> Iterator[NDArray[np.int16]]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    seconds = min(_CORPUS_TRACK_SECONDS, minutes * 60)
    count = max(2, round(minutes * 60 / seconds))
    jobs = [(kind, seed, index, seconds) for kind in kinds for index in range(count)]
    if len(jobs) <= 4:
        yield from map(_render, jobs)
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(_render, jobs, chunksize=4)


def _folder_tracks(folder: Path, sample_rate: int, say: Callable[[str], None]) -> Iterator[NDArray[np.int16]]:
    from musika.audio.files import find_audio, read_audio

    files = [folder] if folder.is_file() else find_audio(folder)
    used = 0
    for path in files:
        try:
            audio = read_audio(path, sample_rate)
        except UserError as error:
            say(f"skipped {path}: {error}")
            continue
        used += 1
        yield np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    if not used:
        raise UserError(f"{folder} holds no usable audio: {len(files)} audio files found, none readable.")


def open_pool(
    data: str, cache: Path, sample_rate: int, held_out: float, seed: int, say: Callable[[str], None] = print
) -> AudioPool:
    """Open the audio of a source, decoding it on first use.

    Args:
        data: A folder or file of audio, or a practice corpus such as ``corpus:techno+piano``.
        cache: Folder for the decoded samples.
        sample_rate: Samples a second.
        held_out: Share of the tracks that is held out.
        seed: Seed of the corpus and of the choice.
        say: Told about files that are skipped.

    Returns:
        The pool.

    Raises:
        UserError: If the source does not exist or holds no usable audio.
    """
    from musika.training.run import read_json, write_json

    index, samples = cache / "audio.json", cache / "audio.int16"
    if not (index.is_file() and read_json(index).get("data") == data):
        corpus = parse_corpus(data)
        folder = Path(data)
        if corpus is None and not folder.exists():
            raise UserError(f"data: there is no file or folder {data}. Give a folder of audio or corpus:techno+piano.")
        cache.mkdir(parents=True, exist_ok=True)
        tracks = _corpus_tracks(*corpus, seed) if corpus else _folder_tracks(folder, sample_rate, say)
        lengths = []
        with samples.open("wb") as file:
            for track in tracks:
                file.write(np.ascontiguousarray(track).tobytes())
                lengths.append(len(track))
        write_json(index, {"data": data, "lengths": lengths})
    lengths = read_json(index)["lengths"]
    everything = np.memmap(samples, np.int16, "r").reshape(-1, 2)
    return AudioPool(np.split(everything, np.cumsum(lengths)[:-1]), held_out, seed, sample_rate)
