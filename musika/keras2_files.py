"""Weights files of Keras 2 (``save_weights`` to ``.h5``), read with h5py alone: nothing is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from musika.checks import UserError

Layers = dict[str, dict[str, np.ndarray]]  # layer name -> array name -> array, in the file's order


def _names(attributes: Any, key: str) -> list[str]:
    """A list of names in an HDF5 attribute, which Keras splits into ``key0, key1, ...`` when it is long."""
    if key in attributes:
        parts = [attributes[key]]
    else:
        parts = [attributes[f"{key}{i}"] for i in range(len(attributes)) if f"{key}{i}" in attributes]
        if not parts:
            raise KeyError(key)
    names = [name for part in parts for name in np.asarray(part).ravel().tolist()]
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]


def _read_array(dataset: Any, where: str) -> np.ndarray:
    """One array of a file, as float32."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        raise UserError(f"{where} must be an array of floating-point numbers. Received: {dataset!r}")
    values = np.asarray(dataset[()], dtype=np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{where} holds values that are not finite. Use a file saved before the training diverged.")
    return values


def _read_layers(file: h5py.File, path: Path) -> Layers:
    """All layers with arrays; an array that no layer lists is an error."""
    layers: Layers = {}
    listed = set()
    for layer in _names(file.attrs, "layer_names"):
        arrays = {}
        for name in _names(file[layer].attrs, "weight_names"):
            dataset = file[layer][name]
            listed.add(dataset.name)
            short = name.split("/")[-1].split(":")[0]
            if short in arrays:
                raise UserError(f"{path}: layer {layer!r} holds two arrays called {short!r}.")
            arrays[short] = _read_array(dataset, f"{path}: array {name!r} of layer {layer!r}")
        if arrays:
            layers[layer] = arrays
    found: list[str] = []
    file.visititems(lambda name, item: found.append(item.name) if isinstance(item, h5py.Dataset) else None)
    unlisted = [name for name in found if name not in listed]
    if unlisted:
        raise UserError(f"{path}: no layer lists these arrays: {', '.join(unlisted[:5])}.")
    return layers


def read_layers(path: str | Path) -> Layers:
    """Read a Keras 2 ``save_weights`` file.

    Args:
        path: The ``.h5`` file.

    Returns:
        Layer name -> array name (``kernel``, ``bias``, ``noise_weight``) -> float32 array, for every layer that has
        arrays, in the file's order.

    Raises:
        UserError: If the file is damaged, is no such file, or holds an array that no layer lists.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            return _read_layers(file, path)
    except UserError:
        raise
    except KeyError as error:
        raise UserError(
            f"{path} is not a weights file of Keras 2 (`save_weights` to .h5), or it is damaged: "
            f"{_one_line(error.args[0])} is missing. Download it again."
        ) from None
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:  # what h5py makes of broken bytes
        raise UserError(
            f"{path} is truncated, damaged or not an HDF5 file; download it again. ({_one_line(error)})"
        ) from None


def _one_line(error: object) -> str:
    """An error's text on one line that any terminal can print."""
    return " ".join(str(error).encode("ascii", "replace").decode().split())[:200]
