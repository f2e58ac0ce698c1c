"""What makes two codecs the same: the encoders say what latents mean, the decoders only how they sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from musika.config import Config, changed_settings
from musika.weights import fingerprint

# Settings that latents do not depend on: the decoders' shape, and what is added in training.
_DECODER_SETTINGS = ("decoder_frames", "phase", "phase_iterations")
# Of the compact widths likewise these, and all that begin with "phase_".
_DECODER_WIDTHS = ("trunk", "trunk_blocks", "head", "ceiling", "match", "spread", "latent_noise")


def latent_hash(config: Config, networks: Mapping[str, keras.Model]) -> str:
    """Fingerprint of what latents mean: a codec whose decoders alone were trained further keeps it.

    Args:
        config: The config; ``sample_rate``, ``spectral`` and what shapes the encoders matter.
        networks: At least the two encoders by name.

    Returns:
        16 hexadecimal digits, the same at half precision.
    """
    codec = changed_settings(config.codec)
    widths = {
        key: value
        for key, value in codec.pop("compact", {}).items()
        if key not in _DECODER_WIDTHS and not key.startswith("phase_")
    }
    settings = {
        "sample_rate": config.sample_rate,
        "spectral": changed_settings(config.spectral),
        "codec": {key: value for key, value in codec.items() if key not in _DECODER_SETTINGS},
        "widths": widths,
    }
    return fingerprint(settings, [networks["level1_encoder"], networks["level2_encoder"]])


def decoder_hash(config: Config, networks: Mapping[str, keras.Model]) -> str:
    """Fingerprint of how latents sound.

    Args:
        config: The config; ``codec`` matters.
        networks: At least the two decoders by name.

    Returns:
        16 hexadecimal digits, the same at half precision.
    """
    settings: dict[str, Any] = changed_settings(config.codec)
    return fingerprint(settings, [networks["level1_decoder"], networks["level2_decoder"]])
