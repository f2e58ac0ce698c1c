"""`musika evaluate` and `musika export`, as a user runs them."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

from musika.cli.main import main
from musika.data.annotation import Annotation, annotation_path, save_annotation
from musika.data.latents import LatentFile, save_latents
from musika.gan.critic import build_critic
from musika.presets import load_preset, random_preset, save_preset
from musika.settings import ControlConfig
from musika.weights import load_weights


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    audio = 0.1 * np.random.default_rng(0).standard_normal((2 * 44100, 2))
    soundfile.write(folder / "noise.wav", audio, 44100)
    return folder


@pytest.fixture(scope="module")
def report(debug_preset_folder, music, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports") / "codec.json"
    status = main(
        [
            "evaluate",
            "codec",
            str(debug_preset_folder),
            str(music),
            "--clips",
            "2",
            "--no-griffin-lim",
            "--out",
            str(out),
        ]
    )
    assert status == 0
    return out


def test_the_report_holds_settings_and_scores(report, debug_preset):
    values = json.loads(report.read_text())
    assert values["clips"] == 2 and values["codec"] == debug_preset.codec.hash
    assert np.isfinite(values["scores"]["both_log_spectral_distance_db"])
    assert (
        0
        < values["standard_errors"]["both_log_spectral_distance_db"]
        < values["scores"]["both_log_spectral_distance_db"]
    )
    assert values["environment"]["cores"] >= 1 and "keras" in values["environment"]["versions"]


def test_an_exported_preset_is_half_as_big_and_plays(report, debug_preset_folder, tmp_path):
    out = tmp_path / "shared"
    arguments = ["export", str(debug_preset_folder), "--report", str(report), "--statement", "MIT.", "--renders", "2"]
    assert main([*arguments, "--out", str(out)]) == 0
    card = (out / "MODEL_CARD.md").read_text()
    assert "musika evaluate codec" in card and "log spectral distance" in card and "MIT." in card
    sizes = [(folder / "codec.weights.h5").stat().st_size for folder in (debug_preset_folder, out)]
    assert sizes[1] < 0.8 * sizes[0]
    ours, theirs = load_preset(debug_preset_folder), load_preset(out)
    assert ours.codec.hash == theirs.codec.hash
    before, after = (preset.piece(seed=3).latents(0, 128) for preset in (ours, theirs))
    assert np.linalg.norm(before - after) < 0.02 * np.linalg.norm(before)
    assert np.abs(theirs.piece(seed=3).render(0.0, 0.5)).max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "codec", "nothing", "x"], "no preset 'nothing'"),
        (["export", "nothing", "--out", "y"], "no preset 'nothing'"),
    ],
)
def test_mistakes_take_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_exporting_onto_itself_is_refused(debug_preset_folder, capsys):
    assert main(["export", str(debug_preset_folder), "--out", str(debug_preset_folder)]) == 2
    assert "--out is the preset itself" in capsys.readouterr().err


def test_a_report_that_is_none_is_refused(debug_preset_folder, tmp_path, capsys):
    (tmp_path / "bad.json").write_text("[]")
    arguments = [
        "export",
        str(debug_preset_folder),
        "--out",
        str(tmp_path / "x"),
        "--report",
        str(tmp_path / "bad.json"),
    ]
    assert main(arguments) == 2
    assert "not a report" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_data_without_audio_is_an_error(debug_preset_folder, tmp_path, capsys):
    assert main(["evaluate", "codec", str(debug_preset_folder), str(tmp_path)]) == 2
    assert "audio" in capsys.readouterr().err


def test_an_exported_preset_may_hold_the_critic_of_its_run(debug_preset, debug_preset_folder, tmp_path, capsys):
    source, out = tmp_path / "run" / "preset", tmp_path / "small"
    shutil.copytree(debug_preset_folder, source)
    arguments = ["export", str(source), "--training", "--renders", "0", "--out", str(out)]
    assert main(arguments) == 2
    assert "has no critic to share" in capsys.readouterr().err
    assert not out.exists()
    critic, again = build_critic(debug_preset.config), build_critic(debug_preset.config)
    (tmp_path / "run" / "last").mkdir()
    critic.save_weights(tmp_path / "run" / "last" / "critic.weights.h5")
    assert main(arguments) == 0
    assert load_preset(out).metadata["training_networks"] == ["critic"]
    load_weights({"critic": again}, out / "training.weights.h5")
    for one, two in zip(critic.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-7)  # kept at half the size


def test_an_exported_preset_draws_its_controls_as_often_as_some_music_has_them(debug_config, tmp_path, capsys):
    control = ControlConfig("level", low=1.0, high=9.0, per="step", drawn=True)
    config = dataclasses.replace(
        debug_config, generator=dataclasses.replace(debug_config.generator, controls=(control,))
    )
    preset, steps = random_preset(config), 2 * config.generator.window_latents
    save_preset(tmp_path / "before", config, preset.codec, preset.generator, measure_precision=False)
    latents, music = np.zeros((steps, 2 * config.codec.latent_channels), np.float32), tmp_path / "music"
    music.mkdir()
    for name in "abc":
        held = LatentFile(latents, preset.codec.hash, 44100, steps * config.latent_hop, f"{name}.wav")
        save_latents(music / f"{name}.npz", held)
    arguments = [
        "export",
        str(tmp_path / "before"),
        "--music",
        str(music),
        "--renders",
        "0",
        "--out",
        str(tmp_path / "x"),
    ]
    assert main(arguments) == 2
    assert "no file there is annotated with a control that pieces of before draw" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    values = np.linspace(2.0, 4.0, steps)
    for name in "abc":
        marks = Annotation(f"{name}.wav", "labels", config.latent_rate, steps, controls={"level": values})
        save_annotation(annotation_path(music / f"{name}.npz"), marks)
    assert main(arguments) == 0
    found = load_preset(tmp_path / "x").controls["level"].quantiles
    np.testing.assert_allclose(found, np.linspace(2.0, 4.0, len(found)), atol=0.01)
