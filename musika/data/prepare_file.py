"""One audio file -> latent files and annotations: what each process of `musika prepare` does.

A file shorter than a training window is looped: repeated whole until it lasts a window more than itself, so that its
places are drawn as often as those of other music. A file longer than ten minutes is cut into parts, which bounds the
memory. A part that is silent is left out.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import show_path
from musika.checks import UserError
from musika.corpus.labels import labels_path
from musika.data.annotate import annotate
from musika.data.annotation import Annotation, annotation_path, save_annotation
from musika.data.annotators import Events, Recording
from musika.data.encode import relative_path
from musika.data.latents import LATENT_ENDING, LatentFile, save_latents
from musika.data.sources import SourceReader
from musika.settings import Config, ControlConfig

if TYPE_CHECKING:
    from musika.autoencoder.codec import Codec

Floats = NDArray[np.float32]

AUTO, LABELS, LISTENER = "auto", "labels", "librosa"
PART_SECONDS = 600.0
_LEAST_SECONDS = 0.5  # of a file
SILENCE_DB = -60.0  # a part whose peak is lower holds nothing to learn from


@dataclass(frozen=True)
class Job:
    """One file to be prepared.

    Attributes:
        source: The audio file.
        target: Its latent file; of a file in parts, that name with the part's number.
        scratch: Folder for temporary files.
        annotator: Who listens; ``auto`` takes labels where they lie beside the file.
    """

    source: Path
    target: Path
    scratch: Path
    annotator: str = AUTO


class FileWorker:
    """Prepares files with one codec.

    Attributes:
        codec: The codec.
    """

    def __init__(self, codec: Codec, codec_name: str, config: Config, controls: tuple[ControlConfig, ...]) -> None:
        """Remember what files are prepared with.

        Args:
            codec: The codec.
            codec_name: The name by which it was loaded.
            config: The preset's config: says how long a training window is.
            controls: What is annotated.
        """
        self.codec, self._name, self._config, self._controls = codec, codec_name, config, controls
        self._hash = codec.hash

    def prepare(self, job: Job) -> list[dict[str, Any]]:
        """Write the latents and the annotation of a file.

        Args:
            job: The file.

        Returns:
            An entry of the manifest for each part.

        Raises:
            UserError: If the file cannot be used, or something cannot be written.
        """
        entries, silent = [], 0.0
        with SourceReader(job.source, self.codec.sample_rate, job.scratch) as reader:
            start = 0
            for number, (audio, last) in enumerate(self._parts(reader)):
                if number == 0 and len(audio) < _LEAST_SECONDS * self.codec.sample_rate:
                    length = len(audio) / self.codec.sample_rate
                    raise UserError(
                        f"{show_path(job.source)}: {length:.2g} s long, too short to be music. Give files of"
                        f" {_LEAST_SECONDS:g} s or more."
                    )
                name = job.target if last and number == 0 else _part_path(job.target, number)
                entry = self._part(job, name, audio, start)
                start += len(audio)
                if entry is None:
                    silent += len(audio) / self.codec.sample_rate
                else:
                    entries.append(entry)
            notes = ["ends earlier than its header says"] if reader.ended_early else []
            notes += ["decoded by ffmpeg"] if reader.converted else []
        if not entries:
            raise UserError(f"{show_path(job.source)}: silent (no sample above {SILENCE_DB:g} dB).")
        notes += [f"{silent:.0f} s of silence left out"] if silent else []
        if notes:
            entries[0]["note"] = "; ".join([*notes, *filter(None, [entries[0].get("note")])])
        return entries

    def _parts(self, reader: SourceReader) -> Iterator[tuple[Floats, bool]]:
        """The file in parts of ten minutes, and whether each is the last, which is never shorter than a window."""
        size = round(PART_SECONDS * self.codec.sample_rate)
        rest = self._config.generator.window_latents * self._config.latent_hop
        held: list[Floats] = []
        count = 0
        for block in reader.blocks():
            held.append(block)
            count += len(block)
            if count >= size + rest:
                audio = np.concatenate(held)
                held, count = [audio[size:]], count - size
                yield audio[:size], False
        yield np.concatenate(held), True

    def _part(self, job: Job, target: Path, audio: Floats, start: int) -> dict[str, Any] | None:
        """Encode and annotate a part; None if it is silent."""
        peak = float(max(audio.max(), -audio.min()))
        if peak < 10 ** (SILENCE_DB / 20):
            return None
        window, rate = self._config.generator.window_latents, self.codec.sample_rate
        repeats = 1
        if self.codec.steps_for(len(audio)) < window:
            repeats = 1 + -(-window * self._config.latent_hop // len(audio))
        looped = np.concatenate([audio] * repeats) if repeats > 1 else audio
        latents = self.codec.encode(looped)
        annotation = self._annotate(job, target, audio, looped, start / rate, len(latents))
        origin = relative_path(job.source, target.parent)
        save_latents(target, LatentFile(latents, self._hash, rate, len(looped), origin, self._name))
        save_annotation(annotation_path(target), annotation)
        power = float(np.einsum("ij,ij->", audio, audio, dtype=np.float64)) / audio.size  # in the memory of a buffer
        entry = {
            "latents": target.name,
            "seconds": round(len(audio) / rate, 3),
            "start": round(start / rate, 3),
            "peak_db": round(20 * np.log10(peak), 2),
            "loudness_db": round(10 * np.log10(power), 2),
            "annotator": annotation.annotator,
            "controls": {name: _summary(value) for name, value in annotation.controls.items()},
        }
        if repeats > 1:
            entry |= {"repeats": repeats, "note": f"short: played {repeats} times"}
        return entry

    def _annotate(self, job: Job, target: Path, audio: Floats, looped: Floats, start: float, steps: int) -> Annotation:
        """Annotate a part: its own events, once for every time that it is played."""
        annotator = job.annotator
        if annotator == AUTO:
            annotator = LABELS if labels_path(job.source).is_file() else LISTENER
        rate, latent_rate = self.codec.sample_rate, self._config.latent_rate
        path = job.source if annotator == LABELS else None
        own = Recording(path, steps, latent_rate, len(audio), rate, annotator, audio)
        recording = Recording(job.source, steps, latent_rate, len(looped), rate, annotator, looped)
        seconds = len(audio) / rate
        events = cut_events(own.events, start, seconds) if annotator == LABELS else own.events
        recording.events = repeat_events(events, seconds, len(looped) // len(audio))
        return annotate(recording, self._controls, target.parent)


def _part_path(target: Path, number: int) -> Path:
    """Where a part of a long file goes."""
    return target.with_name(f"{target.name.removesuffix(LATENT_ENDING)}~{number:03d}{LATENT_ENDING}")


def _summary(value: Any) -> Any:
    """A control's value for the manifest: of a curve its lowest, middle and highest value."""
    if value is None or isinstance(value, str):
        return value
    numbers = np.asarray(value, float)
    if numbers.ndim == 0:
        return round(float(numbers), 3)
    return [round(float(number), 3) for number in np.quantile(numbers, [0.0, 0.5, 1.0])]


def cut_events(events: Events, start: float, seconds: float) -> Events:
    """The events of a stretch of a file, counted from its beginning.

    Args:
        events: The events of the file.
        start: Where the stretch begins in seconds.
        seconds: Its length.

    Returns:
        The events.

    >>> cut_events(Events(beats=np.arange(6.0)), 2.0, 3.0).beats.tolist()
    [0.0, 1.0, 2.0]
    """

    def cut(times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The times within the stretch, counted from its start."""
        return times[(times >= start) & (times < start + seconds)] - start

    onsets = None if events.onsets is None else cut(events.onsets)
    return Events(events.tempo, events.tempo_confidence, cut(events.beats), cut(events.bars), onsets)


def repeat_events(events: Events, seconds: float, repeats: int) -> Events:
    """The events of a file that is played several times on end.

    Args:
        events: The events of the file.
        seconds: Its length.
        repeats: How often it is played.

    Returns:
        The events.

    >>> repeat_events(Events(beats=np.array([0.0, 1.0])), 2.0, 2).beats.tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    if repeats == 1:
        return events

    def repeat(times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The times of all turns."""
        return np.concatenate([times + turn * seconds for turn in range(repeats)])

    onsets = None if events.onsets is None else repeat(events.onsets)
    return Events(events.tempo, events.tempo_confidence, repeat(events.beats), repeat(events.bars), onsets)


_worker: FileWorker | None = None
_failure: UserError | None = None


def start_worker(preset: str, codec_hash: str, controls: tuple[ControlConfig, ...], threads: int | None) -> None:
    """Load the codec into this process.

    Args:
        preset: The preset's name or folder.
        codec_hash: What its codec must be.
        controls: What is annotated.
        threads: Threads that TensorFlow may use in this process; None for its own choice.

    Raises:
        UserError: If the preset cannot be loaded, or holds another codec.
    """
    global _worker
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from musika.presets import load_preset

    loaded = load_preset(preset)
    if loaded.codec.hash != codec_hash:
        raise UserError(f"preset {preset!r} says that its codec is {codec_hash}, but it is {loaded.codec.hash}.")
    _worker = FileWorker(loaded.codec, loaded.name, loaded.config, controls)


def start_process(*setting: Any) -> None:
    """Begin a process of its own: leave Ctrl-C to the parent, then load the codec; an error waits for the first job.

    Args:
        *setting: What `start_worker` needs.
    """
    global _failure
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        start_worker(*setting)
    except UserError as error:
        _failure = error


def run_job(job: Job) -> list[dict[str, Any]] | str:
    """Prepare a file in this process.

    Args:
        job: The file.

    Returns:
        Entries of the manifest, or why the file cannot be used.

    Raises:
        UserError: If this process could not load the codec.
    """
    if _failure is not None:
        raise _failure
    if _worker is None:
        raise RuntimeError("start_worker comes first")
    try:
        return _worker.prepare(job)
    except UserError as error:
        return str(error).removeprefix(f"{show_path(job.source)}: ")
