"""What a visitor brings: taken, heard through the codec, glided and mixed, written down, and kept apart."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from musika.app import recordings
from musika.app.actions import Actions
from musika.app.recordings import Recording, read_blend, take_recording, write_blend
from musika.checks import UserError
from musika.data.latents import LatentFile, load_latents, save_latents

USUAL = {
    "blend.tool": "glide",
    "blend.seconds": 0.5,
    "blend.back": False,
    "blend.gain": 0.5,
    "blend.whole": True,
    "blend.channels": "",
    "blend.start": "0:00",
    "blend.length": "",
}


def tone(path, pitch=220.0, seconds=2.0, channels=2):
    times = np.arange(round(44100 * seconds)) / 44100
    audio = 0.3 * np.sin(2 * np.pi * pitch * times * (1 + 0.1 * times))
    soundfile.write(path, np.repeat(audio[:, None], channels, axis=1), 44100)
    return path


@pytest.fixture
def own(tmp_path):
    return tone(tmp_path / "my song.wav")


@pytest.fixture
def visitor(stage, usual):
    """Fields of somebody who has opened the page."""
    entered = Actions(stage).enter({"visit": ""})
    return usual | USUAL | {"visit": entered["visit"], "shown": None, "live": ""}


def bring(stage, visitor, path):
    """Upload a copy: what is uploaded is taken away from where it was."""
    folder = path.parent / "upload"
    folder.mkdir(exist_ok=True)
    upload = shutil.copy(path, folder / path.name)
    shown = Actions(stage).take_recording(visitor | {"recording": str(upload)})
    assert not list(folder.iterdir())
    return shown


def made_of(stage, visitor, number=1):
    return stage.visits.find(visitor["visit"]).pieces[number]


def test_a_recording_is_heard_through_the_codec(stage, visitor, shelf, own):
    assert "my song.wav" in bring(stage, visitor, own)["recording.shown"]
    shown = Actions(stage).make_blend(visitor | {"blend.tool": "codec", "length": "nonsense", "loop": True})
    assert "my song.wav through the codec of steered" in shown["player"] and "seed" not in shown
    made, codec = made_of(stage, visitor), shelf.get("steered").codec
    heard, source = soundfile.read(made.audio, dtype="float32")[0], soundfile.read(own, dtype="float32")[0]
    assert heard.shape == source.shape and np.abs(heard - codec.decode(codec.encode(source))[: len(heard)]).max() < 1e-4
    assert np.array_equal(load_latents(made.files["latents"]).latents, codec.encode(source))
    assert ">Point<" not in shown["player"] and ">Latents<" in shown["player"]
    with pytest.raises(UserError, match="a recording alone has nothing that can change"):
        Actions(stage).make_same("seed")(visitor | {"shown": 1})


@pytest.mark.slow
def test_a_glide_there_and_back_is_what_the_command_line_makes(stage, visitor, shelf, own, tmp_path, steered_folder):
    from musika.cli.main import main

    bring(stage, visitor, own)
    shown = Actions(stage).make_blend(visitor | {"blend.back": True, "tempo.mode": "steady", "length": "0:02"})
    assert "my song.wav → steered → back, gliding 0.5 s · seed 7 · 0:05 · tempo 125 BPM" in shown["player"]
    preset, out = ["--checkpoint", str(steered_folder)], str(tmp_path / "cli")
    piece = ["--seed", "7", "--seconds", "2", "--tempo", "125", "--precision", "float32", "--latents"]
    commands = [
        ["encode", str(own), "--out", out, *preset],
        ["generate", "--out", f"{out}/piece.wav", *piece, *preset],
        ["latents", "glide", f"{out}/my song.npz", f"{out}/piece.wav.npz", "--seconds", "0.5", "--back"],
    ]
    commands[-1] += ["--out", f"{out}/glide.npz", *preset]
    assert [main(command) for command in commands] == [0, 0, 0]
    made, by_hand = made_of(stage, visitor), load_latents(f"{out}/glide.npz")
    mine = load_latents(made.files["latents"])
    assert np.array_equal(mine.latents, by_hand.latents) and mine.samples == by_hand.samples
    expected = shelf.get("steered").codec.decode(by_hand.latents, samples=by_hand.samples)
    assert np.abs(soundfile.read(made.audio)[0] - expected).max() < 1e-4


def test_a_mix_is_as_long_as_the_recording_or_as_asked_for(stage, visitor, own):
    bring(stage, visitor, own)
    for number, (whole, seconds) in enumerate(((True, 2.0), (False, 3.0)), 1):
        fields = {"blend.tool": "mix", "blend.gain": 0.25, "blend.whole": whole, "length": "0:03"}
        shown = Actions(stage).make_blend(visitor | fields | {"blend.channels": "0=1, 2-3=0"})
        assert "75% my song.wav + 25% steered · seed 7" in shown["player"]
        assert made_of(stage, visitor, number).seconds == pytest.approx(seconds, abs=1e-4)


def test_the_settings_say_enough_to_make_it_again(stage, visitor, own, tmp_path):
    actions, fields = Actions(stage), {"blend.tool": "mix", "blend.channels": "0=1", "blend.start": "0:00.5"}
    bring(stage, visitor, own)
    actions.make_blend(visitor | fields | {"tempo.mode": "glide"})
    made = made_of(stage, visitor)
    settings = json.loads(made.files["settings"].read_text())
    assert settings["recording"]["file"] == "my song.wav" and len(settings["recording"]["sha256"]) == 64
    assert settings["blend"] == {"tool": "mix", "gain": 0.5, "channel_gains": ["0=1"], "start": 0.5}
    assert settings["piece"]["seed"] == 7 and len(settings["latents_sha256"]) == 64 and "seed" not in settings
    other = visitor | {"visit": actions.enter({"visit": ""})["visit"]}
    bring(stage, other, tone(tmp_path / "another.wav", 330.0))
    bring(stage, other, own)
    bring(stage, other, tmp_path / "another.wav")
    loaded = actions.load(other | {"settings": str(made.files["settings"])})
    assert "my song.wav" in loaded["recording.shown"]  # by its hash, though another was brought last
    again = {name: value.get("value") if isinstance(value, dict) else value for name, value in loaded.items()}
    actions.make_blend(other | {name: value for name, value in again.items() if value is not None})
    assert made_of(stage, other).audio.read_bytes() == made.audio.read_bytes()


def test_settings_of_a_recording_that_is_not_here_ask_for_it(stage, visitor, own, tmp_path, monkeypatch):
    from musika.app import actions as module

    actions, said = Actions(stage), []
    bring(stage, visitor, own)
    actions.make_blend(visitor | {"blend.tool": "codec"})
    path = made_of(stage, visitor).files["settings"]
    other = visitor | {"visit": actions.enter({"visit": ""})["visit"]}
    monkeypatch.setattr(module, "_warn", said.extend)
    loaded = actions.load(other | {"settings": str(path)})
    assert loaded["blend.tool"] == "codec" and "seed" not in loaded
    assert said == ["these settings are of the recording my song.wav: choose it under Your recording."]
    (tmp_path / "evil.json").write_text(path.read_text().replace("my song.wav", "/etc/passwd"))
    actions.load(other | {"settings": str(tmp_path / "evil.json")})
    with pytest.raises(UserError, match="choose a recording first"):
        actions.make_blend(other)


def test_the_same_but_and_let_me_choose_keep_the_recording(stage, visitor, own, tmp_path):
    actions = Actions(stage)
    bring(stage, visitor, own)
    first = actions.make_blend(visitor)
    bring(stage, visitor, tone(tmp_path / "another.wav", 330.0))
    again = actions.make_same("truncation*0.75")(visitor | {"shown": first["shown"]})
    assert "my song.wav → steered, gliding" in again["player"] and "variety 1.5" in again["player"]
    filled = actions.fill(visitor | {"shown": first["shown"]})
    assert filled["blend.tool"] == "glide" and filled["blend.gliding"]["visible"] and filled["seed"] == "7"
    assert "my song.wav" in filled["recording.shown"]


def test_latents_are_taken_as_they_are(stage, visitor, shelf, tmp_path):
    preset = shelf.get("steered")
    latents = preset.piece(seed=3).latents(0, 90)
    save_latents(tmp_path / "own.npz", LatentFile(latents, preset.codec.hash, 44100, 40000, "own.wav", "steered"))
    np.save(tmp_path / "own.npy", latents)
    for number, name in enumerate(("own.npz", "own.npy"), 1):
        bring(stage, visitor, tmp_path / name)
        Actions(stage).make_blend(visitor | {"blend.tool": "codec"})
        assert np.array_equal(load_latents(made_of(stage, visitor, number).files["latents"]).latents, latents)


def test_two_visitors_have_their_own_recordings(stage, visitor, own, tmp_path):
    actions = Actions(stage)
    other = visitor | {"visit": actions.enter({"visit": ""})["visit"]}
    (tmp_path / "b").mkdir()
    bring(stage, visitor, own)
    bring(stage, other, tone(tmp_path / "b" / "my song.wav", 330.0))  # of the same name
    for who in (visitor, other):
        actions.make_blend(who | {"blend.tool": "codec"})
    first, second = (made_of(stage, who).audio.read_bytes() for who in (visitor, other))
    assert first != second
    third = actions.enter({"visit": ""})
    assert "No recording yet" in third["recording.shown"]
    assert "my song.wav" in actions.enter({"visit": other["visit"]})["recording.shown"]  # a reload
    with pytest.raises(UserError, match="choose a recording first"):
        actions.make_blend(visitor | {"visit": third["visit"]})


def test_what_cannot_be_used_is_refused_in_a_sentence_when_it_is_brought(stage, visitor, tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "LONGEST_RECORDING", 5.0)
    (tmp_path / "notes.txt").write_text("no music")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "own.npz").write_text("no latents")
    np.savez_compressed(tmp_path / "bomb.npz", latents=np.zeros((200_000, 128), np.float32))
    np.save(tmp_path / "odd.npy", np.zeros((5, 3), np.float32))
    with open(tmp_path / "liar.npy", "wb") as handle:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 128)}
        np.lib.format.write_array_header_1_0(handle, header)
    tone(tmp_path / "many.wav", channels=3)
    tone(tmp_path / "long.flac", seconds=6.0)
    for name, sentence in {
        "notes.txt": "^the file notes.txt: not readable as audio",
        "empty.wav": "^the file empty.wav: the file is empty",
        "own.npz": "^the file own.npz: not a latent file",
        "bomb.npz": "^the file bomb.npz: too long: at most 0:05",
        "odd.npy": "^the file odd.npy must have the shape",
        "liar.npy": "^the file liar.npy: not a plain array of numbers, or damaged",
        "many.wav": "^the file many.wav: only mono and stereo are supported. Received: 3 channels",
        "long.flac": "the recording lasts 0:06.0; at most 0:05.0 are allowed here",
    }.items():
        upload = tmp_path / "upload" / name
        upload.parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / name, upload)
        with pytest.raises(UserError, match=sentence):
            Actions(stage).take_recording(visitor | {"recording": str(upload)})
        assert not upload.exists()  # nothing of it stays
    with pytest.raises(UserError, match="lost on its way"):
        take_recording(tmp_path / "gone.wav", tmp_path)
    with pytest.raises(UserError, match="choose a file first"):
        take_recording(None, tmp_path)
    assert stage.visits.find(visitor["visit"]).recording is None


def test_what_cannot_be_made_is_refused_in_a_sentence(stage, visitor, own, tmp_path, shelf):
    actions = Actions(stage)
    bring(stage, visitor, own)
    for changed, sentence in (
        ({"blend.seconds": 2.5, "length": "0:05"}, "the recording is too short for this glide"),
        ({"blend.seconds": 1.5, "length": "0:01"}, "the piece is too short for this glide"),
        ({"blend.start": "soon"}, "where the recording's part begins must be a time"),
        ({"blend.start": "1:00"}, "the recording ends after 2.0 s"),
        ({"blend.tool": "mix", "blend.channels": "all"}, "a channel gain is CHANNELS=G"),
        ({"loop": True}, "a loop cannot be joined with a recording"),
        ({"length": "2:00"}, "this would last 2:01.5; at most 2:00"),
    ):
        with pytest.raises(UserError, match=sentence):
            actions.make_blend(visitor | changed)
    latents = shelf.get("steered").piece(seed=3).latents(0, 90)
    save_latents(tmp_path / "own.npz", LatentFile(latents, "0" * 16, 44100, 40000, "own.wav", "piano"))
    bring(stage, visitor, tmp_path / "own.npz")
    with pytest.raises(UserError, match="made by the codec of piano, and the codec of steered cannot"):
        actions.make_blend(visitor)
    np.save(tmp_path / "thin.npy", latents[:, :4])
    bring(stage, visitor, tmp_path / "thin.npy")
    with pytest.raises(UserError, match="^the file thin.npy has 4 channels, this codec's latents have 32"):
        actions.make_blend(visitor)
    assert not stage.visits.find(visitor["visit"]).pieces


def test_old_recordings_make_room_and_encoding_can_be_stopped(stage, visitor, tmp_path, monkeypatch, shelf):
    from musika.app import visits

    monkeypatch.setattr(visits, "MOST_RECORDINGS", 2)
    visit = stage.visits.find(visitor["visit"])
    for number in range(3):
        bring(stage, visitor, tone(tmp_path / f"{number}.wav", 200.0 + number))
    assert [own.name for own in visit.recordings.values()] == ["1.wav", "2.wav"] and visit.bytes > 600_000
    assert len(list((visit.folder / "recordings").iterdir())) == 2
    with pytest.raises(UserError, match="stopped while the recording was read"):
        visit.recording.latents(shelf.get("steered"), stopped=lambda: True)
    visit.recording.remove()
    with pytest.raises(UserError, match="the recording 2.wav is not here any more"):
        Actions(stage).make_blend(visitor)


def test_fields_of_a_blend_are_written_and_read(tmp_path):
    fields = USUAL | {"blend.tool": "mix", "blend.channels": "0=1, 2-3=0.5"}
    fields |= {"blend.start": "0:01.25", "blend.length": "2.345"}
    wish = read_blend(fields, Recording(tmp_path / "a.wav", "0" * 64, 2.0))
    assert (wish.how.start, wish.how.length) == (1.25, 2.345)
    assert wish.how.channel_gains == ("0=1", "2-3=0.5") and read_blend(write_blend(wish), wish.recording) == wish
    with pytest.raises(UserError, match="the glide must be a number from 0 to 60"):
        read_blend(fields | {"blend.seconds": 90}, wish.recording)


def test_what_a_tool_needs_is_shown(stage, visitor):
    for tool, shown in (("codec", (False, False)), ("glide", (True, False)), ("mix", (False, True))):
        updates = Actions(stage).show_tool(visitor | {"blend.tool": tool})
        assert tuple(updates[f"blend.{part}"]["visible"] for part in ("gliding", "mixing")) == shown
