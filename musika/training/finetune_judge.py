"""Judging a fine-tuning at every save: whether it is better, has begun to copy, does as it is told, shall go on.

save --32 pieces--> latents --> Fréchet distance to held-out tracks, copying score, controls --> best/, report.html
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from musika.audio.stereo import to_mid_side
from musika.checks import UserError
from musika.data.crops import swap_sides
from musika.evaluation.control_check import check_controls
from musika.evaluation.frechet import Normal, fit_normal, normal_distance
from musika.evaluation.latent_windows import CopyingDetector
from musika.presets import Preset
from musika.training.finetune_report import write_report
from musika.training.generator_saves import GeneratorSaves
from musika.training.run import put_in_place, read_json, write_json

HISTORY = "evaluations.json"
PIECES, PIECE_STEPS = 32, 256
# A save counts as copying where more than three times as many generated windows as by chance come suspiciously near
# to the training music, and their middle one is no farther from it than held-out music is. Measured: fine-tuned on two
# hours 0.4 % and 1.15; on ten minutes 2 % and 1.08 when held-out music was met best, 19 % and 0.99 after 3,000 steps.
COPYING_SCORE, COPYING_CLOSER = 1.05, 0.15
COPYING_SAVES = 2  # in a row, after which the training ends
BETTER = 0.99  # a distance below this share of the best one so far is better


@dataclass(frozen=True)
class Evaluation:
    """What was found at one save.

    Attributes:
        step: Training steps.
        frechet: Fréchet distance of generated latents to held-out tracks.
        copying: The copying score, 1 for as new as other real music, 0 for a copy; None where it cannot be told.
        closer: Share of generated windows nearer to the training music than 95 % of held-out windows; 0.05 is chance.
        controls: By control, what `check_controls` tells.
    """

    step: int
    frechet: float | None
    copying: float | None = None
    closer: float | None = None
    controls: dict[str, float] = field(default_factory=dict)

    @property
    def copies(self) -> bool:
        """Whether this save repeats its training music."""
        if self.copying is None or self.closer is None:
            return False
        return self.copying < COPYING_SCORE and self.closer > COPYING_CLOSER


def best_of(history: Sequence[Evaluation]) -> Evaluation | None:
    """The best save: the least distance among those that do not copy.

    Args:
        history: The saves so far, the start (step 0) among them.

    Returns:
        The best one after the start; None where nothing was measured.
    """
    measured = [item for item in history if item.step > 0 and item.frechet is not None]
    clean = [item for item in measured if not item.copies]
    return min(clean or measured, key=lambda item: item.frechet or 0.0, default=None)


def has_begun_to_copy(history: Sequence[Evaluation]) -> bool:
    """Whether the latest saves in a row copy.

    Args:
        history: The saves so far.

    Returns:
        True if they do.
    """
    latest = [item for item in history if item.step][-COPYING_SAVES:]
    return len(latest) == COPYING_SAVES and all(item.copies for item in latest)


def saves_since_best(history: Sequence[Evaluation]) -> int:
    """Saves since the last one that was clearly better than all before it.

    Args:
        history: The saves so far.

    Returns:
        Their number.
    """
    best, since = np.inf, 0
    for item in history:
        if item.step and item.frechet is not None:
            since += 1
            if not item.copies and item.frechet < BETTER * best:
                best, since = item.frechet, 0
    return since


def verdict(history: Sequence[Evaluation], floor: float | None, patience: int = 0) -> str:
    """The closing word.

    Args:
        history: The saves so far, the start among them.
        floor: Fréchet distance of the training music itself to the held-out tracks.
        patience: Saves without a better one after which a training ends.

    Returns:
        One or two sentences.

    >>> verdict([Evaluation(0, 90.0), Evaluation(500, 40.0), Evaluation(1000, 30.0)], 5.0)
    'Still improving at step 1000: the distance to held-out music fell from 90.0 to 30.0 (training music: 5.0).'
    """
    best = best_of(history)
    if best is None or best.frechet is None:
        return "Nothing was held out to measure with: listen to the samples."
    start = next((item.frechet for item in history if item.step == 0), None)
    way = " is" if start is None else f" {'fell' if best.frechet < start else 'went'} from {start:.1f} to"
    by = f"the distance to held-out music{way} {best.frechet:.1f}"
    by += "" if floor is None else f" (training music: {floor:.1f})"
    if best.copies or has_begun_to_copy(history):
        first = next(item.step for item in history if item.step and item.copies)
        if best.copies:
            return f"Has begun to copy its training music, from step {first} on: give more music, or train fewer steps."
        return f"Has begun to copy its training music (step {first}). Best before that at step {best.step}: {by}."
    if saves_since_best(history) == 0:
        return f"Still improving at step {best.step}: {by}."
    ended = " It has not got better since." if patience and saves_since_best(history) >= patience else ""
    return f"Best at step {best.step}: {by}.{ended}"


class Judge:
    """Called by the trainer after every save.

    Attributes:
        history: What was found so far, the start among it.
    """

    def __init__(self, saves: GeneratorSaves, step: int, start: Preset | None, check: bool = True) -> None:
        """Look at the start, or go on with what a resumed run found before.

        Args:
            saves: Writes the saves; has the music and the preset.
            step: Step at which the training begins.
            start: The preset that is fine-tuned; None when a run goes on.
            check: Whether controls are checked, which takes some seconds a save.
        """
        self.saves, self.folder, self._check = saves, saves.run.folder, check
        self._file = self.folder / HISTORY
        latents = saves.latents
        self._held_out = self._normal(latents.held_out)
        trained = self._normal(latents.training)
        self._floor = normal_distance(trained, self._held_out) if trained and self._held_out else None
        self._copying = CopyingDetector(latents.training, latents.held_out) if latents.held_out else None
        self.history: list[Evaluation] = []
        if self._file.is_file():
            self.history = [Evaluation(**item) for item in read_json(self._file)["saves"]]
        elif start is not None:
            self.history = [self._evaluate(start, 0)]
            write_json(self._file, self.content())
            self.saves.say(self._line(self.history[0]))
        missed = step > 0 and not any(item.step == step for item in self.history)
        if missed:  # stopped between a save and its evaluation
            self(step)

    def __call__(self, step: int) -> bool:
        """Evaluate a save, keep the best, write the report.

        Args:
            step: Training steps so far.

        Returns:
            Whether the training may end: it copies, or has not got better for long.
        """
        found = self._evaluate(self.saves.preset, step)
        self.history = [item for item in self.history if item.step < step] + [found]
        best, patience = best_of(self.history), self.saves.run.config.generator_training.patience
        if best is found or not (self.folder / "best").is_dir():
            self._keep_best()
        content = self.content()
        write_json(self._file, content)
        write_report(self.folder, content, self.saves.preset.controls)
        self.saves.say(self._line(found))
        return has_begun_to_copy(self.history) or bool(patience and saves_since_best(self.history) >= patience)

    def content(self) -> dict[str, Any]:
        """What ``evaluations.json`` and the report hold."""
        best = best_of(self.history)
        return {
            "verdict": self.closing_word(),
            "best": None if best is None else best.step,
            "frechet_training": self._floor,
            "saves": [dataclasses.asdict(item) for item in self.history],
        }

    def closing_word(self) -> str:
        """The verdict on the whole fine-tuning."""
        return verdict(self.history, self._floor, self.saves.run.config.generator_training.patience)

    def _normal(self, sequences: Sequence[np.ndarray]) -> Normal | None:
        """The normal distribution of the steps of sequences, both ways round in stereo; None when there are too few."""
        if sum(len(part) for part in sequences) < 2:
            return None
        steps = np.concatenate(sequences)
        return fit_normal([steps, swap_sides(steps, self.saves.run.config.generator.mid_side)])

    def _made(self, preset: Preset) -> list[np.ndarray]:
        """Latents of the beginnings of pieces, in the form of the training music."""
        pieces = [preset.piece(seed).latents(0, PIECE_STEPS) for seed in range(PIECES)]
        if self.saves.run.config.generator.mid_side:
            pieces = [to_mid_side(piece) for piece in pieces]
        statistics = self.saves.normalisation
        return pieces if statistics is None else [statistics.apply(piece) for piece in pieces]

    def _evaluate(self, preset: Preset, step: int) -> Evaluation:
        """Measure a preset."""
        made = self._made(preset)
        generated, frechet, copying = self._normal(made), None, {}
        if generated is not None and self._held_out is not None:
            frechet = normal_distance(generated, self._held_out)
        if self._copying is not None and self._copying.usable:
            try:
                copying = self._copying.score(made)
            except UserError as error:
                self.saves.say(str(error))
        return Evaluation(
            step,
            frechet,
            copying.get("score"),
            copying.get("closer"),
            check_controls(preset) if self._check and step else {},
        )

    def _keep_best(self) -> None:
        """Copy the preset of this save to `best`."""
        aside = self.folder / ".best.partial"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(self.folder / "preset", aside)
        put_in_place(aside, self.folder / "best")

    def _line(self, item: Evaluation) -> str:
        """What was found at a save, for the terminal."""
        parts = [f"step {item.step}:" if item.step else "before fine-tuning:"]
        if item.frechet is not None:
            parts.append(f"distance to held-out music {item.frechet:.2f}")
        if item.copying is not None:
            parts.append(f"copying score {item.copying:.2f}{' (copies)' if item.copies else ''}")
        for name, value in item.controls.items():
            clock = self.saves.preset.controls[name].clock
            parts.append(f"{name} {f'held in {value:.0%} of pieces' if clock else f'followed (rank {value:.2f})'}")
        return f"{parts[0]} {', '.join(parts[1:])}" if len(parts) > 1 else f"{parts[0]} nothing to measure with"
