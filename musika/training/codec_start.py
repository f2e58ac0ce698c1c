"""Starting a codec's training from another codec: which weights are taken over, and what is noted of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.checks import UserError
from musika.preset_names import METADATA_FILE, find_preset
from musika.training.codec_phase import NETWORKS
from musika.training.run import read_json

_PHASE_HEAD = "level1_decoder/phase/"  # makes fewer bins where the lowest ones have a phase recurrence


def origin_of(start: str | Path | None) -> dict[str, Any]:
    """What a run notes of the codec that it starts from.

    Args:
        start: A preset or run; None for none.

    Returns:
        ``from``, its folder, and ``earlier``, its trainings, the first one first.

    Raises:
        UserError: If there is no such preset.
    """
    if start is None:
        return {"from": None}
    folder = find_preset(start).resolve()
    notes = dict(read_json(folder / METADATA_FILE).get("codec_training", {}))
    return {"from": str(folder), "earlier": [*notes.pop("earlier", []), notes] if notes else []}


def upper_bins(values: np.ndarray, count: int) -> np.ndarray:
    """What a phase head for more bins holds for the upper ones alone: cosines and sines lie side by side.

    Args:
        values: Kernel or bias, `(..., 2 * bins)`.
        count: Twice the number of bins wanted.

    Returns:
        `(..., count)`, or all of it if it holds no more than that.

    >>> upper_bins(np.array([0, 1, 2, 10, 11, 12]), 4).tolist()
    [1, 2, 11, 12]
    """
    halves = np.reshape(values, (*values.shape[:-1], 2, -1))
    return np.reshape(halves[..., -(count // 2) :], (*values.shape[:-1], -1))


def take_over_networks(
    networks: dict[str, keras.Model], source: dict[str, keras.Model], say: Callable[[str], None] = print
) -> None:
    """Set the weights of a codec's networks to those of another codec.

    A network whose weights all fit is taken over whole; of another one the variables of equal path and shape are, and
    the rest stays as it is.

    Args:
        networks: The four networks to set.
        source: Those to take from.
        say: Told what stays new.

    Raises:
        UserError: If principal components do not fit: without them nothing else would make sense.
    """
    for name in NETWORKS:
        held = {item.path: item for item in source[name].variables}
        new = []
        for variable in networks[name].variables:
            value = held.get(variable.path)
            if value is not None and variable.path.startswith(_PHASE_HEAD):
                value = upper_bins(keras.ops.convert_to_numpy(value), variable.shape[-1])
            if value is not None and tuple(value.shape) == tuple(variable.shape):
                variable.assign(value)
            else:
                new.append(variable.path.removeprefix(f"{name}/"))
        if any(path.startswith("components/") for path in new):
            raise UserError(
                f"--from: the {name.replace('_', ' ')} has other sizes in that codec. Keep spectral, latent_channels,"
                " level1_channels and frames_per_latent as they are there, or train without --from."
            )
        if new:
            say(f"{name}: new are {', '.join(sorted({path.split('/')[0] for path in new}))}; the rest is taken over.")
        else:
            say(f"{name}: taken over.")
