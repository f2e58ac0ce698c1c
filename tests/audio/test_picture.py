"""Spectrogram pictures."""

import numpy as np
import pytest

from musika.audio import picture
from musika.audio.files import AudioWriter
from musika.checks import UserError

RATE = 44100


def sine(seconds, frequency):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def levels(audio, pieces=1):
    weights, borders = picture._log_rows(RATE)
    columns = picture._Columns(len(audio), audio.shape[1])
    for piece in np.array_split(audio, pieces):
        columns.add(piece)
    return columns.decibels(weights), borders


@pytest.mark.parametrize("frequency", [60.0, 440.0, 5000.0, 15000.0])
def test_a_sine_is_brightest_in_the_row_of_its_frequency(frequency):
    level, borders = levels(np.stack([sine(2, frequency), 0 * sine(2, frequency)], axis=1))
    column = level[0][:, level.shape[2] // 2]
    row = int(column.argmax())
    nearest = int(np.searchsorted(borders, frequency)) - 1
    assert abs(row - nearest) <= max(1, round(11 / frequency * 60))
    assert level[0].max() == 0
    assert level[1].max() == -80


def test_a_click_lies_at_its_time():
    audio = np.zeros((RATE * 4, 1), np.float32)
    audio[RATE] = 1
    level, _ = levels(audio)
    assert int(level[0].sum(axis=0).argmax()) == pytest.approx(level.shape[2] / 4, abs=level.shape[2] * 0.01)


def test_pieces_do_not_matter():
    audio = np.random.default_rng(0).normal(size=(3 * RATE, 2)).astype(np.float32)
    whole, _ = levels(audio)
    cut, _ = levels(audio, pieces=37)
    np.testing.assert_allclose(cut, whole, atol=1e-3)


def test_width_does_not_grow_with_length():
    block = np.zeros((RATE * 60, 1), np.float32)
    columns = picture._Columns(10 * 3600 * RATE, 1)
    columns.add(block)
    assert columns.power.shape[1] == 1200
    assert columns._waiting.size < 10_000


def test_pictures_are_written_from_arrays_streams_and_files(tmp_path):
    audio = np.stack([sine(1, 440), sine(1, 880)], axis=1)
    picture.save_spectrogram(tmp_path / "a.png", audio, title="$1 and _this_")
    picture.save_spectrogram(tmp_path / "b.png", iter(np.array_split(audio, 5)), samples=len(audio))
    with AudioWriter(tmp_path / "a.wav") as writer:
        writer.write(audio)
    picture.draw_file(tmp_path / "a.wav", tmp_path / "new" / "c.png", start=37.5)
    picture.save_spectrogram(tmp_path / "short.png", audio[:5, 0])
    for name in ("a.png", "b.png", "new/c.png", "short.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(UserError, match="needs audio"):
        picture.save_spectrogram(tmp_path / "a.png", np.zeros((0, 2), np.float32))
    with pytest.raises(UserError, match="needs audio"):
        picture.save_spectrogram(tmp_path / "a.png", iter([np.zeros((5, 2))]))
    with pytest.raises(UserError, match="needs audio"):
        picture.save_spectrogram(tmp_path / "a.png", iter([]), samples=5)
    assert list(tmp_path.iterdir()) == []
