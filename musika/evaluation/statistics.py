"""Statistics of a reference, to compare with where its audio cannot go: an ``.npz`` without pickle.

It holds ``mean`` `(features,)` and ``covariance`` `(features, features)` in double precision, and ``about``, JSON with
the embedding and all its settings, the counts, the split-half floor and the versions of the libraries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musika.arrays import read_arrays
from musika.audio.reading import show_path
from musika.audio.writing import replacing
from musika.checks import UserError
from musika.evaluation.frechet import Normal, factor_covariance

STATISTICS_ENDING = ".npz"
_FORMAT = 1
_DECISIVE = (
    "name",
    "weights_hash",
    "sample_rate",
    "channels",
    "window_seconds",
    "hop_seconds",
    "dimension",
    "settings",
)


@dataclass(frozen=True)
class Statistics:
    """The statistics of a set.

    Attributes:
        normal: Mean and covariance.
        embedding: The embedding, as `cache.describe` gives it.
        about: Source and counts, as `EmbeddedSet.about` gives them, ``floor`` and ``environment``.
    """

    normal: Normal
    embedding: dict[str, Any]
    about: dict[str, Any]


def save_statistics(path: str | Path, statistics: Statistics) -> None:
    """Write statistics; the file gets its name when it is complete.

    Args:
        path: The file, ending in ``.npz``.
        statistics: What it shall hold.

    Raises:
        UserError: If the ending is another, or the file cannot be written.
    """
    if Path(path).suffix.lower() != STATISTICS_ENDING:
        raise UserError(f"statistics must be saved as {STATISTICS_ENDING}. Received: {show_path(path)}")
    normal = statistics.normal
    about = {
        "format": _FORMAT,
        "embedding": statistics.embedding,
        "shrinkage": normal.shrinkage,
        **statistics.about,
    }
    with replacing(path) as aside, open(aside, "wb") as handle:
        np.savez(handle, mean=normal.mean, covariance=normal.covariance, about=np.str_(json.dumps(about)))


def load_statistics(path: str | Path) -> Statistics:
    """Read statistics.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        UserError: If it is missing, damaged or no such file.
    """
    shown = show_path(path)
    remedy = "`musika fad --save-statistics` makes them."
    arrays = read_arrays(path, "no statistics", remedy, ("mean", "covariance", "about"))
    try:
        mean, covariance = arrays["mean"].astype(np.float64), arrays["covariance"].astype(np.float64)
        about = json.loads(str(arrays["about"]))
        embedding, count = about.pop("embedding"), int(about["windows"])
        shrinkage = float(about.pop("shrinkage"))
        known = about.pop("format") == _FORMAT
    except (KeyError, ValueError, TypeError, AttributeError):
        raise UserError(f"{shown}: no statistics, or damaged. {remedy}") from None
    if not known:
        raise UserError(f"{shown}: statistics of an unknown format. Update musika, or save them again.")
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or len(mean) != embedding.get("dimension"):
        raise UserError(f"{shown}: damaged: mean {mean.shape}, covariance {covariance.shape}. Save them again.")
    if not np.isfinite(mean).all() or not np.isfinite(covariance).all() or not np.allclose(covariance, covariance.T):
        raise UserError(f"{shown}: damaged: mean or covariance is not finite or not symmetric. Save them again.")
    return Statistics(Normal(mean, factor_covariance(covariance), count, shrinkage), embedding, about)


def check_same_embedding(statistics: Statistics, embedding: dict[str, Any], path: str | Path) -> None:
    """Make sure that statistics are of the same embedding as what they are compared with.

    Args:
        statistics: The statistics.
        embedding: The embedding in use, as `cache.describe` gives it.
        path: Where the statistics are from, for the message.

    Raises:
        UserError: If name, weights or a setting differs.
    """
    for key in _DECISIVE:
        theirs, ours = statistics.embedding.get(key), embedding.get(key)
        if theirs != ours:
            raise UserError(
                f"{show_path(path)}: statistics of the embedding {statistics.embedding.get('name')!r} whose {key} is"
                f" {theirs!r}, but here it is {ours!r}. Use the same --embedding, or save the statistics again."
            )
