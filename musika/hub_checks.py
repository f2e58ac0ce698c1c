"""Checks of a preset's files that came from elsewhere, before anything uses them. Nothing in them can run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from musika.arrays import MOST_BYTES, STATISTICS_BYTES, read_arrays
from musika.checks import UserError
from musika.config import CodecConfig, Config, GeneratorConfig, SpectralConfig, config_from_dict

_HDF5_HEAD = b"\x89HDF\r\n\x1a\n"
_LARGEST_TEXT = 2 * 2**20  # bytes
_LARGEST_SIZE = 2**16  # of anything in a config that is counted
_MOST_A_BYTE = 4  # numbers in a file, whatever they are packed by: an array that was never written says any size
_MOST_BLOCKS = 16  # the reach of one is twice that of the one before


def check_file(path: Path) -> None:
    """Check one file by its ending: JSON, Markdown, HDF5 weights or NumPy arrays.

    Args:
        path: The file.

    Raises:
        UserError: If it is not what its ending says, or holds what a preset has no use for.
    """
    checks = {".json": _check_json, ".md": _check_text, ".h5": _check_weights, ".npz": _check_arrays}
    if path.suffix not in checks:
        raise UserError(f"{path.name} is no file of a preset ({', '.join(checks)}). It is not used.")
    checks[path.suffix](path)


def _refuse(path: Path, reason: str) -> UserError:
    """The error for a file that is not used."""
    return UserError(f"{path.name} is not used: {reason}. Ask whoever shared it, or choose another repository.")


def _check_text(path: Path) -> str:
    """Check that a file is text of a sane length, and read it."""
    if path.stat().st_size > _LARGEST_TEXT:
        raise _refuse(path, f"it has {path.stat().st_size} bytes, a text has at most {_LARGEST_TEXT}")
    try:
        return path.read_text(encoding="utf-8")
    except ValueError:
        raise _refuse(path, "it is not UTF-8 text") from None


def _check_json(path: Path) -> None:
    """Check that a file is a JSON object."""
    try:
        values = json.loads(_check_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise _refuse(path, "it is not JSON") from None
    if not isinstance(values, dict):
        raise _refuse(path, "it must hold a JSON object")


def _check_weights(path: Path) -> None:
    """Check that a file is HDF5 and holds arrays of numbers, and that all of them lie in the file itself."""
    import h5py

    with path.open("rb") as file:
        if file.read(len(_HDF5_HEAD)) != _HDF5_HEAD:
            raise _refuse(path, "it is not an HDF5 file")
    links: list[str] = []
    arrays: list[tuple[str, h5py.Dataset]] = []

    def note_link(name: str, link: object) -> None:
        """Remember a link that is none to an object of the file itself."""
        if not isinstance(link, h5py.HardLink):
            links.append(name)

    def note_array(name: str, item: object) -> None:
        """Remember an array."""
        if isinstance(item, h5py.Dataset):
            arrays.append((name, item))

    try:
        with h5py.File(path, "r") as file:
            file.visititems_links(note_link)
            file.visititems(note_array)
            outside = links + [name for name, item in arrays if item.external or item.is_virtual]
            others = [name for name, item in arrays if item.dtype.kind not in "fiub"]
            size = sum(item.nbytes for _, item in arrays)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _refuse(path, f"it is damaged ({' '.join(str(error).split())[:120]})") from None
    if outside:
        raise _refuse(path, f"it points outside of itself ({outside[0]})")
    if others:
        raise _refuse(path, f"it holds something else than numbers ({others[0]})")
    if size > MOST_BYTES:
        raise _refuse(path, f"its arrays have {size} bytes, at most {MOST_BYTES} are allowed")


def _check_arrays(path: Path) -> None:
    """Check that a file holds plain arrays of finite numbers and no more of them than statistics are."""
    remedy = "Ask whoever shared it, or choose another repository."
    arrays = read_arrays(path, "not used: it holds something else than plain arrays", remedy, most=STATISTICS_BYTES)
    if not all(values.dtype.kind == "f" and bool(np.isfinite(values).all()) for values in arrays.values()):
        raise _refuse(path, "it holds something else than arrays of finite numbers")


def check_preset_folder(folder: Path) -> None:
    """Check every file of a preset, and that its settings are ones that this version knows.

    Args:
        folder: The preset's folder.

    Raises:
        UserError: If a file fails its check, the preset wants a codec outside of itself, or another version is needed.
    """
    from musika.preset_names import METADATA_FILE

    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            raise _refuse(path, "it is no plain file")
        check_file(path)
    metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    if metadata.get("codec"):
        raise _refuse(folder / METADATA_FILE, f"its codec lies elsewhere ({metadata['codec']!r})")
    if metadata.get("format", 1) != 1:
        raise UserError(f"the preset has format {metadata['format']}, this version reads 1. Install a newer musika.")
    config = config_from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    _check_sizes(config, folder)


def _check_sizes(config: Config, folder: Path) -> None:
    """Check that networks of a config are not too large, nor larger than the files that hold their weights."""
    for name, size in _sizes(config):
        most = _MOST_BLOCKS if name.endswith("blocks") else _LARGEST_SIZE
        if not 0 <= size <= most:
            raise _refuse(folder / "config.json", f"{name} must be from 0 to {most}, it is {size}")
    wanted = {"codec": _least_codec(config.codec, config.spectral)}
    if (folder / "generator.weights.h5").is_file():
        wanted["generator"] = _least_generator(config.generator, config.codec)
    for name, least in wanted.items():
        held = _held(folder / f"{name}.weights.h5")
        if least > held:
            reason = f"it wants a {name} of {least} weights or more, and {name}.weights.h5 holds at most {held}"
            raise _refuse(folder / "config.json", reason)


def _held(path: Path) -> int:
    """How many numbers a weights file holds, none counted twice: what is said to be there, and has the bytes for it."""
    import h5py

    counts: list[int] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda _, item: counts.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return min(sum(counts), _MOST_A_BYTE * path.stat().st_size)


def _sizes(config: Config) -> list[tuple[str, int]]:
    """The whole numbers that compact codecs and generators are built from, with their names."""
    found = []
    parts = {"codec.compact": config.codec.compact, "generator": config.generator}
    for name, part in (parts | {"generator.refiner": config.generator.refiner}).items():
        for key, value in vars(part).items():
            if isinstance(value, int) and not isinstance(value, bool):
                found.append((f"{name}.{key}", value))
    return found


def _least_codec(codec: CodecConfig, spectral: SpectralConfig) -> int:
    """How many weights a codec has at least: those of its largest layers."""
    if codec.architecture != "compact":
        return spectral.hop_length * (300 * spectral.hop_length + 8 * spectral.bins + codec.latent_channels)
    wide, frames, level1 = codec.compact, codec.frames_per_latent, codec.level1_channels
    encoder = (spectral.bins + wide.level1_hidden) * (level1 + wide.level1_hidden)
    trunk = wide.trunk * (3 * level1 + 4 * wide.trunk_blocks * wide.trunk + wide.head + frames)
    low = wide.phase_width * (3 * wide.trunk + (4 * wide.phase_blocks + 2) * wide.phase_width)
    steps = wide.phase_steps_width * (3 * wide.trunk + 4 * wide.phase_steps_width + wide.phase_steps_head)
    latent = frames * level1 * codec.latent_channels + 2 * frames * wide.level2_frame * wide.level2_hidden
    deep = wide.level2_hidden * (4 * codec.latent_channels + 8 * wide.level2_blocks * wide.level2_hidden)
    phase = low * (wide.phase_recurrence > 0) + steps * (wide.phase_tracking > 0)
    return encoder + trunk + wide.head * spectral.bins + phase + latent + deep


def _least_generator(generator: GeneratorConfig, codec: CodecConfig) -> int:
    """How many weights a generator has at least: those of its largest layers."""
    base, last = generator.base_channels, generator.last_width * generator.base_channels
    steps = generator.patch_latents // 64
    start = 2 * generator.coordinate_channels * base * (14 * steps**2 + 36)
    refiner = generator.refiner
    if refiner.kept:
        start += refiner.width * (8 * codec.latent_channels + 5 * refiner.blocks * refiner.width)
    return start + 500 * base**2 + last * (8 * generator.refine_blocks * last + 8 * codec.latent_channels)
