"""Writing audio files block by block: wav, flac, ogg and mp3, complete or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from musika.audio.reading import SAMPLE_RATE, show_path
from musika.checks import UserError

Floats = NDArray[np.float32]

# Longest piece that is handed to libsndfile at once: its Vorbis encoder keeps it on the stack and crashes on long ones.
_WRITE_SAMPLES = 1 << 15
# A RIFF header counts bytes in 32 bits; the margin is for the header itself.
_WAV_BYTES = (1 << 32) - (1 << 16)
_SFC_RF64_AUTO_DOWNGRADE = 0x1210  # from sndfile.h: an RF64 file that ends under 4 GB becomes a plain wav

# libsndfile's name of the format, and the sample format within. 16 bits: plays everywhere, and its noise floor at
# -98 dB lies far below what the codec resolves. No dither, so that the same samples give the same bytes.
OUTPUT_FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def _make_aside(path: Path) -> Path:
    """Create an empty file beside ``path``, to be renamed to it once it is complete."""
    if path.is_dir():
        raise UserError(f"cannot write {show_path(path)}: there is a folder of that name. Give a file name.")
    aside = path.parent / f".musika-{secrets.token_hex(6)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise UserError(
            f"cannot write {show_path(path)}: {error.strerror or error}. Choose a place that you may write to."
        ) from None
    return aside


def _write_error(path: Path, reason: str | None) -> UserError:
    """The error for a write that failed on the way."""
    return UserError(
        f"cannot write {show_path(path)}: {reason or 'the disk is full or went away'}."
        " Nothing was left there; free some space or choose another place."
    )


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file under another name and rename it when it is complete.

    Args:
        path: The file that shall come to be; its folder is made if need be.

    Yields:
        The path to write to. When the block ends well it is renamed to ``path``, else it is removed.

    Raises:
        UserError: If the file cannot be written.
    """
    target = Path(path)
    aside = _make_aside(target)
    try:
        yield aside
        os.replace(aside, target)
    except OSError as error:
        raise _write_error(target, error.strerror) from None
    finally:
        aside.unlink(missing_ok=True)


def output_format(path: str | Path) -> str:
    """Choose the format of an output file by its ending.

    Args:
        path: The output file.

    Returns:
        ``wav``, ``flac``, ``ogg`` or ``mp3``.

    Raises:
        UserError: If the ending is none of them, or this machine's libsndfile cannot write it.

    >>> output_format("piece.FLAC")
    'flac'
    """
    ending = Path(path).suffix[1:].lower()
    if ending not in OUTPUT_FORMATS:
        raise UserError(
            f"the output's ending must be one of .{', .'.join(OUTPUT_FORMATS)}; a folder's name ends in /. Received:"
            f" {show_path(path)!r}"
        )
    container, coding = OUTPUT_FORMATS[ending]
    if not soundfile.check_format(container, coding):
        raise UserError(
            f"this machine's libsndfile cannot write .{ending}. Update the soundfile package or choose .wav or .flac."
        )
    return ending


class AudioWriter:
    """Writes an audio file block by block; it gets its name when it is complete.

    Leaving the ``with`` block normally finishes the file, leaving it by an error removes what was written. After a
    Ctrl-C, ``keep`` finishes the file as it is:

        with AudioWriter("piece.wav", samples=expected) as writer:
            try:
                for block in blocks:
                    writer.write(block)
            except KeyboardInterrupt:
                writer.keep()

    A wav beyond 4 GB is written as RF64, its form for 64-bit sizes.

    Args:
        path: The output file; its ending (wav, flac, ogg, mp3) is its format, its folder is made if need be.
        sample_rate: Samples a second.
        channels: Channels of the blocks.
        samples: Samples that will be written at most, where that is known.

    Attributes:
        path: The output file.
        written: Samples written so far.

    Raises:
        UserError: If the ending is unknown or the file cannot be written.
    """

    def __init__(
        self, path: str | Path, sample_rate: int = SAMPLE_RATE, channels: int = 2, samples: int | None = None
    ) -> None:
        self.path = Path(path)
        self.written = 0
        self._channels = channels
        container, coding = OUTPUT_FORMATS[output_format(path)]
        if container == "WAV" and (samples is None or samples * channels * 2 > _WAV_BYTES):
            container = "RF64"
        self._aside = _make_aside(self.path)
        try:
            self._file: soundfile.SoundFile | None = soundfile.SoundFile(
                os.fsencode(self._aside) if os.name == "posix" else str(self._aside),
                "w",
                sample_rate,
                channels,
                subtype=coding,
                format=container,
            )
        except soundfile.LibsndfileError as error:
            self._aside.unlink(missing_ok=True)
            raise _write_error(self.path, error.error_string.strip().rstrip(".")) from None
        self._limit = _WAV_BYTES if container == "WAV" else None
        if container == "RF64":
            self._allow_downgrade()

    def _allow_downgrade(self) -> None:
        """Let libsndfile make a plain wav of an RF64 file that stays small, where its handle can be reached."""
        library: Any = getattr(soundfile, "_snd", None)
        interface: Any = getattr(soundfile, "_ffi", None)
        handle = getattr(self._file, "_file", None)
        if library is not None and interface is not None and handle is not None:
            library.sf_command(handle, _SFC_RF64_AUTO_DOWNGRADE, interface.NULL, 1)

    def write(self, block: Floats) -> None:
        """Append a block.

        Args:
            block: float32 array of shape ``(samples, channels)``, or ``(samples,)`` for one channel; values outside
                [-1, 1] are clipped in wav and flac.

        Raises:
            UserError: If it does not fit on the disk, or the block has the wrong shape or values that are not finite.
        """
        if self._file is None:
            raise ValueError(f"{show_path(self.path)} is already closed.")
        samples = np.asarray(block, dtype=np.float32)
        samples = samples[:, None] if samples.ndim == 1 else samples
        if samples.ndim != 2 or samples.shape[1] != self._channels or not np.isfinite(samples).all():
            raise UserError(
                f"cannot write {show_path(self.path)}: a block must be finite and of shape (samples, {self._channels})."
                f" Received: shape {np.shape(block)}, finite={bool(np.isfinite(samples).all())}"
            )
        if self._limit is not None and (self.written + len(samples)) * self._channels * 2 > self._limit:
            raise UserError(
                f"cannot write {show_path(self.path)}: more samples came than were announced, and a wav ends at 4 GB."
            )
        try:
            for start in range(0, len(samples), _WRITE_SAMPLES):
                piece: NDArray[Any] = samples[start : start + _WRITE_SAMPLES]
                if self._file.subtype == "PCM_16":
                    # libsndfile would scale by 32767 and read back by 32768.
                    piece = np.clip(np.rint(piece * np.float32(32768)), -32768, 32767).astype(np.int16)
                self._file.write(piece)
                self.written += len(piece)
        except (soundfile.LibsndfileError, OSError, AssertionError) as error:
            raise _write_error(self.path, getattr(error, "error_string", "").strip().rstrip(".")) from None

    def keep(self) -> bool:
        """Finish the file now, as long as it is, under its name.

        Returns:
            Whether there is a file: nothing is left when nothing had been written.

        Raises:
            UserError: If the end of the file does not fit on the disk.
        """
        if self._file is None:
            return self.written > 0
        if self.written == 0:
            self.discard()
            return False
        self._file.close()
        self._file = None
        try:
            found = soundfile.info(os.fsencode(self._aside) if os.name == "posix" else str(self._aside)).frames
            if found < self.written:  # the last of it is written at closing time, where libsndfile reports no error
                raise _write_error(self.path, None)
            os.replace(self._aside, self.path)
        except soundfile.LibsndfileError:
            raise _write_error(self.path, None) from None
        except OSError as error:
            raise _write_error(self.path, error.strerror) from None
        finally:
            self._aside.unlink(missing_ok=True)
        return True

    def discard(self) -> None:
        """Remove what has been written."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._aside.unlink(missing_ok=True)

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.keep()
        else:
            self.discard()


def write_audio(path: str | Path, audio: Floats, sample_rate: int = SAMPLE_RATE) -> Path:
    """Write a whole waveform, see ``AudioWriter``.

    Args:
        path: The output file; its ending (wav, flac, ogg, mp3) is its format, its folder is made if need be.
        audio: float32 array of shape ``(samples, channels)``, or ``(samples,)`` for one channel.
        sample_rate: Samples a second.

    Returns:
        The file's path.

    Raises:
        UserError: If the ending is unknown, there are no samples, or the file cannot be written.
    """
    samples = np.atleast_2d(np.asarray(audio, np.float32).T).T
    if samples.ndim != 2 or not samples.size:
        raise UserError(f"cannot write {show_path(path)}: there is no audio. Received: shape {np.shape(audio)}")
    with AudioWriter(path, sample_rate, samples.shape[1], len(samples)) as writer:
        writer.write(samples)
    return Path(path)
