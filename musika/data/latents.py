"""Latent files: what ``musika encode`` writes, what ``musika decode`` and the generator's training read.

An ``.npz`` without pickle that holds

- ``latents``: float32 ``(steps, 2 * latent_channels)``, left channel's latents first, then the right one's;
- ``codec``: hash of the codec that made them, and ``codec_name``, the name it was loaded by (may be empty);
- ``sample_rate`` in Hz and ``samples``, the length of the audio;
- ``source``: the audio file's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.arrays import read_arrays
from musika.audio.reading import show_path
from musika.audio.writing import replacing
from musika.checks import UserError

Floats = NDArray[np.float32]

LATENT_ENDING = ".npz"
_REQUIRED = ("latents", "codec", "sample_rate", "samples", "source")


@dataclass(frozen=True)
class LatentFile:
    """The latents of one audio file.

    Attributes:
        latents: float32 array of shape ``(steps, 2 * latent_channels)``.
        codec: Hash of the codec that made them.
        sample_rate: The audio's sample rate in Hz.
        samples: The audio's length in samples.
        source: The audio file's name.
        codec_name: The name by which the codec was loaded; only a help for messages.
    """

    latents: Floats
    codec: str
    sample_rate: int
    samples: int
    source: str
    codec_name: str = ""


def save_latents(path: str | Path, file: LatentFile) -> None:
    """Write a latent file; it gets its name when it is complete.

    Args:
        path: The file, ending in ``.npz``.
        file: What it shall hold.

    Raises:
        UserError: If it cannot be written.
    """
    with replacing(path) as aside, open(aside, "wb") as handle:
        np.savez(
            handle,
            latents=np.asarray(file.latents, np.float32),
            codec=np.str_(file.codec),
            codec_name=np.str_(file.codec_name),
            sample_rate=np.int64(file.sample_rate),
            samples=np.int64(file.samples),
            source=np.str_(show_path(file.source)),
        )


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a latent file."""
    names = (*_REQUIRED, "codec_name")
    arrays = read_arrays(path, "not a latent file", "`musika encode` makes latent files from audio.", names)
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise UserError(
            f"{show_path(path)}: not a latent file ({', '.join(missing)} missing). `musika encode` makes latent files."
        )
    return arrays


def load_latents(path: str | Path, codec: str | None = None, codec_name: str = "") -> LatentFile:
    """Read a latent file.

    Args:
        path: The file.
        codec: Hash of the codec that the latents must be of; None accepts any.
        codec_name: That codec's name, for the message.

    Returns:
        What the file holds.

    Raises:
        UserError: If it is missing, damaged, not a latent file, or another codec made it.
    """
    shown = show_path(path)
    arrays = _read(Path(path))
    latents = arrays["latents"]
    numbers = all(np.issubdtype(arrays[name].dtype, np.integer) for name in ("sample_rate", "samples"))
    texts = all(arrays[name].dtype.kind == "U" for name in ("codec", "source"))
    single = all(arrays[name].size == 1 for name in arrays if name != "latents")
    if not (numbers and texts and single) or latents.dtype != np.float32 or latents.ndim != 2 or latents.shape[1] % 2:
        raise UserError(
            f"{shown}: damaged: latents must be float32 of shape (steps, 2 * channels)."
            f" Received: {latents.dtype} of shape {latents.shape}. Encode the audio again."
        )
    file = LatentFile(
        latents=latents,
        codec=str(arrays["codec"].item()),
        sample_rate=int(arrays["sample_rate"].item()),
        samples=int(arrays["samples"].item()),
        source=str(arrays["source"].item()),
        codec_name=str(arrays["codec_name"].item()) if "codec_name" in arrays else "",
    )
    if file.sample_rate < 1 or file.samples < 0:
        raise UserError(
            f"{shown}: damaged: {file.samples} samples at {file.sample_rate} Hz are no audio. Encode the audio again."
        )
    if not np.isfinite(latents).all():
        raise UserError(f"{shown}: damaged: the latents hold NaN or infinite values. Encode the audio again.")
    if codec is not None and file.codec != codec:
        made_by = f"{file.codec_name!r} (codec {file.codec})" if file.codec_name else f"codec {file.codec}"
        wanted = f"{codec_name!r} (codec {codec})" if codec_name else f"codec {codec}"
        raise UserError(
            f"{shown}: made by {made_by}, which {wanted} cannot read."
            " Use --checkpoint with the preset that made it, or encode the audio again."
        )
    return file
