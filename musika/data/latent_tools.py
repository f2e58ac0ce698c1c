"""Working on latents as on tape: cut, join, reverse, stretch, scale, mix, glide; and the files that they come from.

Latents are float32 arrays ``(steps, 2 * latent_channels)``, left channel first; a step lasts ``latent_hop`` samples.
Every tool is a pure function that leaves its inputs as they are.

>>> tape = np.arange(8, dtype=np.float32).reshape(4, 2)
>>> reverse(cut(tape, 1, 3))[:, 0].tolist()
[4.0, 2.0]
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import show_path
from musika.audio.writing import replacing
from musika.checks import UserError, check_choice, check_integer, check_number
from musika.data.latents import LATENT_ENDING, LatentFile, load_latents, save_latents

if TYPE_CHECKING:
    from musika.autoencoder.codec import Codec

Floats = NDArray[np.float32]

ARRAY_ENDING = ".npy"
CURVES = ["linear", "smooth"]
MOST_STRETCH = 100.0


def _check_latents(latents: Any, name: str = "latents") -> Floats:
    """Check the shape of latents."""
    array = np.asarray(latents, np.float32)
    if array.ndim != 2 or not array.shape[1] or array.shape[1] % 2:
        raise UserError(f"{name} must have the shape (steps, 2 * latent_channels). Received: shape {array.shape}")
    if not np.isfinite(array).all():
        raise UserError(f"{name} must hold finite numbers only. Received: NaN or infinity")
    return array


def _check_alike(parts: Sequence[Any]) -> list[Floats]:
    """Check that latents have the same channels."""
    arrays = [_check_latents(part) for part in parts]
    widths = {array.shape[1] for array in arrays}
    if len(widths) > 1:
        raise UserError(
            f"latents must have the same number of channels. Received: {', '.join(map(str, sorted(widths)))}"
        )
    return arrays


def cut(latents: Floats, start: int = 0, stop: int | None = None) -> Floats:
    """Take a stretch.

    Args:
        latents: Latents ``(steps, channels)``.
        start: First step.
        stop: Step to stop before; None for the end.

    Returns:
        Latents ``(stop - start, channels)``.

    Raises:
        UserError: If the stretch is empty or reaches beyond the end.
    """
    latents = _check_latents(latents)
    start = check_integer(start, "start", 0, max(len(latents) - 1, 0))
    stop = len(latents) if stop is None else check_integer(stop, "stop", start + 1, len(latents))
    return latents[start:stop].copy()


def join(parts: Sequence[Floats]) -> Floats:
    """Put stretches one after another.

    Args:
        parts: Latents ``(steps, channels)``, at least one.

    Returns:
        All of them.

    Raises:
        UserError: If there are none, or their channels differ.
    """
    if not parts:
        raise UserError("there is nothing to join: give at least one stretch of latents.")
    return np.concatenate(_check_alike(parts))


def reverse(latents: Floats) -> Floats:
    """Turn time around, step by step; within a step it goes on forwards.

    Args:
        latents: Latents ``(steps, channels)``.

    Returns:
        Latents of the same shape.
    """
    return _check_latents(latents)[::-1].copy()


def stretch(latents: Floats, factor: float) -> Floats:
    """Make time pass more slowly or faster; the pitch stays.

    Args:
        latents: Latents ``(steps, channels)``.
        factor: How many times as long it becomes, from 0.01 to 100.

    Returns:
        Latents ``(round(steps * factor), channels)``, one step at least, interpolated between neighbouring steps.

    Raises:
        UserError: If there is nothing to stretch, or the factor is out of range.

    >>> stretch(np.float32([[0, 0], [2, 2]]), 2.0)[:, 0].tolist()
    [0.0, 0.5, 1.5, 2.0]
    """
    latents = _check_latents(latents)
    factor = check_number(factor, "factor", 1.0 / MOST_STRETCH, MOST_STRETCH)
    if not len(latents):
        raise UserError("there is nothing to stretch: the latents have no steps.")
    steps = max(1, round(len(latents) * factor))
    places = np.clip((np.arange(steps) + 0.5) * len(latents) / steps - 0.5, 0.0, len(latents) - 1.0)
    left = np.minimum(places.astype(np.int64), max(len(latents) - 2, 0))
    share = (places - left)[:, None].astype(np.float32)
    return latents[left] * (1.0 - share) + latents[np.minimum(left + 1, len(latents) - 1)] * share


def scale(latents: Floats, gain: Any) -> Floats:
    """Multiply latents by a gain.

    Args:
        latents: Latents ``(steps, channels)``.
        gain: A number, or one for each channel: ``(latent_channels,)`` for both sides alike, or ``(channels,)``.

    Returns:
        Latents of the same shape.

    Raises:
        UserError: If the gain has another length.
    """
    latents = _check_latents(latents)
    return latents * channel_gain(gain, latents.shape[1])


def channel_gain(gain: Any, channels: int) -> Floats:
    """One gain a channel.

    Args:
        gain: A number, or an array as `scale` takes it.
        channels: Channels of the latents, both sides.

    Returns:
        `(channels,)` float32.

    Raises:
        UserError: If it has another length or holds NaN.
    """
    try:
        gains = np.asarray(gain, np.float32)
    except (TypeError, ValueError):
        gains = np.full(0, np.nan, np.float32)
    if gains.shape == (channels // 2,):
        gains = np.tile(gains, 2)
    if gains.shape not in ((), (channels,)) or not np.isfinite(gains).all():
        raise UserError(
            f"a gain must be a number, or {channels // 2} or {channels} numbers, one a channel."
            f" Received: {gains.size} of shape {gains.shape}"
        )
    return np.broadcast_to(gains, (channels,))


def mix(first: Floats, second: Floats, gain: Any = 0.5) -> Floats:
    """Mix two stretches: ``(1 - gain) * first + gain * second``, channel by channel.

    Args:
        first: Latents ``(steps, channels)``.
        second: Latents with the same channels. Where one is longer than the other, it goes on alone.
        gain: How much of the second: a number, or one for each channel, see `scale`; 0 is the first, 1 the second.

    Returns:
        Latents as long as the longer one.

    Raises:
        UserError: If the channels differ, or the gain does not fit.
    """
    first, second = _check_alike([first, second])
    gains, shared = channel_gain(gain, first.shape[1]), min(len(first), len(second))
    both = first[:shared] * (1.0 - gains) + second[:shared] * gains
    return np.concatenate([both, first[shared:], second[shared:]])


def glide(first: Floats, second: Floats, steps: int, curve: str = "smooth") -> Floats:
    """Go from one stretch over into another: the end of the first and the beginning of the second overlap.

    Args:
        first: Latents ``(steps, channels)``.
        second: Latents with the same channels.
        steps: Length of the overlap.
        curve: ``linear``, or ``smooth``: setting off and arriving gently.

    Returns:
        Latents of both lengths together less the overlap.

    Raises:
        UserError: If the channels differ or the overlap is longer than one of them.
    """
    first, second = _check_alike([first, second])
    steps = check_integer(steps, "steps of the glide", 0, min(len(first), len(second)))
    far = (np.arange(steps, dtype=np.float32) + 0.5) / max(steps, 1)
    if check_choice(curve, "curve", CURVES) == "smooth":
        far = far * far * (3.0 - 2.0 * far)
    both = first[len(first) - steps :] * (1.0 - far[:, None]) + second[:steps] * far[:, None]
    return np.concatenate([first[: len(first) - steps], both.astype(np.float32), second[steps:]])


def read_latents(path: str | Path) -> LatentFile:
    """Read a latent file, or a plain array.

    Args:
        path: An ``.npz`` of `musika.data.latents`, or an ``.npy`` of shape ``(steps, 2 * latent_channels)``.

    Returns:
        What it holds; of a plain array ``codec`` is empty and ``sample_rate`` and ``samples`` are 0: it does not say.

    Raises:
        UserError: If it is missing, damaged or something else.
    """
    path, shown = Path(path), show_path(path)
    if path.suffix.lower() != ARRAY_ENDING:
        return load_latents(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # a header that promises too much is found here
    except OSError as error:
        raise UserError(f"{shown}: cannot be read: {error.strerror or 'damaged'}. Check the path.") from None
    except (ValueError, EOFError):
        raise UserError(f"{shown}: not a plain array of numbers, or damaged. Save it with numpy.save.") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UserError(f"{shown}: not a plain array of numbers. Save it with numpy.save.")
    return LatentFile(_check_latents(np.array(array), shown), codec="", sample_rate=0, samples=0, source=path.name)


def write_latents(path: str | Path, file: LatentFile) -> Path:
    """Write latents; the ending decides how.

    Args:
        path: Ends in ``.npz``, or in ``.npy`` for the array alone.
        file: What to write. An ``.npz`` needs a codec.

    Returns:
        The file.

    Raises:
        UserError: If the ending is another one, no codec is named, or it cannot be written.
    """
    path = Path(path)
    if check_choice(path.suffix.lower(), "the ending of latents", [LATENT_ENDING, ARRAY_ENDING]) == LATENT_ENDING:
        if not file.codec:
            raise UserError(f"{show_path(path)}: a plain .npy names no codec: give --checkpoint, or write .npy.")
        save_latents(path, file)
    else:
        with replacing(path) as aside, open(aside, "wb") as handle:
            np.save(handle, np.asarray(file.latents, np.float32), allow_pickle=False)
    return path


def latents_for(codec: Codec, path: str | Path, codec_name: str = "") -> LatentFile:
    """Read latents that a codec shall decode.

    Args:
        codec: The codec.
        path: A latent file of this codec, or a plain ``.npy``, which is taken to be of it.
        codec_name: The codec's name, for messages.

    Returns:
        What the file holds; of a plain array, as many samples as its steps hold.

    Raises:
        UserError: If it cannot be read, another codec made it, or it has other channels.
    """
    if Path(path).suffix.lower() != ARRAY_ENDING:
        return load_latents(path, codec.hash, codec_name)
    return fill_in(read_latents(path), codec, codec_name)


def fill_in(file: LatentFile, codec: Codec, codec_name: str = "") -> LatentFile:
    """Complete what a plain array does not say.

    Args:
        file: Latents, as `read_latents` gives them.
        codec: The codec that they are taken to be of.
        codec_name: Its name.

    Returns:
        The same with codec, sample rate and number of samples.

    Raises:
        UserError: If they have another number of channels than the codec's.
    """
    config, channels = codec.config, 2 * codec.config.codec.latent_channels
    if file.latents.shape[1] != channels:
        raise UserError(
            f"{show_path(file.source)} has {file.latents.shape[1]} channels, this codec's latents have {channels}."
            " Give the preset whose codec made it."
        )
    samples = max(0, len(file.latents) * config.latent_hop - config.spectral.overlap)
    return LatentFile(file.latents, codec.hash, config.sample_rate, samples, file.source, codec_name)


def save_blocks(path: str | Path, blocks: Iterable[Floats], steps: int, file: LatentFile) -> None:
    """Write a latent file block by block, in flat memory.

    Args:
        path: The file, ending in ``.npz``.
        blocks: Consecutive latents ``(steps, channels)``.
        steps: Steps of all of them.
        file: What else the file holds; its ``latents``, ``(0, channels)``, say how many channels there are.

    Raises:
        UserError: If it cannot be written.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (steps, file.latents.shape[1])}
    values = {
        "codec": np.str_(file.codec),
        "codec_name": np.str_(file.codec_name),
        "sample_rate": np.int64(file.sample_rate),
        "samples": np.int64(file.samples),
        "source": np.str_(show_path(file.source)),
    }
    written = 0
    with replacing(path) as aside, zipfile.ZipFile(aside, "w", allowZip64=True) as archive:
        with archive.open("latents.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks:
                member.write(np.ascontiguousarray(block, "<f4").tobytes())
                written += len(block)
        for name, value in values.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, value, allow_pickle=False)
        if written != steps:
            raise ValueError(f"{steps} steps were announced, {written} came")


def seconds_to_steps(seconds: float, latent_rate: float) -> int:
    """The nearest whole number of steps.

    Args:
        seconds: A length.
        latent_rate: Latent steps a second.

    Returns:
        Steps.

    >>> seconds_to_steps(1.0, 10.77)
    11
    """
    return math.floor(seconds * latent_rate + 0.5)
