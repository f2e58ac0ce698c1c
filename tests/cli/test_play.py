"""Loops, paths, latents, pieces and points from the command line."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from musika.cli.main import main
from musika.data.latents import load_latents
from musika.settings import ControlConfig

TEMPO = ControlConfig("tempo", unit="BPM", low=90, high=160, clock=True, beats_per_bar=4, drawn=True)
DENSITY = ControlConfig("note_density", unit="onsets/s", low=0.5, high=8.0, scaling="log", per="step")


@pytest.fixture(scope="module")
def preset(debug_config, tmp_path_factory):
    from musika.presets import random_preset, save_preset

    generator = dataclasses.replace(debug_config.generator, controls=(TEMPO, DENSITY))
    made = random_preset(dataclasses.replace(debug_config, generator=generator), seed=1)
    folder = tmp_path_factory.mktemp("presets") / "toy"
    made.name, made.folder = (
        "toy",
        save_preset(folder, made.config, made.codec, made.generator, measure_precision=False),
    )
    return made


@pytest.fixture
def musika(preset, tmp_path, monkeypatch):
    """Runs a verb in an empty folder with the toy preset, which is loaded only once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musika.presets.load_preset", lambda name, precision="auto": preset)

    def call(verb, *arguments, toy=True):
        given = ["--checkpoint", str(preset.folder)] if toy else []
        return main([*verb.split(), *map(str, arguments), *given])

    return call


def read(path):
    return soundfile.read(path, dtype="float32")[0]


def test_a_loop_of_bars_is_as_long_as_its_bars_and_made_again(musika, tmp_path, capsys):
    given = ["--loop", "--bars", 1, "--tempo", 128, "--seed", 3, "--turns", 2, "--latents", "--out", "a.wav"]
    assert musika("generate", *given) == 0
    said = capsys.readouterr().out
    assert "a loop of 1 bars (82688 samples" in said and "2 times" in said
    audio = read("a.wav")
    assert len(audio) == 2 * 82688 and np.array_equal(audio[:82688], audio[82688:])
    recorded = json.loads((tmp_path / "a.wav.json").read_text())["loop"]
    assert (recorded["bars"], recorded["turns"], recorded["tempo"]) == (1, 2, 128.0)
    first = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").rename("kept")
    assert musika("generate", "--from", "a.wav.json", toy=False) == 0
    assert (tmp_path / "a.wav").read_bytes() == first
    assert len(load_latents("a.wav.npz").latents) >= 2 * 161
    assert musika("generate", "--from", "a.wav.json", "--turns", 1, "--out", "b.wav", toy=False) == 0
    assert np.array_equal(read("b.wav"), audio[:82688])


def test_a_loop_of_seconds_and_a_warning_for_mp3(musika, capsys):
    assert musika("generate", "--loop", "--seconds", 1, "--seed", 3, "--out", "a.mp3") == 0
    assert "seamless in .wav or .flac only" in capsys.readouterr().err


def test_a_path_is_followed_and_recorded(musika, preset, tmp_path):
    (tmp_path / "path.yaml").write_text("points: {A: 7, B: 12}\npath: [A, {point: B, glide: 1}]\n")
    assert musika("generate", "--path", "path.yaml", "--tempo", 120, "--seconds", 1.5, "--out", "a.wav") == 0
    expected = preset.piece(path=[7, {"point": 12, "glide": 1}], tempo=120).render(0, 1.5)
    assert np.abs(read("a.wav") - expected).max() < 1e-4
    first = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "path.yaml").unlink()
    assert musika("generate", "--from", "a.wav.json", "--out", "b.wav", toy=False) == 0
    assert (tmp_path / "b.wav").read_bytes() == first
    given = ["--from", "a.wav.json", "--path", "none", "--tempo", 120, "--out", "c.wav"]
    assert musika("generate", *given, toy=False) == 0
    assert np.abs(read("c.wav") - preset.piece(seed=7, tempo=120).render(0, 1.5)).max() < 1e-4


def test_saved_latents_decode_to_what_was_heard(musika, preset):
    assert musika("generate", "--seconds", 3, "--seed", 7, "--tempo", 120, "--latents", "--out", "a.wav") == 0
    file = load_latents("a.wav.npz", preset.codec.hash)
    assert file.samples == 3 * 44100
    assert np.array_equal(file.latents, preset.piece(seed=7, tempo=120).latents(0, len(file.latents)))
    decoded = preset.codec.decode(file.latents, samples=file.samples, seed=7)
    inside = len(decoded) - 5 * preset.config.latent_hop  # the last decoder block has not all of its steps
    assert np.abs(decoded - read("a.wav"))[:inside].max() < 1e-4
    assert musika("generate", "--seconds", 1, "--start", 1.234, "--seed", 7, "--latents", "--out", "b.wav") == 0
    later = load_latents("b.wav.npz")
    offset = round(1.234 * 44100) % preset.config.latent_hop
    assert later.samples == 44100 + offset


def test_a_piece_is_played_from_its_file(musika, preset, tmp_path, capsys):
    (tmp_path / "walk.yaml").write_text("seed: 4\nseconds: 1\ntempo: 100\n")
    assert musika("play", "walk.yaml", "--latents") == 0
    assert np.abs(read("walk.wav") - preset.piece(seed=4, tempo=100).render(0, 1)).max() < 1e-4
    assert (tmp_path / "walk.wav.npz").exists() and (tmp_path / "walk.wav.json").exists()
    first = (tmp_path / "walk.wav").read_bytes()
    assert musika("play", "walk.yaml") == 0  # a name that is made up replaces nothing
    assert (tmp_path / "walk.wav").read_bytes() == first == (tmp_path / "walk-2.wav").read_bytes()
    assert musika("play", "--list") == 0
    assert "fibonacci" in capsys.readouterr().out


def test_a_gallery_of_points(musika, preset, tmp_path, capsys):
    assert musika("points", 7, 12, 7, "--out", "points", "--seconds", 0.5, "--wander", 1, "--control", "tempo=100") == 0
    names = sorted(path.name for path in (tmp_path / "points").iterdir())
    assert names == ["12.json", "12.wav", "7.json", "7.wav", "index.html"]
    assert np.abs(read("points/7.wav") - preset.piece(seed=7, tempo=100).render(0, 0.5)).max() < 1e-4
    assert 'src="12.wav"' in (tmp_path / "points" / "index.html").read_text()
    assert musika("generate", "--path", "points/7.json", "--seconds", 0.3, "--tempo", 100, "--out", "a.wav") == 0
    assert np.abs(read("a.wav") - read("points/7.wav")[: round(0.3 * 44100)]).max() < 1e-4
    assert musika("points", "--count", 2, "--out", "more", "--seconds", 0.2) == 0
    assert len(list((tmp_path / "more").glob("*.json"))) == 2


MISTAKES = [
    ("generate --loop", "a loop needs its length: give --bars or --seconds"),
    ("generate --loop --bars 2 --seconds 3", "a loop needs its length: give --bars or --seconds"),
    ("generate --bars 2", "--bars belongs to a loop: give --loop too"),
    ("generate --on-beat", "--on-beat belongs to a loop"),
    ("generate --loop --bars 0", "bars must be a whole number from 1"),
    ("generate --loop --bars 2 --turns 0", "turns must be a whole number from 1"),
    ("generate --loop --seconds 0.1", "seconds must be a number from 0.5"),
    ("generate --path 7,x", "a point must be a seed, a name or a .json file"),
    ("generate --path missing.yaml", "cannot read the path missing.yaml"),
    ("play", "give a piece: a .yaml file or one of"),
    ("play nothing", "there is no piece 'nothing'"),
    ("generate --out noext", "ending must be one of .wav, .flac, .ogg, .mp3; a folder's name ends in /. Received"),
    ("generate --tempo -5", "tempo must be above 0 and at most"),
    ("play loop --out a.txt", "the output's ending must be one of"),
    ("points --out p --count 0", "count must be a whole number from 1"),
    ("points --out p --control tempo", "--control takes NAME=VALUE"),
    ("points -1 --out p", "seed must be a whole number from 0"),
]


@pytest.mark.parametrize(("command", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(command, message, refused):
    refused(command.split(), message)


def test_a_loop_that_cannot_be_is_refused_before_anything_is_written(musika, tmp_path, capsys):
    assert musika("generate", "--loop", "--bars", 2, "--tempo", "90:120", "--out", "a.wav") == 2
    assert "tempo must stay the same during a loop" in capsys.readouterr().err
    assert musika("generate", "--loop", "--seconds", 2, "--note-density", "1:5", "--out", "a.wav") == 2
    assert "note_density must end where it begins" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
