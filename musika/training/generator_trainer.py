"""The loop around the latent GAN's ``fit``: saves, rollbacks, time limits, going on after a stop."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import keras

from musika.checks import UserError
from musika.config import GeneratorTrainingConfig
from musika.training.autodiff import accelerated
from musika.training.batches import BatchStream, GanBatches
from musika.training.callbacks import LearningRateCallback, LossCallback, StopRequest, learning_rate_at
from musika.training.generator_saves import GeneratorSaves
from musika.training.latent_gan import LatentGan
from musika.training.run import Run, all_finite

LOSS_EVERY = 10  # steps between two looks at the losses; a device need not wait for the host in between
MOST_RETRIES = 10  # rollbacks without a new save in between: the learning rate is a thousandth then
BATCH_THREADS = 4  # beside an accelerator batches must be made faster than one thread does


@dataclasses.dataclass
class Progress:
    """Where a training stands: what a save holds beside weights and optimisers.

    Attributes:
        step: Steps done.
        seconds: Seconds of training so far, saves left out.
        rate_factor: What the learning rate is multiplied by; halved at each rollback.
        restarts: Rollbacks so far. They shift the random numbers, so that a bad batch does not come again.
        retries: Rollbacks since the last save.
        penalty_factor: The gradient penalty's adaptive factor.
    """

    step: int = 0
    seconds: float = 0.0
    rate_factor: float = 1.0
    restarts: int = 0
    retries: int = 0
    penalty_factor: float = 1.0


class GeneratorTrainer(keras.callbacks.Callback):
    """Runs ``fit`` from save to save, watches the losses, goes back when they are not finite.

    Attributes:
        run: The run folder.
        gan: The networks and their step.
        progress: Where the training stands.
        judge: Called after every save with the step; True ends the training.
    """

    def __init__(self, run: Run, gan: LatentGan, batches: GanBatches, saves: GeneratorSaves) -> None:
        """Put the parts together.

        Args:
            run: The run folder.
            gan: The networks and their step.
            batches: Makes the batches.
            saves: Writes what is shown and heard.
        """
        super().__init__()
        self.run, self.gan, self.batches, self.saves = run, gan, batches, saves
        self.progress = Progress()
        self.judge: Callable[[int], bool] | None = None
        self._enough = False
        self._losses = LossCallback(self._receive, LOSS_EVERY)
        self._failed = False
        self._stop = StopRequest()
        self._began = self._until = self._step_began = math.inf
        self._timed_steps, self._timed_seconds = 0, 0.0
        self._saved_step = -1

    @property
    def settings(self) -> GeneratorTrainingConfig:
        """The training's settings."""
        return self.run.config.generator_training

    @property
    def seconds_per_step(self) -> float:
        """Mean seconds of a step in this call, the first one (which is compiled) left out; NaN before the second."""
        return self._timed_seconds / self._timed_steps if self._timed_steps else math.nan

    def resume(self) -> None:
        """Load the newest save."""
        self._load(older=False)

    def _load(self, older: bool) -> None:
        """Load a save, and with it where the training stood."""
        state = self.run.load(self.gan.networks, self.gan.optimizers, older)
        self.progress = Progress(**state["progress"])
        self.gan.penalty_factor.assign(self.progress.penalty_factor)
        self._saved_step = self.progress.step

    def save(self) -> None:
        """Save weights, optimisers and progress, then the preset and its samples."""
        progress = self.progress
        progress.penalty_factor = float(keras.ops.convert_to_numpy(self.gan.penalty_factor.value))
        progress.retries = 0
        self.run.save(self.gan.networks, self.gan.optimizers, {"progress": dataclasses.asdict(progress)})
        self._saved_step = progress.step
        self.saves.write(progress.step, progress.seconds)
        if self.judge is not None and progress.step > 0:
            self._enough = self.judge(progress.step)

    def train(self, minutes: float | None = None) -> str:
        """Train until the steps are done, the time is up, or someone asks to stop.

        Args:
            minutes: Stop after so long; the learning rate's decay then follows whichever is further, steps or time.

        Returns:
            Why it ended: ``done``, ``time``, ``stopped``, or ``enough`` when the judge said so.

        Raises:
            UserError: If the losses stay not finite at ever lower learning rates.
        """
        self._began = time.monotonic()
        self._until = self._began + 60.0 * minutes if minutes else math.inf
        if self.run.last is None:
            self.save()  # something healthy to go back to, and to play
        callbacks = [LearningRateCallback(self._rate), self._losses, self]
        with StopRequest() as self._stop:
            while self.progress.step < self.settings.steps and self._ended() is None:
                self._failed = False
                self._fit(callbacks)
                if self._failed or not all_finite(self.gan.networks):
                    self._roll_back()
            if self.progress.step != self._saved_step:
                self.save()
        return "done" if self.progress.step >= self.settings.steps else self._ended() or "stopped"

    def _fit(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Call ``fit`` for all steps that are left."""
        progress = self.progress
        workers = BATCH_THREADS if accelerated() else 1
        self._step_began = math.inf
        self.gan.fit(
            BatchStream(self.batches, progress.step, progress.restarts, workers),
            steps_per_epoch=self.settings.steps - progress.step,
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )

    def _rate(self) -> float:
        """The learning rate of the next step."""
        settings, now = self.settings, time.monotonic()
        share = self.progress.step / settings.steps
        if self._until < math.inf:
            share = max(share, (now - self._began) / (self._until - self._began))
        rate = learning_rate_at(share, settings.learning_rate, settings.decay_from, settings.decay_to)
        return rate * self.progress.rate_factor

    def _ended(self) -> str | None:
        """Why the training ends before its last step, or None."""
        if self._stop.wanted:
            return "stopped"
        if self._enough:
            return "enough"
        return "time" if time.monotonic() >= self._until else None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step; save and stop when it is time."""
        now = time.monotonic()
        if self._step_began < math.inf:
            self._timed_steps += 1
            self._timed_seconds += now - self._step_began
            self.progress.seconds += now - self._step_began
        self.progress.step += 1
        if self.progress.step % self.settings.save_every == 0 or self.progress.step == self.settings.steps:
            self._losses.flush()
            self._failed = self._failed or not all_finite(self.gan.networks)
            if not self._failed:
                self.save()
        if self._failed or self._ended():
            self.gan.stop_training = True
        self._step_began = time.monotonic()

    def _receive(self, losses: dict[str, float]) -> None:
        """Show the mean losses of some steps, and notice when they are not finite."""
        if not all(math.isfinite(value) for value in losses.values()):
            self._failed = self.gan.stop_training = True
            return
        self.saves.show(self.gan.steps_done, losses | {"learning_rate": self._rate()}, self.seconds_per_step)

    def _roll_back(self) -> None:
        """Go back to the last healthy save and halve the learning rate."""
        before = self.progress
        if before.retries >= MOST_RETRIES:
            raise UserError(
                f"the losses are not finite after {before.retries} rollbacks, even at the learning rate "
                f"{self._rate():.2g}. Look for broken latents, or start a new run with a lower learning rate."
            )
        # A save may be on its way to ruin without showing it: at the second failure in a row the older one is taken.
        self._load(older=before.retries > 0)
        self.progress.seconds = before.seconds
        self.progress.restarts = before.restarts + 1
        self.progress.retries = before.retries + 1
        self.progress.rate_factor = before.rate_factor / 2.0
        self.saves.say(
            f"step {before.step}: a loss is not a finite number. Back to the save of step {self.progress.step}, "
            f"learning rate halved to {self._rate():.3g}."
        )
        self.saves.show(self.progress.step, {}, self.seconds_per_step)
