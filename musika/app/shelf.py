"""The presets that the page offers, loaded when they are first played."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from musika.checks import UserError
from musika.config import Config, config_from_dict
from musika.hub_names import is_hub_name, parse_hub_name
from musika.preset_names import METADATA_FILE, find_preset, preset_names
from musika.settings import ControlConfig

if TYPE_CHECKING:
    from musika.presets import Preset

_WARM_SECONDS = 0.1  # rendered once after loading, so that graphs are traced before several threads use them


class Shelf:
    """Presets by the name that the page shows.

    Args:
        presets: Shipped names and folders; none for every shipped preset that can make music.
        precision: In which decoders run unless a visitor asks otherwise, see `musika.presets.load_preset`.

    Attributes:
        precision: The precision.

    Raises:
        UserError: If there is no such preset, or none at all.
    """

    def __init__(self, presets: Sequence[str] = (), precision: str = "auto") -> None:
        self.precision = precision
        self._folders: dict[str, Path] = {}
        self._loaded: dict[tuple[str, str], Preset] = {}
        self._lock = threading.Lock()
        for name in presets or preset_names():
            folder = find_preset(name)
            if not presets and not (folder / "generator.weights.h5").is_file():
                continue
            label = str(json.loads((folder / METADATA_FILE).read_text("utf-8")).get("name") or folder.resolve().name)
            self._folders[str(folder) if label in self._folders else label] = folder
        if not self._folders:
            raise UserError("there is no preset that makes music. Give one with --checkpoint NAME|DIR.")
        self._configs = {name: _read_config(folder) for name, folder in self._folders.items()}

    @property
    def names(self) -> list[str]:
        """Names of the presets."""
        return list(self._folders)

    def controls(self, name: str) -> dict[str, ControlConfig]:
        """What a preset's pieces can be asked for; reads no weights.

        Args:
            name: The preset.

        Returns:
            Its controls by name.

        Raises:
            UserError: If it is not on the shelf.
        """
        return {control.name: control for control in self._configs[self._check(name)].generator.controls}

    def has_clock(self, name: str) -> bool:
        """Whether a preset has a tempo.

        Args:
            name: The preset.

        Returns:
            Whether one of its controls drives a beat clock.
        """
        return any(control.clock for control in self.controls(name).values())

    def all_controls(self) -> dict[str, ControlConfig]:
        """The controls of all presets, each as the first preset that has it declares it."""
        found: dict[str, ControlConfig] = {}
        for name in self.names:
            found = self.controls(name) | found
        return found

    def get(self, name: str, precision: str | None = None) -> Preset:
        """Load a preset, once.

        Args:
            name: The preset.
            precision: In which its decoders run; None for the shelf's own.

        Returns:
            The preset, the same object for every visitor: nothing in it changes by playing.

        Raises:
            UserError: If it is not on the shelf or cannot be loaded.
        """
        from musika.presets import load_preset

        key = self._check(name), precision or self.precision
        if key in self._loaded:  # nobody who plays waits for somebody else's preset to be loaded
            return self._loaded[key]
        with self._lock:
            if key not in self._loaded:
                preset = load_preset(self._folders[name], key[1])
                preset.piece(seed=0).render(seconds=_WARM_SECONDS)
                self._loaded[key] = preset
            return self._loaded[key]

    def load_all(self) -> None:
        """Load every preset, one after another."""
        for name in self.names:
            self.get(name)

    def checkpoint(self, name: str) -> str:
        """A preset as ``--checkpoint`` takes it, from any directory.

        Args:
            name: The preset.

        Returns:
            A shipped name, or the whole path of a folder.
        """
        folder = self._folders[self._check(name)].resolve()
        return name if name in preset_names() and find_preset(name).resolve() == folder else str(folder)

    def name_of(self, checkpoint: str) -> str | None:
        """The name on the shelf of a preset that a sidecar names; nothing is pulled for it.

        Args:
            checkpoint: A shipped name, a folder or a name on the Hub.

        Returns:
            The name; None if it is not here.
        """
        try:
            on_hub = is_hub_name(checkpoint)
            folder = (parse_hub_name(checkpoint).cached if on_hub else find_preset(checkpoint)).resolve()
        except UserError:
            return checkpoint if checkpoint in self._folders else None
        return next((name for name, here in self._folders.items() if here.resolve() == folder), None)

    def _check(self, name: str) -> str:
        """Refuse what is not on the shelf."""
        if name not in self._folders:
            raise UserError(f"there is no preset {name!r} here. Choose one of {', '.join(self._folders)}.")
        return name


def _read_config(folder: Path) -> Config:
    """Read a preset's config alone."""
    try:
        return config_from_dict(json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"preset: {folder}/config.json cannot be read ({error}). Copy the preset again.") from None
