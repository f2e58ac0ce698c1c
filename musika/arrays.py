"""Arrays of ``.npz`` files, read so that nothing in a file, whatever it claims, does more than be refused."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import show_path
from musika.checks import UserError

MOST_BYTES = 2**33  # of a file's arrays, unpacked
STATISTICS_BYTES = 2**20  # of those of a preset's statistics
_ENDING = ".npy"


def read_arrays(
    path: str | Path, what: str, remedy: str, names: Collection[str] | None = None, most: int = MOST_BYTES
) -> dict[str, NDArray[Any]]:
    """Read plain arrays; nothing is unpickled.

    Args:
        path: The ``.npz`` file.
        what: What the file is not if it cannot be read, for the message.
        remedy: What to do then, a sentence.
        names: The arrays to read, as far as they are there; all when left out.
        most: Bytes that all arrays of the file may have.

    Returns:
        Arrays by name.

    Raises:
        UserError: If the file cannot be opened, is damaged, or holds something else than plain arrays of that size.
    """
    shown = show_path(path)
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            return _read(archive, names, most)
    except Exception as error:  # damage has many names: those of zipfile, zlib, lzma, struct and NumPy
        if isinstance(error, OSError) and error.filename is not None:  # from opening it
            raise UserError(f"{shown}: cannot be read: {error.strerror}. Check the path.") from None
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{shown}: {what}, or damaged ({reason}). {remedy}") from None


def _read(archive: zipfile.ZipFile, names: Collection[str] | None, most: int) -> dict[str, NDArray[Any]]:
    """The arrays of an archive."""
    members = {member.filename: member for member in archive.infolist()}
    if len(members) != len(archive.infolist()) or not all(name.endswith(_ENDING) for name in members):
        raise ValueError("it holds something else than arrays")
    if sum(member.file_size for member in members.values()) > most:
        raise ValueError(f"its arrays have more than {most} bytes")
    wanted = {name.removesuffix(_ENDING): member for name, member in members.items()}
    return {name: _read_member(archive, wanted[name]) for name in wanted if names is None or name in names}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, whose head may claim no more than follows."""
    with archive.open(member) as stream:
        old = np.lib.format.read_magic(stream) == (1, 0)
        read_head = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_head(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError("an array is shorter than its head says")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
