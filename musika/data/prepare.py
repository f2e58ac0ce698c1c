"""A folder of audio -> a folder to train on: latents, annotations, and a manifest that says what became of every file.

music/ --scan, hash--> new files --processes: read, encode, annotate--> NAME.npz, NAME.controls.json --> manifest.json

What a file's result depends on is its content: a second run does only what is new, whatever has been renamed. Each file
that is done is noted in a journal at once, so a run that is killed loses only the files it was at.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from musika.audio.reading import find_files, show_path
from musika.checks import UserError, check_choice, check_exists, check_integer
from musika.config import config_from_dict
from musika.data.annotate import choose_controls
from musika.data.annotators import ANNOTATORS
from musika.data.encode import MANIFEST, check_output_folder
from musika.data.latents import LATENT_ENDING
from musika.data.prepare_file import AUTO, Job, run_job, start_process, start_worker
from musika.data.shelf import Entry, Shelf, file_stamp, hash_file, read_manifest
from musika.data.sources import SOURCE_ENDINGS
from musika.preset_names import METADATA_FILE, find_preset
from musika.settings import Config, ControlConfig
from musika.threads import cores

WORKER_BYTES = 1_600_000_000  # of one process: TensorFlow, the codec, ten minutes of audio and its analysis
LABELS_ENDING = ".labels.csv"
Setting = tuple[str, str, tuple[ControlConfig, ...]]  # what `start_worker` needs
_FEW = 2  # files for which no other process is started: that takes longer than encoding them


def usable_processes(files: int) -> int:
    """How many processes a machine is good for.

    Args:
        files: Files to be encoded.

    Returns:
        One a core, as far as the free memory reaches, and no more than files.
    """
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        free = cores() * WORKER_BYTES
    return max(1, min(cores(), files, int(free // WORKER_BYTES)))


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a run did.

    Attributes:
        folder: The folder.
        manifest: What ``manifest.json`` holds.
        new: Files that this run made.
        before: Files that were done before.
        gone: Files of the manifest that are no longer in the folder of audio.
        others: How many other files there are, by ending.
    """

    folder: Path
    manifest: dict[str, Any]
    new: int
    before: int
    gone: int
    others: Counter[str]


def _find(source: Path, out: Path) -> tuple[list[Path], Counter[str]]:
    """The audio files of a source outside of the output folder, and how many other files there are, by ending."""
    if source.is_file():
        return [source], Counter()
    inside = out.resolve()
    files = [path for path in find_files(source, None) if inside not in path.resolve().parents]
    audio = [path for path in files if path.suffix.lower() in SOURCE_ENDINGS]
    rest = [path for path in files if path.suffix.lower() not in SOURCE_ENDINGS]
    others = Counter(path.suffix.lower() or "no ending" for path in rest if not path.name.endswith(LABELS_ENDING))
    if not audio:
        found = ", ".join(f"{count} {ending}" for ending, count in others.most_common(6)) or "no files at all"
        raise UserError(
            f"there is no audio in {show_path(source)} and its subfolders: found {found}. Give the folder that holds"
            " the music; on Colab, look whether the drive is mounted and its path is spelt right."
        )
    return audio, others


def _head(preset: str | Path, source: Path, annotator: str) -> tuple[dict[str, Any], Path, tuple[ControlConfig, ...]]:
    """What all entries of a manifest have in common, the preset's folder and the controls."""
    check_choice(annotator, "annotator", [AUTO, *ANNOTATORS])
    place = find_preset(preset)
    metadata, settings = read_manifest(place / METADATA_FILE) or {}, read_manifest(place / "config.json") or {}
    config: Config = config_from_dict(settings)
    controls = tuple(choose_controls(config))
    head = {
        "codec": metadata.get("codec_hash"),
        "codec_name": metadata.get("name") or place.name,
        "audio": show_path((source if source.is_dir() else source.parent).resolve()),
        "annotator": annotator,
        "sample_rate": config.sample_rate,
        "latent_rate": config.latent_rate,
        "controls": json.loads(json.dumps([dataclasses.asdict(control) for control in controls])),
    }
    measured = [[item.name, item.measure, item.per, item.kernel_seconds, item.classes] for item in controls]
    text = json.dumps([head["codec"], annotator, config.generator.window_latents, measured])
    head["settings"] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return head, place, controls


class _Plan:
    """Which files are new, where their latents go, which are copies of others."""

    def __init__(self, shelf: Shelf, files: Sequence[Path], root: Path, annotator: str, scratch: Path) -> None:
        self.shelf, self.files, self.root, self.annotator, self.scratch = shelf, files, root, annotator, scratch
        self.stamps = {
            (entry["source"], tuple(entry["stamp"])): digest
            for digest, entries in shelf.entries.items()
            for entry in entries
        }
        self.taken = {entry["latents"].casefold() for entries in shelf.entries.values() for entry in entries}
        self.present: dict[str, str] = {}
        self.sounds: dict[str, str] = {}
        self.before = 0

    def jobs(self) -> Iterator[tuple[Job, Entry]]:
        """The files to be done, each with what its entries begin with."""
        by_source = {entry["source"]: digest for digest, [entry, *_] in self.shelf.entries.items()}
        for path in self.files:
            name, stamp = show_path(path.relative_to(self.root).as_posix()), file_stamp(path)
            try:
                digest = self.stamps.get((name, tuple(stamp))) or hash_file(path)
            except UserError as error:
                self.skip(name, str(error).removeprefix(f"{show_path(path)}: "), "")
                continue
            sound = digest.partition("-")[0]
            if sound in self.sounds:
                self.skip(name, f"the same file as {self.sounds[sound]}", digest)
                continue
            self.sounds[sound] = self.present[digest] = name
            begin = {"source": name, "hash": digest, "stamp": stamp}
            if digest in self.shelf.entries:
                self.before += 1
                for entry in self.shelf.entries[digest]:
                    entry.update(begin)
                continue
            if name in by_source and by_source[name] not in self.present:  # the file has changed, not moved
                old = self.shelf.entries.get(by_source[name], [])
                self.taken -= {entry["latents"].casefold() for entry in old}
                self.shelf.forget(by_source[name])
            yield Job(path, self._target(path.relative_to(self.root), digest), self.scratch, self.annotator), begin

    def _target(self, relative: Path, digest: str) -> Path:
        """A name for the latents that no other file has."""
        names = [relative.with_suffix(LATENT_ENDING), Path(f"{relative}{LATENT_ENDING}")]
        names.append(relative.with_suffix(f".{digest[:8]}{LATENT_ENDING}"))
        chosen = next(name for name in names if show_path(name.as_posix()).casefold() not in self.taken)
        self.taken.add(show_path(chosen.as_posix()).casefold())
        return self.shelf.folder / chosen

    def skip(self, name: str, reason: str, digest: str) -> None:
        """Note a file that is not used."""
        self.shelf.skipped[name] = {"source": name, "hash": digest, "note": reason}

    def finish(self, begin: Entry, job: Job, result: list[Entry] | str) -> bool:
        """Take in what became of a file, and say whether it is used."""
        if isinstance(result, str):
            self.skip(begin["source"], result, begin["hash"])
            return False
        place = job.target.parent.relative_to(self.shelf.folder)
        self.shelf.note([begin | entry | {"latents": (place / entry["latents"]).as_posix()} for entry in result])
        return True


def _run(jobs: Iterable[tuple[Job, Entry]], processes: int, setting: Setting) -> Iterator[Any]:
    """Run jobs, in this process or in others, and give each with its result as it comes."""
    if processes == 1:
        started = False
        for job, begin in jobs:
            if not started:
                start_worker(*setting, None)
                started = True
            yield job, begin, run_job(job)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), start_process, (*setting, 1))
    waiting: dict[Future[Any], tuple[Job, Entry]] = {}
    try:
        for job, begin in jobs:
            waiting[pool.submit(run_job, job)] = (job, begin)
            if len(waiting) >= 2 * processes:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)
    except BrokenProcessPool:
        raise UserError(
            "a process ended by itself, perhaps for lack of memory. What is done is kept: run the same command again,"
            " with fewer --processes."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(waiting: dict[Future[Any], tuple[Job, Entry]]) -> Iterator[Any]:
    """Wait for at least one job, and give those that are finished."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        job, begin = waiting.pop(future)
        yield job, begin, future.result()


def prepare_folder(
    source: str | Path,
    preset: str | Path,
    out: str | Path,
    annotator: str = AUTO,
    processes: int | None = None,
    prune: bool = False,
    progress: bool = False,
) -> Prepared:
    """Make a folder of audio ready for training: latents, annotations, a manifest.

    Args:
        source: A folder, searched with its subfolders, or one audio file.
        preset: The preset whose codec encodes and whose controls are annotated.
        out: Folder of the latents; it may lie in the source.
        annotator: Who listens; ``auto`` takes ``NAME.labels.csv`` where it lies beside the audio, else it listens.
        processes: Files encoded at once; None for what the machine is good for.
        prune: Whether to remove what was made of files that are no longer there.
        progress: Whether to show a progress bar.

    Returns:
        What was done. With more than one process a script that calls this needs ``if __name__ == "__main__":``.

    Raises:
        UserError: If nothing can be used, the folder belongs to another codec, or it cannot be written.
    """
    from tqdm import tqdm

    path = check_exists(source, "the folder of audio")
    head, place, controls = _head(preset, path, annotator)
    folder = check_output_folder(out)
    files, others = _find(path, folder)
    count = usable_processes(len(files)) if processes is None else check_integer(processes, "processes", 1, 256)
    shelf = Shelf.open(folder, head)
    scratch = folder / ".scratch"
    scratch.mkdir(exist_ok=True)
    plan = _Plan(shelf, files, path if path.is_dir() else path.parent, annotator, scratch)
    count = min(count, max(1, len(files) - len(shelf.entries)))
    count = 1 if processes is None and len(files) - len(shelf.entries) <= _FEW else count
    new = 0
    try:
        with tqdm(total=len(files), desc="prepare", unit="file", disable=not progress, leave=False) as bar:
            for job, begin, result in _run(plan.jobs(), count, (str(place), head["codec"], controls)):
                new += plan.finish(begin, job, result)
                bar.update(plan.before + new + len(shelf.skipped) - bar.n)
        gone = [digest for digest in shelf.entries if digest not in plan.present]
        for digest in gone if prune else []:
            shelf.forget(digest)
    finally:
        shelf.write()
        for leftover in scratch.iterdir():
            leftover.unlink(missing_ok=True)
        scratch.rmdir()
    _check_used(shelf, files, path)
    manifest = read_manifest(folder / MANIFEST) or {}
    return Prepared(folder, manifest, new, plan.before, 0 if prune else len(gone), others)


def _check_used(shelf: Shelf, files: Sequence[Path], source: Path) -> None:
    """Raise an error if no file could be used, which says what was found."""
    if shelf.entries:
        return
    reasons = [f"{entry['source']}: {entry['note']}" for entry in shelf.skipped.values()]
    more = f" And {len(reasons) - 3} more." if len(reasons) > 3 else ""
    raise UserError(
        f"none of the {len(files)} audio files in {show_path(source)} can be used. {' '.join(reasons[:3])}{more}"
    )
