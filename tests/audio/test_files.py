"""Reading and writing audio files."""

import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile

from musika.audio import reading, writing
from musika.audio.files import (
    AudioReader,
    AudioWriter,
    find_audio,
    output_format,
    read_audio,
    read_blocks,
    replacing,
    resampled_length,
    write_audio,
)
from musika.checks import UserError

RATE = 44100


def tone(samples, channels=2, rate=RATE, frequency=440.0):
    phase = 2 * np.pi * frequency * np.arange(samples) / rate
    return (0.4 * np.sin(phase[:, None] + np.arange(channels))).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.WAV", "a.aiff", "a.w64"])
def test_lossless_files_are_read_as_they_are(tmp_path, name):
    audio = tone(50_000)
    soundfile.write(tmp_path / name, audio, RATE, subtype="PCM_24")
    np.testing.assert_allclose(read_audio(tmp_path / name), audio, atol=2e-7)


@pytest.mark.parametrize(
    ("name", "coding", "rate"),
    [("a.ogg", "VORBIS", RATE), ("a.mp3", "MPEG_LAYER_III", RATE), ("a.opus", "OPUS", 48000)],
)
def test_lossy_files_keep_their_length(tmp_path, name, coding, rate):
    audio = tone(rate, rate=rate)
    container = {"opus": "OGG"}.get(name[2:], name[2:].upper())
    with soundfile.SoundFile(tmp_path / name, "w", rate, 2, format=container, subtype=coding) as file:
        for start in range(0, rate, 4096):
            file.write(audio[start : start + 4096])
    again = read_audio(tmp_path / name)
    assert again.shape == (RATE, 2)
    expected = tone(RATE)
    assert np.abs(again[5000:-5000] - expected[5000:-5000]).mean() < 0.02


@pytest.mark.parametrize("rate", [8000, 22050, 32000, 44099, 48000, 96000, 192000])
@pytest.mark.parametrize("samples", [3, 1000, 30011])
def test_any_rate_gives_the_exact_length(tmp_path, rate, samples):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(samples, rate=rate), rate)
    with AudioReader(path) as reader:
        announced = reader.samples
        blocks = list(reader.blocks(block=4096))
        assert announced == reader.samples == sum(map(len, blocks)) == resampled_length(samples, rate)
        assert not reader.ended_early
    assert all(len(block) for block in blocks)


def test_resampling_keeps_the_sound_in_place(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(96_000, rate=48000), 48000, subtype="FLOAT")
    again = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(again[500:-500], tone(88_200)[500:-500], atol=1e-3)


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_blocks_of_any_size_hold_the_same_samples(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(40_000, rate=rate), rate)
    whole = read_audio(tmp_path / "a.wav")
    for size in (777, 10_000, 1 << 20):
        np.testing.assert_array_equal(np.concatenate(list(read_blocks(tmp_path / "a.wav", block=size))), whole)


def test_mono_is_doubled(tmp_path):
    audio = tone(1000, channels=1)
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), np.repeat(audio, 2, axis=1))


def test_names_with_any_characters(tmp_path):
    path = tmp_path / "Füße 音楽 $x.wav"
    soundfile.write(path, tone(100), RATE)
    assert len(read_audio(path)) == 100
    if sys.platform == "linux":
        raw = os.fsencode(tmp_path) + b"/\xff\xfe.wav"
        with open(path, "rb") as source, open(raw, "wb") as target:
            target.write(source.read())
        assert len(read_audio(os.fsdecode(raw))) == 100
        with pytest.raises(UserError):
            read_audio(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
        assert len(find_audio(tmp_path)) == 2


def poisoned(value):
    audio = tone(1000)
    audio[441, 1] = value
    return audio


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be opened: No such file"),
        (lambda path: path.mkdir(), "cannot be opened"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("not music at all"), "not readable as audio"),
        (lambda path: soundfile.write(path, np.zeros((0, 2)), RATE), "no audio"),
        (lambda path: soundfile.write(path, tone(1), 192000), "no audio .0 samples at 44100 Hz"),
        (lambda path: soundfile.write(path, tone(100, 6), RATE), "6 channels"),
        (lambda path: soundfile.write(path, tone(100), 500), "sample rate"),
        (lambda path: soundfile.write(path, poisoned(np.nan), RATE, subtype="FLOAT"), "NaN or infinite.*0.010 s"),
        (lambda path: soundfile.write(path, poisoned(np.inf), RATE, subtype="FLOAT"), "NaN or infinite"),
    ],
)
def test_unusable_files_say_why(tmp_path, make, message):
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(UserError, match=message) as raised:
        read_audio(path)
    assert "bad.wav" in str(raised.value)


def test_raw_files_are_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(100))
    with pytest.raises(UserError, match="not readable as audio"):
        read_audio(tmp_path / "a.raw")


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_a_cut_flac_is_damaged(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (100_000, 2)), RATE)
    cut(path)
    with pytest.raises(UserError, match=r"damaged after \d"):
        read_audio(path)


def test_a_cut_mp3_is_read_as_far_as_it_goes_and_says_so(tmp_path):
    path = tmp_path / "a.mp3"
    with soundfile.SoundFile(path, "w", RATE, 2, format="MP3") as file:
        file.write(tone(100_000))
    cut(path)
    with AudioReader(path) as reader:
        announced = reader.samples
        found = sum(map(len, reader.blocks()))
        assert reader.ended_early
        assert found == reader.samples < announced


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that libsndfile can read")
@pytest.mark.parametrize("loud_first", [False, True])
@pytest.mark.parametrize("tag", [b"", b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)])
def test_an_mp3_without_its_length_is_read_to_the_end(tmp_path, loud_first, tag):
    audio = np.random.default_rng(0).normal(size=(200_000, 2)).astype(np.float32) * 0.2
    audio[100_000:] *= 1e-4
    whole, bare = tmp_path / "whole.mp3", tmp_path / "bare.mp3"
    with soundfile.SoundFile(whole, "w", RATE, 2, format="MP3", bitrate_mode="VARIABLE") as file:
        file.write(audio if loud_first else audio[::-1])
    data = whole.read_bytes()
    first_frame = data.find(data[:2], 4)
    assert b"Xing" in data[:first_frame]
    bare.write_bytes(tag + data[first_frame:])
    with AudioReader(bare) as reader:
        samples = np.concatenate(list(reader.blocks()))
        assert not reader.ended_early
        assert len(samples) == reader.samples
    delay = len(samples) - 200_000
    assert 0 <= delay < 3000
    assert np.isfinite(samples).all()


def test_a_reader_that_is_closed_early_leaves_no_thread(tmp_path):
    import threading

    path = tmp_path / "a.mp3"
    write_audio(path, np.random.default_rng(0).uniform(-0.5, 0.5, (20 * RATE, 2)))
    data = path.read_bytes()
    path.write_bytes(data[data.find(data[:2], 4) :])
    with AudioReader(path) as reader:
        next(iter(reader.blocks(1000)))
    for thread in threading.enumerate():
        if thread.name == "musika-mp3":
            thread.join(5)
            assert not thread.is_alive()


def test_a_flac_that_leaves_its_length_open_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(20_000), RATE)
    data = bytearray(path.read_bytes())
    (bits,) = struct.unpack(">Q", data[18:26])  # rate, channels, sample bits, then 36 bits of length
    data[18:26] = struct.pack(">Q", bits & ~((1 << 36) - 1))
    path.write_bytes(data)
    with pytest.raises(UserError, match="how long it is"):
        read_audio(path)


def test_find_audio_in_a_tree_with_loops_and_hidden_files(tmp_path):
    for name in ("b/2.FLAC", "b/1.wav", "a.Mp3", "c/d/e.opus", "b/._1.wav", ".git/x.wav", "notes.txt", "song.m4a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "c" / "again").symlink_to(tmp_path, target_is_directory=True)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-linked"
    elsewhere.mkdir()
    (elsewhere / "far.ogg").touch()
    (tmp_path / "z").symlink_to(elsewhere, target_is_directory=True)
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == ["a.Mp3", "b/1.wav", "b/2.FLAC", "c/d/e.opus", "song.m4a", "z/far.ogg"]


def test_find_audio_needs_a_folder(tmp_path):
    with pytest.raises(UserError, match="not a folder"):
        find_audio(tmp_path / "nowhere")
    assert find_audio(tmp_path) == []


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("announced", [None, 60_000])
def test_writer_keeps_length_and_sound(tmp_path, ending, announced):
    audio = tone(60_000)
    path = tmp_path / "new folder" / f"a.{ending}"
    with AudioWriter(path, samples=announced) as writer:
        writer.write(audio[:50_001])
        writer.write(audio[50_001:])
        assert not path.exists()
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    again = read_audio(path)
    assert again.shape == audio.shape
    np.testing.assert_allclose(again[2000:-2000], audio[2000:-2000], atol=2e-5 if ending in ("wav", "flac") else 0.05)


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])  # an Ogg stream has a random serial number
def test_same_samples_same_bytes_however_they_are_cut(tmp_path, ending):
    audio = tone(60_000)
    for name, size in (("a", 60_000), ("b", 7_001)):
        with AudioWriter(tmp_path / f"{name}.{ending}", samples=60_000) as writer:
            for start in range(0, 60_000, size):
                writer.write(audio[start : start + size])
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_a_long_write_to_ogg(tmp_path):
    with AudioWriter(tmp_path / "a.ogg") as writer:
        writer.write(np.zeros((60 * RATE, 2), np.float32))
    assert soundfile.info(tmp_path / "a.ogg").frames == 60 * RATE


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    with AudioWriter(tmp_path / "a.wav", channels=1) as writer:
        writer.write(np.float32([1.5, -1.5, 1.0, 0.0]))
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [32767, -32768, 32767, 0]


def test_wav_is_plain_when_short_and_rf64_when_announced_long(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_WAV_BYTES", 40_000)
    for samples, announced, head in ((100, 100, b"RIFF"), (20_000, 20_000, b"RF64"), (20_000, None, b"RIFF")):
        path = tmp_path / f"{samples}-{announced}.wav"
        monkeypatch.setattr(AudioWriter, "_allow_downgrade", (lambda self: None) if announced else DOWNGRADE)
        with AudioWriter(path, samples=announced) as writer:
            writer.write(tone(samples))
        assert path.read_bytes()[:4] == head
        assert len(read_audio(path)) == samples


DOWNGRADE = AudioWriter._allow_downgrade


def test_a_plain_wav_takes_no_more_than_it_can_count(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_WAV_BYTES", 40_000)
    with pytest.raises(UserError, match="more samples came"), AudioWriter(tmp_path / "a.wav", samples=5) as writer:
        writer.write(tone(20_000))
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_nothing_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("old")
    with pytest.raises(RuntimeError), AudioWriter(path) as writer:
        writer.write(tone(1000))
        raise RuntimeError
    assert [item.name for item in tmp_path.iterdir()] == ["a.wav"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_keep_leaves_a_playable_file_after_an_interrupt(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with pytest.raises(KeyboardInterrupt), AudioWriter(path, samples=1 << 40) as writer:
        try:
            writer.write(tone(30_000))
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            assert writer.keep()
            assert writer.written == 30_000
            raise
    assert len(read_audio(path)) == 30_000
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_keep_without_samples_leaves_nothing(tmp_path):
    with AudioWriter(tmp_path / "a.wav") as writer:
        assert not writer.keep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("block", [np.zeros((5, 1)), np.zeros(5), np.zeros((5, 2, 1)), np.full((5, 2), np.nan)])
def test_wrong_blocks_are_refused(tmp_path, block):
    with pytest.raises(UserError, match=r"finite and of shape \(samples, 2\)"), AudioWriter(tmp_path / "a.wav") as out:
        out.write(block)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "a.m4a", "wav", "a.wav.bak"])
def test_unknown_endings_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"\.wav, \.flac, \.ogg, \.mp3"):
        AudioWriter(tmp_path / name)
    with pytest.raises(UserError, match="Received"):
        output_format(name)


def test_unwritable_places_are_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    for name, message in (("file/a.wav", "cannot write"), ("folder.wav", "a folder of that name")):
        with pytest.raises(UserError, match=message):
            AudioWriter(tmp_path / name)
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(UserError, match="Permission denied"):
            AudioWriter(tmp_path / "a.wav")


FULL_DISK = textwrap.dedent(
    """
    import resource, signal, sys
    import numpy as np
    from musika.audio.files import AudioWriter
    from musika.checks import UserError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (20_000, 2)).astype(np.float32)
    try:
        with AudioWriter(sys.argv[1]) as writer:
            for _ in range(20):
                writer.write(noise)
    except UserError as error:
        print(error)
        sys.exit(2)
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_a_full_disk_leaves_nothing(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert f"cannot write {path}" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_write_audio_takes_one_channel_or_two(tmp_path):
    write_audio(tmp_path / "a.wav", tone(100))
    write_audio(tmp_path / "b.wav", tone(100)[:, 0])
    assert soundfile.info(tmp_path / "a.wav").channels == 2
    assert soundfile.info(tmp_path / "b.wav").channels == 1
    with pytest.raises(UserError, match="no audio"):
        write_audio(tmp_path / "c.wav", np.zeros((0, 2)))


def test_replacing_renames_at_the_end_only(tmp_path):
    path = tmp_path / "deep" / "x.bin"
    with replacing(path) as aside:
        aside.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    with pytest.raises(RuntimeError), replacing(path) as aside:
        aside.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"new"
    assert len(list(path.parent.iterdir())) == 1


def test_reading_needs_the_memory_of_a_block(tmp_path):
    import tracemalloc

    path = tmp_path / "a.flac"
    with AudioWriter(path) as writer:
        for _ in range(20):
            writer.write(np.zeros((RATE * 30, 2), np.float32))
    tracemalloc.start()
    total = sum(len(block) for block in read_blocks(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 600 * RATE
    assert peak < 8 * reading.BLOCK_SAMPLES * 4 * 2
