"""Musika: a seed becomes an endless piece of stereo music, faster than it can be heard, on an ordinary CPU.

    learn   audio --read--> waveform --analyse--> log-magnitude --level1.encode--> L1 --level2.encode--> latents
                                                                                                            |
                                                                                                            v
    play    seed --anchors--> coordinates --> generator  <--------------- trained by -------------------  latent GAN
                                                  |
                                               latents --level2.decode--> L1 --level1.decode--> (log-magnitude, phase)
                                                                                                            |
            file, stream <--write-- waveform <--limit-- <--synthesise (inverse STFT, overlap-add)-----------+

Read in this order: ``piece.py`` (the whole machine), ``autoencoder/codec.py`` (audio <-> latents),
``gan/coordinates.py`` and ``gan/generator.py`` (seed -> latents), ``training/latent_gan.py`` (how it learns).

    import musika
    preset = musika.load("techno")
    piece = preset.piece(seed=7, truncation=2.0)
    audio = piece.render(start=0.0, seconds=60.0)         # float32, (samples, 2)
    latents = preset.codec.encode(audio)                  # float32, (steps, 2 * latent_channels)

Importing the package is cheap: networks and their framework are imported when the first public name is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from musika.version import __version__

__all__ = ["Piece", "Preset", "UserError", "__version__", "load"]

_LAZY = {
    "load": ("musika.presets", "load"),
    "Preset": ("musika.presets", "Preset"),
    "Piece": ("musika.piece", "Piece"),
    "UserError": ("musika.checks", "UserError"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'musika' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
