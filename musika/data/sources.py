"""Reading whatever there is: more channels than two, and, where ffmpeg is installed, what libsndfile does not read.

Surround is mixed down as ITU-R BS.775 says: the front channels stay, the centre and each surround channel join them at
-3 dB, the low-frequency channel is left out. Four channels are taken for front and surround pairs, channels come in the
order of wav and flac files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from musika.audio.reading import AUDIO_ENDINGS, SAMPLE_RATE, AudioReader, show_path
from musika.checks import UserError

Floats = NDArray[np.float32]

# What ffmpeg reads besides: containers of video, and rarer codings.
_FFMPEG_ENDINGS = "mp4 m4b m4r m4v mov mkv avi flv 3gp amr ac3 eac3 dts tta mpc mp+ shn dsf dff mp1 mpga oma tak ra rm"
SOURCE_ENDINGS = AUDIO_ENDINGS | frozenset(f".{ending}" for ending in _FFMPEG_ENDINGS.split())

_LEFT, _RIGHT, _BOTH, _NONE = (1.0, 0.0), (0.0, 1.0), (0.5**0.5, 0.5**0.5), (0.0, 0.0)
_LEFT_SURROUND, _RIGHT_SURROUND = (0.5**0.5, 0.0), (0.0, 0.5**0.5)
_FRONT, _SURROUND = (_LEFT, _RIGHT), (_LEFT_SURROUND, _RIGHT_SURROUND)
_LAYOUTS = {
    3: (*_FRONT, _BOTH),
    4: (*_FRONT, *_SURROUND),
    5: (*_FRONT, _BOTH, *_SURROUND),
    6: (*_FRONT, _BOTH, _NONE, *_SURROUND),
    7: (*_FRONT, _BOTH, _NONE, (0.5, 0.5), *_SURROUND),
    8: (*_FRONT, _BOTH, _NONE, *_SURROUND, *_SURROUND),
}


def downmix_weights(channels: int) -> Floats:
    """How channels are mixed down to stereo.

    Args:
        channels: Channels of the file, 3 to 8.

    Returns:
        Weights of shape ``(channels, 2)``.

    Raises:
        UserError: If there is no rule for so many.

    >>> downmix_weights(6)[2:4].round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377], [0.0, 0.0]]
    """
    if channels not in _LAYOUTS:
        raise UserError(f"{channels} channels cannot be mixed down to stereo; there are rules for 3 to 8. Mix them.")
    return np.array(_LAYOUTS[channels], np.float32)


class SourceReader(AudioReader):
    """An audio file as a stream of stereo blocks, as `AudioReader`, with more channels and more formats.

    Args:
        path: The file.
        sample_rate: Sample rate of the blocks in Hz.
        scratch: Folder for what ffmpeg decodes; the system's own when left out.

    Attributes:
        converted: Whether ffmpeg decoded the file.

    Raises:
        UserError: If the file is missing, not readable as audio, or empty.
    """

    def __init__(self, path: str | Path, sample_rate: int = SAMPLE_RATE, scratch: str | Path | None = None) -> None:
        self._scratch = scratch
        self._decoded: Path | None = None
        self._weights: Floats | None = None
        self.converted = False
        try:
            super().__init__(path, sample_rate)
        except UserError:
            self._remove()
            raise

    def __enter__(self) -> SourceReader:
        return self

    def _open(self) -> soundfile.SoundFile:
        """Open the file, by way of ffmpeg if need be, or say why not."""
        try:
            return super()._open()
        except UserError as error:
            if not self.path.is_file() or self.path.stat().st_size == 0:
                raise
            program = shutil.which("ffmpeg")
            if program is None:
                raise UserError(f"{error} ffmpeg is not installed here; with it more formats are read.") from None
            return self._decode(program)

    def _decode(self, program: str) -> soundfile.SoundFile:
        """Decode the file by ffmpeg to a temporary one."""
        handle, name = tempfile.mkstemp(prefix="musika-", suffix=".w64", dir=self._scratch)
        os.close(handle)
        self._decoded = Path(name)
        source = f"file:{self.path.resolve()}"
        command = [program, "-nostdin", "-v", "error", "-y", "-i", source, "-map", "0:a:0", "-vn", "-c:a", "pcm_f32le"]
        done = subprocess.run([*command, "-f", "w64", name], capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it does not say why"]
            reason = said[-1].replace(source, "").strip(" :.")
            raise UserError(f"{show_path(self.path)}: neither libsndfile nor ffmpeg can read it ({reason}).")
        self.converted = True
        try:
            return soundfile.SoundFile(name)
        except soundfile.LibsndfileError:
            raise UserError(f"{show_path(self.path)}: ffmpeg finds no audio in it.") from None

    def _check(self) -> None:
        """Refuse what cannot become a stereo stream."""
        if self.source_channels > 2:
            try:
                self._weights = downmix_weights(self.source_channels)
            except UserError as error:
                raise UserError(f"{show_path(self.path)}: {error}") from None
            self.source_channels = 2
        super()._check()

    def _raw_blocks(self, block: int) -> Iterator[Floats]:
        """The file's own samples, mixed down to stereo where there are more channels."""
        for samples in super()._raw_blocks(block):
            yield samples if self._weights is None else samples @ self._weights

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._remove()

    def _remove(self) -> None:
        """Remove what ffmpeg wrote."""
        if self._decoded is not None:
            self._decoded.unlink(missing_ok=True)
            self._decoded = None
