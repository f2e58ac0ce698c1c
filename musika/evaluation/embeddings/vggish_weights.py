"""The published weights of VGGish: from a given checkpoint file, or downloaded once, and kept as ``.weights.h5``.

The file is a table of named arrays (a TensorFlow checkpoint, version 1). TensorFlow 2 reads it as such: no graph is
restored and nothing in it can run.
"""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from musika.checks import UserError
from musika.resources import cache_folder, file_hash
from musika.weights import load_weights, save_weights

URL = "https://storage.googleapis.com/audioset/vggish_model.ckpt"
# As the D3M programme's primitives pin it for this file.
OFFICIAL_SHA256 = "0962b1914e3e053922d957c45bc84a78c985765641dc6bceeeb3a7d8dfecfdf6"
_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte


def kept_weights() -> Path:
    """The file in which the official weights are kept.

    Returns:
        Its path in the cache, see `musika.resources.cache_folder`; it need not exist.
    """
    return cache_folder("weights") / f"vggish-{OFFICIAL_SHA256[:16]}.weights.h5"


def checkpoint_name(layer: str, kind: str) -> str:
    """Name of a layer's array in the published checkpoint.

    Args:
        layer: Name of the layer, such as ``conv3_1``.
        kind: ``weights`` or ``biases``.

    Returns:
        The name; layers that are repeated lie in a scope of their own.

    >>> checkpoint_name("conv3_1", "weights"), checkpoint_name("fc2", "biases")
    ('vggish/conv3/conv3_1/weights', 'vggish/fc2/biases')
    """
    stage, _, number = layer.partition("_")
    return f"vggish/{stage}/{layer}/{kind}" if number else f"vggish/{layer}/{kind}"


def read_checkpoint(network: keras.Model, path: str | Path) -> None:
    """Read a checkpoint in the published layout into the network.

    Args:
        network: What `musika.evaluation.embeddings.vggish.build_vggish` gives.
        path: The file.

    Raises:
        UserError: If it is no checkpoint, or lacks an array, or one has another shape or holds a NaN.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(path))
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"{path} is not a TensorFlow checkpoint ({reason}). Give vggish_model.ckpt from {URL}"
        ) from None
    for layer in network.layers:
        for variable, kind in zip(layer.weights, ("weights", "biases"), strict=False):
            name = checkpoint_name(layer.name, kind)
            if tuple(shapes.get(name, ())) != tuple(variable.shape):
                found = shapes.get(name, "nothing")
                raise UserError(
                    f"{path} is not a VGGish checkpoint: {name} must have the shape {list(variable.shape)}."
                    f" Received: {found}. Give vggish_model.ckpt from {URL}"
                )
            values = np.asarray(reader.get_tensor(name), np.float32)
            if not np.isfinite(values).all():
                raise UserError(f"{path}: {name} holds NaN or infinity. Download {URL} again.")
            variable.assign(values)


def obtain_weights(network: keras.Model, weights: str | Path | None = None) -> str:
    """Put the weights into the network.

    Official weights are kept in the cache once they were given or downloaded.

    Args:
        network: What `musika.evaluation.embeddings.vggish.build_vggish` gives.
        weights: A checkpoint file; when left out, the official weights as kept before, else downloaded.

    Returns:
        SHA-256 of the checkpoint file, in hexadecimal digits.

    Raises:
        UserError: If the file is missing or no VGGish checkpoint, or the download fails or is not the official file.
    """
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise UserError(f"there is no weights file {path}. Give vggish_model.ckpt from {URL}")
        try:
            digest = file_hash(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None
        read_checkpoint(network, path)
        if digest == OFFICIAL_SHA256 and not kept_weights().is_file():
            _keep(network)
        return digest
    if kept_weights().is_file():
        load_weights({"vggish": network}, kept_weights())
        return OFFICIAL_SHA256
    _make_cache()
    with tempfile.TemporaryDirectory(dir=kept_weights().parent) as folder:
        path = Path(folder) / "vggish_model.ckpt"
        _download(path)
        read_checkpoint(network, path)
    _keep(network)
    return OFFICIAL_SHA256


def _make_cache() -> None:
    """Make the cache folder."""
    folder = kept_weights().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the cache folder {folder}: {error.strerror}. Set XDG_CACHE_HOME to another folder."
        ) from None


def _keep(network: keras.Model) -> None:
    """Keep the official weights in the cache."""
    _make_cache()
    try:
        save_weights({"vggish": network}, kept_weights())
    except OSError as error:
        raise UserError(f"cannot write {kept_weights()}: {error}. Set XDG_CACHE_HOME to another folder.") from None


def _chunks() -> Iterator[bytes]:
    """The official file from the network."""
    try:
        with urllib.request.urlopen(URL, timeout=_TIMEOUT) as response:
            total = int(response.headers.get("Content-Length") or 0) or None
            with tqdm(total=total, desc="VGGish weights", unit="B", unit_scale=True, leave=False, disable=None) as bar:
                while chunk := response.read(_CHUNK):
                    bar.update(len(chunk))
                    yield chunk
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"the VGGish weights cannot be downloaded ({reason}). Fetch {URL} where the network allows it and give it"
            " with --weights FILE."
        ) from None


def _download(path: Path) -> None:
    """Download the official file and check it."""
    digest = hashlib.sha256()
    chunks = _chunks()
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}. Set XDG_CACHE_HOME to another folder.") from None
    if digest.hexdigest() != OFFICIAL_SHA256:
        raise UserError(
            f"the file at {URL} is not the official one: its SHA-256 must be {OFFICIAL_SHA256}."
            f" Received: {digest.hexdigest()}. Try again, or give the official file with --weights FILE."
        )
