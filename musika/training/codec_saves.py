"""What a codec's training leaves at every save: a preset, scalars, held-out audio and spectrograms."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.config import Config
from musika.evaluation.reconstruction import clip_samples, mean_scores, measure_clips
from musika.evaluation.report import commit
from musika.model_card import model_card
from musika.presets import save_preset
from musika.training.callbacks import LossCallback, ProgressBar, ScalarWriter
from musika.training.codec_match import measure_match

UNTRAINED_PHASE_ITERATIONS = 32  # about what Griffin-Lim needs; decoding is still many times faster than real time
_CLIPS = 4
_LOSS_EVERY = 20


class CodecSaves:
    """Writes the run's preset and examples, and shows its progress.

    Attributes:
        folder: The preset's folder, ``RUN/preset``.
    """

    def __init__(self, trainer: Any, progress: bool = True):
        """Choose the held-out clips.

        Args:
            trainer: The `CodecTrainer`.
            progress: Whether progress bars are shown.
        """
        self.trainer, self.progress = trainer, progress
        self.folder = trainer.run.folder / "preset"
        self.writer = ScalarWriter(trainer.run.folder / "scalars")
        self.bar: ProgressBar | None = None
        length = clip_samples(trainer.config)
        tracks = [track for track in trainer.pool.held_out if len(track) >= length][:_CLIPS]
        self.clips = [track[:length].astype(np.float32) / 32768 for track in tracks]

    def callbacks(self, phase: keras.Model, step: int) -> list[keras.callbacks.Callback]:
        """Callbacks of one phase.

        Args:
            phase: The phase.
            step: Steps already done in it.

        Returns:
            A callback that shows and records the losses.
        """
        bar = ProgressBar(phase.settings.steps, step, unit=phase.name + " step", shown=self.progress)
        self.bar = bar
        before = sum(self._before(phase.name).values())

        def receive(losses: dict[str, float]) -> None:
            """Show and write the mean losses of some steps."""
            bar.move(min(bar.done + _LOSS_EVERY, bar.total), losses)
            scalars = {f"{phase.name}/{key}": value for key, value in losses.items()}
            self.writer.write(before + bar.done, scalars)

        return [LossCallback(receive, _LOSS_EVERY)]

    def write(self, name: str, step: int) -> None:
        """Write preset, audio, spectrogram and scores.

        Args:
            name: Name of the phase.
            step: Steps done in it.
        """
        trainer = self.trainer
        playable, notes = self._playable(name), self._notes(name, step)
        if not playable.codec.phase_iterations:  # Griffin-Lim's phases are not matched
            measure_match(trainer.networks, trainer.config, trainer.pool.train)
        save_preset(
            self.folder,
            playable,
            codec=trainer.networks,
            metadata={"name": trainer.run.folder.resolve().name, "codec_training": notes},
            card=model_card(trainer.run.folder.resolve().name, {"codec": notes}),
        )
        if self.bar is not None:
            self.bar.move(step)
        if not self.clips:
            return
        clips = [clip[:, 0] for clip in self.clips]
        scores = mean_scores(measure_clips(trainer.networks, trainer.config, clips, griffin=False))
        total = sum(self._before(name).values()) + step
        self.writer.write(total, {f"held_out/{key}": value for key, value in scores.items()})
        shown = ("both_log_spectral_distance_db", "both_spectral_convergence", "both_harmonic_survival")
        trainer.say(f"{name} {step}: " + ", ".join(f"{key} {scores[key]:.3f}" for key in shown))
        self._examples(name, step)

    def _playable(self, name: str) -> Config:
        """The config of the preset: until the compact codec's phase has been trained, Griffin-Lim finds it."""
        config, order = self.trainer.config, list(self.trainer.config.codec_training.order)
        learned = name in order and "level1_phase" in order and order.index(name) >= order.index("level1_phase")
        learned |= self.trainer.run.settings.get("from") is not None
        if learned or name == "level1_phase" or config.codec.phase != "phasor":
            return config
        codec = dataclasses.replace(config.codec, phase_iterations=UNTRAINED_PHASE_ITERATIONS)
        return dataclasses.replace(config, codec=codec)

    def _before(self, name: str) -> dict[str, int]:
        """Steps of the phases that come before one."""
        training = self.trainer.config.codec_training
        earlier = training.order[: training.order.index(name)] if name in training.order else ()
        return {key: getattr(training, key).steps for key in earlier}

    def _notes(self, name: str, step: int) -> dict[str, Any]:
        """What the preset's metadata says of the training."""
        config, data = self.trainer.config, self.trainer.run.settings["data"]
        done = {**self._before(name), name: step}
        start = self.trainer.run.settings.get("from")
        return {
            "config": config.name,
            "command": f"musika train codec --config {config.name} --data {data}"
            + (f" --from {start}" if start else ""),
            "minutes_of_music": round(self.trainer.pool.seconds / 60, 1),
            "steps": ", ".join(f"{key} {count}" for key, count in done.items() if count) or "0",
            "hours": round(self.trainer.seconds / 3600, 2),
            "commit": commit(),
            "earlier": self.trainer.run.settings.get("earlier", []),
        }

    def _examples(self, name: str, step: int) -> None:
        """Held-out audio, original and decoded in turn, and its picture."""
        from musika.audio.files import write_audio
        from musika.audio.picture import save_spectrogram
        from musika.presets import load_preset

        codec = load_preset(self.folder).codec
        pieces = [item for clip in self.clips for item in (clip, codec.decode(codec.encode(clip), samples=len(clip)))]
        folder: Path = self.trainer.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        audio = np.concatenate(pieces)
        write_audio(folder / f"{name}-{step:07d}.flac", audio, self.trainer.config.sample_rate)
        save_spectrogram(folder / f"{name}-{step:07d}.png", audio, self.trainer.config.sample_rate)

    def close(self) -> None:
        """End the phase's progress bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
