"""How fast a preset is on this machine: rendering, encoding, starting, training; and how much memory it takes.

What depends on a process's beginning (cold start, peak memory) is measured in fresh processes; the rest in this one,
after a first run that is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musika.checks import UserError
from musika.evaluation.report import environment
from musika.evaluation.timing import timed, times_real_time
from musika.spared import spare_imports
from musika.threads import one_thread_an_operation

if TYPE_CHECKING:
    from musika.presets import Preset

WARM_SECONDS = 240.0
REPEATS = 7
COLD_SECONDS = {"one_minute": 60.0, "ten_minutes": 600.0}
_ENCODE_SECONDS = 60.0
_PLAIN_SECONDS, _PLAIN_REPEATS = 60.0, 5
_WINDOWS = 16  # of made-up music for a training step
_TRAINING_STEPS = 5
_SLOW_TRAINING = 20.0  # seconds after which no further training step is measured
_MEBIBYTE = 2**20


def machine() -> dict[str, Any]:
    """Describe this machine, what the networks run on, and how busy it is.

    Returns:
        What `musika.evaluation.report.environment` gives, with ``backend`` and ``load_before``.
    """
    import keras

    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {**environment(), "backend": keras.backend.backend(), "load_before": load}


def load_subject(name: str, precision: str = "auto") -> Preset:
    """Load a preset, or make one with random weights from a config.

    Args:
        name: A preset's name or folder, or a config's name or file, such as ``base``.
        precision: As for `musika.presets.load_preset`.

    Returns:
        The preset.

    Raises:
        UserError: If there is neither a preset nor a config of that name.
    """
    from musika.config import config_names, find_config, load_config
    from musika.preset_names import find_preset, preset_names
    from musika.presets import load_preset, random_preset

    try:
        find_preset(name)
    except UserError:
        try:
            find_config(name)
        except UserError:
            raise UserError(
                f"there is neither a preset nor a config {name!r}. Presets: {', '.join(preset_names()) or 'none'};"
                f" configs: {', '.join(config_names())}; or give a folder."
            ) from None
        return random_preset(load_config(name), precision=precision)
    return load_preset(name, precision)


def render_speed(preset: Preset, seconds: float = WARM_SECONDS, repeats: int = REPEATS) -> dict[str, float]:
    """Measure a warm render, from seed to limited samples in memory, another piece each time.

    Args:
        preset: The preset.
        seconds: Length of the render.
        repeats: Runs that count.

    Returns:
        ``median`` and ``p95`` in times real time, and the median's ``seconds``.
    """
    seeds = iter(range(repeats + 1))
    return times_real_time(seconds, timed(lambda: preset.piece(next(seeds)).render(0.0, seconds), repeats))


def encode_speed(preset: Preset, seconds: float = _ENCODE_SECONDS, repeats: int = 3) -> dict[str, float]:
    """Measure the encoding of stereo audio in memory.

    Args:
        preset: The preset.
        seconds: Length of the audio.
        repeats: Runs that count.

    Returns:
        As `render_speed`.
    """
    samples = round(seconds * preset.config.sample_rate)
    audio = (0.1 * np.random.default_rng(0).standard_normal((samples, 2))).astype(np.float32)
    return times_real_time(seconds, timed(lambda: preset.codec.encode(audio), repeats))


def first_second(preset: Preset, repeats: int = REPEATS) -> float:
    """Measure how long a warm stream takes until its first second of audio is there.

    Args:
        preset: The preset.
        repeats: Runs that count.

    Returns:
        Median in seconds.
    """

    def start(seed: int) -> float:
        """Seconds until a second of a piece is there."""
        begin, samples = time.perf_counter(), 0
        stream = preset.piece(seed).stream()
        while samples < preset.config.sample_rate:
            samples += len(next(stream))
        taken = time.perf_counter() - begin
        stream.close()  # waits for the blocks that were begun meanwhile
        return taken

    return round(float(np.median([start(seed) for seed in range(repeats + 1)][1:])), 3)


def training_step(preset: Preset) -> float:
    """Measure one training step of the generator at the config's batch size, on made-up latents.

    Args:
        preset: The preset; its weights are left alone.

    Returns:
        Median in seconds.
    """
    import keras

    from musika.data.crops import LatentCrops
    from musika.gan.conditioning import condition_columns
    from musika.training.batches import GanBatches
    from musika.training.gan_networks import build_gan, measure_codec

    config = preset.config
    window, mid_side = config.generator.window_latents, config.generator.mid_side
    random = np.random.default_rng(0)
    music, conditions = (
        [random.standard_normal((_WINDOWS * window, count), np.float32)]
        for count in (2 * config.codec.latent_channels, condition_columns(config))
    )
    measured = measure_codec(config, preset.codec, None, music)
    gan = build_gan(config, conditions=conditions, music=music, **measured)
    crops = LatentCrops(music, window, mid_side, conditions)
    batch = GanBatches(crops, config, gan.generator.noise_layers).batch(0)
    ends: list[float] = []

    class Clock(keras.callbacks.Callback):
        """Notes when each step ends, and stops a slow training."""

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            """Note the time, once the step's results are there."""
            float(np.asarray((logs or {})["critic_loss"]))
            ends.append(time.perf_counter())
            self.model.stop_training = len(ends) > 1 and ends[-1] - ends[0] > _SLOW_TRAINING

    steps = _TRAINING_STEPS + 1
    gan.fit(((batch,) for _ in range(steps)), steps_per_epoch=steps, shuffle=False, callbacks=[Clock()], verbose=0)
    return round(float(np.median(np.diff(ends))), 3)


def training_step_of(name: str) -> dict[str, float]:
    """Measure a training step; run in a fresh process by `measure`.

    Args:
        name: As for `load_subject`.

    Returns:
        ``seconds``, as `training_step` gives them.
    """
    return {"seconds": training_step(load_subject(name))}


def peak_memory() -> int:
    """The most memory that this process has held so far, in bytes."""
    import resource

    status = Path("/proc/self/status")
    if status.is_file():  # Linux' ru_maxrss is never less than what the parent held when it started this process
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
        if peaks:
            return 1024 * peaks[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes on macOS, else kibibytes


def cold_render(name: str, seconds: float, precision: str) -> dict[str, float]:
    """Render into a FLAC file that is thrown away; run in a fresh process by `cold_start`.

    Args:
        name: As for `load_subject`.
        seconds: Length of the render.
        precision: As for `load_subject`.

    Returns:
        ``peak_memory_mib`` of this process.
    """
    import tempfile

    from musika.rendering import render_file

    spare_imports()  # as the command does
    one_thread_an_operation()
    piece = load_subject(name, precision).piece(seed=0)
    with tempfile.TemporaryDirectory() as folder:
        render_file(piece, Path(folder) / "cold.flac", 0.0, seconds)
    return {"peak_memory_mib": round(peak_memory() / _MEBIBYTE, 1)}


def plain_render() -> dict[str, float]:
    """Render the published graph plainly, see `musika.evaluation.plain`; run in a fresh process by `measure`.

    Returns:
        As `render_speed`.
    """
    from musika.evaluation.plain import plain_speed

    return plain_speed(_PLAIN_SECONDS, _PLAIN_REPEATS)


def fresh_process(work: str, *arguments: Any) -> dict[str, float]:
    """Run a function of this module in a process of its own, with TensorFlow's threads as they are by default.

    Args:
        work: The function's name; it gives what JSON can hold.
        *arguments: Its arguments.

    Returns:
        What it gives.

    Raises:
        RuntimeError: If the process fails.
    """
    code = (
        f"import json, sys; from musika.evaluation.speed import {work};"
        f"print(json.dumps({work}(*json.loads(sys.argv[1]))))"
    )
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    environment.pop("TF_NUM_INTRAOP_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"the measured process failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def cold_start(name: str, seconds: float, precision: str) -> dict[str, float]:
    """Measure a whole process: start, load, render, write, end.

    Args:
        name: As for `load_subject`.
        seconds: Length of the render.
        precision: As for `load_subject`.

    Returns:
        ``seconds`` that the process took, ``times_real_time`` and ``peak_memory_mib``.

    Raises:
        RuntimeError: If the process fails.
    """
    begin = time.perf_counter()
    result = fresh_process("cold_render", name, seconds, precision)
    taken = time.perf_counter() - begin
    return {"seconds": round(taken, 2), "times_real_time": round(seconds / taken, 2), **result}


def measure(
    name: str,
    precision: str = "auto",
    seconds: float = WARM_SECONDS,
    repeats: int = REPEATS,
    cold_seconds: dict[str, float] = COLD_SECONDS,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure everything.

    Args:
        name: As for `load_subject`.
        precision: As for `load_subject`.
        seconds: Length of the warm renders.
        repeats: How many of them count.
        cold_seconds: Lengths of the renders in fresh processes, by label.
        say: Called with what is measured next.

    Returns:
        The figures by name, as JSON can hold them.

    Raises:
        UserError: If there is neither a preset nor a config of that name.
    """
    one_thread_an_operation()
    about = machine()
    preset = load_subject(name, precision)
    figures: dict[str, Any] = {"subject": name, "machine": about, "precision": preset.codec.precision}
    figures["render_seconds"] = seconds
    if preset.generator is not None:
        say(f"{repeats + 1} warm renders of {seconds:g} s")
        figures["render"] = render_speed(preset, seconds, repeats)
        say("the published graph rendered plainly, to compare machines")
        figures["plain"] = fresh_process("plain_render")
        figures["times_plain"] = round(figures["render"]["median"] / figures["plain"]["median"], 2)
        say("first second of audio")
        figures["first_second"] = first_second(preset, repeats)
    say("encoding")
    figures["encode"] = encode_speed(preset)
    if preset.generator is not None:
        for label, length in cold_seconds.items():
            say(f"a fresh process that renders {length:g} s")
            figures[f"process_{label}"] = cold_start(name, length, preset.codec.precision)
        say("training steps of the generator")
        figures["training_step"] = {
            "seconds": fresh_process("training_step_of", name)["seconds"],
            "batch_size": preset.config.generator_training.batch_size,
        }
    return figures
