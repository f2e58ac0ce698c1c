"""Where the configs and presets lie that are installed with the package."""

from __future__ import annotations

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
