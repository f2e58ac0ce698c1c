"""Musika's published weights (Keras 2 ``.h5`` files) -> our networks.

A folder of published files holds ``enc.h5 enc2.h5 dec.h5 dec2.h5`` (the autoencoder) and ``gen_ema.h5``, sometimes
``gen.h5 critic.h5`` (the latent GAN). They are read with h5py alone; nothing is unpickled. All sizes are inferred from
the arrays, and every array must find its place by name and shape, or the import fails and names it.

Layers of the latent GAN carry stable names. Layers of the autoencoder carry automatic ones (``conv2d_14``), whose
numbers depend on the process that saved them: per kind of layer, only the ascending order means anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from musika.autoencoder.level1 import build_level1_decoder, build_level1_encoder
from musika.autoencoder.level2 import build_level2_decoder, build_level2_encoder
from musika.checks import UserError
from musika.config import Config, load_config
from musika.gan.critic import build_critic, critic_blocks
from musika.gan.generator import build_generator
from musika.gan.layers import AdaptiveNorm
from musika.keras2_files import Layers, read_layers
from musika.layers import AddNoise
from musika.resources import file_hash

CODEC_FILES = ("enc.h5", "enc2.h5", "dec.h5", "dec2.h5")
GENERATOR_FILE = "gen_ema.h5"
TRAINING_FILES = ("gen.h5", "critic.h5")
TRAINING_WEIGHTS = "training.weights.h5"

_DECODER_UNITS = ("down0", "down1", "down2", "down3", "up2", "up1", "up0", "phase1", "phase0")
# Our layers in the order of creation of the published ones, by file and kind.
_CODEC_ORDER: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "enc.h5": {"convolution": (*(f"unit{i}_conv" for i in range(5)), "output")},
    "enc2.h5": {"convolution": (*(f"unit{i}_conv" for i in range(7)), "output")},
    "dec.h5": {
        "convolution": (*(f"{name}_conv" for name in _DECODER_UNITS[:4]), "magnitude", "phase"),
        "transposed convolution": tuple(f"{name}_conv" for name in _DECODER_UNITS[4:]),
        "noise": tuple(f"{name}_noise" for name in _DECODER_UNITS),
    },
    "dec2.h5": {
        "convolution": ("unit0_conv", "unit2_conv", "unit4_conv", "output"),
        "transposed convolution": ("unit1_conv", "unit3_conv", "unit5_conv", "unit6_conv"),
        "noise": tuple(f"unit{i}_noise" for i in range(7)),
    },
}
_NUMBERED = re.compile(r"(.*?)(?:_(\d+))?")


@dataclass(frozen=True)
class Published:
    """The networks of a set of published files.

    Attributes:
        config: The sizes, inferred from the arrays.
        codec: The four networks of the autoencoder, by the names ``level1_encoder``, ``level2_encoder``,
            ``level1_decoder``, ``level2_decoder``.
        generator: The averaged generator, which is sampled from; None if only the codec was asked for.
        live_generator: The generator as it was trained, to go on training; None if there was no ``gen.h5``.
        critic: The critic; None if there was no ``critic.h5``.
        sources: The path that each file was read from, by file name.
    """

    config: Config
    codec: dict[str, keras.Model]
    generator: keras.Model | None
    live_generator: keras.Model | None
    critic: keras.Model | None
    sources: dict[str, Path]


def _targets(layer: keras.layers.Layer) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """The variables of one of our layers, by published array name, with the shape of the published array."""
    if isinstance(layer, AddNoise):
        return {"noise_weight": (layer.gain, (1,))}
    if isinstance(layer, AdaptiveNorm):
        return {
            "kernel": (layer.scale_kernel, (1, 1, *layer.scale_kernel.shape)),
            "bias": (layer.scale_bias, tuple(layer.scale_bias.shape)),
        }
    dummy = () if isinstance(layer, keras.layers.Dense) else (1,)  # published kernels are two-dimensional, of height 1
    targets = {"kernel": (layer.kernel, (*dummy, *layer.kernel.shape))}
    if layer.use_bias:
        targets["bias"] = (layer.bias, tuple(layer.bias.shape))
    return targets


def _check_names(layers: Layers, places: Mapping[str, str], path: Path) -> None:
    """Check that a file holds all layers that have a place, and no other."""
    missing = [name for name in places.values() if name not in layers]
    if missing:
        raise UserError(f"{path}: layer {missing[0]!r} is missing (missing in all: {', '.join(missing)}).")
    extra = [name for name in layers if name not in set(places.values())]
    if extra:
        arrays = [f"{name}/{array} {layers[name][array].shape}" for name in extra for array in layers[name]]
        raise UserError(f"{path}: these arrays have no place in the published graph: {', '.join(arrays[:5])}.")


def _assign(model: keras.Model, layers: Layers, places: Mapping[str, str], path: Path) -> None:
    """Put every array of a file into its place in a model.

    Args:
        model: The model.
        layers: The file's layers.
        places: Our layer name -> the file's layer name, for all of our layers that have weights.
        path: The file, for messages.
    """
    for ours, theirs in places.items():
        arrays = layers[theirs]
        targets = _targets(model.get_layer(ours))
        if set(arrays) != set(targets):
            raise UserError(
                f"{path}: layer {theirs!r} must hold the arrays {', '.join(targets)}. Received: {', '.join(arrays)}"
            )
        for name, (variable, shape) in targets.items():
            if arrays[name].shape != shape:
                raise UserError(
                    f"{path}: array {name!r} of layer {theirs!r} must have the shape {shape} (the {model.name}'s "
                    f"{ours}, at the sizes inferred from the files). Received: {arrays[name].shape}"
                )
            variable.assign(arrays[name].reshape(variable.shape))


def _by_kind(layers: Layers) -> dict[str, list[str]]:
    """The autoencoder's layer names by kind, in the order of creation."""
    kinds: dict[str, list[str]] = {"convolution": [], "transposed convolution": [], "noise": []}
    for name, arrays in layers.items():
        if "kernel" not in arrays and len(arrays) == 1:
            kinds["noise"].append(name)
        else:
            kinds["transposed convolution" if "transpose" in name else "convolution"].append(name)
    return {kind: _by_number(names) for kind, names in kinds.items()}


def _by_number(names: Iterable[str]) -> list[str]:
    """Sort automatic names by number (none is 0); names of another root, given by hand, follow in the file's order.

    >>> _by_number(["cbottle", "conv2d_10", "conv2d_9", "conv2d"])
    ['conv2d', 'conv2d_9', 'conv2d_10', 'cbottle']
    """
    parts = {name: _NUMBERED.fullmatch(name).groups() for name in names}  # type: ignore[union-attr]
    if not parts:
        return []
    roots = Counter(root for root, _ in parts.values())
    automatic = roots.most_common(1)[0][0]
    numbered = [name for name, (root, _) in parts.items() if root == automatic]
    return sorted(numbered, key=lambda name: int(parts[name][1] or 0)) + [
        name for name in parts if name not in set(numbered)
    ]


def _codec_places(layers: Layers, path: Path) -> dict[str, str]:
    """Match an autoencoder file's layers with ours; the numbers of each kind must agree."""
    places: dict[str, str] = {}
    order = _CODEC_ORDER[path.name]
    for kind, found in _by_kind(layers).items():
        wanted = order.get(kind, ())
        if len(found) != len(wanted):
            listed = [f"{name} {[array.shape for array in layers[name].values()]}" for name in found]
            raise UserError(
                f"{path} must hold {len(wanted)} {kind} layers. Received: {len(found)}: {', '.join(listed) or 'none'}. "
                f"Check that this is {path.name} and not another file under its name."
            )
        places.update(zip(wanted, found, strict=True))
    return places


def generator_places(small: bool) -> dict[str, str]:
    """Our generator's layer names -> the published ones.

    Args:
        small: Whether this is the short-context variant.

    Returns:
        All layers that have weights.

    >>> generator_places(small=True)["unit0_conv"]
    '0_smallc'
    """
    places = {"start_dense": "00d", "start_noise": "00n", "start_adain": "00ai", "output": "9c"}
    for index in range(9):
        mark = "_small" if small and index < 2 else ""
        for ours, theirs in (("conv", "c"), ("noise", "r"), ("adain", "ai")):
            places[f"unit{index}_{ours}"] = f"{index}{mark}{theirs}"
    for index in range(1, 5):
        places[f"shortcut{index}"] = f"res{index}c" + ("_small" if small and index == 1 else "")
    return places


def critic_places(small: bool) -> dict[str, str]:
    """Our critic's layer names -> the published ones.

    Args:
        small: Whether this is the short-context variant.

    Returns:
        All layers that have weights.

    >>> critic_places(small=False)["block4_inside"]
    '6c0'
    """
    places = {"input": "1c", "last": "7c", "judgement": "7d"}
    width = 3
    for index, (next_width, _) in enumerate(critic_blocks(small)):
        places[f"block{index}_inside"] = f"{index + 2}c0"
        places[f"block{index}_outside"] = f"{index + 2}c1"
        if next_width != width:
            places[f"block{index}_shortcut"] = f"{index + 2}c3"
        width = next_width
    return places


def _kernel_shape(layers: Layers, layer: str, rank: int, path: Path) -> tuple[int, ...]:
    """The shape of a layer's kernel, from which sizes are inferred."""
    kernel = layers.get(layer, {}).get("kernel")
    if kernel is None or kernel.ndim != rank:
        received = "nothing" if kernel is None else f"shape {kernel.shape}"
        raise UserError(
            f"{path}: layer {layer!r} must hold a kernel with {rank} axes. Received: {received}. "
            f"Check that this is {path.name} and not another file under its name."
        )
    return kernel.shape


def _infer_codec(layers: Mapping[str, Layers], places: Mapping[str, Mapping[str, str]], paths: dict[str, Path]) -> dict:
    """The sizes of the autoencoder, as config values."""

    def shape(file: str, ours: str) -> tuple[int, ...]:
        """Shape of the kernel that one of our layers takes."""
        return _kernel_shape(layers[file], places[file][ours], 4, paths[file])

    hop = shape("enc.h5", "unit0_conv")[-1] // 4
    return {
        "spectral": {"hop_length": hop, "fft_length": 4 * hop},
        "codec": {
            "latent_channels": shape("enc2.h5", "output")[-1],
            "level1_channels": shape("enc.h5", "output")[-1],
        },
    }


def _infer_generator(layers: Layers, path: Path) -> dict:
    """The sizes of the generator, as config values."""
    condition, width = _kernel_shape(layers, "00ai", 4, path)[-2:]
    return {
        "small": "0_smallc" in layers,
        "base_channels": max(width // 7, 2),
        "coordinate_channels": condition // 2,
    }


def _find(name: str, folders: list[Path]) -> Path | None:
    """The first folder's file of this name."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _find_files(folder: Path, generator_folder: Path | None, codec_only: bool) -> dict[str, Path]:
    """The paths of all files that are there; the necessary ones must be."""
    folders = [folder] if generator_folder is None else [folder, generator_folder]
    for item in folders:
        if not item.is_dir():
            raise UserError(f"There is no folder {item}. Give the folder that holds {', '.join(CODEC_FILES)}.")
    wanted = [*CODEC_FILES] if codec_only else [*CODEC_FILES, GENERATOR_FILE, *TRAINING_FILES]
    found = {name: _find(name, folders if name in CODEC_FILES else folders[::-1]) for name in wanted}
    missing = [name for name, path in found.items() if path is None and name not in TRAINING_FILES]
    if missing:
        raise UserError(
            f"Missing in {' and '.join(map(str, folders))}: {', '.join(missing)}. Published weights consist of "
            f"{', '.join(CODEC_FILES)} (the codec) and {GENERATOR_FILE} (the generator), in one folder or two."
        )
    return {name: path for name, path in found.items() if path is not None}


def _check_latents(layers: Layers, path: Path, channels: int) -> None:
    """Check that a generator makes the latents that the codec decodes."""
    made = _kernel_shape(layers, "9c", 4, path)[-1]
    if made != 2 * channels:
        raise UserError(
            f"{path} makes latents of {made} channels, the codec decodes {2 * channels} ({channels} left, {channels} "
            "right). Give the codec that this generator was trained with."
        )


def import_published(
    folder: str | Path, generator_folder: str | Path | None = None, codec_only: bool = False
) -> Published:
    """Read a set of published files of any width, standard or small.

    Args:
        folder: Holds ``enc.h5 enc2.h5 dec.h5 dec2.h5``, and the generator's files too if they have no own folder.
        generator_folder: Holds ``gen_ema.h5`` and optionally ``gen.h5 critic.h5``.
        codec_only: Whether to leave the latent GAN out.

    Returns:
        The networks with their weights, and the config that builds them.

    Raises:
        UserError: If a file is missing or damaged, or an array is missing, left over or of the wrong shape.
    """
    paths = _find_files(Path(folder), None if generator_folder is None else Path(generator_folder), codec_only)
    layers = {name: read_layers(path) for name, path in paths.items()}
    places = {name: _codec_places(layers[name], paths[name]) for name in CODEC_FILES}
    values = {"name": "imported", **_infer_codec(layers, places, paths)}
    if codec_only:
        values["generator"] = {"coordinate_channels": values["codec"]["latent_channels"], "small": False}
    else:
        _check_latents(layers[GENERATOR_FILE], paths[GENERATOR_FILE], values["codec"]["latent_channels"])
        values["generator"] = _infer_generator(layers[GENERATOR_FILE], paths[GENERATOR_FILE])
    small = values["generator"]["small"]
    if not codec_only:
        places |= {GENERATOR_FILE: generator_places(small), "gen.h5": generator_places(small)}
        places["critic.h5"] = critic_places(small)
    for name, path in paths.items():
        _check_names(layers[name], places[name], path)
    config = load_config("small" if small else "base", values)

    def load(name: str, build: Callable[..., keras.Model]) -> keras.Model:
        """Build a network and fill it from its file."""
        model = build(config, dtype="float32")
        _assign(model, layers[name], places[name], paths[name])
        return model

    def load_if_there(name: str, build: Callable[..., keras.Model]) -> keras.Model | None:
        """The same, where the file is there."""
        return load(name, build) if name in layers else None

    codec = {
        "level1_encoder": load("enc.h5", build_level1_encoder),
        "level2_encoder": load("enc2.h5", build_level2_encoder),
        "level1_decoder": load("dec.h5", build_level1_decoder),
        "level2_decoder": load("dec2.h5", build_level2_decoder),
    }
    return Published(
        config=config,
        codec=codec,
        generator=load_if_there(GENERATOR_FILE, build_generator),
        live_generator=load_if_there("gen.h5", build_generator),
        critic=load_if_there("critic.h5", build_critic),
        sources=paths,
    )


def save_published(published: Published, folder: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write imported networks as a preset.

    The networks from which training goes on (``gen.h5``, ``critic.h5``) are kept beside the preset's own weights, in
    ``training.weights.h5``, under the names ``generator`` and ``critic``.

    Args:
        published: The imported networks.
        folder: The preset's folder.
        metadata: What to note in ``metadata.json``, beside the names and digests of the files.

    Returns:
        The folder.

    Raises:
        UserError: If the folder holds something else than a preset, or cannot be written.
    """
    from musika.autoencoder.codec import Codec
    from musika.presets import save_preset
    from musika.weights import save_weights

    networks = {"generator": published.live_generator, "critic": published.critic}
    kept = {name: network for name, network in networks.items() if network is not None}
    notes = {
        "imported": {name: file_hash(path) for name, path in published.sources.items()},
        "training_networks": list(kept),
        **(metadata or {}),
    }
    saved = save_preset(
        folder, published.config, Codec(published.config, published.codec), published.generator, metadata=notes
    )
    if kept:
        try:
            save_weights(kept, saved / TRAINING_WEIGHTS)
        except OSError as error:
            raise UserError(
                f"{saved}: cannot write {TRAINING_WEIGHTS}: {error}. Check space and permissions."
            ) from None
    return saved
