"""Finding presets by name or folder, without loading anything."""

from __future__ import annotations

import difflib
from pathlib import Path

from musika.checks import UserError
from musika.hub_names import is_hub_name, pulled_presets
from musika.resources import resource_folder

METADATA_FILE = "metadata.json"


def preset_names() -> list[str]:
    """The names of the presets that are installed with the package."""
    return sorted(path.parent.name for path in resource_folder("checkpoints").glob(f"*/{METADATA_FILE}"))


def presets_here() -> str:
    """What can be played without a network: presets that came with the package, and those pulled from the Hub."""
    names, pulled = ", ".join(preset_names()) or "none", ", ".join(pulled_presets())
    return f"{names}; pulled: {pulled}" if pulled else names


def find_preset(name: str | Path) -> Path:
    """Find a preset's folder.

    Args:
        name: A preset's folder, a training run's folder, the name of a preset that came with the package, or
            ``hf://user/name`` of one on the Hugging Face Hub, which is pulled unless it is here already.

    Returns:
        The folder that holds ``metadata.json``.

    Raises:
        UserError: If there is no such preset; the message lists those there are.
    """
    if is_hub_name(name):
        from musika.hub import find_or_pull

        return find_or_pull(name)
    path = Path(name).expanduser()
    candidates = [path, path / "preset"]
    if path.name == str(name):
        candidates.append(resource_folder("checkpoints") / path.name)
    for folder in candidates:
        if (folder / METADATA_FILE).is_file():
            return folder
    problem = f"folder {path} holds no preset" if path.is_dir() else f"there is no preset {str(name)!r}"
    close = difflib.get_close_matches(str(name), preset_names(), n=1)
    problem += f" (did you mean {close[0]!r}?)" if close else ""
    raise UserError(
        f"{problem}: give a folder with a {METADATA_FILE}, a training run that has saved, hf://user/name, or a name"
        f" that came with the package ({presets_here()})."
    )
