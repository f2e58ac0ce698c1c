"""What was measured of one audio file: the file ``NAME.controls.json`` beside its latents ``NAME.npz``.

    {"format": 1, "source": "x.flac", "annotator": "labels", "latent_rate": 10.7666, "steps": 345,
     "tempo": 128.0, "tempo_confidence": 1.0, "beats": [0.0, 0.46875, ...], "bars": [0.0, 1.875, ...],
     "controls": {"tempo": 128.0, "note_density": [2.1, 2.2, ...], "genre": "techno"}}

``tempo`` is in beats a minute, null where there is none; ``beats`` and ``bars`` (where bars begin) are in seconds. Each
control is one number a file, a list of one number a latent step, the name of a class, or null where it is not known.
Latent step ``s`` stands for the time ``(s + 0.5) / latent_rate`` seconds.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import show_path
from musika.audio.writing import replacing
from musika.checks import UserError

Array = NDArray[np.float64]
Value = float | str | Array | None

ANNOTATION_ENDING = ".controls.json"
FORMAT = 1
_DECIMALS = 6  # a microsecond


def _none() -> Array:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Annotation:
    """What was measured of one audio file.

    Attributes:
        source: The audio file, as seen from the annotation's folder.
        annotator: Name of the annotator.
        latent_rate: Latent steps a second.
        steps: Latent steps of the file.
        tempo: Beats a minute, or None.
        tempo_confidence: How sure the annotator is of the tempo, 0 to 1.
        beats: Times of the beats in seconds, rising, shape ``(beats,)``.
        bars: Times at which bars begin in seconds, rising, shape ``(bars,)``; empty where not known.
        onsets: Times of onsets in seconds, rising, those struck together once, shape ``(onsets,)``; None where they
            were not listened for.
        controls: By name of the control: a number, an array of shape ``(steps,)``, the name of a class, or None.
    """

    source: str
    annotator: str
    latent_rate: float
    steps: int
    tempo: float | None = None
    tempo_confidence: float = 0.0
    beats: Array = field(default_factory=_none)
    bars: Array = field(default_factory=_none)
    controls: dict[str, Value] = field(default_factory=dict)
    onsets: Array | None = None


def annotation_path(latents: str | Path) -> Path:
    """Where the annotation of a latent file lies.

    Args:
        latents: The latent file, ``NAME.npz``.

    Returns:
        ``NAME.controls.json`` beside it.

    >>> annotation_path("latents/a.npz").name
    'a.controls.json'
    """
    return Path(latents).with_suffix(ANNOTATION_ENDING)


def _plain(value: Value) -> Any:
    """A control's value as JSON has it."""
    if value is None or isinstance(value, str):
        return value
    numbers = np.asarray(value, dtype=float)
    return round(float(numbers), _DECIMALS) if numbers.ndim == 0 else numbers.round(_DECIMALS).tolist()


def save_annotation(path: str | Path, annotation: Annotation) -> None:
    """Write an annotation; the file gets its name when it is complete.

    Args:
        path: The file, ``NAME.controls.json``.
        annotation: What it shall hold.

    Raises:
        UserError: If a value cannot be kept, or the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "source": show_path(annotation.source),
        "annotator": annotation.annotator,
        "latent_rate": annotation.latent_rate,
        "steps": annotation.steps,
        "tempo": None if annotation.tempo is None else float(annotation.tempo),
        "tempo_confidence": round(float(annotation.tempo_confidence), 4),
        "beats": _plain(annotation.beats),
        "bars": _plain(annotation.bars),
        "onsets": _plain(annotation.onsets),
        "controls": {name: _plain(value) for name, value in annotation.controls.items()},
    }
    _parse(content, show_path(path))
    with replacing(path) as aside:
        aside.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def load_annotation(path: str | Path, steps: int | None = None) -> Annotation:
    """Read an annotation.

    Args:
        path: The file, ``NAME.controls.json``.
        steps: Steps of the latent file that it must fit; None accepts any.

    Returns:
        What the file holds.

    Raises:
        UserError: If it is missing, damaged, no annotation, or of a file of another length.
    """
    shown = show_path(path)
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{shown}: cannot be read: {error.strerror or error}. `musika annotate` makes annotations."
        ) from None
    except (ValueError, RecursionError):
        raise _damaged(shown, "it is not JSON") from None
    annotation = _parse(content, shown)
    if steps is not None and annotation.steps != steps:
        raise UserError(
            f"{shown}: measured for {annotation.steps} latent steps, but the latents have {steps}."
            " Run `musika annotate FOLDER --again`."
        )
    return annotation


def _damaged(shown: str, what: str) -> UserError:
    """The error for a file that is no sound annotation."""
    return UserError(f"{shown}: not an annotation, or damaged: {what}. `musika annotate` makes annotations.")


def _number(content: dict[str, Any], name: str, shown: str, low: float, high: float = math.inf) -> float:
    """A number of the file within its range."""
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high or math.isinf(value):
        limits = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise _damaged(shown, f"{name} must be a number {limits}. Received: {name}={value!r}")
    return float(value)


def _times(content: dict[str, Any], name: str, shown: str) -> Array:
    """Times in rising order."""
    times = _numbers(content.get(name), name, shown)
    if (np.diff(times) <= 0).any() or (times < 0).any():
        raise _damaged(shown, f"{name} must be rising times in seconds, 0 or more")
    return times


def _numbers(value: Any, name: str, shown: str) -> Array:
    """A list of finite numbers."""
    good = isinstance(value, list) and all(isinstance(item, (int, float)) for item in value)
    numbers = np.array(value if good else [], dtype=float)
    if not good or not np.isfinite(numbers).all():
        raise _damaged(shown, f"{name} must be a list of finite numbers")
    return numbers


def _control(value: Any, name: str, steps: int, shown: str) -> Value:
    """A control's value, checked."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, list):
        numbers = _numbers(value, f"control {name}", shown)
        if len(numbers) != steps:
            raise _damaged(shown, f"control {name} must have {steps} numbers. Received: {len(numbers)}")
        return numbers
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _damaged(shown, f"control {name} must be a number, a list, a class or null. Received: {value!r}")
    return float(value)


def _parse(content: Any, shown: str) -> Annotation:
    """Check what a file holds."""
    if not isinstance(content, dict) or not isinstance(content.get("controls"), dict):
        raise _damaged(shown, "it has no controls")
    if content.get("format") != FORMAT:
        raise UserError(
            f"{shown}: this version reads annotations of format {FORMAT}. Received: format={content.get('format')!r}."
            " Run `musika annotate FOLDER --again`."
        )
    source, annotator, steps = content.get("source"), content.get("annotator"), content.get("steps")
    if not (isinstance(source, str) and isinstance(annotator, str)):
        raise _damaged(shown, "source and annotator must be text")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise _damaged(shown, f"steps must be a whole number, 1 or more. Received: steps={steps!r}")
    rate = _number(content, "latent_rate", shown, 0.0)
    if not rate:
        raise _damaged(shown, "latent_rate must be greater than 0")
    return Annotation(
        source=source,
        annotator=annotator,
        latent_rate=rate,
        steps=steps,
        tempo=None if content.get("tempo") is None else _number(content, "tempo", shown, 1.0, 1000.0),
        tempo_confidence=_number(content, "tempo_confidence", shown, 0.0, 1.0),
        beats=_times(content, "beats", shown),
        bars=_times(content, "bars", shown),
        onsets=None if content.get("onsets") is None else _times(content, "onsets", shown),
        controls={name: _control(value, name, steps, shown) for name, value in content["controls"].items()},
    )
