"""Finding presets by name or folder, without loading anything."""

from __future__ import annotations

from pathlib import Path

from musika.checks import UserError
from musika.resources import resource_folder

METADATA_FILE = "metadata.json"


def preset_names() -> list[str]:
    """The names of the presets that are installed with the package."""
    return sorted(path.parent.name for path in resource_folder("checkpoints").glob(f"*/{METADATA_FILE}"))


def find_preset(name: str | Path) -> Path:
    """Find a preset's folder.

    Args:
        name: A preset's folder, a training run's folder, or the name of a preset that came with the package.

    Returns:
        The folder that holds ``metadata.json``.

    Raises:
        UserError: If there is no such preset; the message lists those there are.
    """
    path = Path(name).expanduser()
    candidates = [path, path / "preset"]
    if path.name == str(name):
        candidates.append(resource_folder("checkpoints") / path.name)
    for folder in candidates:
        if (folder / METADATA_FILE).is_file():
            return folder
    problem = f"folder {path} holds no preset" if path.is_dir() else f"there is no preset {str(name)!r}"
    shipped = ", ".join(preset_names()) or "none"
    raise UserError(
        f"{problem}: give a folder with a {METADATA_FILE}, a training run that has saved, or a name that came with"
        f" the package ({shipped})."
    )
