"""How far left and right must be set apart, measured on what the codec makes of its training music."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from musika.audio.spectral import analyse, log_magnitude
from musika.audio.stereo import side_share, spread_depth
from musika.autoencoder import decoded
from musika.config import Config
from musika.evaluation.reconstruction import clip_samples

_EXCERPTS = 24


def measure_spread(networks: dict[str, keras.Model], config: Config, tracks: Sequence[NDArray[np.int16]]) -> None:
    """Set the spread of a compact decoder that has one.

    Args:
        networks: The four networks by name.
        config: Their config.
        tracks: Training music, `(samples, 2)` each.
    """
    decoder = networks["level1_decoder"]
    if getattr(decoder, "spread", None) is None:
        return
    length = clip_samples(config)
    before, after = [], []
    for index in np.linspace(0, len(tracks) - 1, min(_EXCERPTS, len(tracks))).round().astype(int):
        start = max(len(tracks[index]) - length, 0) // 2
        excerpt = np.zeros((length, 2), np.float32)
        music = tracks[index][start : start + length]
        excerpt[: len(music)] = music / np.float32(32768)
        spectra = analyse(excerpt, config.spectral)
        before.append(spectra)
        coded = log_magnitude(spectra, config.spectral)
        for name in ("level1_encoder", "level2_encoder", "level2_decoder"):
            coded = networks[name](coded)
        parts = tuple(keras.ops.convert_to_numpy(part) for part in decoder.heads(coded))
        after.append(decoded.spectrum_of(parts, decoder, config.spectral))
    shares = [side_share(*np.concatenate(parts, axis=1)) for parts in (after, before)]
    decoder.spread.assign(spread_depth(*shares))
