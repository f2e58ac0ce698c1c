"""Our networks against outputs that the original code computed: every stage on its given input, noise off.

The expected arrays (``expected.npz``) are, with any number of dummy axes of length 1 in between:

==================  ===========================================  ==================================================
array               shape                                        meaning
==================  ===========================================  ==================================================
``coordinates``     (windows, window, 2 * coordinate channels)   the generator's input
``latents``         (windows, window, 2 * latent channels)       its output; the windows joined are one piece
``critic``          (windows, 1)                                 judgements of the latents
``level1_latents``  (2, blocks, frames, level-1 channels)        the piece's first blocks, left and right
``magnitude``       (2, blocks, frames, bins)                    the same blocks
``phase``           (2, blocks, frames, bins)                    the same blocks, in units of pi
``waveform``        (samples, 2)                                 the whole piece, before clipping
``audio``           (samples,)                                   one channel to encode
``spectrogram``     (bins, frames)                               its first frames
``encoded_level1``  (frames, level-1 channels)                   all of it
``encoded_level2``  (latents, latent channels)                   all of it
==================  ===========================================  ==================================================

Errors are norms of differences, relative to the norm of what is expected. Spectrograms are compared as amplitudes: on a
logarithmic scale, the rounding of float32 alone moves a bin far under its frame's peak by more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.arrays import read_arrays
from musika.audio.spectral import amplitude, analyse, log_magnitude, synthesise_scaled
from musika.checks import UserError
from musika.config import Config
from musika.upstream import Published

TOLERANCE = 1e-5
CHUNK_FRAMES = 1024  # frames that go through a network at once; a multiple of every published block
ARRAYS = (
    "coordinates",
    "latents",
    "critic",
    "level1_latents",
    "magnitude",
    "phase",
    "waveform",
    "audio",
    "spectrogram",
    "encoded_level1",
    "encoded_level2",
)


@dataclass(frozen=True)
class StageError:
    """How far one stage is from the original.

    Attributes:
        stage: Name of the stage.
        error: Relative error; None if the stage was not checked.
        note: Why it was not checked.
    """

    stage: str
    error: float | None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within ``TOLERANCE``; a stage that was not checked passes."""
        return self.error is None or self.error <= TOLERANCE


def relative_error(received: np.ndarray, expected: np.ndarray) -> float:
    """The size of a difference, relative to the size of what is expected.

    Args:
        received: Our array.
        expected: The original's array, of the same shape.

    Returns:
        ``|received - expected| / |expected|`` with Euclidean norms; infinite if either is not finite. The largest
        single difference would not do: another order of float32 sums alone brings it over 1e-5 in a waveform.

    >>> relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0]))
    0.1
    """
    exact = expected.astype(np.float64)
    difference, norm = float(np.linalg.norm(received - exact)), float(np.linalg.norm(exact))
    if not np.isfinite(difference + norm):
        return np.inf
    return difference / norm if norm else difference


def read_expected(path: str | Path, critic: bool) -> dict[str, np.ndarray]:
    """Read the expected arrays.

    Args:
        path: An ``.npz`` file.
        critic: Whether the critic's judgements are needed.

    Returns:
        The arrays by name.

    Raises:
        UserError: If the file or an array in it is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"--check: there is no file {path}. Give the .npz file of expected arrays.")
    arrays = read_arrays(path, "not a readable .npz file of expected arrays", "Give --check another one.", ARRAYS)
    missing = [name for name in ARRAYS if name not in arrays and (critic or name != "critic")]
    if missing:
        raise UserError(f"--check: {path} lacks these arrays: {', '.join(missing)}.")
    return arrays


def _shaped(values: np.ndarray, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One expected array without dummy axes, or an error that names it."""
    if values.size and values.dtype.kind == "f":
        try:
            return values.reshape(shape).astype(np.float32)
        except ValueError:
            pass
    wanted = ", ".join("any" if size < 0 else str(size) for size in shape)
    raise UserError(
        f"--check: array {name!r} does not fit the imported networks, which need ({wanted}). "
        f"Received: shape {values.shape}, {values.dtype}"
    )


def run_in_chunks(model: keras.Model, values: np.ndarray, rows: int, noise_stride: int = 1) -> list[np.ndarray]:
    """Run a model along time, a chunk after the other, with its noise at zero.

    Args:
        model: A network of the codec, or the generator.
        values: `(batch, steps, channels)`.
        rows: Steps of a chunk.
        noise_stride: Rows of noise for a step of the input.

    Returns:
        The model's outputs, joined in time.
    """
    parts = []
    for start in range(0, values.shape[1], rows):
        chunk = values[:, start : start + rows]
        inputs: Any = chunk
        if model.noise_layers:
            size = (len(chunk), chunk.shape[1] * noise_stride, model.noise_layers)
            inputs = [chunk, np.zeros(size, np.float32)]
        outputs = model(inputs, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        parts.append([keras.ops.convert_to_numpy(output) for output in outputs])
    return [np.concatenate(output, axis=1) for output in zip(*parts, strict=True)]


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shapes of the expected arrays without dummy axes; -1 stands for any length."""
    codec, settings, bins = config.codec, config.generator, config.spectral.bins
    return {
        "coordinates": (-1, settings.patch_latents, 2 * settings.coordinate_channels),
        "latents": (-1, settings.window_latents, 2 * codec.latent_channels),
        "critic": (-1, 1),
        "level1_latents": (2, -1, codec.level1_channels),
        "magnitude": (2, -1, bins),
        "phase": (2, -1, bins),
        "waveform": (-1, 2),
        "audio": (-1,),
        "spectrogram": (bins, -1),
        "encoded_level1": (-1, codec.level1_channels),
        "encoded_level2": (-1, codec.latent_channels),
    }


class _Stages:
    """The stages of one set of networks."""

    def __init__(self, published: Published, arrays: dict[str, np.ndarray]) -> None:
        self.published = published
        self.config: Config = published.config
        shapes = _shapes(self.config)
        self.arrays = {name: _shaped(values, name, shapes[name]) for name, values in arrays.items()}
        self.arrays["spectrogram"] = self.arrays["spectrogram"].T  # (frames, bins), as all the others
        self.per_latent = self.config.codec.frames_per_latent
        for name, block in (("level1_latents", self.config.codec.decoder_frames), ("encoded_level1", self.per_latent)):
            steps = self.arrays[name].shape[-2]
            if steps < block or (name == "level1_latents" and steps % block):
                raise UserError(f"--check: array {name!r} must hold whole blocks of {block} frames. Received: {steps}")

    def _compare(self, stage: str, received: np.ndarray, name: str, expected: np.ndarray | None = None) -> StageError:
        """Compare with the expected array, which may be a beginning of ours along the time axis."""
        expected = self.arrays[name] if expected is None else expected
        steps = expected.shape[-2]
        if steps > received.shape[-2]:
            raise UserError(
                f"--check: array {name!r} is longer than what its input gives. "
                f"Received: {steps} steps, at most {received.shape[-2]}"
            )
        return StageError(stage, relative_error(received[..., :steps, :], expected))

    def _run(self, name: str, values: np.ndarray, rows: int, noise_stride: int = 1) -> list[np.ndarray]:
        return run_in_chunks(self.published.codec[name], values, rows, noise_stride)

    def generator(self) -> Iterator[StageError]:
        """Coordinates -> latents, and the critic's view of them."""
        model, patch = self.published.generator, self.config.generator.patch_latents
        if model is None:
            yield StageError("generator", None, "not imported")
        else:
            patches = run_in_chunks(model, self.arrays["coordinates"], patch)[0]
            expected = self.arrays["latents"].reshape(-1, patches.shape[-1])
            yield self._compare("generator", patches.reshape(-1, patches.shape[-1]), "latents", expected)
        critic = self.published.critic
        if critic is None:
            yield StageError("critic", None, "no critic.h5")
        else:
            judged = keras.ops.convert_to_numpy(critic(self.arrays["latents"], training=False))
            yield self._compare("critic", judged, "critic")

    def _decode_level2(self) -> np.ndarray:
        windows = self.arrays["latents"]
        left_right = np.stack(np.split(windows.reshape(-1, windows.shape[-1]), 2, axis=-1))
        return self._run("level2_decoder", left_right, CHUNK_FRAMES // self.per_latent, self.per_latent)[0]

    def decoders(self) -> Iterator[StageError]:
        """Latents -> level-1 latents -> magnitude and phase."""
        yield self._compare("level-2 decoder", self._decode_level2(), "level1_latents")
        magnitude, phase = self._run("level1_decoder", self.arrays["level1_latents"], CHUNK_FRAMES)
        yield self._compare("level-1 decoder, magnitude", magnitude, "magnitude")
        yield self._compare("level-1 decoder, phase", phase, "phase")

    def encoders(self) -> Iterator[StageError]:
        """Audio -> spectrogram -> level-1 latents -> latents."""
        spectral, given = self.config.spectral, self.arrays["spectrogram"]
        encoded = self.arrays["encoded_level1"]
        magnitude = log_magnitude(analyse(self.arrays["audio"], spectral), spectral)
        yield self._compare("spectrogram", amplitude(magnitude, spectral), "spectrogram", amplitude(given, spectral))
        level1 = self._run("level1_encoder", given[None], CHUNK_FRAMES)[0][0]
        yield self._compare("level-1 encoder", level1, "encoded_level1", encoded[: len(level1)])
        whole = encoded[: len(encoded) // self.per_latent * self.per_latent]
        latents = self._run("level2_encoder", whole[None], CHUNK_FRAMES)[0]
        yield self._compare("level-2 encoder", latents[0], "encoded_level2")

    def waveform(self) -> Iterator[StageError]:
        """Latents -> waveform."""
        magnitude, phase = self._run("level1_decoder", self._decode_level2(), CHUNK_FRAMES)
        audio = synthesise_scaled(magnitude, phase, self.config.spectral)
        yield self._compare("waveform", audio, "waveform")


def check_parity(
    published: Published, expected: str | Path, report: Callable[[StageError], None] = lambda stage: None
) -> list[StageError]:
    """Run every stage on its given input, with the noise off, and compare with the original's output.

    Args:
        published: The imported networks.
        expected: The ``.npz`` file of expected arrays.
        report: Called with each stage as soon as it is done.

    Returns:
        All stages.

    Raises:
        UserError: If the file is not readable or its arrays do not fit the networks.
    """
    stages = _Stages(published, read_expected(expected, critic=published.critic is not None))
    results = []
    for group in (stages.generator, stages.decoders, stages.encoders, stages.waveform):
        for result in group():
            report(result)
            results.append(result)
    return results
