"""Whether being told what to do costs a generator quality.

Pieces are asked for what the annotations of real music say, and the same pieces for nothing. The Fréchet distances of
both to the real music, in latents, should be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import show_path
from musika.checks import UserError, check_choice, check_number
from musika.data.annotation import Value, annotation_path, load_annotation
from musika.data.annotators import Recording, label_events
from musika.data.crops import swap_sides
from musika.data.encode import latent_sources
from musika.data.latents import load_latents
from musika.data.measures import measure_control
from musika.evaluation.annotators import PRACTICE_SEED, practice_tracks
from musika.evaluation.frechet import frechet_distance, mean_and_covariance

if TYPE_CHECKING:
    from musika.presets import Preset

Floats = NDArray[np.float32]

_PRACTICE_MINUTES = 20.0


def _practice_music(preset: Preset, data: str) -> Iterator[tuple[Floats, Mapping[str, Value]]]:
    """Latents and controls of practice music, ``corpus:KIND`` or ``corpus:KIND:MINUTES``."""
    from musika.corpus.tracks import KINDS

    _, kind, *rest = data.split(":")
    check_choice(kind, "corpus", KINDS)
    minutes = check_number(":".join(rest) or _PRACTICE_MINUTES, "minutes of the corpus", above=0, high=10_000)
    for track in practice_tracks(kind, minutes, PRACTICE_SEED):
        latents = np.asarray(preset.codec.encode(track.audio), np.float32)
        config = preset.config
        recording = Recording(
            None, len(latents), config.latent_rate, len(track.audio), config.sample_rate, "labels", track.audio
        )
        recording.events = label_events(track.labels)
        heard = {name: control for name, control in preset.controls.items() if not control.classes}
        yield latents, {name: measure_control(recording, control) for name, control in heard.items()}


def _files(preset: Preset, data: str | Path) -> Iterator[tuple[Floats, Mapping[str, Value]]]:
    """Latents and annotated controls of the files of a folder."""
    for path in latent_sources(data):
        file = load_latents(path, preset.codec.hash, preset.name)
        marks = annotation_path(path)
        yield file.latents, load_annotation(marks, len(file.latents)).controls if marks.is_file() else {}


def _real_music(preset: Preset, data: str | Path) -> tuple[list[Floats], list[dict[str, Value]]]:
    """Latents of real music, and what is known of the preset's controls, of each that has all of them."""
    latents, asked = [], []
    practice = isinstance(data, str) and data.startswith("corpus:")
    for sequence, known in _practice_music(preset, str(data)) if practice else _files(preset, data):
        latents.append(sequence)
        values = {name: known.get(name) for name in preset.controls}
        if all(value is not None for value in values.values()):
            asked.append(values | {"steps": float(len(sequence))})
    if not asked:
        names = ", ".join(preset.controls)
        raise UserError(
            f"no file in {show_path(data)} has an annotation of {names}."
            " Run `musika annotate` on it, or leave out --data."
        )
    return latents, asked


def _moments(parts: list[Floats]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all steps, both ways round in stereo."""
    steps = np.concatenate(parts)
    return mean_and_covariance(np.concatenate([steps, swap_sides(steps)]))


def control_cost(preset: Preset, data: str | Path, pieces: int = 64, first_seed: int = 1000) -> dict[str, Any]:
    """Compare pieces that are asked for what real music does with the same pieces asked for nothing.

    Args:
        preset: The preset.
        data: Latent files of real music with annotations, best of music that it was not trained on; or practice music,
            ``corpus:techno:MINUTES`` or ``corpus:piano:MINUTES``, of another seed than that of the shipped presets.
        pieces: Pieces of either kind; each takes its controls and its length from a file, in turn.
        first_seed: Seed of the first piece; the others follow.

    Returns:
        ``frechet_controlled``, ``frechet_uncontrolled``, ``frechet_ratio`` (controlled to uncontrolled),
        ``frechet_real_halves`` (the distance of one half of the real files to the other) and ``files``.

    Raises:
        UserError: If there is no such music, or another codec made the latents.
    """
    real, asked = _real_music(preset, data)
    random = np.random.Generator(np.random.Philox(key=[first_seed, 5]))
    order = random.permutation(len(asked))
    nothing: dict[str, Any] = dict.fromkeys(preset.controls)
    controlled, uncontrolled = [], []
    for index in range(pieces):
        values: dict[str, Any] = dict(asked[order[index % len(asked)]])
        steps = int(values.pop("steps"))
        controlled.append(preset.piece(first_seed + index, **values).latents(0, steps))
        uncontrolled.append(preset.piece(first_seed + index, **nothing).latents(0, steps))
    truth = _moments(real)
    told, free = (frechet_distance(*_moments(parts), *truth) for parts in (controlled, uncontrolled))
    shuffled = [real[index] for index in random.permutation(len(real))]
    half = len(shuffled) // 2
    floor = frechet_distance(*_moments(shuffled[:half]), *_moments(shuffled[half:])) if half else None
    return {
        "frechet_controlled": round(told, 4),
        "frechet_uncontrolled": round(free, 4),
        "frechet_ratio": round(told / free, 4) if free else None,
        "frechet_real_halves": None if floor is None else round(floor, 4),
        "files": len(real),
    }
