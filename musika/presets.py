"""Presets: everything that makes a kind of music, in one folder.

    config.json            every setting
    metadata.json          who made it from what; its codec's fingerprint
    codec.weights.h5       the codec, or metadata's `codec` names another preset folder that holds it
    generator.weights.h5   the generator, if there is one, and its refiner, if it has one
    statistics.npz         mean and standard deviation of each latent channel, if the generator makes normalised latents
    MODEL_CARD.md          for people

A preset is found by its folder, by the folder of the training run that made it, or, if it came with the package, by
its name.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.arrays import STATISTICS_BYTES, read_arrays
from musika.audio.stereo import from_mid_side, to_mid_side
from musika.autoencoder.codec import WEIGHTS_FILE as CODEC_FILE
from musika.autoencoder.codec import Codec
from musika.autoencoder.graphs import compiled, cpu_has_bfloat16, run_graph
from musika.checks import UserError
from musika.config import Config, ControlConfig, changed_settings, config_from_dict
from musika.gan.generator import build_generator
from musika.gan.refiner import Refiner, build_refiner
from musika.piece import DEFAULT_TRUNCATION, Piece
from musika.preset_names import METADATA_FILE, find_preset, preset_names
from musika.resources import replace_folder
from musika.threads import one_thread_an_operation
from musika.version import __version__
from musika.weights import fingerprint, load_weights, randomise, save_weights

CONFIG_FILE = "config.json"
GENERATOR_FILE = "generator.weights.h5"
STATISTICS_FILE = "statistics.npz"
CARD_FILE = "MODEL_CARD.md"
FORMAT = 1
__all__ = ["Preset", "find_preset", "load", "load_preset", "preset_names", "random_preset", "save_preset"]


@dataclass
class Preset:
    """A codec and, usually, a generator, ready to play.

    Attributes:
        name: Its name.
        config: Its config.
        codec: The codec.
        generator: The generator; None for a codec alone.
        mean: Added to the generator's latents; array of shape ``(2 * latent_channels,)``, or 0.
        std: What the generator's latents are multiplied by before; of the same shape, or 1.
        metadata: What ``metadata.json`` holds.
        folder: Where it was read from; None if it is not on disk.
        refiner: Draws the finer channels of a piece anew; None where the generator makes all.
    """

    name: str
    config: Config
    codec: Codec
    generator: keras.Model | None = None
    mean: Any = 0.0
    std: Any = 1.0
    metadata: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    refiner: Refiner | None = None

    def __post_init__(self) -> None:
        self._graph: keras.Model | None = None
        self._refining: keras.Model | None = None

    @property
    def hash(self) -> str:
        """Fingerprint of all that decides how pieces sound: 16 hexadecimal digits."""
        settings = {
            "codec": self.codec.hash,
            "decoders": self.codec.decoder_hash,
            "generator": changed_settings(self.config.generator),
            "mean": np.asarray(self.mean, np.float32).tolist(),
            "std": np.asarray(self.std, np.float32).tolist(),
        }
        return fingerprint(settings, [network for network in (self.generator, self.refiner) if network is not None])

    def generate(self, coordinates: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Run the generator as one compiled graph.

        Args:
            coordinates: float32 array of shape ``(patches, patch_latents, 2 * coordinate_channels + control columns)``.
            noise: float32 array of shape ``(patches, patch_latents, noise_layers)``.

        Returns:
            Latents, float32 of shape ``(patches, patch_latents, 2 * latent_channels)``.

        Raises:
            UserError: If there is no generator.
        """
        network = self.generator
        if network is None:
            raise UserError(f"preset {self.name!r} has no generator. Choose another preset or train one for it.")
        if self._graph is None:
            self._graph = compiled(lambda *inputs: network(list(inputs)))
        latents = run_graph(self._graph, [coordinates, noise])[0] * self.std + self.mean
        return from_mid_side(latents) if self.config.generator.mid_side else latents

    def refine(self, latents: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Draw the finer channels of joined patches anew, by the refiner as one compiled graph.

        Args:
            latents: As from `generate`, joined, float32 array of shape ``(steps, 2 * latent_channels)``.
            noise: float32 array of shape ``(steps, channels that are drawn)``.

        Returns:
            Latents of the same shape. At both ends the context is missing, see `Refiner.reach`.

        Raises:
            UserError: If there is no refiner.
        """
        network, mid_side = self.refiner, self.config.generator.mid_side
        if network is None:
            raise UserError(f"preset {self.name!r} has no refiner. Its generator makes all channels.")
        if self._refining is None:
            self._refining = compiled(network)
        made = ((to_mid_side(latents) if mid_side else latents) - self.mean) / self.std
        refined = run_graph(self._refining, [made[None], noise[None]])[0][0] * self.std + self.mean
        return from_mid_side(refined) if mid_side else refined

    @property
    def controls(self) -> dict[str, ControlConfig]:
        """What a piece can be asked for, by name."""
        return {control.name: control for control in self.config.generator.controls}

    def piece(
        self,
        seed: int | None = None,
        truncation: float = DEFAULT_TRUNCATION,
        path: Any = None,
        seconds: float | None = None,
        **controls: Any,
    ) -> Piece:
        """Make a piece. See `musika.piece.Piece`.

        Args:
            seed: Which piece, from 0 to 2**63 - 1; None draws one.
            truncation: Bound of the normal numbers that the piece is made from.
            path: Points to travel between, such as ``[7, 12, 7]``, see `musika.paths.make_path`.
            seconds: Length over which a line such as ``"90:160"`` goes, and a path's glides that say nothing.
            **controls: What it is asked for, such as ``tempo=128``: a number, points (seconds, value), an array with a
                value a latent step, a function of seconds, or None to leave a control out.

        Returns:
            The piece.

        Raises:
            UserError: If there is no generator, no such control, or something is out of range.
        """
        return Piece(self, seed, truncation, controls, seconds, path)


def _read_json(path: Path) -> dict[str, Any]:
    """Read a preset's JSON file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"preset: {path} cannot be read ({error}). Copy the preset again.") from None
    if not isinstance(values, dict):
        raise UserError(f"preset: {path} must hold a JSON object. Copy the preset again.")
    return values


def _read_statistics(path: Path, channels: int) -> tuple[Any, Any]:
    """Read the mean and standard deviation of latents, if they are there."""
    if not path.is_file():
        return 0.0, 1.0
    arrays = read_arrays(path, "no statistics of a preset", "Copy the preset again.", most=STATISTICS_BYTES)
    if not {"mean", "std"} <= set(arrays) or any(values.dtype.kind != "f" for values in arrays.values()):
        raise UserError(f"preset: {path} must hold mean and std as numbers. Copy the preset again.")
    mean, std = (arrays[key].astype(np.float32) for key in ("mean", "std"))
    if mean.shape != (channels,) or std.shape != (channels,):
        raise UserError(
            f"preset: {path} must hold mean and std of shape ({channels},). Received: {mean.shape} and {std.shape}."
            " Copy the preset again."
        )
    return mean, std


def load_preset(name: str | Path, precision: str = "auto") -> Preset:
    """Load a preset.

    Args:
        name: A preset's folder, a training run's folder, or the name of a preset that came with the package.
        precision: In which the decoders run: ``float32``, ``bfloat16``, or ``auto`` for bfloat16 where the processor
            has it and the error stays under 0.1 dB.

    Returns:
        The preset.

    Raises:
        UserError: If there is no such preset, a file of it is missing or damaged, or the precision is unknown.
    """
    folder = find_preset(name)
    metadata = _read_json(folder / METADATA_FILE)
    if metadata.get("format", FORMAT) != FORMAT:
        raise UserError(
            f"preset: {folder} has format {metadata['format']}, this version reads {FORMAT}. Install a newer musika."
        )
    config = config_from_dict(_read_json(folder / CONFIG_FILE))
    shared = metadata.get("codec")
    codec_folder = folder / shared if shared else folder
    codec = Codec.load(codec_folder, config, precision, metadata.get("bfloat16_error_db"))
    if shared and codec.hash != metadata.get("codec_hash"):
        raise UserError(
            f"preset: {folder} was made with codec {metadata.get('codec_hash')}, but {codec_folder} holds {codec.hash}."
            " Put back the codec that it was made with."
        )
    generator = refiner = None
    if (folder / GENERATOR_FILE).is_file():
        generator, refiner = build_generator(config), build_refiner(config)
        load_weights(_named(generator, refiner), folder / GENERATOR_FILE)
    mean, std = _read_statistics(folder / STATISTICS_FILE, 2 * config.codec.latent_channels)
    name = metadata.get("name") or folder.resolve().name
    return Preset(name, config, codec, generator, mean, std, metadata, folder, refiner)


def _named(generator: keras.Model, refiner: Refiner | None) -> dict[str, keras.Model]:
    """The networks of a generator's file by their names in it."""
    return {"generator": generator} | ({} if refiner is None else {"refiner": refiner})


def load(name: str | Path, precision: str = "auto") -> Preset:
    """Load a preset to play it: `load_preset`, and TensorFlow told to play on all cores.

    What is rendered does not depend on how many cores there are, as long as TensorFlow has done nothing before in this
    process, see `musika.threads.one_thread_an_operation`.

    Args:
        name: As for `load_preset`.
        precision: As for `load_preset`.

    Returns:
        The preset.

    Raises:
        UserError: As `load_preset`.
    """
    one_thread_an_operation()
    return load_preset(name, precision)


def random_preset(config: Config, seed: int = 0, precision: str = "float32") -> Preset:
    """Make a preset with random weights, for tests and benchmarks.

    Args:
        config: Its config.
        seed: Seed of the weights.
        precision: As for `load_preset`.

    Returns:
        The preset. It is not on disk.
    """
    codec, generator, refiner = Codec(config, precision=precision), build_generator(config), build_refiner(config)
    randomise([*codec.networks.values(), generator, *([] if refiner is None else [refiner])], seed)
    return Preset(config.name, config, codec, generator, metadata={"name": config.name}, refiner=refiner)


def save_preset(
    folder: str | Path,
    config: Config,
    codec: Codec | dict[str, keras.Model],
    generator: keras.Model | None = None,
    statistics: tuple[Any, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    card: str | None = None,
    weights_dtype: str = "float32",
    shared_codec: str | Path | None = None,
    measure_precision: bool = True,
    refiner: Refiner | None = None,
) -> Path:
    """Write a preset. It is written aside and then renamed, so the folder holds the old preset or the new one.

    Args:
        folder: Its folder; what is there now is replaced.
        config: The config that networks were built from.
        codec: The codec, or its four networks by name.
        generator: The generator, if there is one.
        statistics: Mean and standard deviation of each latent channel, if the generator makes normalised latents.
        metadata: What to note in ``metadata.json``.
        card: Text of the model card.
        weights_dtype: ``float32``, or ``float16`` for half the size.
        shared_codec: Folder of another preset that holds this codec; then it is not stored here again.
        measure_precision: Whether to measure, where the processor has bfloat16, the error that it makes, so that
            loading need not.
        refiner: The generator's refiner, if there is one.

    Returns:
        The folder.

    Raises:
        UserError: If the folder holds something else than a preset, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / METADATA_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"preset: {folder} exists and is not a preset. Give another folder, or remove it first.")
    codec = codec if isinstance(codec, Codec) else Codec(config, codec)
    notes = {"format": FORMAT, "musika": __version__, "name": folder.resolve().name}
    notes |= metadata or {}
    notes["codec_hash"] = codec.hash
    if measure_precision and cpu_has_bfloat16():
        notes["bfloat16_error_db"] = round(codec.bfloat16_error_db, 4)
    if shared_codec is not None:
        notes["codec"] = Path(os.path.relpath(Path(shared_codec).resolve(), folder.resolve())).as_posix()
    aside = folder.with_name(f".{folder.resolve().name}.partial-{os.getpid()}")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        (aside / CONFIG_FILE).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
        if shared_codec is None:
            save_weights(codec.networks, aside / CODEC_FILE, weights_dtype)
        if generator is not None:
            save_weights(_named(generator, refiner), aside / GENERATOR_FILE, weights_dtype)
        if statistics is not None:
            mean, std = (np.asarray(values, np.float32) for values in statistics)
            np.savez(aside / STATISTICS_FILE, mean=mean, std=std)
        if card is not None:
            (aside / CARD_FILE).write_text(card, encoding="utf-8")
        (aside / METADATA_FILE).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
        replace_folder(aside, folder)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"preset: cannot write {folder}: {reason}. Check space and permissions.") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder
