import dataclasses
import json

import numpy as np
import pytest
from toy_gan import toy_config, toy_latents

from musika.checks import UserError
from musika.data.latents import LatentFile, save_latents
from musika.model_card import model_card
from musika.presets import load_preset, random_preset, save_preset
from musika.training import generator_saves
from musika.training.generator_training import train_generator
from musika.training.run import read_json


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A toy codec, a toy preset with a generator, latents, and a config file."""
    folder = tmp_path_factory.mktemp("material")
    config = toy_config(normalise=True, moments=0.2)
    preset = random_preset(config)
    save_preset(folder / "codec", config, preset.codec, measure_precision=False)
    save_preset(folder / "music", config, preset.codec, preset.generator, measure_precision=False)
    (folder / "latents").mkdir()
    for number in range(3):
        latents = toy_latents(200, seed=number)
        file = LatentFile(latents, preset.codec.hash, 44100, 200 * 512, f"{number}.wav", "codec")
        save_latents(folder / "latents" / f"{number}.npz", file)
    settings = dataclasses.asdict(config)
    (folder / "toy.yaml").write_text(json.dumps(settings, default=list))
    return folder


def train(material, out, **options):
    lines = []
    given = {"config": material / "toy.yaml", "codec": material / "codec", "data": material / "latents", **options}
    report = train_generator(out=out, shown=False, say=lines.append, **given)
    return report, lines


@pytest.fixture
def short_samples(monkeypatch):
    monkeypatch.setattr(generator_saves, "SAMPLE_SECONDS", 0.5)


@pytest.mark.slow
def test_a_run_trains_resumes_bit_exactly_and_plays(material, tmp_path, short_samples):
    report, lines = train(material, tmp_path / "whole", steps=4)
    assert (report["step"], report["ended"]) == (4, "done")
    assert report["frechet_generated"] > report["frechet_training"] >= 0
    assert any("Listen: musika generate" in line for line in lines)
    train(material, tmp_path / "parts", steps=3)
    resumed, _ = train(material, tmp_path / "parts", codec=None, data=None, resume=True, steps=4)
    assert resumed["step"] == 4
    assert read_json(tmp_path / "parts" / "config.json")["generator_training"]["steps"] == 4
    moments = [(tmp_path / run / "last" / "moments.weights.h5").read_bytes() for run in ("whole", "parts")]
    assert moments[0] == moments[1]
    for name in ("generator", "critic"):
        whole, parts = (np.load(tmp_path / run / "last" / f"{name}.optimizer.npz") for run in ("whole", "parts"))
        assert whole.files == parts.files
        for key in whole.files:
            np.testing.assert_array_equal(whole[key], parts[key], err_msg=key)
    ours, theirs = (load_preset(tmp_path / run) for run in ("whole", "parts"))
    for one, two in zip(ours.generator.get_weights(), theirs.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert ours.mean.shape == ours.std.shape == (8,)
    audio = ours.piece(seed=3).render(0.0, 0.5)
    np.testing.assert_array_equal(audio, theirs.piece(seed=3).render(0.0, 0.5))
    names = {path.name for path in (tmp_path / "whole" / "samples").iterdir()}
    assert names == {f"step-{step:08d}.{ending}" for step in (2, 4) for ending in ("flac", "png")}
    assert any((tmp_path / "whole" / "scalars").iterdir())


@pytest.mark.slow
def test_training_on_from_a_preset_starts_with_its_generator(material, tmp_path, short_samples):
    train(material, tmp_path / "run", start=material / "music", steps=1)
    before, after = load_preset(material / "music"), load_preset(tmp_path / "run")
    config = read_json(tmp_path / "run" / "config.json")
    assert config["generator_training"]["normalise"] is False  # as in the preset that it starts from
    for one, two in zip(before.generator.get_weights(), after.generator.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=0.002)  # one step at rate 0.001
    assert after.metadata["generator_training"]["from"] == "music"


def test_latents_of_another_codec_are_refused_before_anything_is_written(material, tmp_path):
    data = tmp_path / "latents"
    data.mkdir()
    save_latents(data / "strange.npz", LatentFile(toy_latents(), "feedfeedfeedfeed", 44100, 9, "x.wav", "other"))
    with pytest.raises(UserError, match=r"strange\.npz.*feedfeedfeedfeed"):
        train(material, tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": None}, "--codec"),
        ({"data": None}, "--data"),
        ({"codec": "no such preset"}, "no preset"),
        ({"data": "no such folder"}, "does not exist"),
        ({"config": "no such config"}, "no config"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"minutes": 0}, "minutes must be a number greater than 0"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"resume": True}, "Leave --resume out"),
    ],
)
def test_wrong_arguments_are_named_with_a_remedy(material, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        train(material, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_preset_without_a_generator_is_nothing_to_start_from(material, tmp_path):
    with pytest.raises(UserError, match="no generator to start from"):
        train(material, tmp_path / "run", start=material / "codec")


def test_a_folder_with_other_things_is_not_used_for_a_run(material, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        train(material, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_the_model_card_says_what_was_done():
    notes = {"config": "compact", "data": "loops", "files": 7, "minutes_of_music": 12.5, "from": None}
    notes |= {"steps": 900, "hours": 1.5, "scores": {"frechet_generated": 3.25}}
    card = model_card("tune", {"codec": {"command": "musika train codec"}, "generator": notes})
    for part in (
        "# tune",
        "musika train codec",
        "`loops`",
        "files: 7",
        "steps: 900",
        "1.5",
        "| frechet generated | 3.25 |",
    ):
        assert part in card
    assert "started from" not in card
