"""CLAP and EnCodec as the `transformers` package has them: extras, imported when asked for.

Weights come from the Hugging Face hub or a folder, as safetensors only, so nothing in them can run.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError, check_number
from musika.evaluation.embeddings.base import Embedding, Floats, sliding

_GROUP = 8  # windows that go through a network at a time


def _import_extra(name: str) -> tuple[Any, Any]:
    """Import `torch` and `transformers`, or say which extra brings them."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise UserError(
            f"embedding {name!r} needs the package {error.name or error}. Install it with: pip install musika[{name}]"
        ) from None
    return torch, transformers


def _fetch(kind: Any, model: str, **options: Any) -> Any:
    """Call ``from_pretrained``, with an error for people."""
    try:
        return kind.from_pretrained(model, **options)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the pretrained model {model!r} cannot be loaded ({reason}). Give its name on the Hugging Face hub, or a"
            " folder that holds it with model.safetensors."
        ) from None


def _fetch_network(kind: Any, model: str) -> Any:
    """Load a pretrained network whole: what a file lacks, `transformers` would fill with random numbers."""
    network, about = _fetch(kind, model, use_safetensors=True, output_loading_info=True)
    missing = sorted(about["missing_keys"])
    if missing:
        raise UserError(
            f"{model!r} is not a pretrained {kind.__name__}: it lacks {len(missing)} weights, the first {missing[0]}."
            " Choose another model."
        )
    return network.eval()


def _hash(network: Any) -> str:
    """SHA-256 of a network's weights, by name, shape and value."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        array = values.detach().cpu().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class _Pretrained(Embedding):
    """A network of `transformers` that takes windows of audio."""

    def _prepare(self, network: Any, model: str, hop: float, window: float) -> None:
        """Note what the network is and how it is used."""
        self._network = network
        self.window_seconds = window
        self.hop_seconds = check_number(hop, "hop", 0.1, window)
        self.weights_hash = _hash(network)
        self.settings = {"version": 1, "model": model, "hop": self.hop_seconds}

    def _rows(self, blocks: Iterator[Floats]) -> Iterator[NDArray]:
        """Vectors of a stream."""
        window, hop = (round(seconds * self.sample_rate) for seconds in (self.window_seconds, self.hop_seconds))
        for windows in sliding(blocks, window, hop, _GROUP):
            with self._torch.inference_mode():
                yield self._vectors(np.ascontiguousarray(windows))

    _torch: Any

    @abstractmethod
    def _vectors(self, windows: Floats) -> Floats:
        """Vectors `(windows, dimension)` of windows `(windows, channels, samples)`."""


class Clap(_Pretrained):
    """The audio half of LAION's CLAP: 10 s of 48 kHz mono to 512 numbers of unit length.

    Source: Wu et al. 2023, "Large-scale contrastive language-audio pretraining".

    Args:
        model: Name on the Hugging Face hub, or a folder; a model without fusion.
        hop: Seconds from one window to the next.

    Raises:
        UserError: If the extra is not installed, or the model cannot be loaded or fuses.
    """

    name = "clap"

    def __init__(self, model: str = "laion/larger_clap_music", hop: float = 1.0) -> None:
        self._torch, transformers = _import_extra(self.name)
        network = _fetch_network(transformers.ClapModel, model)
        if network.config.audio_config.enable_fusion:
            raise UserError(f"embedding 'clap': {model!r} fuses parts drawn at random. Choose a model without fusion.")
        self._extractor = _fetch(transformers.ClapFeatureExtractor, model)
        self.sample_rate, self.channels = int(self._extractor.sampling_rate), 1
        self.dimension = int(network.config.projection_dim)
        # Exactly as long as the network takes: a longer window would be cut at random, a shorter one repeated.
        self._prepare(network, model, hop, self._extractor.nb_max_samples / self.sample_rate)

    def _vectors(self, windows: Floats) -> Floats:
        """Vectors of windows `(windows, 1, samples)`."""
        inputs = self._extractor(list(windows[:, 0]), sampling_rate=self.sample_rate, return_tensors="pt")
        made = self._network.get_audio_features(input_features=inputs["input_features"], is_longer=inputs["is_longer"])
        made = getattr(made, "pooler_output", made)  # an object since transformers 5, a tensor before
        return np.asarray(made.cpu().numpy(), np.float32)


class Encodec(_Pretrained):
    """EnCodec's continuous latents, before quantisation: the mean of a second's frames, 128 numbers.

    Source: Défossez et al. 2022, "High fidelity neural audio compression". The 48 kHz model levels each window first.

    Args:
        model: Name on the Hugging Face hub, or a folder.
        hop: Seconds from one window to the next.

    Raises:
        UserError: If the extra is not installed, or the model cannot be loaded.
    """

    name = "encodec"

    def __init__(self, model: str = "facebook/encodec_48khz", hop: float = 0.5) -> None:
        self._torch, transformers = _import_extra(self.name)
        network = _fetch_network(transformers.EncodecModel, model)
        config = network.config
        self.sample_rate, self.channels = int(config.sampling_rate), int(config.audio_channels)
        self.dimension, self._levelled = int(config.hidden_size), bool(config.normalize)
        self._prepare(network, model, hop, 1.0)

    def _vectors(self, windows: Floats) -> Floats:
        """Vectors of windows `(windows, channels, samples)`."""
        if self._levelled:
            mono = windows.mean(axis=1, keepdims=True)
            windows = windows / (np.sqrt(np.square(mono).mean(axis=-1, keepdims=True)) + 1e-8)
        latents = self._network.encoder(self._torch.from_numpy(windows))
        return np.asarray(latents.mean(dim=-1).cpu().numpy(), np.float32)
