"""Work on latent files from the command line; no network is loaded for it."""

import numpy as np
import pytest

from musika.cli.main import main
from musika.data.latent_tools import read_latents, write_latents
from musika.data.latents import LatentFile, load_latents


@pytest.fixture(scope="module")
def files(debug_preset, debug_preset_folder, tmp_path_factory):
    """Two latent files of the toy codec and a plain array."""
    folder = tmp_path_factory.mktemp("latents")
    for seed, name in ((7, "a"), (8, "b")):
        latents = debug_preset.piece(seed=seed).latents(0, 100)
        file = LatentFile(latents, debug_preset.codec.hash, 44100, 51000, f"{name}.wav", "toy")
        write_latents(folder / f"{name}.npz", file)
    write_latents(folder / "c.npy", file)
    return folder


@pytest.fixture
def latents(files, debug_preset_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(files)

    def call(command, checkpoint=True):
        given = ["--checkpoint", str(debug_preset_folder)] if checkpoint else []
        return main(["latents", *command.replace("OUT", str(tmp_path)).split(), *given])

    call.out = tmp_path
    return call


def test_every_tool_writes_what_its_function_gives(latents, debug_preset, capsys):
    first, second = (load_latents(f"{name}.npz").latents for name in "ab")
    rate = debug_preset.config.latent_rate
    assert latents("cut a.npz --start 0.5 --seconds 0.25 --out OUT/cut.npz") == 0
    cut = load_latents(latents.out / "cut.npz", debug_preset.codec.hash)
    assert np.array_equal(cut.latents, first[round(0.5 * rate) :][: round(0.25 * rate)])
    assert latents("join a.npz b.npz c.npy --out OUT/join.npz") == 0
    joined = load_latents(latents.out / "join.npz")
    assert np.array_equal(joined.latents, np.concatenate([first, second, second]))
    assert joined.samples == 300 * 512 - 96
    assert latents("reverse a.npz --out OUT/reverse.npz") == 0
    reversed_file = load_latents(latents.out / "reverse.npz")
    assert np.array_equal(reversed_file.latents, first[::-1]) and reversed_file.samples == 51000
    assert latents("stretch a.npz --factor 2 --out OUT/stretch.npy") == 0
    assert read_latents(latents.out / "stretch.npy").latents.shape == (200, 32)
    assert latents("reverse c.npy --out OUT/rate.npz") == 0
    assert load_latents(latents.out / "rate.npz").sample_rate == 44100
    assert latents("mix a.npz b.npz --gain 0 --channel-gain 0=1 --channel-gain 4-6=0.5 --out OUT/mix.npz") == 0
    mixed = load_latents(latents.out / "mix.npz").latents
    assert np.array_equal(mixed[:, [0, 16]], second[:, [0, 16]]) and np.array_equal(mixed[:, 1:4], first[:, 1:4])
    np.testing.assert_allclose(mixed[:, 20:23], 0.5 * (first + second)[:, 20:23], atol=1e-6)
    assert latents("glide a.npz b.npz --seconds 0.5 --out OUT/glide.npz") == 0
    assert len(load_latents(latents.out / "glide.npz").latents) == 200 - round(0.5 * rate)
    assert "glide.npz: 157 steps, 1.8 s" in capsys.readouterr().out


def test_what_was_made_is_decoded(latents, debug_preset, debug_preset_folder, monkeypatch, capsys):
    import soundfile

    monkeypatch.setattr("musika.presets.load_preset", lambda name, precision="auto": debug_preset)
    assert latents("glide a.npz c.npy --seconds 0.5 --out OUT/made.npy") == 0
    out = str(latents.out / "back")
    assert main(["decode", str(latents.out / "made.npy"), "--out", out]) == 2
    assert "names no codec: give --checkpoint" in capsys.readouterr().err
    assert main(["decode", str(latents.out / "made.npy"), "--out", out, "--checkpoint", "toy"]) == 0
    audio, _ = soundfile.read(latents.out / "back" / "made.wav", dtype="float32")
    expected = debug_preset.codec.decode(read_latents(latents.out / "made.npy").latents)
    assert np.abs(audio - expected).max() < 1e-4


def test_plain_arrays_need_no_preset_where_no_time_is_asked_for(latents):
    assert latents("reverse c.npy --out OUT/r.npy", checkpoint=False) == 0
    assert np.array_equal(read_latents(latents.out / "r.npy").latents, read_latents("c.npy").latents[::-1])


MISTAKES = [
    ("cut c.npy --seconds 1 --out OUT/x.npy", False, "does not say how long a step is: give --checkpoint"),
    ("reverse c.npy --out OUT/x.npz", False, "a plain .npy names no codec"),
    ("reverse a.npz --out OUT/x.npz", False, "no preset here has codec"),
    ("reverse a.npz --out OUT/x.wav", True, "--out must end in .npz or .npy"),
    ("reverse none.npz --out OUT/x.npz", True, "none.npz: cannot be read"),
    ("cut a.npz --start 90 --out OUT/x.npz", True, "the latents end after 1.2 s. Received: --start 90"),
    ("mix a.npz b.npz --gain 99 --out OUT/x.npz", True, "gain must be a number from -10 to 10"),
    ("mix a.npz b.npz --channel-gain 16=1 --out OUT/x.npz", True, "channel must be a whole number from 0 to 15"),
    (
        "mix a.npz b.npz --channel-gain all=1 --out OUT/x.npz",
        True,
        "a channel gain is CHANNELS=G, such as 0=1 or 8-15=0.2",
    ),
    ("glide a.npz b.npz --seconds 60 --out OUT/x.npz", True, "a glide cannot take 60 s. Give --seconds up to that"),
    ("join a.npz b.npz --out a.npz", True, "--out would replace a.npz, which is read"),
    ("glide a.npz b.npz --seconds 0.1 --curve odd --out OUT/x.npz", True, "curve must be one of linear, smooth"),
    ("stretch a.npz --factor 0 --out OUT/x.npz", True, "factor must be a number from 0.01"),
    ("bend a.npz --out OUT/x.npz", True, "invalid choice: 'bend'"),
]


@pytest.mark.parametrize(("command", "checkpoint", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(latents, command, checkpoint, message, capsys):
    try:
        status = latents(command, checkpoint)
    except SystemExit as leaving:
        status = leaving.code
    said = capsys.readouterr().err
    assert status == 2 and message in said and said.count("\n") == 1
    assert list(latents.out.iterdir()) == []


def test_latents_of_different_codecs_are_not_put_together(latents, tmp_path, capsys):
    other = LatentFile(np.zeros((4, 32), np.float32), "0" * 16, 44100, 100, "other.wav")
    write_latents(tmp_path / "other.npz", other)
    assert latents("join a.npz OUT/other.npz --out OUT/x.npz") == 2
    assert "were made by different codecs" in capsys.readouterr().err
    assert latents("reverse OUT/other.npz --out OUT/x.npz") == 2
    assert "was made by codec 0000000000000000, but" in capsys.readouterr().err
