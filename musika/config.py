"""The settings of every part: frozen dataclasses, read from YAML files that may extend one another.

A config file names only what differs from the file it ``extends``. An unknown key is an error that
names the closest known one, so a misspelt setting never passes silently.

    >>> config = load_config("debug")
    >>> config.codec.latent_channels < load_config("base").codec.latent_channels
    True
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any

from musika.checks import UserError
from musika.config_checks import check_config
from musika.resources import resource_folder
from musika.settings import (
    CodecConfig,
    CompactWidths,
    Config,
    ControlConfig,
    GeneratorConfig,
    RefinerConfig,
    SpectralConfig,
    changed_settings,
)
from musika.training_settings import CodecPhaseConfig, CodecTrainingConfig, GeneratorTrainingConfig

__all__ = [
    "CodecConfig",
    "CodecPhaseConfig",
    "CodecTrainingConfig",
    "CompactWidths",
    "Config",
    "ControlConfig",
    "GeneratorConfig",
    "GeneratorTrainingConfig",
    "RefinerConfig",
    "SpectralConfig",
    "changed_settings",
    "config_from_dict",
    "config_names",
    "find_config",
    "load_config",
]


def _convert(value: Any, kind: Any, where: str) -> Any:
    """Check one value against its declared type and convert what may be converted."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UserError(f"config: {where} must be a group of settings. Received: {where}={value!r}")
        return _build(kind, value, where)
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"config: {where} must be a list. Received: {where}={value!r}")
        return tuple(_convert(item, typing.get_args(kind)[0], where) for item in value)
    if origin is types.UnionType:
        if value is None:
            return None
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            pass
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is (kind is bool) and isinstance(value, kind):
        return value
    raise UserError(f"config: {where} must be of type {kind.__name__}. Received: {where}={value!r}")


def _build(kind: Any, values: dict[str, Any], where: str = "") -> Any:
    """Make a dataclass from nested dictionaries, refusing unknown keys."""
    hints = typing.get_type_hints(kind)
    known = {item.name for item in dataclasses.fields(kind)}
    converted = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            close = difflib.get_close_matches(str(key), sorted(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}."
            raise UserError(f"config: unknown key {path!r}; {hint}")
        converted[key] = _convert(value, hints[key], path)
    return kind(**converted)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay the values of ``above`` over those of ``below``, group by group."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a YAML file and everything that it extends."""
    import yaml

    if path in seen:
        raise UserError(f"config: {path} extends itself. Remove one `extends` line.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"config: {path} is not valid YAML: {' '.join(str(error).split())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config: cannot read {path}: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"config: {path} must hold settings as `key: value` lines.")
    parent = values.pop("extends", None)
    if parent is None:
        return values
    return _merge(_read(path.parent / str(parent), (*seen, path)), values)


def config_names() -> list[str]:
    """The names of the configs that are installed with the package."""
    return sorted(path.stem for path in resource_folder("configs").glob("*.yaml"))


def find_config(name: str | Path) -> Path:
    """Find a config by name or path.

    Args:
        name: A shipped name such as ``compact``, or a path to a YAML file.

    Returns:
        The file's path.

    Raises:
        UserError: If there is no such config.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return path
    shipped = resource_folder("configs") / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    raise UserError(
        f"config: there is no config {str(name)!r}. Give a path to a .yaml file or one of: {', '.join(config_names())}."
    )


def load_config(name: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Load a config by name or path.

    Args:
        name: A shipped name such as ``compact``, or a path to a YAML file.
        overrides: Nested values that are laid over the file's.

    Returns:
        The resolved config.

    Raises:
        UserError: If the file is missing or not valid, or a key is unknown or of the wrong type.
    """
    path = find_config(name)
    values = _read(path)
    values.setdefault("name", path.stem)
    return config_from_dict(_merge(values, overrides or {}))


def config_from_dict(values: dict[str, Any]) -> Config:
    """Make a config from nested dictionaries, as ``Config.to_dict`` gives them.

    Args:
        values: Nested values; what is left out has its default.

    Returns:
        The config.

    Raises:
        UserError: If a key is unknown, a value has the wrong type, or no codec can be built so.
    """
    config = _build(Config, values)
    check_config(config)
    return config
