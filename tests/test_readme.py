"""What the README says works: its commands parse, its Python runs, the presets that it names are there and play."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

import musika
from musika.cli import main as command_line

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PRESETS = ["piano", "techno"]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands():
    for line in "\n".join(blocks("bash")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["musika"]:
            yield words[1:]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_each_command_of_the_readme_is_understood(words):
    command_line.parse(words)


def test_the_first_command_is_understood():
    first = blocks("bash")[0]
    words = shlex.split(first[first.index("musika generate") :])
    command_line.parse(words[1:])
    assert words[words.index("--checkpoint") + 1] in PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_shipped_presets_are_small_and_say_how_they_were_made(name):
    folder = ROOT / "checkpoints" / name
    assert sum(file.stat().st_size for file in folder.iterdir()) < 25e6
    card = (folder / "MODEL_CARD.md").read_text()
    for word in ("musika train codec", "musika train generator", "commit", "steps", "hours", "Rights"):
        assert word in card


@pytest.mark.parametrize("name", PRESETS)
def test_shipped_presets_play_stereo_within_bounds(name):
    piece = musika.load(name).piece(seed=1)
    audio = piece.render(start=30.0, seconds=6.0)
    assert audio.shape == (6 * 44100, 2)
    assert np.abs(audio).max() <= 1.0
    assert np.sqrt((audio**2).mean()) > 0.01
    assert np.sqrt(((audio[:, 0] - audio[:, 1]) ** 2).mean()) > 0.001


@pytest.mark.slow
def test_a_shipped_preset_renders_the_same_stretch_of_any_render(tmp_path):
    for name, options in {"whole": ["--seconds", "42"], "stretch": ["--start", "31.5", "--seconds", "10"]}.items():
        out = str(tmp_path / f"{name}.flac")
        assert command_line.main(["generate", "--checkpoint", "techno", "--seed", "5", "--out", out, *options]) == 0
    whole, stretch = (soundfile.read(tmp_path / f"{name}.flac", dtype="int16")[0] for name in ("whole", "stretch"))
    first = round(31.5 * 44100)
    np.testing.assert_array_equal(whole[first : first + len(stretch)], stretch)


@pytest.mark.slow
def test_the_python_of_the_readme_runs():
    for code in blocks("python"):
        scope = {}
        exec(code, scope)
        assert np.shape(scope["audio"])[1] == 2


def reports(kind):
    return sorted((ROOT / "docs").glob(f"{kind}-*.json"))


@pytest.mark.parametrize("path", reports("bench"), ids=lambda path: path.stem)
def test_speeds_in_the_readme_are_those_of_the_reports(path):
    figures = json.loads(path.read_text())
    render = f"| {figures['render']['median']:.0f} | {figures['render']['p95']:.0f} |"
    assert f"{render} {figures['times_plain']:.2f} | {figures['encode']['median']:.0f} |" in README


def test_scores_in_the_readme_are_those_of_the_reports():
    scores = {path.stem.split("-")[1]: json.loads(path.read_text())["scores"] for path in reports("codec")}
    assert sorted(scores) == PRESETS
    measures = ("log_spectral_distance_db", "spectral_convergence", "harmonic_survival", "border_flux")
    for key in (f"both_{name}" for name in (*measures, "onsets_below_150_hz", "onsets_above_150_hz")):
        assert f"| {scores['techno'][key]:.2f} | {scores['piano'][key]:.2f} |" in README


def test_how_well_controls_are_followed_is_as_in_the_reports():
    scores = {name: json.loads((ROOT / "docs" / f"control-{name}.json").read_text())["scores"] for name in PRESETS}
    for key, digits in (("accuracy1", 3), ("accuracy2", 3), ("beat_distance_ms", 1), ("line_spearman", 3)):
        assert f"| {scores['techno'][key]:.{digits}f} |" in README
    for key, digits in (("spearman", 3), ("curve_spearman", 3), ("median_ratio", 2)):
        assert f"| {scores['piano'][key]:.{digits}f} |" in README


def test_the_accuracy_of_annotators_is_as_in_the_report():
    for name, scores in json.loads((ROOT / "docs" / "annotators.json").read_text())["scores"].items():
        row = next(line for line in README.splitlines() if line.startswith(f"| {name} |"))
        assert f"{scores['accuracy1']:.3f}" in row, name
