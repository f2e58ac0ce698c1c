"""A quick look at whether a preset plays what it is asked for, cheap enough for every save of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musika.data.measures import MEASURES, NOT_HEARD
from musika.evaluation.control import Study, study_tempo, study_values
from musika.settings import ControlConfig

if TYPE_CHECKING:
    from musika.presets import Preset

_PIECES, _SECONDS = 4, 20.0


def can_be_heard(control: ControlConfig) -> bool:
    """Whether a control can be measured in rendered music.

    Args:
        control: The control.

    Returns:
        False for classes, and for what says nothing of how music sounds.

    >>> can_be_heard(ControlConfig("position"))
    False
    """
    measure = control.measure or control.name
    return not control.classes and measure in MEASURES and measure not in NOT_HEARD


def check_controls(preset: Preset, pieces: int = _PIECES, seconds: float = _SECONDS) -> dict[str, float]:
    """Ask pieces for values spread over each control's range, and measure what they do.

    Args:
        preset: The preset.
        pieces: Pieces for each control.
        seconds: Length of a piece in seconds.

    Returns:
        By name: of a tempo the share of the pieces in which it is heard, at its own, half or double its speed; of
        another control the rank correlation of what was asked and what was measured. What cannot be told is left out.
    """
    study = Study(pieces=pieces, curves=0, seconds=seconds)
    found: dict[str, float] = {}
    for name, control in preset.controls.items():
        if can_be_heard(control):
            findings = (study_tempo if control.clock else study_values)(preset, control, study)
            score = findings.scores["accuracy2" if control.clock else "spearman"]
            if score is not None:
                found[name] = float(score)
    return found
