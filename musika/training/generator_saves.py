"""What the generator's training leaves to see and to hear: progress, scalars, preset, samples, scores, model card."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.autoencoder.codec import Codec
from musika.data.crops import LatentData, Normalisation, swap_sides
from musika.evaluation.frechet import frechet_distance, mean_and_covariance
from musika.evaluation.report import commit, processor
from musika.gan.coordinates import refiner_noise
from musika.gan.refiner import Refiner
from musika.model_card import model_card
from musika.presets import Preset, save_preset
from musika.threads import cores
from musika.training.batches import GanBatches
from musika.training.callbacks import ProgressBar, ScalarWriter
from musika.training.latent_gan import LatentGan
from musika.training.run import Run, write_json

SAMPLE_SECONDS = 20.0
SAMPLE_SEED = 0
SCORED_WINDOWS = 64
SCORED_BATCH = 16
STREAM_SHIFT = 900  # of the scores' random numbers, away from those of the training
SHOWN = ("refiner_loss", "critic_loss", "generator_loss", "real_score", "fake_score", "penalty", "penalty_factor")


class GeneratorSaves:
    """Writes presets, samples and scores into a run, and shows its progress.

    Attributes:
        run: The run folder.
        gan: The networks.
        latents: The latents, in the form in which the GAN makes them.
        normalisation: How they were normalised, if they were.
        preset: What plays: the averaged generator and the codec.
        scores: The latest scores.
    """

    def __init__(
        self,
        run: Run,
        gan: LatentGan,
        batches: GanBatches,
        codec: Codec,
        statistics: Normalisation | None,
        latents: LatentData,
        shown: bool = True,
        say: Callable[[str], None] = print,
        codec_notes: dict[str, Any] | None = None,
    ) -> None:
        """Remember what is saved.

        Args:
            run: The run folder.
            gan: The networks.
            batches: Makes the generator's inputs for the scores.
            codec: Decodes the samples; stored in the preset.
            statistics: The normalisation of the latents, if there is one.
            latents: The (normalised) latents.
            shown: Whether a progress bar is shown.
            say: Receives the lines that are printed.
            codec_notes: What the codec's preset notes of its training, passed on to this one.
        """
        self._codec_notes = codec_notes
        self.run, self.gan, self._batches, self._codec = run, gan, batches, codec
        self.latents, self._shown, self._say = latents, shown, say
        self.normalisation = statistics
        self._statistics = None if statistics is None else (statistics.mean, statistics.std)
        mid_side = run.config.generator.mid_side
        enough = sum(len(part) for part in latents.held_out) > 1
        self._held_out = _moments(latents.held_out, mid_side) if enough else None
        self._bar: ProgressBar | None = None
        self._writer = ScalarWriter(run.folder / "scalars")
        mean, std = self._statistics or (np.float32(0.0), np.float32(1.0))
        self._refiner = None if gan.flow_matching is None else gan.flow_matching.average
        self.preset = Preset(run.folder.name, run.config, codec, gan.average, mean, std, refiner=self._refiner)
        self.scores: dict[str, float] = {}

    def open(self, step: int) -> None:
        """Start the progress bar.

        Args:
            step: Steps done so far.
        """
        if not self._writer.available:
            self.say("TensorBoard is not installed: no scalars are written. Install `tensorboard` to have them.")
        self._bar = ProgressBar(self.run.config.generator_training.steps, step, shown=self._shown)

    def close(self) -> None:
        """End the progress bar and the scalars."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._writer.close()

    def say(self, line: str) -> None:
        """Print a line beside the progress bar.

        Args:
            line: The line.
        """
        if self._bar is not None and self._shown:
            self._bar.say(line)
        else:
            self._say(line)

    def show(self, step: int, losses: dict[str, float], seconds_per_step: float) -> None:
        """Show and record losses.

        Args:
            step: Steps done.
            losses: Mean losses since the last call.
            seconds_per_step: Seconds of a step; NaN when not known yet.
        """
        if self._bar is not None:
            self._bar.move(step, {name: losses[name] for name in SHOWN if name in losses})
        speed = {} if math.isnan(seconds_per_step) else {"seconds_per_step": seconds_per_step}
        if losses:
            self._writer.write(step, losses | speed)

    def write(self, step: int, seconds: float) -> None:
        """Write the preset, and after the first step its scores, a sample and its spectrogram.

        Args:
            step: Steps done.
            seconds: Seconds of training so far.
        """
        if step > 0:
            self.scores = self.measure()
            self._writer.write(step, self.scores)
        notes = self._notes(step, seconds)
        trainings = {key: notes[f"{key}_training"] for key in ("codec", "generator") if f"{key}_training" in notes}
        save_preset(
            self.run.folder / "preset",
            self.run.config,
            codec=self._codec,
            generator=self.gan.average,
            statistics=self._statistics,
            metadata=notes,
            card=model_card(notes["name"], trainings),
            refiner=self._refiner,
        )
        if step > 0:
            self._write_sample(step)

    def measure(self) -> dict[str, float]:
        """The Fréchet distance to held-out latents: of generated windows and, for comparison, of as many real ones.

        Returns:
            ``frechet_generated`` and ``frechet_training``, whose windows are those of the training music that the
            generated ones have their controls from; nothing when nothing is held out.
        """
        if self._held_out is None:
            return {}
        made: list[np.ndarray] = []
        real: list[np.ndarray] = []
        for index in range(SCORED_WINDOWS // SCORED_BATCH):
            inputs = self._batches.inputs(index, SCORED_BATCH, STREAM_SHIFT)
            windows = keras.ops.convert_to_numpy(self.gan([inputs["coordinates"], inputs["noise"]]))
            made.extend(windows if self._refiner is None else self._refined(self._refiner, windows, index))
            real.extend(self._batches.real(index, SCORED_BATCH, STREAM_SHIFT)[0])
        moments = {"frechet_generated": made, "frechet_training": real}
        mid_side = self.run.config.generator.mid_side
        return {name: frechet_distance(*_moments(part, mid_side), *self._held_out) for name, part in moments.items()}

    def _refined(self, refiner: Refiner, windows: np.ndarray, index: int) -> np.ndarray:
        """Windows as they are played, without the steps whose context lies outside."""
        shape = (*windows.shape[:2], len(refiner.drawn))
        noise = refiner_noise(index, 0, shape[0] * shape[1], shape[2]).reshape(shape)
        return keras.ops.convert_to_numpy(refiner(windows, noise))[:, refiner.reach : -refiner.reach]

    def _write_sample(self, step: int) -> None:
        """Render the beginning of a piece, the same one at every save."""
        from musika.audio.picture import save_spectrogram
        from musika.audio.writing import write_audio

        audio = self.preset.piece(SAMPLE_SEED).render(0.0, SAMPLE_SECONDS)
        path = self.run.folder / "samples" / f"step-{step:08d}.flac"
        rate = self.run.config.sample_rate
        write_audio(path, audio, rate)
        save_spectrogram(path.with_suffix(".png"), audio, rate, title=f"step {step}")

    def _notes(self, step: int, seconds: float) -> dict[str, Any]:
        """What the preset's metadata says of its training."""
        rate, settings = self.run.config.latent_rate, self.run.settings
        config, data = settings.get("config"), _name(settings.get("data"))
        training = {
            "command": settings.get("command")
            or f"musika train generator --config {config} --codec {_name(settings.get('codec'))} --data {data}",
            "config": config,
            "commit": commit(),
            "machine": f"{processor()}, {cores()} cores",
            "from": _name(self.run.settings.get("from")),
            "earlier": self.run.settings.get("earlier", []),
            "data": data,
            "files": len(self.latents.used),
            "minutes_of_music": round(sum(len(part) for part in self.latents.training) / rate / 60.0, 1),
            "steps": step,
            "hours": round(seconds / 3600.0, 3),
            "scores": {name: round(value, 4) for name, value in self.scores.items()},
        }
        notes = {"name": self.run.folder.resolve().name, "generator_training": training}
        return notes | ({"codec_training": self._codec_notes} if self._codec_notes else {})

    def closing_word(self, step: int, seconds_per_step: float, ended: str) -> dict[str, Any]:
        """Say how the training ended, how fast and how well it went, and where things are.

        Args:
            step: Steps done.
            seconds_per_step: Seconds of a step; NaN when not known.
            ended: ``done``, ``time``, ``stopped`` or ``enough``.

        Returns:
            The report.
        """
        folder = self.run.folder
        if not self.scores:
            self.scores = self.measure()
        report = {"step": step, "seconds_per_step": seconds_per_step, "ended": ended, **self.scores}
        known = None if math.isnan(seconds_per_step) else round(seconds_per_step, 4)
        write_json(folder / "report.json", {**report, "seconds_per_step": known})
        how = {"done": "Done", "time": "Time is up", "stopped": "Stopped", "enough": "Ended early"}[ended]
        speed = "" if math.isnan(seconds_per_step) else f", {seconds_per_step:.3f} s a step"
        self._say(f"{how} after {step} steps{speed}.")
        if self.scores:
            self._say(
                f"Fréchet distance of latents to held-out music: {self.scores['frechet_generated']:.2f} generated, "
                f"{self.scores['frechet_training']:.2f} training music."
            )
        self._say(f"Preset: {folder / 'preset'}   samples: {folder / 'samples'}   scalars: {folder / 'scalars'}")
        self._say(f"Listen: musika generate --checkpoint {folder}")
        if ended not in ("done", "enough"):
            self._say(f"Go on: {self.run.settings.get('go_on') or f'musika train generator --out {folder} --resume'}")
        return report


def _name(path: str | None) -> str | None:
    """The last part of a path, of a run's preset the run's: what may be told to those who get the preset."""
    if path is None:
        return None
    given = Path(path)
    return given.parent.name if given.name == "preset" else given.name


def _moments(sequences: list[np.ndarray], mid_side: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the steps of latent sequences, both ways round in stereo."""
    steps = np.concatenate(sequences)
    return mean_and_covariance(np.concatenate([steps, swap_sides(steps, mid_side)]))
