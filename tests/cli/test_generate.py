import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import musika
from musika.cli.main import main
from musika.cli.making import _going_on
from musika.rendering import Rendered
from musika.score import Score


@pytest.fixture(scope="module")
def loaded_preset(debug_preset_folder):
    from musika.presets import load_preset

    return load_preset(debug_preset_folder, "float32")


@pytest.fixture
def generate(loaded_preset, tmp_path, monkeypatch):
    """Runs the verb in an empty folder with the toy preset, which is loaded only once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musika.presets.load_preset", lambda name, precision: loaded_preset)

    def call(*arguments, preset=True):
        given = ["--checkpoint", str(loaded_preset.folder), "--precision", "float32"] if preset else []
        return main(["generate", *given, *map(str, arguments)])

    return call


def test_a_file_a_sidecar_and_what_was_made(generate, tmp_path, capsys, debug_preset):
    assert generate("--seconds", 1.5, "--seed", 7, "--start", 0.25, "--out", "a.flac", "--spectrogram") == 0
    printed = capsys.readouterr().out
    assert "a.flac: 0:01.5 of toy, seed 7" in printed and "times faster than real time" in printed
    audio, rate = soundfile.read(tmp_path / "a.flac", dtype="float32")
    assert rate == 44100
    assert np.abs(audio - debug_preset.piece(seed=7).render(0.25, 1.5)).max() < 1e-4
    sidecar = json.loads((tmp_path / "a.flac.json").read_text())
    assert sidecar["seed"] == 7 and sidecar["precision"] == "float32" and sidecar["samples"] == 66150
    assert sidecar["codec_hash"] == debug_preset.codec.hash
    assert (tmp_path / "a.flac.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "a.flac.json", "a.flac.png"]


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_sidecar_makes_the_file_again(generate, tmp_path, ending):
    assert generate("--seconds", 0.5, "--out", f"a.{ending}") == 0
    first = (tmp_path / f"a.{ending}").read_bytes()
    os.rename(f"a.{ending}", "kept")
    assert generate("--from", f"a.{ending}.json", preset=False) == 0
    assert (tmp_path / f"a.{ending}").read_bytes() == first
    assert generate("--from", f"a.{ending}.json", "--out", f"b.{ending}", preset=False) == 0
    assert (tmp_path / f"b.{ending}").read_bytes() == first


def test_arguments_go_over_the_sidecar_and_do_not_replace_its_file(generate, tmp_path):
    assert generate("--seconds", 0.5, "--seed", 1, "--out", "a.wav") == 0
    first = (tmp_path / "a.wav").read_bytes()
    assert generate("--from", "a.wav.json", "--seed", 2, preset=False) == 0
    assert (tmp_path / "a.wav").read_bytes() == first
    assert (tmp_path / "musika-toy-2.wav").exists()


def test_an_item_of_a_count_is_the_item_alone(generate, tmp_path):
    assert generate("--count", 3, "--seconds", 0.4, "--seed", 5, "--out", "many.wav") == 0
    for index in range(3):
        seed = json.loads((tmp_path / f"many-{index + 1}.wav.json").read_text())["seed"]
        assert seed == 5 + index
        assert generate("--seconds", 0.4, "--seed", seed, "--out", "alone.wav") == 0
        assert (tmp_path / "alone.wav").read_bytes() == (tmp_path / f"many-{index + 1}.wav").read_bytes()


def test_names_that_are_made_up_replace_nothing(generate, tmp_path):
    for _ in range(2):
        assert generate("--seconds", 0.1, "--seed", 4) == 0
    assert generate("--seconds", 0.1, "--seed", 4, "--out", "new/") == 0
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.wav"))
    assert found == ["musika-toy-4-2.wav", "musika-toy-4.wav", "new/musika-toy-4.wav"]


def interrupt_a_render(folder):
    """Send Ctrl-C as soon as some audio is there."""
    while not any(path.name.endswith(".part") and path.stat().st_size > 100_000 for path in folder.iterdir()):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_interrupting_leaves_a_playable_file_and_says_how_to_go_on(generate, tmp_path, capsys, debug_preset):
    threading.Thread(target=interrupt_a_render, args=[tmp_path]).start()
    assert generate("--seconds", 36000, "--seed", 7, "--out", "long.wav") == 130
    audio, _ = soundfile.read(tmp_path / "long.wav", dtype="float32")
    sidecar = json.loads((tmp_path / "long.wav.json").read_text())
    assert 0 < len(audio) == sidecar["samples"] < 36000 * 44100
    assert not sidecar["complete"]
    said = capsys.readouterr().err
    start = float(said.split("--start ")[1].split()[0])
    assert round(start * 44100) == len(audio)
    more = ["--start", start, "--seconds", 0.5, "--out", "rest.wav"]
    assert generate("--from", "long.wav.json", *more, preset=False) == 0
    rest, _ = soundfile.read(tmp_path / "rest.wav", dtype="float32")
    expected = debug_preset.piece(seed=7).render(0.0, start + 0.5)
    assert np.abs(np.concatenate([audio, rest]) - expected).max() < 1e-4


def test_interrupting_a_count_says_which_items_are_left(generate, tmp_path, capsys):
    threading.Thread(target=interrupt_a_render, args=[tmp_path]).start()
    assert generate("--seconds", 36000, "--seed", 7, "--count", 3, "--out", "long.wav") == 130
    said = capsys.readouterr().err
    assert "--from long-1.wav.json" in said
    assert "2 more were not made. Make them by the same command with --seed 8 --count 2, and another --out" in said


MISTAKES = [
    (["--seconds", "-1"], "seconds must be a number"),
    (["--seconds", "nan"], "seconds must be a number"),
    (["--seconds", "1:30"], "--seconds: must be a number, such as 12.5. Received: '1:30'"),
    (["--seed", "1.5"], "--seed: must be a whole number, such as 12. Received: '1.5'"),
    (["--tempo", "130", "--control", "tempo=120"], "tempo is given twice, by --tempo and by --control"),
    (["--start", "-3"], "start must be a number from 0"),
    (["--truncation", "0"], "truncation must be a number from 0.1"),
    (["--truncation", "1e9"], "truncation must be a number from 0.1"),
    (["--seed", "-1"], "seed must be a whole number"),
    (["--count", "0"], "count must be a whole number from 1"),
    (["--precision", "half"], "precision must be one of auto, float32, bfloat16"),
    (["--out", "song.aiff"], "ending must be one of .wav, .flac, .ogg, .mp3"),
    (["--seconds", "1e12"], "seconds must be a number from 0.01 to 2592000. Received"),
    (["--out", ""], "--out must name a file or a folder"),
    (["--checkpoint", "tecno"], "there is no preset 'tecno' (did you mean 'techno'?)"),
    (["--from", "nothing.json"], "cannot read the sidecar nothing.json"),
    (["--second", "3", "--colour", "red"], "unrecognized arguments"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, message, refused):
    refused(["generate", *arguments], message)


def test_an_unwritable_output_is_named(generate, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert generate("--seconds", 0.1, "--out", "file/a.wav") == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_full_disk_leaves_no_file(generate, tmp_path, capsys, monkeypatch):
    from musika.audio import writing
    from musika.checks import UserError

    def full(self, block):
        raise UserError("cannot write a.wav: the disk is full")

    monkeypatch.setattr(writing.AudioWriter, "write", full)
    assert generate("--seconds", 0.1, "--out", "a.wav") == 2
    assert "disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_sidecar_of_another_preset_is_refused(generate, tmp_path, capsys):
    assert generate("--seconds", 0.1, "--out", "a.wav") == 0
    sidecar = json.loads((tmp_path / "a.wav.json").read_text())
    (tmp_path / "a.wav.json").write_text(json.dumps(sidecar | {"preset_hash": "0" * 16}))
    assert generate("--from", "a.wav.json", preset=False) == 2
    assert "fingerprint 0000000000000000" in capsys.readouterr().err


def test_the_command_itself(debug_preset_folder, debug_preset, tmp_path):
    command = [sys.executable, "-m", "musika", "generate", "--checkpoint", str(debug_preset_folder), "--seed", "3"]
    options = ["--seconds", "0.5", "--precision", "float32", "--out", "a.wav"]
    root = str(Path(musika.__file__).parent.parent)
    done = subprocess.run(
        command + options, cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    audio, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.abs(audio - debug_preset.piece(seed=3).render(0.0, 0.5)).max() < 1e-4


def test_a_file_that_is_no_sidecar_is_refused(tmp_path, capsys):
    (tmp_path / "a.json").write_text("[1]")
    assert main(["generate", "--from", str(tmp_path / "a.json")]) == 2
    assert "is not a sidecar" in capsys.readouterr().err
    (tmp_path / "a.json").write_text("[" * 100_000)
    assert main(["generate", "--from", str(tmp_path / "a.json")]) == 2
    assert "is not a sidecar" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("loop", "missing"), [({"turns": 1}, "seconds"), ([1], "seconds"), ({"seconds": 1.0, "by_bars": True}, "bars")]
)
def test_a_sidecar_whose_loop_has_no_length_is_refused(tmp_path, capsys, loop, missing):
    needed = ("file", "checkpoint", "preset_hash", "seed", "truncation", "start", "seconds", "precision")
    (tmp_path / "a.json").write_text(json.dumps(dict.fromkeys(needed, 1) | {"format": 1, "loop": loop}))
    assert main(["generate", "--from", str(tmp_path / "a.json")]) == 2
    assert f"its loop is incomplete ({missing} missing)" in capsys.readouterr().err


def test_how_to_go_on_can_be_typed_whatever_the_file_is_called(tmp_path):
    rendered = Rendered(tmp_path / "it's mine.wav", 441_000, 44100, 1.0, False, 10.0)
    command = shlex.split(_going_on(Score(seconds=60.0), 1, rendered).partition("Go on with: ")[2])
    told = dict(zip(command[2::2], command[3::2], strict=True))
    assert told["--from"] == str(tmp_path / "it's mine.wav.json")
    assert told["--out"] == str(tmp_path / "it's mine-rest.wav") and told["--seconds"] == "50.000000"


def test_help_is_quick_and_loads_no_framework():
    code = (
        "import sys\nfrom musika.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "loaded = {'tensorflow', 'keras', 'librosa', 'gradio', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - begin < 5  # half a second on an idle machine; this one may be busy
    assert "generate" in done.stdout and "bench" in done.stdout


def test_a_misspelt_verb_names_the_closest(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["genrate"])
    assert leaving.value.code == 2
    assert "did you mean 'generate'" in capsys.readouterr().err
