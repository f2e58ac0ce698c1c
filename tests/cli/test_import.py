"""``musika import``: what it prints and writes, and that it writes nothing when something is wrong."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from musika.cli.main import main
from musika.presets import load_preset
from musika.upstream import TRAINING_WEIGHTS, import_published
from musika.weights import load_weights

FIXTURE = Path(__file__).parents[1] / "fixtures" / "upstream"


@pytest.fixture(autouse=True)
def no_bfloat16(monkeypatch):
    """Spare the measurement of bfloat16's error when a preset is saved."""
    monkeypatch.setattr("musika.presets.cpu_has_bfloat16", lambda: False)


def same(first, second):
    return all((to_numpy(a) == to_numpy(b)).all() for a, b in zip(first.weights, second.weights, strict=True))


def test_import_with_check_writes_a_preset_that_loads_and_renders(tmp_path, capsys):
    out = tmp_path / "preset"
    assert main(["import", str(FIXTURE), "--out", str(out), "--check", str(FIXTURE / "expected.npz")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("  ok\n") == 9
    assert "hop 32, 16 latent channels, base channels 8, standard" in printed
    preset, published = load_preset(out), import_published(FIXTURE)
    assert preset.metadata["training_networks"] == ["generator", "critic"]
    assert set(preset.metadata["imported"]) == {
        f"{name}.h5" for name in ["enc", "enc2", "dec", "dec2", "gen_ema", "gen", "critic"]
    }
    assert same(preset.generator, published.generator)
    assert all(same(preset.codec.networks[name], model) for name, model in published.codec.items())
    live, critic = published.live_generator, published.critic
    expected = [to_numpy(weight) for weight in [*live.weights, *critic.weights]]
    for weight in [*live.weights, *critic.weights]:
        weight.assign(np.zeros(weight.shape))
    load_weights({"generator": live, "critic": critic}, out / TRAINING_WEIGHTS)
    received = [to_numpy(weight) for weight in [*live.weights, *critic.weights]]
    assert all((a == b).all() for a, b in zip(received, expected, strict=True))
    audio = preset.piece(seed=1).render(start=0.0, seconds=0.05)
    assert audio.shape == (2205, 2)
    assert np.isfinite(audio).all()


def test_a_failed_check_names_the_stage_and_writes_nothing(tmp_path, capsys):
    with np.load(FIXTURE / "expected.npz") as file:
        arrays = dict(file)
    arrays["phase"] = arrays["phase"] + np.float32(1e-4)
    np.savez(tmp_path / "expected.npz", **arrays)
    out = tmp_path / "preset"
    assert main(["import", str(FIXTURE), "--out", str(out), "--check", str(tmp_path / "expected.npz")]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("FAILED") == 1
    assert "level-1 decoder, phase. No preset was written." in printed.err
    assert not out.exists()


@pytest.mark.slow
def test_without_critic_the_check_says_that_it_skips_it(tmp_path, capsys):
    folders = tmp_path / "codec", tmp_path / "generator"
    for folder, names in zip(folders, (("enc", "enc2", "dec", "dec2"), ("gen_ema",)), strict=True):
        folder.mkdir()
        for name in names:
            shutil.copy(FIXTURE / f"{name}.h5", folder)
    out = tmp_path / "preset"
    check = ["--check", str(FIXTURE / "expected.npz")]
    assert main(["import", *map(str, folders), "--out", str(out), *check]) == 0
    assert "not checked: no critic.h5" in capsys.readouterr().out
    assert not (out / TRAINING_WEIGHTS).exists()


@pytest.mark.parametrize("wrong", ["folder", "truncated", "expected"])
def test_mistakes_are_one_line_and_status_2(tmp_path, capsys, wrong):
    folder = tmp_path / "files"
    shutil.copytree(FIXTURE, folder)
    arguments = ["import", str(folder), "--out", str(tmp_path / "preset")]
    if wrong == "folder":
        arguments[1] = str(tmp_path / "nowhere")
    elif wrong == "truncated":
        (folder / "dec.h5").write_bytes((folder / "dec.h5").read_bytes()[:100_000])
    else:
        arguments += ["--check", str(tmp_path / "nothing.npz")]
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert {"folder": "There is no folder", "truncated": "dec.h5 is truncated", "expected": "there is no file"}[
        wrong
    ] in message
    assert not (tmp_path / "preset").exists()
