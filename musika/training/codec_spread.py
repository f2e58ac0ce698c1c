"""How far left and right must be set apart, measured on what the codec makes of its training music."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from musika.audio.spectral import analyse
from musika.audio.stereo import side_share, spread_depth
from musika.autoencoder.codec import Codec
from musika.config import Config

_EXCERPTS, _SECONDS = 24, 6.0


def measure_spread(networks: dict[str, keras.Model], config: Config, tracks: Sequence[NDArray[np.int16]]) -> None:
    """Set the spread of a compact decoder that has one.

    Args:
        networks: The four networks by name.
        config: The config that plays them.
        tracks: Training music, `(samples, 2)` each.
    """
    spread = getattr(networks["level1_decoder"], "spread", None)
    if spread is None:
        return
    spread.assign(np.zeros(spread.shape, np.float32))
    codec = Codec(config, networks, precision="float32")
    length = round(_SECONDS * config.sample_rate)
    spectra: dict[str, list[NDArray]] = {"before": [], "after": []}
    for index in np.linspace(0, len(tracks) - 1, min(_EXCERPTS, len(tracks))).round().astype(int):
        start = max(len(tracks[index]) - length, 0) // 2
        excerpt = tracks[index][start : start + length].astype(np.float32) / 32768
        after = codec.decode(codec.encode(excerpt), samples=len(excerpt))
        for name, audio in (("before", excerpt), ("after", after)):
            spectra[name].append(analyse(audio, config.spectral))
    shares = {name: side_share(*np.concatenate(parts, axis=1)) for name, parts in spectra.items()}
    spread.assign(spread_depth(shares["after"], shares["before"]))
