"""A run folder: what a training leaves on disk, and how it goes on from there.

A run holds ``config.json`` (every setting, resolved), ``run.json`` (what is trained, on what), ``last`` (the newest
save) and ``healthy`` (the one before it). A save is a folder of ``*.weights.h5`` (one a model), ``*.optimizer.npz``
(one an optimiser) and ``state.json`` (step, learning rate and whatever else the training needs to go on). It is written
aside and then renamed, so a stop at any moment leaves at least one whole save. Nothing is pickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musika.arrays import read_arrays
from musika.checks import UserError
from musika.config import Config, config_from_dict
from musika.resources import replace_folder

if TYPE_CHECKING:
    import keras

STATE_FILE = "state.json"
FORMAT = 1


def write_json(path: str | Path, values: Any) -> Path:
    """Write values as JSON, aside first, so that the file is either the old or the new one.

    Args:
        path: The file.
        values: What JSON can hold.

    Returns:
        The path.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(values, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    return path


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        UserError: If it is missing or not valid JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}. Check the path.") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON ({error}). Restore it from another copy.") from None


def put_in_place(aside: Path, final: Path, keep: Path | None = None) -> None:
    """Put a finished folder in place of an older one, once it is safe on the disk.

    Args:
        aside: The new folder, see `musika.resources.replace_folder`.
        final: Where it goes.
        keep: Where the older folder goes; without it the older folder is removed.
    """
    for file in sorted(aside.rglob("*")):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    replace_folder(aside, final, keep)


def save_state(
    folder: str | Path,
    models: Mapping[str, keras.Model],
    optimizers: Mapping[str, keras.optimizers.Optimizer],
    state: Mapping[str, Any],
    keep: str | Path | None = None,
) -> Path:
    """Save everything that the next training step depends on, as one folder, atomically.

    Args:
        folder: The save's folder; an older one of that name is replaced once the new one is complete.
        models: Models by name; their weights go to ``<name>.weights.h5``.
        optimizers: Built optimisers by name; their variables go to ``<name>.optimizer.npz``.
        state: What else is needed, as JSON can hold it.
        keep: Where an older folder is moved; without it, it is removed.

    Returns:
        The folder.

    Raises:
        UserError: If the disk does not take it. The older save is still there then.
    """
    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for name, model in models.items():
            model.save_weights(str(aside / f"{name}.weights.h5"))
        for name, optimizer in optimizers.items():
            np.savez(aside / f"{name}.optimizer.npz", **_optimizer_arrays(optimizer))
        write_json(aside / STATE_FILE, dict(state))
        put_in_place(aside, folder, None if keep is None else Path(keep))
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise UserError(f"cannot save to {folder}: {error}. Free some space or choose another folder.") from None
    return folder


def load_state(
    folder: str | Path,
    models: Mapping[str, keras.Model],
    optimizers: Mapping[str, keras.optimizers.Optimizer],
) -> dict[str, Any]:
    """Load a save into built models and optimisers.

    Args:
        folder: A folder that ``save_state`` wrote.
        models: Models by the names that they were saved under; what is not named is not touched.
        optimizers: Built optimisers, likewise.

    Returns:
        The saved ``state``.

    Raises:
        UserError: If the save is not complete or has other shapes.
    """
    folder = Path(folder)
    state = read_json(folder / STATE_FILE)
    for name, model in models.items():
        path = folder / f"{name}.weights.h5"
        try:
            model.load_weights(str(path))
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"cannot load {path}: {reason} Train with the config that wrote it.") from None
    for name, optimizer in optimizers.items():
        path = folder / f"{name}.optimizer.npz"
        if not path.is_file():
            raise UserError(f"the save {folder} lacks {path.name}: it is not complete. Use another save.")
        _load_optimizer(optimizer, read_arrays(path, "no optimiser's state", "Use another save."), path)
    return state


def _optimizer_arrays(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """An optimiser's variables, keyed by position and name (names alone may repeat)."""
    import keras

    return {
        f"{index:04d}.{variable.name}": keras.ops.convert_to_numpy(variable.value)
        for index, variable in enumerate(optimizer.variables)
    }


def _load_optimizer(optimizer: keras.optimizers.Optimizer, saved: dict[str, np.ndarray], path: Path) -> None:
    """Assign saved arrays to an optimiser's variables, in order, refusing another number or shape."""
    variables = optimizer.variables
    names = sorted(saved)
    shapes = [tuple(saved[name].shape) for name in names]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise UserError(
            f"{path} holds the state of {len(names)} variables that do not fit the {len(variables)} of this "
            "optimiser. Train with the config that wrote it."
        )
    for name, variable in zip(names, variables, strict=True):
        variable.assign(saved[name])


def all_finite(models: Mapping[str, keras.Model]) -> bool:
    """Whether every weight of the models is a finite number.

    Args:
        models: Models by name.

    Returns:
        False when a weight is infinite or not a number.
    """
    import keras

    for model in models.values():
        for variable in model.variables:
            if not np.isfinite(keras.ops.convert_to_numpy(variable.value)).all():
                return False
    return True


class Run:
    """A run folder, opened for a new training or for going on with one.

    Attributes:
        folder: The folder.
        config: The resolved config, the same for the whole run.
        settings: What is trained, on what, as ``run.json`` holds it.
    """

    def __init__(self, folder: str | Path, config: Config, settings: Mapping[str, Any]) -> None:
        """Describe a run; use ``Run.create`` or ``Run.open``.

        Args:
            folder: The folder.
            config: The resolved config.
            settings: What is trained, on what.
        """
        self.folder = Path(folder)
        self.config = config
        self.settings = dict(settings)

    @classmethod
    def create(cls, folder: str | Path, config: Config, settings: Mapping[str, Any]) -> Run:
        """Start a run in a new or empty folder.

        Args:
            folder: The folder.
            config: The resolved config.
            settings: What is trained, on what, as JSON can hold it.

        Returns:
            The run.

        Raises:
            UserError: If the folder holds a run already or cannot be written.
        """
        folder = Path(folder)
        if (folder / "run.json").exists():
            raise UserError(
                f"{folder} holds a training run already. Go on with it by --resume, or give --out another folder."
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not an empty folder. Give --out a new folder.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "config.json", config.to_dict())
            write_json(folder / "run.json", {"format": FORMAT, **settings})
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error}. Give --out another folder.") from None
        return cls(folder, config, settings)

    @classmethod
    def open(cls, folder: str | Path, kind: str | None = None) -> Run:
        """Open a run to go on with it.

        Args:
            folder: The folder.
            kind: When given, what ``settings["kind"]`` must be.

        Returns:
            The run.

        Raises:
            UserError: If there is no such run or it trains something else.
        """
        folder = Path(folder)
        if not (folder / "run.json").is_file():
            raise UserError(f"{folder} holds no training run to go on with. Leave --resume out to start one.")
        settings = read_json(folder / "run.json")
        if kind is not None and settings.get("kind") != kind:
            raise UserError(f"{folder} is a run of {settings.get('kind')!r}, not of {kind!r}. Give --out that run.")
        return cls(folder, config_from_dict(read_json(folder / "config.json")), settings)

    def change_config(self, config: Config) -> None:
        """Give the run another config, for a training that is resumed with other settings.

        Args:
            config: The new config.
        """
        self.config = config
        write_json(self.folder / "config.json", config.to_dict())

    @property
    def last(self) -> Path | None:
        """The newest whole save, or None before the first one."""
        for name in ("last", "healthy"):
            if (self.folder / name / STATE_FILE).is_file():
                return self.folder / name
        return None

    @property
    def healthy(self) -> Path | None:
        """The save before the newest one, or the newest one when there is no other."""
        path = self.folder / "healthy"
        return path if (path / STATE_FILE).is_file() else self.last

    def save(
        self,
        models: Mapping[str, keras.Model],
        optimizers: Mapping[str, keras.optimizers.Optimizer],
        state: Mapping[str, Any],
    ) -> Path:
        """Save as ``last``; the save before it becomes ``healthy``.

        Args:
            models: Models by name.
            optimizers: Built optimisers by name.
            state: What else is needed, as JSON can hold it.

        Returns:
            The save's folder.
        """
        return save_state(self.folder / "last", models, optimizers, state, keep=self.folder / "healthy")

    def load(
        self,
        models: Mapping[str, keras.Model],
        optimizers: Mapping[str, keras.optimizers.Optimizer],
        older: bool = False,
    ) -> dict[str, Any]:
        """Load the newest save.

        Args:
            models: Models by the names that they were saved under.
            optimizers: Built optimisers, likewise.
            older: Whether to take the save before the newest one.

        Returns:
            The saved state.

        Raises:
            UserError: If nothing was saved yet.
        """
        folder = self.healthy if older else self.last
        if folder is None:
            raise UserError(f"{self.folder} has no save yet. Leave --resume out and give --out a new folder.")
        return load_state(folder, models, optimizers)
