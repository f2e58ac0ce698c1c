"""Checks of a preset's files that came from elsewhere, before anything uses them. Nothing in them can run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from musika.checks import UserError
from musika.config import config_from_dict

_HDF5_HEAD = b"\x89HDF\r\n\x1a\n"
_LARGEST_TEXT = 2 * 2**20  # bytes
_LARGEST_ARRAYS = 8 * 2**30  # bytes of a file's arrays, unpacked
_MOST_STATISTICS = 2**20  # bytes of statistics.npz


def check_file(path: Path) -> None:
    """Check one file by its ending: JSON, Markdown, HDF5 weights or NumPy arrays.

    Args:
        path: The file.

    Raises:
        UserError: If it is not what its ending says, or holds what a preset has no use for.
    """
    checks = {".json": _check_json, ".md": _check_text, ".h5": _check_weights, ".npz": _check_arrays}
    if path.suffix not in checks:
        raise UserError(f"{path.name} is no file of a preset ({', '.join(checks)}). It is not used.")
    checks[path.suffix](path)


def _refuse(path: Path, reason: str) -> UserError:
    """The error for a file that is not used."""
    return UserError(f"{path.name} is not used: {reason}. Ask whoever shared it, or choose another repository.")


def _check_text(path: Path) -> str:
    """Check that a file is text of a sane length, and read it."""
    if path.stat().st_size > _LARGEST_TEXT:
        raise _refuse(path, f"it has {path.stat().st_size} bytes, a text has at most {_LARGEST_TEXT}")
    try:
        return path.read_text(encoding="utf-8")
    except ValueError:
        raise _refuse(path, "it is not UTF-8 text") from None


def _check_json(path: Path) -> None:
    """Check that a file is a JSON object."""
    try:
        values = json.loads(_check_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise _refuse(path, "it is not JSON") from None
    if not isinstance(values, dict):
        raise _refuse(path, "it must hold a JSON object")


def _check_weights(path: Path) -> None:
    """Check that a file is HDF5 and holds arrays of numbers, and that all of them lie in the file itself."""
    import h5py

    with path.open("rb") as file:
        if file.read(len(_HDF5_HEAD)) != _HDF5_HEAD:
            raise _refuse(path, "it is not an HDF5 file")
    links: list[str] = []
    arrays: list[tuple[str, h5py.Dataset]] = []

    def note_link(name: str, link: object) -> None:
        """Remember a link that is none to an object of the file itself."""
        if not isinstance(link, h5py.HardLink):
            links.append(name)

    def note_array(name: str, item: object) -> None:
        """Remember an array."""
        if isinstance(item, h5py.Dataset):
            arrays.append((name, item))

    try:
        with h5py.File(path, "r") as file:
            file.visititems_links(note_link)
            file.visititems(note_array)
            outside = links + [name for name, item in arrays if item.external or item.is_virtual]
            others = [name for name, item in arrays if item.dtype.kind not in "fiub"]
            size = sum(item.nbytes for _, item in arrays)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _refuse(path, f"it is damaged ({' '.join(str(error).split())[:120]})") from None
    if outside:
        raise _refuse(path, f"it points outside of itself ({outside[0]})")
    if others:
        raise _refuse(path, f"it holds something else than numbers ({others[0]})")
    if size > _LARGEST_ARRAYS:
        raise _refuse(path, f"its arrays have {size} bytes, at most {_LARGEST_ARRAYS} are allowed")


def _check_arrays(path: Path) -> None:
    """Check that a file holds plain arrays of finite numbers: nothing that NumPy would have to unpickle."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        if sum(item.file_size for item in members) > _MOST_STATISTICS:
            raise _refuse(path, f"its arrays have more than {_MOST_STATISTICS} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            plain = all(
                arrays[name].dtype.kind == "f" and bool(np.isfinite(arrays[name]).all()) for name in arrays.files
            )
    except UserError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _refuse(
            path, f"it holds something else than plain arrays ({' '.join(str(error).split())[:120]})"
        ) from None
    if not plain or len(members) != len(arrays.files):
        raise _refuse(path, "it holds something else than arrays of finite numbers")


def check_preset_folder(folder: Path) -> None:
    """Check every file of a preset, and that its settings are ones that this version knows.

    Args:
        folder: The preset's folder.

    Raises:
        UserError: If a file fails its check, the preset wants a codec outside of itself, or another version is needed.
    """
    from musika.preset_names import METADATA_FILE

    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            raise _refuse(path, "it is no plain file")
        check_file(path)
    metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    if metadata.get("codec"):
        raise _refuse(folder / METADATA_FILE, f"its codec lies elsewhere ({metadata['codec']!r})")
    if metadata.get("format", 1) != 1:
        raise UserError(f"the preset has format {metadata['format']}, this version reads 1. Install a newer musika.")
    config_from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
