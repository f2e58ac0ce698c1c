"""Files and folders: where the package's own and the cache lie, hashes of files, folders put in their place."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Find a folder of files that belong to the package.

    An installed package holds them inside itself; a checkout holds them beside it.

    Args:
        name: ``configs`` or ``checkpoints``.

    Returns:
        The folder's path.

    >>> resource_folder("configs").name
    'configs'
    """
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def cache_folder(name: str) -> Path:
    """Where something is kept that can be made or downloaded again.

    Args:
        name: What is kept.

    Returns:
        ``musika/NAME`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "musika" / name


def file_hash(path: Path, kind: str = "sha256", head: bytes = b"") -> str:
    """The hash of a file's bytes.

    Args:
        path: The file.
        kind: Name of the hash.
        head: Bytes that are hashed before those of the file.

    Returns:
        Hexadecimal digits; of SHA-256 64.
    """
    digest = hashlib.new(kind, head)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def replace_folder(new: Path, folder: Path, keep: Path | None = None) -> None:
    """Put a folder in the place of another, which is there until the new one can be.

    Args:
        new: The new folder, complete, on the same file system.
        folder: Where it goes.
        keep: Where the older folder goes; without it, it is removed.
    """
    old = keep or new.with_name(f"{new.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    if keep is None:
        shutil.rmtree(old, ignore_errors=True)
