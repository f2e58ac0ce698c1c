"""The notebooks: they run from top to bottom at toy size, a second run goes on, and wrong folders are named."""

import ast
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hub_server import FakeHub
from run_notebook import code_cells

from musika import notebook
from musika.checks import UserError
from musika.config import config_from_dict
from musika.presets import random_preset, save_preset

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TOY = {
    "name": "toy",
    "spectral": {"hop_length": 32, "fft_length": 128},
    "codec": {"latent_channels": 4, "level1_channels": 8},
    "generator": {
        "base_channels": 2, "small": True, "patch_latents": 32, "anchor_spacing": 96, "first_step": 16,
        "coordinate_channels": 4,
    },
    "generator_training": {"batch_size": 2, "mixed_precision": "off"},
}  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_small_plain_python_without_results(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    for cell in content["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
    for source in code_cells(path):
        assert len(source.splitlines()) <= 25
        imported = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(source))
            for name in (
                [item.name for item in node.names] if isinstance(node, ast.Import)
                else [node.module] if isinstance(node, ast.ImportFrom) else []
            )
        }  # fmt: skip
        assert imported <= set(sys.stdlib_module_names) | {"musika"}


def test_both_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["finetune", "generate"]


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A toy preset, and a folder with five short recordings."""
    folder = tmp_path_factory.mktemp("toys")
    config = config_from_dict(TOY)
    preset = random_preset(config)
    statistics = np.zeros(8, np.float32), np.ones(8, np.float32)
    save_preset(folder / "preset", config, preset.codec, preset.generator, statistics, measure_precision=False)
    (folder / "music" / "Ältere").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(5):
        audio = 0.1 * rng.standard_normal((2 * 44100, 2))
        soundfile.write(folder / "music" / "Ältere" / f"{number}.flac", audio, 44100)
    (folder / "music" / "broken.wav").write_bytes(b"RIFF no audio")
    return folder


def run_notebook(name, settings, **environment):
    """Run a notebook in a process of its own; what it printed."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, str(ROOT / "tests" / "run_notebook.py"), str(ROOT / "notebooks" / f"{name}.ipynb")]
    done = subprocess.run(
        [*words, json.dumps(settings)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_fine_tuning_runs_to_the_end_and_a_second_run_goes_on(toys, tmp_path):
    work = tmp_path / "work"
    settings = {
        "MUSIC": str(toys / "music"), "WORK": str(work), "PRESET": str(toys / "preset"), "MINUTES": None, "STEPS": 2,
        "SAVE_EVERY": 1, "SEED": 1, "SECONDS": 0.2, "SHARE_AS": "", "TRAINED_ON": "", "CODE_LICENCE": "",
        "WEIGHTS_LICENCE": "", "OUTPUTS_LICENCE": "",
    }  # fmt: skip
    said = run_notebook("finetune", settings)
    assert "No training to go on with yet" in said
    assert "6 audio files (5 .flac, 1 .wav)" in said and "broken.wav" in said
    assert (work / "seed-1.flac").is_file() and (work / "my-preset.zip").is_file()
    report = json.loads((work / "run" / "report.json").read_text())
    assert (report["step"], report["ended"]) == (2, "done")
    made = (work / "run" / "samples" / "step-00000002.flac").stat().st_mtime_ns
    latents = {path: path.stat().st_mtime_ns for path in (work / "data").rglob("*.npz")}
    assert len(latents) == 5

    with FakeHub() as hub:
        shared = {"SHARE_AS": "me/toy", "TRAINED_ON": "noise", "CODE_LICENCE": "MIT", "WEIGHTS_LICENCE": "mit"}
        settings |= {"STEPS": 3, "OUTPUTS_LICENCE": "any use", **shared}
        said = run_notebook("finetune", settings, HF_ENDPOINT=hub.address, HF_TOKEN="hf_toy")
        assert "README.md" in hub.repositories["me/toy"]
    assert f"Going on with {work / 'run'}" in said
    assert json.loads((work / "run" / "report.json").read_text())["step"] == 3
    assert (work / "run" / "samples" / "step-00000002.flac").stat().st_mtime_ns == made
    assert latents == {path: path.stat().st_mtime_ns for path in latents}


@pytest.mark.slow
def test_making_music_runs_to_the_end(toys, tmp_path):
    settings = {"PRESET": str(toys / "preset"), "OUT": str(tmp_path), "START": 2, "SECONDS": 0.2, "SEEDS": [4, 5]}
    said = run_notebook("generate", settings)
    assert "seed 5" in said
    assert {path.name for path in tmp_path.glob("*.flac")} == {"preset-4.flac", "preset-5.flac", "preset-4-later.flac"}


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A drive as Colab mounts it, with a folder of music."""
    place = tmp_path / "drive"
    music = place / "MyDrive" / "My Music" / "Jazz"
    music.mkdir(parents=True)
    (music / "a.MP3").touch()
    (music / "b.txt").touch()
    (place / "MyDrive" / "takes.zip").touch()
    (place / "MyDrive" / "Texts").mkdir()
    (place / "MyDrive" / "Texts" / "b.txt").touch()
    (place / "MyDrive" / "Packed").mkdir()
    (place / "MyDrive" / "Packed" / "b.zip").touch()
    monkeypatch.setattr(notebook, "DRIVE", place)
    monkeypatch.setattr(notebook, "in_colab", lambda: True)
    return place


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("MyDrive/my music", r"MyDrive holds 'My Music', not 'my music': capital letters and spaces count"),
        ("My Drive/My Music", r"drive holds 'MyDrive', not 'My Drive': capital letters and spaces count"),
        ("MyDrive/My Music/Jaz", r"My Music has no 'Jaz'. It holds: Jazz. Did you mean 'Jazz'\?"),
        ("MyDrive/Nothing/Like/It", r"MyDrive has no 'Nothing'. It holds: My Music, Packed, Texts, takes.zip."),
        ("MyDrive/takes.zip", r"takes.zip is an archive. Unpack it"),
        ("MyDrive/My Music/Jazz/a.MP3", r"a.MP3 is one file. Give the folder that it lies in: .*Jazz$"),
        ("MyDrive/My Music/Jazz/a.MP3/x", r"a.MP3 is a file, not a folder"),
        ("MyDrive/Texts", r"Texts and its subfolders hold no audio. They hold: 1 .txt"),
        ("MyDrive/Packed", r"They hold: 1 .zip. Unpack the archive first"),
    ],
)
def test_the_mistake_in_a_path_is_named(drive, path, message):
    with pytest.raises(UserError, match=message):
        notebook.music_folder(drive / path)


def test_a_right_path_is_taken_and_counted(drive, capsys):
    assert notebook.music_folder(f" {drive}/MyDrive/My Music ") == drive / "MyDrive" / "My Music"
    assert "1 audio files (1 .mp3)" in capsys.readouterr().out


def test_an_empty_path_and_a_drive_elsewhere_are_named(monkeypatch):
    with pytest.raises(UserError, match="no folder is named"):
        notebook.music_folder(" ")
    monkeypatch.setattr(notebook, "in_colab", lambda: False)
    with pytest.raises(UserError, match="does not run in Colab. Give a folder of this computer"):
        notebook.music_folder("/content/drive/MyDrive/music")


def test_a_drive_that_is_not_allowed_is_named(monkeypatch, tmp_path):
    def mount(place):
        raise ValueError("mount failed: credential propagation was unsuccessful")

    modules = {"google": types.ModuleType("google"), "google.colab": types.ModuleType("google.colab")}
    modules["google.colab"].drive = types.SimpleNamespace(mount=mount)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(notebook, "DRIVE", tmp_path / "drive")
    monkeypatch.setattr(notebook, "in_colab", lambda: True)
    with pytest.raises(UserError, match=r"Drive was not mounted \(mount failed.*allow access"):
        notebook.music_folder(tmp_path / "drive" / "MyDrive" / "music")


def test_the_folder_for_everything_must_have_a_place_in_drive(drive, monkeypatch):
    monkeypatch.setenv("MUSIKA_CACHE", "")
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    with pytest.raises(UserError, match=r"MyDrive has no 'Projcts'"):
        notebook.begin(drive / "MyDrive" / "Projcts" / "musika")
    work = notebook.begin(drive / "MyDrive" / "musika")
    assert work.is_dir() and os.environ["MUSIKA_CACHE"] == str(work / "cache")


def test_without_a_run_there_is_nothing_to_go_on_with(tmp_path, capsys):
    assert notebook.go_on(tmp_path / "run") is None
    assert "run the cells below" in capsys.readouterr().out
    with pytest.raises(UserError, match="samples is not there"):
        notebook.show_run(tmp_path / "run")
