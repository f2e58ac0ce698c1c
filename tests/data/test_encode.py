"""Folders of audio to latent files and back."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musika.audio.files import read_audio, write_audio
from musika.autoencoder.codec import Codec
from musika.checks import UserError
from musika.config import load_config
from musika.data.encode import decode_folder, encode_folder, results_table, target_paths
from musika.data.latents import load_latents
from musika.weights import randomise


def debug_codec(seed):
    codec = Codec(load_config("debug"), precision="float32")
    randomise(list(codec.networks.values()), seed)
    return codec


@pytest.fixture(scope="module")
def codec():
    return debug_codec(0)


def noise(samples, channels=2):
    return (0.1 * np.random.default_rng(samples).normal(size=(samples, channels))).astype(np.float32)


def write(path, samples, rate=44100, channels=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(samples, channels), rate)


@pytest.mark.parametrize(("samples", "rate"), [(1, 44100), (65_536, 44100), (70_001, 44100), (33_333, 48000)])
def test_round_trips_keep_the_length(tmp_path, codec, samples, rate):
    write(tmp_path / "a.wav", samples, rate)
    encode_folder(codec, tmp_path / "a.wav", tmp_path / "latents")
    decode_folder(codec, tmp_path / "latents" / "a.npz", tmp_path / "back")
    assert len(read_audio(tmp_path / "back" / "a.wav")) == round(samples * 44100 / rate)


def test_files_hold_what_the_codec_gives(tmp_path, codec):
    write(tmp_path / "a.wav", 70_001)
    [result] = encode_folder(codec, tmp_path / "a.wav", tmp_path / "latents", codec_name="debug")
    file = load_latents(tmp_path / "latents" / "a.npz")
    audio = read_audio(tmp_path / "a.wav")
    np.testing.assert_array_equal(file.latents, codec.encode(audio))
    assert (file.codec, file.codec_name, file.sample_rate, file.samples) == (codec.hash, "debug", 44100, 70_001)
    assert file.source == "../a.wav"
    assert result.seconds == pytest.approx(70_001 / 44100)
    decode_folder(codec, tmp_path / "latents", tmp_path / "back", "flac", noise=False)
    expected = codec.decode(file.latents, noise=False, samples=70_001)
    np.testing.assert_allclose(read_audio(tmp_path / "back" / "a.flac"), expected, atol=1.6e-5)


def test_a_folder_is_mirrored_and_goes_on_past_bad_files(tmp_path, codec):
    music = tmp_path / "music"
    write(music / "a.wav", 5000)
    write(music / "live" / "B.FLAC", 6000, channels=1)
    write(music / "many.wav", 100, channels=4)
    (music / "live" / "empty.mp3").touch()
    (music / "text.ogg").write_text("no music")
    (music / "notes.txt").write_text("not looked at")
    results = encode_folder(codec, music, tmp_path / "out", codec_name="debug")
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert made == {"a.npz", "live/B.npz", "manifest.json"}
    notes = {result.source.name: result.note for result in results}
    assert set(notes) == {"a.wav", "B.FLAC", "many.wav", "empty.mp3", "text.ogg"}
    assert "4 channels" in notes["many.wav"]
    assert "empty" in notes["empty.mp3"]
    assert "not readable" in notes["text.ogg"]
    table = results_table(results, tmp_path / "out")
    assert table.count("skipped") == 4
    assert "used     2 files   0:00.2" in table
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["codec"] == codec.hash
    assert [entry["source"] for entry in manifest["files"] if "latents" not in entry] == [
        "live/empty.mp3",
        "many.wav",
        "text.ogg",
    ]
    back = decode_folder(codec, tmp_path / "out", tmp_path / "back")
    assert [result.target.relative_to(tmp_path / "back").as_posix() for result in back] == ["a.wav", "live/B.wav"]
    assert len(read_audio(tmp_path / "back" / "live" / "B.wav")) == 6000


def test_files_that_differ_in_their_ending_only_do_not_meet(tmp_path, codec):
    write(tmp_path / "music" / "a.wav", 3000)
    write(tmp_path / "music" / "A.flac", 4000)
    results = encode_folder(codec, tmp_path / "music", tmp_path / "out")
    assert sorted(result.target.name for result in results) == ["A.flac.npz", "a.wav.npz"]


def test_a_whole_name_does_not_meet_a_short_one(tmp_path):
    names = ["a.wav", "a.mp3", "a.wav.flac", "a.wav.flac.ogg", "b.wav", "c/a.wav"]
    targets = target_paths([tmp_path / name for name in names], tmp_path, Path("out"), ".npz")
    made = [target.relative_to("out").as_posix() for target in targets]
    assert made == ["a.wav.npz", "a.mp3.npz", "a.wav.flac.npz", "a.wav.flac.ogg.npz", "b.npz", "c/a.npz"]


def test_files_that_are_encoded_one_by_one_do_not_replace_each_other(tmp_path, codec):
    for name, samples in (("a.wav", 9_000), ("a.flac", 12_000), ("a.flac", 12_000), ("a.wav", 9_000)):
        write(tmp_path / name, samples)
        encode_folder(codec, tmp_path / name, tmp_path / "latents")
    found = {path.name: load_latents(path).samples for path in (tmp_path / "latents").iterdir()}
    assert found == {"a.npz": 9_000, "a.flac.npz": 12_000}


def test_another_codec_is_refused_by_name(tmp_path, codec):
    write(tmp_path / "music" / "a.wav", 3000)
    encode_folder(codec, tmp_path / "music", tmp_path / "out", codec_name="first")
    other = debug_codec(1)
    for source in (tmp_path / "out" / "a.npz", tmp_path / "out"):
        with pytest.raises(UserError, match=rf"made by 'first' \(codec {codec.hash}\), which 'second' \(codec"):
            decode_folder(other, source, tmp_path / "back", codec_name="second")
    assert list((tmp_path / "back").iterdir()) == []


def test_the_original_audio_is_never_replaced(tmp_path, codec):
    write(tmp_path / "a.wav", 3000)
    before = (tmp_path / "a.wav").read_bytes()
    encode_folder(codec, tmp_path / "a.wav", tmp_path)
    with pytest.raises(UserError, match="would replace"):
        decode_folder(codec, tmp_path / "a.npz", tmp_path)
    assert (tmp_path / "a.wav").read_bytes() == before
    for _ in range(2):
        decode_folder(codec, tmp_path / "a.npz", tmp_path / "back")


def test_nothing_usable_is_an_error_that_gives_the_reasons(tmp_path, codec):
    with pytest.raises(UserError, match="does not exist"):
        encode_folder(codec, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "music").mkdir()
    with pytest.raises(UserError, match="no audio files"):
        encode_folder(codec, tmp_path / "music", tmp_path / "out")
    with pytest.raises(UserError, match="no latent files"):
        decode_folder(codec, tmp_path / "music", tmp_path / "out")
    for index in range(5):
        (tmp_path / "music" / f"{index}.wav").touch()
    with pytest.raises(UserError, match=r"none of the 5 files .*0\.wav: the file is empty.* And 2 more"):
        encode_folder(codec, tmp_path / "music", tmp_path / "out")
    with pytest.raises(UserError, match=r"^[^ ]*0\.wav: the file is empty"):
        encode_folder(codec, tmp_path / "music" / "0.wav", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_damaged_latents_are_skipped(tmp_path, codec):
    write(tmp_path / "a.wav", 3000)
    encode_folder(codec, tmp_path / "a.wav", tmp_path / "latents")
    (tmp_path / "latents" / "b.npz").write_text("no")
    arrays = dict(np.load(tmp_path / "latents" / "a.npz"))
    np.savez(tmp_path / "latents" / "c.npz", **(arrays | {"samples": np.int64(10**6)}))
    results = decode_folder(codec, tmp_path / "latents", tmp_path / "back")
    assert [bool(result.target) for result in results] == [True, False, False]
    assert "not a latent file" in results[1].note
    assert "hold 0 to" in results[2].note


def test_outputs_that_cannot_be_are_refused_at_once(tmp_path, codec):
    write(tmp_path / "a.wav", 3000)
    with pytest.raises(UserError, match="must be a folder"):
        encode_folder(codec, tmp_path / "a.wav", tmp_path / "a.wav")
    with pytest.raises(UserError, match="cannot write"):
        encode_folder(codec, tmp_path / "a.wav", tmp_path / "a.wav" / "x")
    with pytest.raises(UserError, match="format must be one of"):
        decode_folder(codec, tmp_path, tmp_path / "out", ending="m4a")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(UserError, match="Permission denied"):
            encode_folder(codec, tmp_path / "a.wav", tmp_path / "out")


@pytest.mark.slow
def test_a_long_file_needs_the_memory_of_a_short_one(tmp_path, codec):
    import tracemalloc

    def peak(seconds):
        path = tmp_path / f"{seconds}.flac"
        write_audio(path, np.tile(noise(44100), (seconds, 1)))
        tracemalloc.start()
        encode_folder(codec, path, tmp_path / "latents")
        [result] = decode_folder(codec, tmp_path / "latents" / f"{seconds}.npz", tmp_path / "back", "flac")
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert result.seconds == seconds
        latents = load_latents(tmp_path / "latents" / f"{seconds}.npz").latents
        return memory - 3 * latents.nbytes  # debug latents are as large as audio, so they are not counted

    short = peak(20)
    assert peak(100) < 1.2 * short
