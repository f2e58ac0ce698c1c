"""More channels than two, and what only ffmpeg reads."""

import os
import shutil
import stat

import numpy as np
import pytest
import soundfile

from musika.audio.reading import read_audio
from musika.checks import UserError
from musika.data.sources import SOURCE_ENDINGS, SourceReader, downmix_weights

RATE = 44100
HALF = np.sqrt(0.5)


def read(path, **options):
    with SourceReader(path, **options) as reader:
        return np.concatenate(list(reader.blocks()))


def tones(channels):
    """A constant level of its own in every channel."""
    return np.tile(np.linspace(0.05, 0.4, channels, dtype=np.float32), (2000, 1))


@pytest.mark.parametrize("channels", range(3, 9))
def test_surround_is_mixed_down_by_the_rule(tmp_path, channels):
    samples = tones(channels)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    made = read(tmp_path / "a.wav")
    level = samples[0]
    centre = HALF * level[2] if channels not in (4,) else 0.0
    rear = {3: [], 4: [2], 5: [3], 6: [4], 7: [5], 8: [4, 6]}[channels]
    left = level[0] + centre + HALF * sum(level[place] for place in rear)
    right = level[1] + centre + HALF * sum(level[place + 1] for place in rear)
    back = 0.5 * level[4] if channels == 7 else 0.0
    np.testing.assert_allclose(made[1000], [left + back, right + back], rtol=1e-5)


def test_the_low_frequency_channel_is_left_out():
    assert not downmix_weights(6)[3].any()
    with pytest.raises(UserError, match="12 channels cannot be mixed down"):
        downmix_weights(12)


def test_stereo_and_mono_are_read_as_ever(tmp_path):
    for channels in (1, 2):
        path = tmp_path / f"{channels}.wav"
        soundfile.write(path, tones(channels), 48000)
        np.testing.assert_array_equal(read(path), read_audio(path))


def test_surround_is_resampled_after_the_mix(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile(tones(6), (20, 1)), 22050, subtype="FLOAT")
    made = read(tmp_path / "a.wav")
    assert made.shape == (80_000, 2)
    np.testing.assert_allclose(made[40_000], tones(6)[0] @ downmix_weights(6), rtol=1e-3)


FFMPEG = """#!/usr/bin/env python3
import sys, numpy, soundfile
source, out = sys.argv[sys.argv.index("-i") + 1], sys.argv[-1]
assert source.startswith("file:/")
if "broken" in source:
    print("moov atom not found", file=sys.stderr)
    sys.exit(1)
soundfile.write(out, numpy.full((3000, 2), 0.25), 44100, format="W64", subtype="FLOAT")
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """A program of that name that decodes everything to the same."""
    import sys

    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(FFMPEG.replace("/usr/bin/env python3", sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_what_libsndfile_does_not_read_goes_through_ffmpeg(tmp_path, ffmpeg):
    (tmp_path / "a:b.m4a").write_bytes(b"something else")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with SourceReader(tmp_path / "a:b.m4a", scratch=scratch) as reader:
        assert reader.converted and len(list(scratch.iterdir())) == 1
        np.testing.assert_allclose(np.concatenate(list(reader.blocks())), 0.25)
    assert list(scratch.iterdir()) == []


def test_what_neither_reads_is_named_and_leaves_nothing(tmp_path, ffmpeg):
    (tmp_path / "broken.m4a").write_bytes(b"something else")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(UserError, match=r"broken\.m4a: neither libsndfile nor ffmpeg can read it \(moov atom"):
        SourceReader(tmp_path / "broken.m4a", scratch=scratch)
    assert list(scratch.iterdir()) == []
    (tmp_path / "empty.m4a").touch()
    with pytest.raises(UserError, match="the file is empty"):
        SourceReader(tmp_path / "empty.m4a")
    with pytest.raises(UserError, match="cannot be opened"):
        SourceReader(tmp_path / "missing.m4a")


def test_without_ffmpeg_the_message_says_what_it_would_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "a.m4a").write_bytes(b"something else")
    with pytest.raises(UserError, match="ffmpeg is not installed here"):
        SourceReader(tmp_path / "a.m4a")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_the_real_ffmpeg_decodes_what_it_encoded(tmp_path):
    import subprocess

    time = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(2 * np.pi * 440 * np.stack([time, time], axis=1)), RATE)
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), "-c:a", "aac", str(tmp_path / "a.m4a")]
    subprocess.run(command, check=True)
    made = read(tmp_path / "a.m4a")
    assert abs(len(made) - RATE) < 3000
    assert np.sqrt(np.mean(made**2)) == pytest.approx(0.3 * HALF, rel=0.05)


def test_endings_are_lower_case_with_their_dot():
    assert {".wav", ".m4a", ".mp4", ".ape"} <= SOURCE_ENDINGS
    assert all(ending == ending.lower() and ending.startswith(".") for ending in SOURCE_ENDINGS)
