"""What training goes on from beside a preset's generator: the critic that it grew up with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from musika.checks import UserError
from musika.hub import TRAINING_WEIGHTS


def add_training_networks(source: Path, folder: Path, known: list[str], dtype: str = "float32") -> list[str]:
    """Put the critic beside a copy of a preset: the preset's own, or that of the run that it lies in.

    Args:
        source: The preset's folder.
        folder: The copy's folder.
        known: What the preset's metadata says that it holds of its training.
        dtype: Of a run's critic, ``float32``, or ``float16`` for half the size; the preset's own stays as it is.

    Returns:
        What the copy holds now, for its metadata.

    Raises:
        UserError: If there is no critic, or it cannot be read.
    """
    if known and (source / TRAINING_WEIGHTS).is_file():
        shutil.copyfile(source / TRAINING_WEIGHTS, folder / TRAINING_WEIGHTS)
        return known
    weights = source.parent / "last" / "critic.weights.h5"
    if not weights.is_file():
        raise UserError(
            f"{source} has no critic to share: it is neither imported with one nor in the folder of the run that"
            " trained it. Leave --training out."
        )
    from musika.config import config_from_dict
    from musika.gan.critic import build_critic
    from musika.weights import save_weights

    critic = build_critic(config_from_dict(json.loads((source / "config.json").read_text(encoding="utf-8"))))
    try:
        critic.load_weights(str(weights))
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{weights} cannot be read ({reason}). Leave --training out.") from None
    save_weights({"critic": critic}, folder / TRAINING_WEIGHTS, dtype)
    return ["critic"]
