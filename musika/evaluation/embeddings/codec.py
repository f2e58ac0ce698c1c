"""A preset's own latents as an embedding: how far two sets of audio are apart as the generator sees music.

Every latent step is a vector: the left channel's latents, then the right channel's, about 11 a second. A step knows
its surroundings through the encoder's context, so windows of several steps would add dimensions and little else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from numpy.typing import NDArray

from musika.checks import UserError
from musika.evaluation.embeddings.base import Embedding, Floats


class CodecLatents(Embedding):
    """The latent steps of a preset's codec.

    Args:
        preset: A preset's name or folder.

    Raises:
        UserError: If there is no such preset, or none is named.
    """

    name = "codec"

    def __init__(self, preset: str | Path = "") -> None:
        from musika.preset_names import preset_names
        from musika.presets import load_preset

        if not preset:
            known = ", ".join(preset_names()) or "none came with the package"
            raise UserError(f"embedding 'codec' needs a preset ({known}, or a folder). Received: none. Give --preset.")
        self._codec = load_preset(preset, "float32").codec
        config = self._codec.config
        self.sample_rate, self.channels = config.sample_rate, 2
        self.hop_seconds = config.latent_hop / config.sample_rate
        self.window_seconds = self.hop_seconds
        self.dimension = 2 * config.codec.latent_channels
        self.weights_hash = self._codec.hash
        self.settings = {"version": 1, "latent_hop": config.latent_hop}  # the hash stands for the rest

    def _rows(self, blocks: Iterator[Floats]) -> Iterator[NDArray]:
        """Latent steps of a stream."""
        yield from self._codec.encode_stream(blocks)
