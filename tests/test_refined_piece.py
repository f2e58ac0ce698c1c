"""A piece whose finer channels are drawn anew: any stretch alone, loops, files, and a training of the refiner alone."""

import dataclasses
import json

import numpy as np
import pytest

from musika.audio.stereo import to_mid_side
from musika.cli.main import main
from musika.config import config_from_dict, load_config
from musika.data.latents import LatentFile, save_latents
from musika.presets import load_preset, random_preset, save_preset
from musika.training import generator_saves
from musika.training.generator_training import train_generator

WIDTHS = {
    "level1_hidden": 8, "trunk": 8, "trunk_blocks": 2, "head": 8,
    "level2_frame": 4, "level2_hidden": 8, "level2_blocks": 1, "phase_recurrence": 12, "phase_tracking": 20,
    "phase_width": 8, "phase_steps_width": 8, "phase_steps_head": 8,
}  # fmt: skip
KEPT = 3


def refined_config(**training):
    values = load_config("compact").to_dict()
    values["spectral"] |= {"hop_length": 64, "fft_length": 256}
    values["codec"] |= {"latent_channels": 8, "level1_channels": 8, "compact": values["codec"]["compact"] | WIDTHS}
    values["generator"] |= {"base_channels": 4, "patch_latents": 32, "anchor_spacing": 96, "first_step": 16}
    values["generator"]["refiner"] = {"kept": KEPT, "width": 8, "blocks": 1, "steps": 2}
    values["generator_training"] |= {"batch_size": 2, "refiner_batch": 2, "held_out": 0.4, "save_every": 50, **training}
    return config_from_dict(values)


@pytest.fixture(scope="module")
def refined():
    preset = random_preset(refined_config(), seed=4)
    preset.refiner.deviation.assign(np.linspace(0.5, 2.0, 16).astype(np.float32))
    preset.mean, preset.std = np.linspace(0, 1, 16).astype(np.float32), np.full(16, 1.5, np.float32)
    preset.mean[8:] = 0.0
    return preset


def test_any_stretch_of_latents_is_the_same_alone(refined):
    whole = refined.piece(seed=5).latents(-80, 700)
    assert whole.shape == (700, 16) and np.isfinite(whole).all()
    for start, steps in ((-80, 1), (-1, 40), (100, 200), (217, 30), (600, 20)):
        np.testing.assert_array_equal(refined.piece(seed=5).latents(start, steps), whole[start + 80 :][:steps])


def test_the_coarse_channels_are_the_generators_own(refined):
    plain = dataclasses.replace(refined, refiner=None)
    with_it, without = (to_mid_side(preset.piece(seed=5).latents(-80, 700)) for preset in (refined, plain))
    coarse = np.arange(16) % 8 < KEPT
    np.testing.assert_allclose(with_it[:, coarse], without[:, coarse], atol=1e-5)
    assert np.abs(with_it - without)[:, ~coarse].mean() > 0.1
    assert refined.hash != plain.hash


def test_two_pieces_with_the_same_path_differ_in_what_is_drawn(refined):
    one, two = (refined.piece(seed=seed, path=[3, 3], seconds=5).latents(0, 50) for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_a_loop_is_refined_all_the_way_round(refined):
    circle = refined.piece(seed=5).loop(seconds=0.9).circle
    plain = dataclasses.replace(refined, refiner=None).piece(seed=5).loop(seconds=0.9)
    piece = refined.piece(seed=5)
    np.testing.assert_array_equal(piece.refine_circle(plain.circle), circle)
    assert len(circle) > 4
    turned = np.roll(circle, 3, axis=0)  # what lies at the join is the middle of the circle turned by half
    assert (
        np.abs(np.diff(np.concatenate([circle, circle[:1]]), axis=0)).max() < 3 * np.abs(np.diff(turned, axis=0)).max()
    )


def test_a_preset_on_disk_plays_the_same(refined, tmp_path):
    folder = save_preset(
        tmp_path / "kept",
        refined.config,
        refined.codec,
        refined.generator,
        (refined.mean, refined.std),
        measure_precision=False,
        refiner=refined.refiner,
    )
    again = load_preset(folder, precision="float32")
    assert again.hash == refined.hash
    np.testing.assert_array_equal(again.piece(seed=5).latents(0, 60), refined.piece(seed=5).latents(0, 60))


@pytest.mark.slow
def test_the_refiner_is_trained_alone_resumed_and_exported(refined, tmp_path, monkeypatch):
    """As a user does it: for a generator that has none, whose weights stay as they are."""
    monkeypatch.setattr(generator_saves, "SAMPLE_SECONDS", 0.2)
    config = refined_config(trains=["refiner"], steps=6, decay_from=1.0, decay_to=1.0)
    plain = dataclasses.replace(
        config, generator=dataclasses.replace(config.generator, refiner=type(config.generator.refiner)())
    )
    (tmp_path / "latents").mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        latents = rng.standard_normal((300, 16)).astype(np.float32)
        file = LatentFile(latents, refined.codec.hash, 44100, 300 * 512, f"{number}.wav", "codec")
        save_latents(tmp_path / "latents" / f"{number}.npz", file)
    statistics = (np.zeros(16, np.float32), np.ones(16, np.float32))
    save_preset(tmp_path / "plain", plain, refined.codec, refined.generator, statistics, measure_precision=False)
    (tmp_path / "refined.yaml").write_text(json.dumps(dataclasses.asdict(config), default=list))
    given = {"codec": tmp_path / "plain", "data": tmp_path / "latents", "shown": False, "say": lambda line: None}
    given |= {"config": tmp_path / "refined.yaml", "start": tmp_path / "plain"}
    train_generator(out=tmp_path / "whole", **given)
    train_generator(out=tmp_path / "parts", steps=3, **given)
    train_generator(None, None, None, tmp_path / "parts", resume=True, steps=6, shown=False, say=print)
    whole, parts = (load_preset(tmp_path / run) for run in ("whole", "parts"))
    for one, two in zip(whole.refiner.get_weights(), parts.refiner.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(whole.generator.get_weights(), refined.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(whole.refiner.get_weights()[1]).sum() > 0
    assert main(["export", str(tmp_path / "whole"), "--out", str(tmp_path / "shared"), "--renders", "0"]) == 0
    shared = load_preset(tmp_path / "shared")
    made, stored = (preset.piece(seed=1).latents(0, 64) for preset in (whole, shared))
    assert np.corrcoef(made.ravel(), stored.ravel())[0, 1] > 0.999  # half precision


def test_training_the_refiner_alone_needs_one(refined, tmp_path):
    config = refined_config(trains=["refiner"])
    config = dataclasses.replace(
        config, generator=dataclasses.replace(config.generator, refiner=type(config.generator.refiner)())
    )
    save_preset(tmp_path / "codec", config, refined.codec, refined.generator, measure_precision=False)
    with pytest.raises(Exception, match="the config has none"):
        train_generator(config, tmp_path / "codec", tmp_path, tmp_path / "run")
