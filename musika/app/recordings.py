"""A visitor's own recording: taken from the upload, read as latents of a preset's codec, blended with a piece."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.app.wishes import read_clock, show_clock, write_clock
from musika.blend import Blend, recorded_blend
from musika.checks import UserError, check_number
from musika.recordings import check_length, read_recording, recorded_seconds
from musika.resources import file_hash

if TYPE_CHECKING:
    from musika.data.latents import LatentFile
    from musika.presets import Preset

LONGEST_RECORDING = 600.0  # seconds: encoding it takes a minute or two on a small machine
SHORTEST_RECORDING = 0.1
MOST_RECORDINGS = 8  # of a visit; the oldest goes first
MOST_UPLOAD = "400mb"  # ten minutes of stereo at 96 kHz and 24 bits are 346 MB
SHORTEST_GLIDE, LONGEST_GLIDE = 0.0, 60.0  # seconds
_MOST_LATENT_BYTES = 2**26  # unpacked; ten minutes of the widest codec are far below
TOOLS = [("Through the codec", "codec"), ("Glide", "glide"), ("Mix", "mix")]
NOTHING = '<p class="mk-note">No recording yet.</p>'


@dataclass(frozen=True)
class Recording:
    """A recording that a visitor has brought.

    Attributes:
        path: Where it lies, under the name that the visitor gave it; it may be gone by now.
        sha256: Of the file.
        seconds: Its length; None of a plain ``.npy``.
    """

    path: Path
    sha256: str
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def bytes(self) -> int:
        """Size of the file and of latents made of it."""
        folder = self.path.parent
        return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0

    def remove(self) -> None:
        """Remove it and latents made of it."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def latents(
        self,
        preset: Preset,
        on_progress: Callable[[float, float], None] = lambda done, whole: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> LatentFile:
        """Its latents, encoded once for each codec.

        Args:
            preset: The preset with the codec.
            on_progress: Called with the seconds that were read and the whole.
            stopped: Asked meanwhile whether to give up.

        Returns:
            The latents.

        Raises:
            UserError: If it is gone, cannot be read, is too long, or another codec made it.
        """
        if not self.path.is_file():
            raise UserError(f"the recording {self.name} is not here any more. Choose it again under Your recording.")
        codec = preset.codec
        kept = self.path.with_name(f"codec-{codec.hash}.npz.kept")
        with naming(self.path):
            file = read_recording(codec, self.path, preset.name, LONGEST_RECORDING, on_progress, stopped, kept)
        if file.samples < SHORTEST_RECORDING * codec.sample_rate:
            raise UserError(f"{self.name} is too short: {SHORTEST_RECORDING:g} s are the least. Give a longer one.")
        return file


@dataclass(frozen=True)
class BlendWish:
    """What a visitor wants of a recording.

    Attributes:
        recording: The recording.
        how: What is done with it.
        whole: Whether a mix is as long as the recording, whatever length is asked for.
    """

    recording: Recording
    how: Blend
    whole: bool = False

    def title(self, preset: str) -> str:
        """What happens, in a few words.

        Args:
            preset: Name of the preset.

        Returns:
            Text.
        """
        name, how = self.recording.name, self.how
        if how.tool == "codec":
            return f"{name} through the codec of {preset}"
        if how.tool == "mix":
            return f"{1 - how.gain:.0%} {name} + {how.gain:.0%} {preset}"
        return f"{name} → {preset}{' → back' if how.back else ''}, gliding {how.seconds:g} s"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in messages as its owner does, without the folder that it lies in here.

    Args:
        path: The file.

    Yields:
        Nothing.

    Raises:
        UserError: Whatever was raised inside, said so.
    """
    try:
        yield
    except UserError as error:
        sentence = str(error).replace(str(path), path.name)
        raise UserError(f"the file {sentence}" if sentence.startswith(path.name) else sentence) from None
    except MemoryError:  # a header that promises more than fits
        raise UserError(f"the file {path.name} is damaged. Encode the audio again.") from None


def take_recording(upload: str | Path | None, folder: Path) -> Recording:
    """Take an uploaded file over; nothing of it stays where it was.

    Args:
        upload: The file.
        folder: Where a visit's recordings lie.

    Returns:
        The recording.

    Raises:
        UserError: If it cannot be read or is too long.
    """
    if not upload:
        raise UserError("choose a file first.")
    path = Path(upload)
    if not path.is_file():
        raise UserError("this file was lost on its way. Choose it again.")
    try:
        with naming(path):
            if zipfile.is_zipfile(path):
                _check_size(path)
            seconds = recorded_seconds(path)
            if seconds is not None:
                check_length(seconds, LONGEST_RECORDING)
        digest = file_hash(path)
        place = folder / digest[:16] / path.name
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir(parents=True)
        shutil.move(path, place)
    except OSError as error:
        raise UserError(f"{path.name} cannot be kept here: {error.strerror or error}. Choose it again.") from None
    finally:
        path.unlink(missing_ok=True)
    return Recording(place, digest, seconds)


def _check_size(path: Path) -> None:
    """Refuse a latent file that unpacks to more than a recording can be."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return  # reading it will say so
    if size > _MOST_LATENT_BYTES:
        raise UserError(
            f"{path.name}: too long: at most {show_clock(LONGEST_RECORDING)} are allowed here. Cut it first."
        )


def recording_html(recording: Recording | None) -> str:
    """What the page says of the recording that it has.

    Args:
        recording: The recording, if there is one.

    Returns:
        HTML.
    """
    if recording is None:
        return NOTHING
    length = "" if recording.seconds is None else f" · {show_clock(recording.seconds)}"
    return f'<p class="mk-recording"><b>{escape(recording.name)}</b>{length}</p>'


def read_blend(fields: Mapping[str, Any], recording: Recording | None) -> BlendWish:
    """Read what is done with a recording from the page's fields.

    Args:
        fields: Values by name: ``blend.tool``, ``blend.seconds``, ``blend.back``, ``blend.gain``, ``blend.whole``,
            ``blend.channels``, ``blend.start`` and ``blend.length``.
        recording: The visit's recording.

    Returns:
        What is wanted.

    Raises:
        UserError: If there is no recording, or a field is wrong.
    """
    if recording is None:
        raise UserError("choose a recording first: an audio file, or latents.")
    length = str(fields.get("blend.length") or "").strip()
    gains = re.split(r"[\s,;]+", str(fields.get("blend.channels") or "").strip())
    how = Blend(
        tool=str(fields.get("blend.tool")),
        seconds=check_number(fields.get("blend.seconds") or 0.0, "the glide", SHORTEST_GLIDE, LONGEST_GLIDE),
        back=bool(fields.get("blend.back")),
        gain=check_number(fields.get("blend.gain", 0.5), "the mix"),
        channel_gains=tuple(text for text in gains if text),
        start=read_clock(fields.get("blend.start") or "0", "where the recording's part begins"),
        length=read_clock(length, "the length of the recording's part") if length else None,
    )
    return BlendWish(recording, how.check(), how.tool == "mix" and bool(fields.get("blend.whole")))


def write_blend(wish: BlendWish) -> dict[str, Any]:
    """What the fields hold for it: `read_blend` reads the same.

    Args:
        wish: What was wanted.

    Returns:
        Values by name.
    """
    how = wish.how
    return {
        "blend.tool": how.tool,
        "blend.seconds": how.seconds,
        "blend.back": how.back,
        "blend.gain": how.gain,
        "blend.channels": ", ".join(how.channel_gains),
        "blend.whole": wish.whole,
        "blend.start": write_clock(how.start),
        "blend.length": "" if how.length is None else write_clock(how.length),
    }


def recorded_wish(values: Mapping[str, Any], recordings: Mapping[str, Recording]) -> BlendWish:
    """What a sidecar has recorded.

    Args:
        values: What `musika.recordings.read_blend_sidecar` gave.
        recordings: The recordings that are here, by their hash.

    Returns:
        What was wanted; the recording's file is not there if it is not among these.

    Raises:
        UserError: If the sidecar is something else.
    """
    told = values["recording"]
    name, digest = Path(str(told.get("file"))).name, str(told.get("sha256"))
    absent = Recording(Path(os.devnull) / name, digest)  # below a file nothing can be
    return BlendWish(recordings.get(digest, absent), recorded_blend(values["blend"]))
