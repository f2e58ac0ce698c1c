"""Run by test_strategy.py in a process of its own: two logical CPU devices stand for two cards.

They must be set up before TensorFlow is used, which pytest's process has done already.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from toy_gan import toy_batches, toy_config, toy_latents, weights_of

from musika.data.latents import LatentFile, save_latents
from musika.presets import load_preset, random_preset, save_preset
from musika.training import generator_saves, several
from musika.training.batches import BatchStream
from musika.training.gan_networks import build_gan
from musika.training.generator_training import train_generator

CARDS = ["CPU:0", "CPU:1"]


def set_up():
    """Divide the CPU in two."""
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)


def use(cards):
    several.local_cards = lambda: cards


def step_on(cards, config, eager):
    """One training step; every number that it leaves, the losses, and what was said."""
    use(cards)
    said = []
    with several.on_all_cards(config.generator_training.batch_size, said.append) as copies:
        gan = build_gan(config)
    gan.run_eagerly = eager
    batches = toy_batches(config, gan.generator.noise_layers)
    history = gan.fit(BatchStream(batches, 0), steps_per_epoch=1, epochs=1, shuffle=False, verbose=0).history
    return weights_of(gan), {name: values[0] for name, values in history.items()}, copies, said


def compare(out, eager):
    """The same batch of 32 on one card and on two."""
    config = toy_config(batch_size=32, mixed_precision="off", cutout=0.5, penalty_every=1 if eager else 2)
    one, losses, _, _ = step_on([], config, eager)
    two, losses_of_two, copies, said = step_on(CARDS, config, eager)
    np.savez(out / "one.npz", **one)
    np.savez(out / "two.npz", **two)
    return {"losses": [losses, losses_of_two], "copies": copies, "said": said}


def run(out):
    """A training on two cards as a whole, the same in two parts, and the second part on one card."""
    generator_saves.SAMPLE_SECONDS = 0.2
    config = toy_config(batch_size=4, normalise=True, save_every=2, mixed_precision="off")
    preset = random_preset(config)
    save_preset(out / "codec", config, preset.codec, measure_precision=False)
    (out / "latents").mkdir()
    for number in range(3):
        file = LatentFile(toy_latents(200, seed=number), preset.codec.hash, 44100, 200 * 512, f"{number}.wav", "codec")
        save_latents(out / "latents" / f"{number}.npz", file)
    (out / "toy.yaml").write_text(json.dumps(config.to_dict()))
    said = []

    def train(name, cards, **options):
        use(cards)
        given = {"config": out / "toy.yaml", "codec": out / "codec", "data": out / "latents", **options}
        return train_generator(out=out / name, shown=False, say=said.append, **given)

    on = {"codec": None, "data": None, "resume": True, "steps": 4}
    train("whole", CARDS, steps=4)
    train("parts", CARDS, steps=2)
    shutil.copytree(out / "parts", out / "moved")
    train("parts", CARDS, **on)
    train("moved", [], **on)
    load_preset(out / "whole").piece(seed=1).render(0.0, 0.2)
    return {"said": said}


if __name__ == "__main__":
    set_up()
    what, folder = sys.argv[1], Path(sys.argv[2])
    report = run(folder) if what == "run" else compare(folder, what == "eager")
    (folder / "report.json").write_text(json.dumps(report, default=float))
