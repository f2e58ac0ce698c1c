"""Weights on disk: Keras' ``.weights.h5`` files, at full or half precision, never pickled.

One file may hold several networks under their names. Half precision halves the file; an array that several networks
hold (principal components, in encoder and decoder) is kept once, and arrays are compressed. What is loaded is float32
again. The fingerprint of networks is taken from their weights *rounded to half precision*, so it is the same for both
files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.checks import UserError, check_choice
from musika.warned import collected

WEIGHTS_DTYPES = ["float32", "float16"]
_PACKED = 4096  # numbers from which an array is compressed at half precision: a twentieth smaller, and as exact
_HASH_LENGTH = 16  # hexadecimal digits: 64 bits are plenty to tell codecs apart


class _Group(keras.Model):
    """Networks under their names, so that Keras saves them in one file."""

    def __init__(self, networks: Mapping[str, keras.Model]):
        super().__init__()
        for name, network in networks.items():
            setattr(self, name, network)
        self.built = True


def save_weights(networks: Mapping[str, keras.Model], path: str | Path, dtype: str = "float32") -> Path:
    """Write the weights of networks into one file, aside first and then renamed.

    Args:
        networks: Built networks by name.
        path: File that ends in ``.weights.h5``.
        dtype: ``float32``, or ``float16`` for half the size.

    Returns:
        The path.

    Raises:
        UserError: If ``dtype`` is neither.
    """
    check_choice(dtype, "weights_dtype", WEIGHTS_DTYPES)
    path = Path(path)
    aside = path.with_name(f".{path.name.removesuffix('.weights.h5')}.partial.weights.h5")
    try:
        _Group(networks).save_weights(aside)
        if dtype == "float16":
            _halve(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def _halve(path: Path) -> None:
    """Copy a weights file with every float32 array as float16, equal ones once, and put the copy in its place."""
    import h5py

    small = path.with_name(f".half{path.name}")
    known: dict[tuple[Any, bytes], Any] = {}

    def copy(name: str, item: Any) -> None:
        """Copy a group or an array, in half precision."""
        if isinstance(item, h5py.Group):
            target = result.require_group(name)
        else:
            values = item[()]
            smaller = values.astype(np.float16) if values.dtype == np.float32 else values
            content = (smaller.shape, hashlib.sha256(smaller.tobytes()).digest())
            if content in known:
                result[name] = known[content]  # a second name of the same array
            else:
                packed = {"compression": "gzip", "shuffle": True} if smaller.size >= _PACKED else {}
                known[content] = result.create_dataset(name, data=smaller, **packed)
            target = result[name]
        for key, value in item.attrs.items():
            target.attrs[key] = value

    with h5py.File(path, "r") as source, h5py.File(small, "w") as result:
        for key, value in source.attrs.items():
            result.attrs[key] = value
        source.visititems(copy)
    os.replace(small, path)


def load_weights(networks: Mapping[str, keras.Model], path: str | Path) -> None:
    """Read the weights of networks from a file that `save_weights` wrote.

    Args:
        networks: Built networks by name; the file may hold more than these.
        path: The file.

    Raises:
        UserError: If the file is missing, damaged or holds networks of other sizes.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no weights file {path}. Check that the preset was copied whole.")
    floats = [weight for network in networks.values() for weight in network.weights if "float" in weight.dtype]
    for weight in floats:
        weight.assign(np.full(weight.shape, np.nan))
    try:
        with collected(UserWarning):  # Keras warns of some of the weights that it leaves as they were
            _Group(networks).load_weights(path)
    except (OSError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is damaged or not a weights file; copy or save it again. ({reason})") from None
    except ValueError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path} does not fit the networks of its config.json. ({reason})") from None
    left = [weight.path for weight in floats if _all_nan(weight)]
    if left:
        raise UserError(f"{path} does not fit the networks of its config.json. (It has no {left[0]}.)")


def _all_nan(weight: Any) -> bool:
    """Whether a weight holds nothing but what stands for a value that is still to come."""
    values = keras.ops.convert_to_numpy(weight)
    return values.size > 0 and bool(np.isnan(values).all())


def fingerprint(settings: Mapping[str, Any], networks: Iterable[keras.Model]) -> str:
    """Identify networks by their settings and weights.

    Args:
        settings: What else makes them what they are, as JSON can hold it.
        networks: The networks, in a fixed order.

    Returns:
        16 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for network in networks:
        for weight in network.weights:
            values = np.asarray(keras.ops.convert_to_numpy(weight), dtype=np.float32)
            with np.errstate(over="ignore"):  # a weight beyond 65504 counts as infinite, here as in the file
                digest.update(values.astype(np.float16).tobytes())
    return digest.hexdigest()[:_HASH_LENGTH]


def randomise(networks: Iterable[keras.Model], seed: int = 0) -> None:
    """Give networks random weights that depend on the seed only, for tests and benchmarks.

    Kernels are drawn as He's rule says, biases are small, noise scalars are 0.1; everything else (scales of
    normalisations) stays as it is.

    Args:
        networks: Built networks.
        seed: The seed.
    """
    random = np.random.default_rng(seed)
    for network in networks:
        for weight in network.weights:
            shape = tuple(weight.shape)
            values = random.standard_normal(shape, dtype=np.float32)
            if len(shape) >= 2:
                weight.assign(values * np.sqrt(2.0 / np.prod(shape[:-1])))
            elif np.prod(shape) == 1:
                weight.assign(np.full(shape, 0.1, np.float32))
            elif weight.name == "bias":
                weight.assign(0.05 * values)
