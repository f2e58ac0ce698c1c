"""Whole folders of audio to latent files and back, in the memory of a minute.

    music/a.flac, music/live/b.mp3  --encode_folder-->  out/a.npz, out/live/b.npz, out/manifest.json
    out/a.npz, out/live/b.npz       --decode_folder-->  back/a.wav, back/live/b.wav

A file that cannot be used is skipped with its reason, which the manifest and ``results_table`` tell.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import AudioReader, clock, find_audio, find_files, show_path
from musika.audio.writing import OUTPUT_FORMATS, AudioWriter, replacing
from musika.checks import UserError, check_choice, check_exists
from musika.data.latent_tools import ARRAY_ENDING, latents_for
from musika.data.latents import LATENT_ENDING, LatentFile, load_latents, save_latents

if TYPE_CHECKING:
    from musika.autoencoder.codec import Codec

Floats = NDArray[np.float32]

MANIFEST = "manifest.json"
_MOST_REASONS = 3  # in the one line that says that nothing was usable


@dataclass(frozen=True)
class FileResult:
    """What became of one file.

    Attributes:
        source: The file.
        target: What was made of it; None if it was skipped.
        seconds: Length of its audio; 0 if it was skipped.
        note: Why it was skipped, or what is worth knowing about it; may be empty.
    """

    source: Path
    target: Path | None
    seconds: float = 0.0
    note: str = ""


def audio_sources(source: str | Path) -> list[Path]:
    """List the audio files that a source stands for.

    Args:
        source: An audio file, or a folder that is searched with its subfolders.

    Returns:
        The files, at least one.

    Raises:
        UserError: If there is nothing.
    """
    path = check_exists(source, "audio file or folder")
    files = find_audio(path) if path.is_dir() else [path]
    if not files:
        raise UserError(
            f"there are no audio files in the folder {show_path(path)}."
            " Give one with wav, flac, ogg, opus, mp3 or aiff files."
        )
    return files


def latent_sources(source: str | Path) -> list[Path]:
    """List the latent files that a source stands for.

    Args:
        source: A latent file, or a folder that is searched with its subfolders.

    Returns:
        The files, at least one.

    Raises:
        UserError: If there is nothing.
    """
    path = check_exists(source, "latent file or folder")
    files = find_files(path, {LATENT_ENDING}) if path.is_dir() else [path]
    if not files:
        raise UserError(
            f"there are no latent files ({LATENT_ENDING}) in the folder {show_path(path)}. `musika encode` makes them."
        )
    return files


def check_single(others: Sequence[str]) -> None:
    """Refuse more than one source, as a shell makes them of ``*.wav``.

    Args:
        others: What was given beside the first.

    Raises:
        UserError: If there is any.
    """
    if others:
        raise UserError(
            f"give one file, or a folder, which is taken with all that lies in it. Received: {len(others) + 1} names."
        )


def check_output_folder(out: str | Path) -> Path:
    """Make an output folder if need be, and make sure that it can be written to.

    Args:
        out: The folder.

    Returns:
        Its path.

    Raises:
        UserError: If it cannot be made or written to.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out must be a folder, but {show_path(folder)} is a file. Choose another name.")
    if not folder.exists() and folder.suffix[1:].lower() in (*OUTPUT_FORMATS, LATENT_ENDING[1:], ARRAY_ENDING[1:]):
        raise UserError(
            f"--out must be a folder. Received: {show_path(folder)}, a name of a file. Leave its ending out."
        )
    probe = folder / f".musika-{os.getpid()}"
    with replacing(probe):
        pass
    probe.unlink(missing_ok=True)
    return folder


def target_paths(files: list[Path], source: Path, out: Path, ending: str) -> list[Path]:
    """Where each file's result goes: the same subfolder and name with another ending.

    Where files of a folder would meet (``a.wav``, ``a.mp3``), each keeps its own ending in its result's name.
    """
    root = source if source.is_dir() else source.parent
    relative = [path.relative_to(root) for path in files]
    whole = [f"{path}{ending}" for path in relative]
    names, before = [str(path.with_suffix(ending)) for path in relative], None
    while names != before:  # a whole name may meet another file's short one: `a.wav` and `a.mp3` beside `a.wav.flac`
        count, before = Counter(name.casefold() for name in names), names
        names = [name if count[name.casefold()] == 1 else longer for name, longer in zip(names, whole, strict=True)]
    return [out / name for name in names]


def _beside_others(target: Path, source: Path) -> Path:
    """The target of a file that is encoded alone, or a longer name where latents of another recording lie."""
    try:
        other = Path(load_latents(target).source).name if target.exists() else source.name
    except UserError:  # no latents that anybody could miss
        return target
    return target if other == source.name else target.with_name(f"{source.name}{LATENT_ENDING}")


def relative_path(path: Path, folder: Path) -> str:
    """A path as seen from a folder."""
    try:
        return show_path(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
    except ValueError:  # on another drive
        return show_path(path.name)


class _Progress:
    """A progress bar over files that also moves inside a long file."""

    def __init__(self, files: int, label: str, shown: bool) -> None:
        from tqdm import tqdm

        form = "{l_bar}{bar}| {n:.1f}/{total} files [{elapsed}<{remaining}]"
        self._bar = tqdm(total=files, desc=label, bar_format=form, disable=not shown, leave=False)
        self._done = 0

    def follow(self, blocks: Iterable[Floats], samples: int) -> Iterator[Floats]:
        """Pass blocks on and move by their share of the file."""
        for block in blocks:
            self._bar.update(min(len(block) / max(samples, 1), self._done + 1 - self._bar.n))
            yield block

    def next_file(self) -> None:
        """Move to where the next file begins."""
        self._done += 1
        self._bar.update(self._done - self._bar.n)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def skipped(path: Path, error: UserError) -> FileResult:
    """The result for a file that cannot be used."""
    return FileResult(path, None, note=str(error).removeprefix(f"{show_path(path)}: "))


def check_any(results: list[FileResult], source: Path) -> None:
    """Raise an error if no file could be used."""
    if any(result.target for result in results):
        return
    reasons = [f"{show_path(result.source)}: {result.note}" for result in results]
    if len(reasons) == 1:
        raise UserError(reasons[0])
    more = f" And {len(reasons) - _MOST_REASONS} more." if len(reasons) > _MOST_REASONS else ""
    shown = " ".join(reasons[:_MOST_REASONS])
    raise UserError(f"none of the {len(reasons)} files in {show_path(source)} can be used. {shown}{more}")


def _write_manifest(results: list[FileResult], codec: str, codec_name: str, source: Path, out: Path) -> None:
    """Write what became of every file."""
    files: list[dict[str, Any]] = []
    for result in results:
        entry: dict[str, Any] = {"source": show_path(result.source.relative_to(source).as_posix())}
        if result.target is not None:
            target = show_path(result.target.relative_to(out).as_posix())
            entry |= {"latents": target, "seconds": round(result.seconds, 3)}
        files.append(entry | ({"note": result.note} if result.note else {}))
    audio = show_path(source.resolve())
    content = {"codec": codec, "codec_name": codec_name, "audio": audio, "files": files}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    with replacing(out / MANIFEST) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


def encode_folder(
    codec: Codec, source: str | Path, out: str | Path, codec_name: str = "", progress: bool = False
) -> list[FileResult]:
    """Encode an audio file, or all in a folder and its subfolders, to latent files.

    Each file streams through the codec. One that cannot be used is skipped. A folder's ``manifest.json`` says what
    became of every file.

    Args:
        codec: The codec.
        source: An audio file or a folder.
        out: Folder of the latent files; subfolders are those of ``source``.
        codec_name: The name by which the codec was loaded, for messages later on.
        progress: Whether to show a progress bar.

    Returns:
        A result for every audio file.

    Raises:
        UserError: If there is no audio, none that can be used, or the latents cannot be written.
    """
    files, folder, root = audio_sources(source), check_output_folder(out), Path(source)
    codec_hash, results = codec.hash, []
    targets = target_paths(files, root, folder, LATENT_ENDING)
    targets = targets if root.is_dir() else [_beside_others(targets[0], root)]
    with _Progress(len(files), "encode", progress) as bar:
        for path, target in zip(files, targets, strict=True):
            try:
                with AudioReader(path, codec.sample_rate) as reader:
                    latents = np.concatenate(list(codec.encode_stream(bar.follow(reader.blocks(), reader.samples))))
            except UserError as error:
                results.append(skipped(path, error))
            else:
                origin = relative_path(path, target.parent)
                save_latents(
                    target, LatentFile(latents, codec_hash, codec.sample_rate, reader.samples, origin, codec_name)
                )
                note = "ends earlier than its header says" if reader.ended_early else ""
                results.append(FileResult(path, target, reader.samples / codec.sample_rate, note))
            bar.next_file()
    check_any(results, root)
    if root.is_dir():
        _write_manifest(results, codec_hash, codec_name, root, folder)
    return results


def decode_folder(
    codec: Codec,
    source: str | Path,
    out: str | Path,
    ending: str = "wav",
    noise: bool = True,
    codec_name: str = "",
    progress: bool = False,
) -> list[FileResult]:
    """Decode a latent file, or all in a folder and its subfolders, to audio files of the original lengths.

    A file that another codec made, or that cannot be used, is skipped. The audio that latents were made from is never
    replaced.

    Args:
        codec: The codec that made the latents.
        source: A latent file, a plain ``.npy`` of the codec's latents, or a folder of latent files.
        out: Folder of the audio files; subfolders are those of ``source``.
        ending: ``wav``, ``flac``, ``ogg`` or ``mp3``.
        noise: Whether the decoders add their noise.
        codec_name: The name by which the codec was loaded, for messages.
        progress: Whether to show a progress bar.

    Returns:
        A result for every latent file.

    Raises:
        UserError: If there are no latents, none that can be used, or the audio cannot be written.
    """
    check_choice(ending, "format", list(OUTPUT_FORMATS))
    files, folder, root = latent_sources(source), check_output_folder(out), Path(source)
    results: list[FileResult] = []
    with _Progress(len(files), "decode", progress) as bar:
        for path, target in zip(files, target_paths(files, root, folder, f".{ending}"), strict=True):
            try:
                file = latents_for(codec, path, codec_name)
                blocks = codec.decode_stream(file.latents, noise=noise, samples=file.samples)
                if target.exists() and (path.parent / file.source).resolve() == target.resolve():
                    raise UserError("its audio would replace the file that it was made from. Choose another --out.")
            except UserError as error:
                results.append(skipped(path, error))
            else:
                with AudioWriter(target, codec.sample_rate, samples=file.samples) as writer:
                    for block in bar.follow(blocks, file.samples):
                        writer.write(block)
                results.append(FileResult(path, target, file.samples / codec.sample_rate))
            bar.next_file()
    check_any(results, root)
    return results


def show_length(seconds: float) -> str:
    """A length of time for people, of less than a minute to the tenth of a second.

    >>> show_length(3725.04), show_length(5.25)
    ('1:02:05', '0:05.2')
    """
    return clock(seconds, 1 if seconds < 60 else 0)


def results_table(results: list[FileResult], out: str | Path) -> str:
    """Say what became of the files: every one that was skipped or needs a note, and the totals.

    Args:
        results: What ``encode_folder`` or ``decode_folder`` gave.
        out: The output folder.

    Returns:
        Lines of text.

    >>> print(results_table([FileResult(Path("a.wav"), Path("out/a.npz"), 90.0)], "out"))
    used     1 file   1:30   out
    """
    used = [result for result in results if result.target is not None]
    lines = []
    for result in results:
        if result.note:
            status = "used" if result.target else "skipped"
            lines.append(f"{status:<8} {show_path(result.source)}: {result.note}")
    skipped = len(results) - len(used)
    if skipped:
        lines.append(f"skipped  {_count(skipped)}")
    seconds = sum(result.seconds for result in used)
    lines.append(f"used     {_count(len(used))}   {show_length(seconds)}   {show_path(out)}")
    return "\n".join(lines)


def _count(files: int) -> str:
    """A number of files in words."""
    return "1 file" if files == 1 else f"{files} files"
