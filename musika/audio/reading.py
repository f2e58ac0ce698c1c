"""Reading audio files as streams of blocks, whatever libsndfile reads, and finding them in folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from musika.audio import mp3
from musika.checks import UserError

Floats = NDArray[np.float32]

SAMPLE_RATE = 44100
# Samples in a block that is read: 6 s, half a megabyte a channel.
BLOCK_SAMPLES = 1 << 18
# A flac whose header leaves the length open has nearly 2^63 samples to libsndfile, which then fails to read on.
_UNKNOWN_LENGTH = 1 << 60
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_000_000
# Endings that count as audio in a folder. Some are not readable by libsndfile: such files shall be reported, not
# overlooked.
_READABLE = "wav wave flac ogg oga opus mp3 mp2 aif aiff aifc au snd caf w64 rf64"
_NOT_READABLE = "m4a aac wma ape wv alac webm mka"
AUDIO_ENDINGS = frozenset(f".{ending}" for ending in f"{_READABLE} {_NOT_READABLE}".split())


def show_path(path: str | Path) -> str:
    """Give a path as printable text, whatever bytes its name has.

    Args:
        path: The path.

    Returns:
        The path with undecodable bytes replaced.

    >>> show_path(Path("a") / "b.wav")
    'a/b.wav'
    """
    return str(path).encode("utf-8", "replace").decode("utf-8")


def clock(seconds: float, decimals: int = 0) -> str:
    """Give a time or a length as people write it.

    Args:
        seconds: The time.
        decimals: Digits of a part of a second.

    Returns:
        Text such as ``1:15``, from an hour on ``1:02:05``.

    >>> clock(3725.0), clock(75.04, 1)
    ('1:02:05', '1:15.0')
    """
    minutes, rest = divmod(round(seconds, decimals), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:0{decimals + 3 if decimals else 2}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"


def resampled_length(samples: int, rate: int, sample_rate: int = SAMPLE_RATE) -> int:
    """Count the samples that a file has after resampling.

    Args:
        samples: Samples in the file.
        rate: The file's sample rate in Hz.
        sample_rate: The new sample rate in Hz.

    Returns:
        ``samples * sample_rate / rate``, rounded (halves up).

    >>> resampled_length(48000, 48000)
    44100
    """
    return (2 * samples * sample_rate + rate) // (2 * rate)


def find_files(folder: str | Path, endings: Collection[str] | None) -> list[Path]:
    """Find the files with certain endings in a folder and its subfolders.

    Endings count in upper and lower case. Links to folders are followed, each folder is visited once. Hidden files
    and folders (a name that begins with a dot) are left out: macOS puts ``._song.wav`` beside every ``song.wav``.

    Args:
        folder: The folder.
        endings: The endings, in lower case, with their dot; None for every file.

    Returns:
        Paths that begin with ``folder``, sorted by folder and name.

    Raises:
        UserError: If the folder cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"not a folder: {show_path(root)}. Give an existing folder.")
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        """Say which folder cannot be read."""
        raise UserError(
            f"cannot read the folder {show_path(error.filename)}: {error.strerror}. Allow it or move it away."
        ) from None

    for here, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and (endings is None or Path(name).suffix.lower() in endings):
                found.append(Path(here) / name)
    return sorted(found, key=lambda path: path.parts)


def find_audio(folder: str | Path) -> list[Path]:
    """Find the audio files in a folder and its subfolders, see ``find_files``.

    Args:
        folder: The folder.

    Returns:
        Paths that begin with ``folder``, sorted by folder and name.

    Raises:
        UserError: If the folder cannot be read.
    """
    return find_files(folder, AUDIO_ENDINGS)


class AudioReader:
    """An audio file as a stream of stereo blocks at one sample rate.

    A mono file is doubled; other rates are resampled as the file is read.

    Args:
        path: The file.
        sample_rate: Sample rate of the blocks in Hz.

    Attributes:
        path: The file.
        sample_rate: Sample rate of the blocks in Hz.
        source_rate: The file's own sample rate in Hz.
        source_channels: The file's own channels, 1 or 2.
        samples: Samples at ``sample_rate``: as the file's header says (a guess for an mp3 without one), exact once
            ``blocks`` has come to its end.
        ended_early: Whether ``blocks`` found less than the header says, as in a cut mp3.

    Raises:
        UserError: If the file is missing, not readable as audio, empty or has more than two channels.
    """

    def __init__(self, path: str | Path, sample_rate: int = SAMPLE_RATE) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.ended_early = False
        self._file = self._open()
        self.source_rate: int = self._file.samplerate
        self.source_channels: int = self._file.channels
        self.samples = resampled_length(self._file.frames, self.source_rate, sample_rate)
        self._length_known = True
        try:
            self._check()
        except UserError:
            self._file.close()
            raise
        if self._file.format == "MP3" and os.name == "posix" and mp3.lacks_length(self.path):
            self._file.close()
            self._file = mp3.open_to_the_end(self.path)
            self._length_known = False

    def _open(self) -> soundfile.SoundFile:
        """Open the file or say why not."""
        shown = show_path(self.path)
        try:
            with open(self.path, "rb") as handle:
                if not handle.read(1):
                    raise UserError(f"{shown}: the file is empty (0 bytes).")
        except OSError as error:
            raise UserError(f"{shown}: cannot be opened: {error.strerror or error}. Check the path.") from None
        try:
            # Bytes where the system's paths are bytes: soundfile cannot encode a name that is not valid UTF-8.
            return soundfile.SoundFile(os.fsencode(self.path) if os.name == "posix" else str(self.path))
        except (soundfile.LibsndfileError, TypeError) as error:
            reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
            raise UserError(
                f"{shown}: not readable as audio ({reason}). Readable are wav, flac, ogg, opus, mp3, aiff and what"
                " else libsndfile knows; convert others, for example with ffmpeg."
            ) from None

    def _check(self) -> None:
        """Refuse what cannot become a stereo stream."""
        shown = show_path(self.path)
        if self.source_channels > 2:
            raise UserError(
                f"{shown}: only mono and stereo are supported. Received: {self.source_channels} channels."
                " Mix it down to stereo first."
            )
        if not _LOWEST_RATE <= self.source_rate <= _HIGHEST_RATE:
            raise UserError(
                f"{shown}: the sample rate must be from {_LOWEST_RATE} to {_HIGHEST_RATE} Hz."
                f" Received: {self.source_rate} Hz."
            )
        if self._file.frames > _UNKNOWN_LENGTH:
            raise UserError(f"{shown}: the header does not say how long it is. Convert it once more, e.g. with ffmpeg.")
        if self.samples == 0:
            raise UserError(f"{shown}: the file holds no audio (0 samples at {self.sample_rate} Hz).")

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _raw_blocks(self, block: int) -> Iterator[Floats]:
        """The file's own samples, ``block`` at a time, checked."""
        position = 0
        while True:
            try:
                samples = self._file.read(block, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise UserError(
                    f"{show_path(self.path)}: damaged after {position / self.source_rate:.2f} s"
                    f" ({error.error_string.strip().rstrip('.') or 'decoding failed'}). Replace the file."
                ) from None
            if not len(samples):
                break
            if not np.isfinite(samples).all():
                first = position + int(np.argmin(np.isfinite(samples).all(axis=1)))
                raise UserError(
                    f"{show_path(self.path)}: NaN or infinite samples, the first at {first / self.source_rate:.3f} s."
                    " Export the file again."
                )
            position += len(samples)
            yield samples
        exact = resampled_length(position, self.source_rate, self.sample_rate)
        self.ended_early = self._length_known and exact < self.samples
        self.samples = exact
        if exact == 0:
            raise UserError(f"{show_path(self.path)}: the file holds no audio (0 samples at {self.sample_rate} Hz).")

    def blocks(self, block: int = BLOCK_SAMPLES) -> Iterator[Floats]:
        """Read the file, once.

        Args:
            block: Samples in a block at ``sample_rate``; resampled blocks may be longer or shorter by a little.

        Yields:
            float32 blocks of shape ``(samples, 2)``, none empty; ``samples`` (the attribute) altogether.

        Raises:
            UserError: If the file turns out damaged, or to hold NaN or infinite samples.
        """
        raw = self._raw_blocks(max(1, block * self.source_rate // self.sample_rate))
        for samples in raw if self.source_rate == self.sample_rate else self._resample(raw):
            yield samples if samples.shape[1] == 2 else np.repeat(samples, 2, axis=1)

    def _resample(self, raw: Iterator[Floats]) -> Iterator[Floats]:
        """Resample a stream; the whole is exactly as long as ``resampled_length`` says."""
        stream = soxr.ResampleStream(
            self.source_rate, self.sample_rate, self.source_channels, dtype="float32", quality="HQ"
        )
        given = 0
        for samples in raw:
            out = stream.resample_chunk(np.ascontiguousarray(samples))
            given += len(out)
            if len(out):
                yield out
        rest = stream.resample_chunk(np.zeros((0, self.source_channels), np.float32), last=True)
        missing = self.samples - given  # exact by now: the raw stream has ended
        rest = rest[:missing] if len(rest) >= missing else np.pad(rest, ((0, missing - len(rest)), (0, 0)))
        if len(rest):
            yield rest


def read_blocks(path: str | Path, sample_rate: int = SAMPLE_RATE, block: int = BLOCK_SAMPLES) -> Iterator[Floats]:
    """Stream an audio file, see ``AudioReader``.

    Args:
        path: The file.
        sample_rate: Sample rate of the blocks in Hz.
        block: Samples in a block, about.

    Yields:
        float32 blocks of shape ``(samples, 2)``.

    Raises:
        UserError: If the file cannot be used as audio.
    """
    with AudioReader(path, sample_rate) as reader:
        yield from reader.blocks(block)


def read_audio(path: str | Path, sample_rate: int = SAMPLE_RATE) -> Floats:
    """Read a whole audio file.

    Args:
        path: The file.
        sample_rate: Sample rate of the result in Hz.

    Returns:
        float32 array of shape ``(samples, 2)``.

    Raises:
        UserError: If the file cannot be used as audio.
    """
    return np.concatenate(list(read_blocks(path, sample_rate)))
