"""Latent files in memory, and random windows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from musika.audio.reading import find_files, show_path
from musika.checks import UserError, check_exists
from musika.data.annotation import annotation_path, load_annotation
from musika.data.conditions import annotated_condition
from musika.data.latents import LATENT_ENDING, LatentFile, load_latents
from musika.settings import Config

LEAST_DEVIATION = 1e-4  # a channel that never moves is not blown up by its normalisation


class LatentCrops:
    """Random windows of latent sequences, about every step equally likely.

    A window about a step near an end of its sequence is moved so far that it begins or ends there: were every start
    equally likely instead, the music near the ends, such as an opening, would hardly be seen, and half a minute has
    little else. A sequence's last step, which its audio fills in part only, is left out where there are enough others.

    Attributes:
        window: Latent steps of a window.
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        window: int,
        mid_side: bool = False,
        conditions: Sequence[np.ndarray] | None = None,
    ) -> None:
        """Keep the sequences.

        Args:
            sequences: Arrays `(steps, 2 * latent_channels)`, each of at least ``window`` steps.
            window: Latent steps of a window.
            mid_side: Whether their channels are middle and side rather than left and right.
            conditions: What is known of each sequence's controls, `(steps, columns)`; nothing when left out.

        Raises:
            UserError: If there is none, or one is too short.
        """
        if not sequences:
            raise UserError("there are no latents to train on. Encode some audio with `musika encode`.")
        for sequence in sequences:
            if len(sequence) < window:
                raise UserError(f"a latent sequence needs at least {window} steps. Received: {len(sequence)}")
        self.window, self.mid_side = window, mid_side
        self._sequences = [np.asarray(sequence, np.float32) for sequence in sequences]
        self._conditions = conditions or [np.zeros((len(sequence), 0), np.float32) for sequence in sequences]
        self._lengths = [used_length(len(sequence), window) for sequence in sequences]
        self._ends = np.cumsum(self._lengths)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw windows; half of them, at random, with left and right swapped.

        Args:
            rng: Source of the choices.
            count: Number of windows.

        Returns:
            Latents `(count, window, 2 * latent_channels)` and their conditions `(count, window, columns)`, float32.
        """
        places = rng.integers(self._ends[-1], size=count)
        swapped = rng.integers(2, size=count)
        windows = np.empty((count, self.window, self._sequences[0].shape[1]), np.float32)
        conditions = np.empty((count, self.window, self._conditions[0].shape[1]), np.float32)
        for row, (place, swap) in enumerate(zip(places, swapped, strict=True)):
            which = int(np.searchsorted(self._ends, place, side="right"))
            middle = int(place) - (int(self._ends[which - 1]) if which else 0)
            start = start_about(middle, self._lengths[which], self.window)
            window = self._sequences[which][start : start + self.window]
            windows[row] = swap_sides(window, self.mid_side) if swap else window
            conditions[row] = self._conditions[which][start : start + self.window]
        return windows, conditions


def used_length(steps: int, window: int) -> int:
    """How many steps of a sequence windows are cut from.

    Args:
        steps: Its length.
        window: Latent steps of a window, no more than that.

    Returns:
        All but the last, which its audio fills in part only, where there are enough others.
    """
    return max(steps - 1, window)


def start_about(middle: int, length: int, window: int) -> int:
    """Where the window about a step begins.

    Args:
        middle: The step.
        length: Steps that windows are cut from, see `used_length`.
        window: Latent steps of a window.

    Returns:
        Half a window before it, or as near to that as the sequence allows.

    >>> [start_about(middle, 20, 8) for middle in (0, 10, 19)]
    [0, 6, 12]
    """
    return min(max(middle - window // 2, 0), length - window)


def swap_sides(latents: np.ndarray, mid_side: bool = False) -> np.ndarray:
    """Swap left and right.

    Args:
        latents: `(..., 2 * latent_channels)`, left (or middle) channels first.
        mid_side: Whether the channels are middle and side.

    Returns:
        The same with the halves of the last axis swapped, or with the sign of the side turned.

    >>> swap_sides(np.array([1, 2, 3, 4])).tolist()
    [3, 4, 1, 2]
    """
    if mid_side:
        middle, side = np.split(latents, 2, axis=-1)
        return np.concatenate([middle, -side], axis=-1)
    return np.roll(latents, latents.shape[-1] // 2, axis=-1)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel of stereo latents.

    Of left and right both have the same. A side has mean 0 and the middle's deviation, so that it keeps its proportion.

    Attributes:
        mean: `(2 * latent_channels,)` float32.
        std: `(2 * latent_channels,)` float32, positive.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def measure(
        cls, sequences: Sequence[np.ndarray], mid_side: bool = False, emphasis: np.ndarray | None = None
    ) -> Normalisation:
        """Measure the statistics of all sequences.

        Args:
            sequences: Arrays `(steps, 2 * latent_channels)`.
            mid_side: Whether their channels are middle and side rather than left and right.
            emphasis: Deviation that each latent channel shall have afterwards, `(latent_channels,)`; 1 when left out.

        Returns:
            The statistics.
        """
        channels = sequences[0].shape[1] // 2
        total, squares, count = np.zeros(channels), np.zeros(channels), 0
        for sequence in sequences:
            sides = sequence[:, :channels] if mid_side else sequence.reshape(-1, channels)
            total += sides.sum(axis=0, dtype=np.float64)
            squares += np.square(sides, dtype=np.float64).sum(axis=0)
            count += len(sides)
        mean = total / count
        std = np.maximum(np.sqrt(np.maximum(squares / count - np.square(mean), 0.0)), LEAST_DEVIATION)
        if emphasis is not None:
            std = std / emphasis
        both = np.concatenate([mean, np.zeros_like(mean) if mid_side else mean])
        return cls(both.astype(np.float32), np.tile(std, 2).astype(np.float32))

    def apply(self, latents: np.ndarray) -> np.ndarray:
        """Normalise stereo latents.

        Args:
            latents: `(..., 2 * latent_channels)`.

        Returns:
            The same shape, float32.
        """
        return ((latents - self.mean) / self.std).astype(np.float32)


@dataclass
class LatentData:
    """The latent files of a folder.

    Attributes:
        training: Sequences to train on.
        held_out: Sequences kept for the scores.
        used: Names of the files that are used.
        skipped: ``(name, reason)`` of those that are not.
        conditions: What is known of the controls of each training sequence, `(steps, columns)`.
        held_out_conditions: The same of the sequences kept for the scores.
        annotated: How many of the used files have an annotation.
    """

    training: list[np.ndarray] = field(default_factory=list)
    held_out: list[np.ndarray] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    conditions: list[np.ndarray] = field(default_factory=list)
    held_out_conditions: list[np.ndarray] = field(default_factory=list)
    annotated: int = 0


def load_latent_data(data: str | Path, codec: str, config: Config, codec_name: str = "") -> LatentData:
    """Load latent files and keep a share of them for the scores.

    Args:
        data: A folder that is searched with its sub-folders, or one ``.npz`` file.
        codec: The hash of the codec that must have made them.
        config: Decides the latent channels, the training window (shorter files are skipped), the controls, and which
            share of the files is kept for the scores (of a single file its end).
        codec_name: The codec's name, for messages.

    Returns:
        The sequences.

    Raises:
        UserError: If a file is another codec's, or none can be used.
    """
    folder = check_exists(data, "the folder of latents")
    channels, window, controls = (
        2 * config.codec.latent_channels,
        config.generator.window_latents,
        config.generator.controls,
    )
    paths = [folder] if folder.is_file() else find_files(folder, {LATENT_ENDING})
    found, result = [], LatentData()
    for path in paths:
        name = show_path(path.name if path == folder else path.relative_to(folder))
        try:
            file = load_latents(path)
        except UserError as error:
            result.skipped.append((name, str(error)))
            continue
        if file.codec != codec:
            raise UserError(_other_codec(path, file, codec, codec_name))
        if file.latents.shape[1] != channels:
            result.skipped.append((name, f"{file.latents.shape[1]} latent channels, not {channels}"))
        elif len(file.latents) < window:
            reason = f"shorter than a training window: {len(file.latents)} of {window} latent steps"
            result.skipped.append((name, reason))
        else:
            marks = annotation_path(path)
            annotation = load_annotation(marks, steps=len(file.latents)) if controls and marks.is_file() else None
            result.annotated += annotation is not None
            condition = annotated_condition(controls, annotation, len(file.latents), config.latent_rate)
            found.append((file.latents, condition))
            result.used.append(name)
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in result.skipped[:5])
        raise UserError(
            f"no latents to train on in {show_path(folder)}: {reasons or 'it holds no latent file'}. "
            "Encode longer audio with `musika encode`."
        )
    settings = config.generator_training
    training, kept = _hold_out(found, settings.held_out, window, settings.seed)
    result.training, result.conditions = [pair[0] for pair in training], [pair[1] for pair in training]
    result.held_out, result.held_out_conditions = [pair[0] for pair in kept], [pair[1] for pair in kept]
    return result


def _other_codec(path: Path, file: LatentFile, codec: str, codec_name: str) -> str:
    """The message for a file that another codec made."""
    made_by = f"{file.codec_name!r} (codec {file.codec})" if file.codec_name else f"codec {file.codec}"
    wanted = f"{codec_name!r} (codec {codec})" if codec_name else f"codec {codec}"
    return (
        f"{show_path(path)}: made by {made_by}, not by the codec of this training, {wanted}. "
        "Give --codec the preset that made it, or encode the audio again with this one."
    )


_Pair = tuple[np.ndarray, np.ndarray]  # latents and condition of a file


def _hold_out(found: list[_Pair], share: float, window: int, seed: int) -> tuple[list[_Pair], list[_Pair]]:
    """Keep a share of the files apart; of a single long one its end."""
    if share <= 0:
        return found, []
    if len(found) == 1:
        latents, condition = found[0]
        kept = max(window, round(share * len(latents)))
        if len(latents) < window + kept:
            return found, []
        return [(latents[:-kept], condition[:-kept])], [(latents[-kept:], condition[-kept:])]
    count = min(max(1, round(share * len(found))), len(found) - 1)
    chosen = set(np.random.default_rng(seed).permutation(len(found))[:count].tolist())
    training = [sequence for index, sequence in enumerate(found) if index not in chosen]
    return training, [found[index] for index in sorted(chosen)]
