"""Run by test_codec_strategy.py in a process of its own: the codec's training on two logical CPU devices."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile
from two_cards import CARDS, set_up, use

from musika.config import load_config
from musika.data.audio_pool import AudioPool
from musika.presets import load_preset
from musika.training import codec_training, several
from musika.training.codec_phase import CodecPhase, make_batch

SIZES = {"level1_hidden": 8, "trunk": 8, "head": 8, "level2_frame": 4, "level2_hidden": 8}
TOY = {
    "spectral": {"hop_length": 64, "fft_length": 256},
    "codec": {
        "latent_channels": 8,
        "level1_channels": 16,
        "compact": {
            **SIZES,
            "phase_recurrence": 16,
            "phase_tracking": 24,
            "phase_width": 8,
            "phase_steps_width": 8,
            "phase_steps_head": 8,
        },
    },
}
PHASE = {"steps": 4, "crops": 4, "crop_latents": 12, "learning_rate": 1e-3}
CRITIC = {"adversarial": 0.1, "adversarial_from": 0.0}
WITHOUT_LOW_BAND = {"low_phasor": 0.0, "low_waveform": 0.0, "low_onsets": 0.0, "phase_steps": 0.0}
PHASES = {
    "level1_magnitude": {},
    "level1_phase": {"waveform": 1.0, "phasor": 1.0, "through_level2": 0.5, **CRITIC, **WITHOUT_LOW_BAND},
    "level2_latent": {"latent": 1.0},
    "level2_signal": {"waveform": 1.0, "latent": 0.5},
    "level1_low_phase": {"phasor": 1.0, "low_phasor": 1.0, "low_waveform": 1.0, "low_onsets": 1.0},
    "level1_phase_steps": {"phase_steps": 1.0},
}


def toy_config(**training):
    """The compact codec at toy size, with every phase's losses."""
    phases = {name: {**PHASE, **settings} for name, settings in PHASES.items()}
    return load_config("compact", {**TOY, "codec_training": {"component_patches": 100, **phases, **training}})


def steps_on(cards, config, name, batches):
    """Some training steps of a phase from fixed weights: every number that they leave, and the logs of the last."""
    use(cards)
    with several.on_all_cards(PHASE["crops"], lambda text: None) as copies:
        networks = codec_training.build_networks(config)
        phase = CodecPhase(networks, config, name)
        phase.compile(optimizer=phase.optimizers()["networks"], jit_compile=False)
    rng = np.random.default_rng(1)  # weights from which both steps of each phase go about one way
    models = {**networks, **({"critic": phase.critic} if phase.critic else {})}
    for model in models.values():
        model.set_weights([0.1 * rng.standard_normal(item.shape).astype("float32") for item in model.get_weights()])
        if hasattr(model, "components"):
            model.components.scale.assign(np.ones(model.components.scale.shape))
    phase.set_judged(phase.critic is not None)
    logs = phase.fit(((batch,) for batch in batches), steps_per_epoch=len(batches), epochs=1, verbose=0).history
    arrays = {
        f"{kind}/{key}/{index}": np.asarray(item)
        for kind, group in (("", models), ("optimizer", phase.optimizer_of))
        for key, model in group.items()
        for index, item in enumerate(model.variables)
    }
    return arrays, {key: values[0] for key, values in logs.items()}, copies


def compare(out):
    """Each phase on one card and on two, where the second one gets the loud half of every batch."""
    config, report = toy_config(), {}
    rng = np.random.default_rng(0)
    tracks = [(3000 * rng.standard_normal((20000, 2))).astype(np.int16) for _ in range(2)]
    pool = AudioPool(tracks, 0.5, 0)
    for name in PHASES:
        draw = CodecPhase(codec_training.build_networks(config), config, name)
        batches = [make_batch(draw, pool, step, 0) for step in range(2)]
        for batch in batches:
            batch["audio"] *= np.array([[0.02], [0.1], [1.0], [2.0]], np.float32)
        one, logs, _ = steps_on([], config, name, batches)
        two, logs_of_two, copies = steps_on(CARDS, config, name, batches)
        np.savez(out / f"{name}.one.npz", **one)
        np.savez(out / f"{name}.two.npz", **two)
        report[name] = {"logs": [logs, logs_of_two], "copies": copies}
    return report


def run(out):
    """A training on two cards as a whole, the same in two parts, and the second part on one card."""
    (out / "audio").mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        time = np.arange(44100)[:, None] / 44100
        tone = 0.2 * np.sin(6.28 * time * rng.uniform(200, 900, 2)) + 0.05 * rng.standard_normal((44100, 2))
        soundfile.write(out / "audio" / f"{index}.wav", tone, 44100)
    judged = {**PHASE, **WITHOUT_LOW_BAND, **CRITIC, "steps": 2, "phasor": 1.0}
    latent = {**PHASE, "steps": 1, "crops": 2, "latent": 1.0}
    config = toy_config(order=["level1_phase", "level2_latent"], level1_phase=judged, level2_latent=latent)
    said = []

    def train(name, cards, **options):
        use(cards)
        codec_training.train_codec(config, str(out / "audio"), out / name, say=said.append, progress=False, **options)

    train("whole", CARDS)
    train("parts", CARDS, minutes=0.0)  # stops, with a save, after a step
    shutil.copytree(out / "parts", out / "moved")
    train("parts", CARDS, resume=True)
    train("moved", [], resume=True)
    load_preset(out / "whole" / "preset").codec.decode(np.zeros((20, 16), np.float32))
    return {"said": said}


if __name__ == "__main__":
    set_up()
    what, folder = sys.argv[1], Path(sys.argv[2])
    (folder / "report.json").write_text(json.dumps((run if what == "run" else compare)(folder), default=float))
