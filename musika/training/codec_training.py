"""Training of the codec: principal components, then the phases of the config, each resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from musika.autoencoder.level1 import build_level1_decoder, build_level1_encoder
from musika.autoencoder.level2 import build_level2_decoder, build_level2_encoder
from musika.checks import UserError
from musika.config import Config
from musika.data.audio_pool import AudioPool, open_pool
from musika.presets import load_preset
from musika.training.callbacks import StopRequest
from musika.training.codec_phase import CodecPhase, make_batch
from musika.training.codec_plan import BEGINNING, check_settings, remaining_phases, shared_crops, with_steps
from musika.training.codec_start import origin_of, take_over_networks
from musika.training.components import set_components, weighted_frames
from musika.training.run import Run, all_finite
from musika.training.several import on_all_cards, same_cards

_WARM_UP_STEPS = 150
_FINAL_SHARE = 0.02


def build_networks(config: Config) -> dict[str, keras.Model]:
    """Build the four networks of a codec.

    Args:
        config: The config.

    Returns:
        The networks by name.
    """
    return {
        "level1_encoder": build_level1_encoder(config),
        "level1_decoder": build_level1_decoder(config),
        "level2_encoder": build_level2_encoder(config),
        "level2_decoder": build_level2_decoder(config),
    }


def phase_learning_rate(step: int, steps: int, peak: float) -> float:
    """Learning rate of a step: a short warm-up, then a cosine down to 2 %.

    Args:
        step: The step, from 0.
        steps: Steps in the phase.
        peak: The highest rate.

    Returns:
        The rate.

    >>> round(phase_learning_rate(1000, 1000, 1.0), 3)
    0.02
    """
    warm = min(1.0, (step + 1) / min(_WARM_UP_STEPS, max(steps // 10, 1)))
    cosine = 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))
    return peak * warm * (_FINAL_SHARE + (1 - _FINAL_SHARE) * cosine)


class _Schedule(keras.callbacks.Callback):
    """Sets the learning rate of each step, keeps the step number, watches the clock, Ctrl-C and the losses."""

    def __init__(self, trainer: CodecTrainer, phase: CodecPhase, step: int, until: float | None):
        super().__init__()
        self.trainer, self.phase, self.step, self.until = trainer, phase, step, until
        self.timed_out = self.diverged = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set this step's learning rate."""
        settings = self.phase.settings
        rate = phase_learning_rate(self.step, settings.steps, settings.learning_rate) * self.trainer.rate_factor
        for optimizer in self.phase.optimizer_of.values():
            optimizer.learning_rate.assign(rate)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step; stop on a loss that is not a number, when the time is up or someone asks to."""
        self.step += 1
        if not math.isfinite(float((logs or {}).get("loss", 0.0))):
            self.diverged = True
        if self.until is not None and time.monotonic() > self.until:
            self.timed_out = True
        if self.diverged or self.timed_out or self.trainer.stop.wanted:
            self.phase.stop_training = True


class CodecTrainer:
    """Trains the four networks, phase after phase, in a run folder, on the cards that it is made for.

    Attributes:
        networks: The four networks by name.
        run: The run folder.
        rate_factor: Halved whenever a phase diverged and was rolled back.
        seconds: Seconds of training so far.
        stop: A wish to save and stop.
    """

    def __init__(self, run: Run, pool: AudioPool, say: Callable[[str], None] = print):
        self.run, self.pool, self.say = run, pool, say
        self.config = run.config
        keras.utils.set_random_seed(self.config.codec_training.seed % 2**32)
        self.networks = build_networks(self.config)
        self._cards = same_cards()
        self.rate_factor = 1.0
        self.seconds = 0.0
        self.stop = StopRequest()

    def start(self) -> dict[str, float]:
        """Measure the principal components where the config asks for them.

        Returns:
            The share of variance that each level keeps; empty without principal components.
        """
        training = self.config.codec_training
        if not training.principal_components:
            return {}
        return set_components(self.networks, self._patches(), self.config)

    def take_over(self, networks: dict[str, keras.Model]) -> None:
        """Go on with the networks of another codec; a ceiling is raised to what this music needs.

        Args:
            networks: Its four networks by name.
        """
        take_over_networks(self.networks, networks, self.say)
        decoder, before = (source["level1_decoder"] for source in (self.networks, networks))
        if getattr(decoder, "ceiling", None) is not None:
            known = before.limit() if getattr(before, "ceiling", None) is not None else None
            decoder.set_ceiling(weighted_frames(decoder.soft_floor, self._patches(), self.config), known)

    def _patches(self) -> np.ndarray:
        """Mono crops of one patch each, `(count, samples)`."""
        training, spectral = self.config.codec_training, self.config.spectral
        rng = np.random.Generator(np.random.Philox(key=[training.seed, 2]))
        samples = self.config.latent_hop - spectral.hop_length + spectral.fft_length
        return self.pool.crops(training.component_patches, samples, rng, training.gain_low_db, training.gain_high_db)

    def batches(self, phase: CodecPhase, step: int) -> Iterator[tuple[dict[str, np.ndarray]]]:
        """Endless batches from a step on.

        Args:
            phase: The phase.
            step: The first step's number.

        Yields:
            A batch a step.
        """
        while True:
            yield (make_batch(phase, self.pool, step, self.config.codec_training.seed),)
            step += 1

    def save(self, name: str, step: int, phase: CodecPhase | None = None) -> None:
        """Save networks, optimisers and position.

        Args:
            name: Name of the phase.
            step: Steps done in it.
            phase: The phase, for its optimisers and critic.
        """
        models: dict[str, keras.Model] = dict(self.networks)
        optimizers: dict[str, Any] = {}
        if phase is not None:
            optimizers = phase.optimizer_of
            if phase.critic is not None:
                models["critic"] = phase.critic
        self.run.save(
            models, optimizers, {"phase": name, "step": step, "rate_factor": self.rate_factor, "seconds": self.seconds}
        )

    def train_phase(
        self,
        name: str,
        step: int = 0,
        resume: bool = False,
        until: float | None = None,
        callbacks: Callable[[CodecPhase, int], list[keras.callbacks.Callback]] = lambda phase, step: [],
        on_save: Callable[[str, int], None] = lambda name, step: None,
    ) -> bool:
        """Train one phase.

        Args:
            name: Its name.
            step: Steps already done in it.
            resume: Whether to load optimisers and critic from the run's last save.
            until: Monotonic time at which to stop.
            callbacks: Makes further callbacks (progress bar, scalars) for a phase from a step on.
            on_save: Called after each save with the phase and the step.

        Returns:
            Whether the phase was completed.
        """
        phase = self._open(name)
        if resume:
            self._load(phase)
        steps, every = phase.settings.steps, self.config.codec_training.save_every
        extra = callbacks(phase, step)
        while step < steps:
            schedule = _Schedule(self, phase, step, until)
            phase.set_judged(bool(phase.settings.adversarial) and step >= phase.judged_from)
            count = min(every, (steps if step >= phase.judged_from else phase.judged_from) - step)
            started = time.monotonic()
            phase.fit(
                self.batches(phase, step),
                steps_per_epoch=count,
                epochs=1,
                shuffle=False,
                verbose=0,
                callbacks=[schedule, *extra],
            )
            if schedule.diverged or not all_finite(self.networks):
                step = self._roll_back(phase, name)
                phase = phase if step else self._open(name)
                continue
            step = schedule.step
            self.seconds += time.monotonic() - started
            self.save(name, step, phase)
            on_save(name, step)
            if schedule.timed_out or self.stop.wanted:
                return step >= steps
        return True

    def _open(self, name: str) -> CodecPhase:
        """A phase at its beginning, with new optimisers."""
        with self._cards():
            phase = CodecPhase(self.networks, self.config, name)
            phase.compile(optimizer=phase.optimizers()["networks"], jit_compile=False)
        return phase

    def _load(self, phase: CodecPhase) -> dict[str, Any]:
        models: dict[str, keras.Model] = dict(self.networks)
        if phase.critic is not None:
            models["critic"] = phase.critic
        return self.run.load(models, phase.optimizer_of)

    def _roll_back(self, phase: CodecPhase, name: str) -> int:
        """Go back to the last save of this phase with half the learning rate."""
        self.rate_factor *= 0.5
        if self.rate_factor < 1e-3:
            raise UserError(
                f"phase {name} diverges even at a thousandth of its learning rate. Check the data and config."
            )
        state = self.run.load(self.networks, {})
        step = int(state["step"]) if state["phase"] == name else 0
        if step:
            self._load(phase)
        self.say(f"{name}: the loss was not a number; back to step {step} with half the learning rate.")
        return step


def start_codec_run(
    config: Config,
    data: str,
    out: str | Path,
    resume: bool = False,
    say: Callable[[str], None] = print,
    start: str | Path | None = None,
    phase: str | None = None,
    steps: int | None = None,
) -> tuple[CodecTrainer, dict[str, Any]]:
    """Create or reopen a run and load what it holds; its networks lie on every card of this machine.

    Args:
        config: The config of a new run; a resumed one has its own.
        data: Folder of audio, or a practice corpus; a resumed run has its own.
        out: The run folder.
        resume: Whether to go on with a run.
        say: Told what happens.
        start: A preset or run whose codec a new run starts from.
        phase: The only phase to train.
        steps: Steps of each phase that is not done, instead of the config's.

    Returns:
        The trainer, and where it stands: `phase` and `step`.

    Raises:
        UserError: If the data, a setting or the run folder is not usable.
    """
    stands = BEGINNING
    if resume:
        run = Run.open(out, "codec")
        config, data, start = run.config, run.settings["data"], run.settings.get("from")
        stands = stands if run.last is None else run.load({}, {})
    if steps is not None:
        left = remaining_phases(config, stands) + remaining_phases(config, stands, phase)
        config = with_steps(config, steps, [name for name, _ in left])
    check_settings(config, phase)
    if resume:
        run.change_config(config)
    else:
        run = Run.create(out, config, {"kind": "codec", "data": data, **origin_of(start)})
    training = config.codec_training
    pool = open_pool(data, run.folder / "cache", config.sample_rate, training.held_out, training.seed, say)
    with on_all_cards(shared_crops(config, phase), say):
        trainer = CodecTrainer(run, pool, say)
    if resume and run.last is not None:
        state = run.load(trainer.networks, {})
        trainer.rate_factor = float(state["rate_factor"])
        trainer.seconds = float(state.get("seconds", 0.0))
        return trainer, state
    if start is not None:
        trainer.take_over(load_preset(start).codec.networks)
    else:
        for level, share in trainer.start().items():
            say(f"principal components: {level} {100 * share:.1f} %")
    trainer.save("", 0)
    return trainer, {"phase": "", "step": 0}


def train_codec(
    config: Config,
    data: str,
    out: str | Path,
    resume: bool = False,
    phase: str | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = print,
    progress: bool = True,
    start: str | Path | None = None,
    steps: int | None = None,
    stop: StopRequest | None = None,
) -> Path:
    """Train a codec: principal components where the config asks for them, then its phases.

    Args:
        config: The config of a new run; a resumed run has its own.
        data: Folder of audio, or a practice corpus such as ``corpus:techno+piano``; a resumed run has its own.
        out: The run folder. Its subfolder ``preset`` can be loaded at any time.
        resume: Whether to go on with the run in ``out``.
        phase: Train this phase alone.
        minutes: Stop, with a save, after so long.
        say: Told what happens.
        progress: Whether progress bars are shown.
        start: A preset or run whose codec a new run starts from, instead of principal components.
        steps: Steps of each phase that is not done, instead of the config's.
        stop: Listens to Ctrl-C, for who wants to know afterwards whether it came; the training saves and stops then.

    Returns:
        The folder of the preset.

    Raises:
        UserError: If the data, a setting or the run folder is not usable.
    """
    from musika.training.codec_saves import CodecSaves

    trainer, state = start_codec_run(config, data, out, resume, say, start, phase, steps)
    saves = CodecSaves(trainer, progress)
    until = None if minutes is None else time.monotonic() + 60 * minutes
    saves.write(state["phase"] or "start", int(state["step"]))
    trainer.stop = stop or trainer.stop
    with trainer.stop:
        for name, step in remaining_phases(trainer.config, state, phase):
            if getattr(trainer.config.codec_training, name).steps <= step:
                continue
            continues = step > 0
            complete = trainer.train_phase(name, step, continues, until, saves.callbacks, saves.write)
            saves.close()
            if not complete or trainer.stop.wanted:
                reason = "stopped" if trainer.stop.wanted else "time is up"
                say(f"{reason} in phase {name}; go on with --resume.")
                break
    return saves.folder
