"""Latent files."""

import dataclasses

import numpy as np
import pytest

from musika.checks import UserError
from musika.data.latents import LatentFile, load_latents, save_latents

FILE = LatentFile(
    latents=np.random.default_rng(0).normal(size=(7, 8)).astype(np.float32),
    codec="0123456789abcdef",
    sample_rate=44100,
    samples=12345,
    source="sub/Füße.wav",
    codec_name="techno",
)


def test_round_trip(tmp_path):
    save_latents(tmp_path / "new" / "a.npz", FILE)
    again = load_latents(tmp_path / "new" / "a.npz", codec=FILE.codec)
    np.testing.assert_array_equal(again.latents, FILE.latents)
    assert dataclasses.replace(again, latents=None) == dataclasses.replace(FILE, latents=None)
    assert [item.name for item in (tmp_path / "new").iterdir()] == ["a.npz"]


def test_the_file_is_plain_arrays(tmp_path):
    save_latents(tmp_path / "a.npz", FILE)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) >= {"latents", "codec", "sample_rate", "samples", "source"}
        assert arrays["latents"].dtype == np.float32
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_same_latents_same_bytes(tmp_path):
    save_latents(tmp_path / "a.npz", FILE)
    save_latents(tmp_path / "b.npz", FILE)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_another_codec_is_refused_by_name(tmp_path):
    save_latents(tmp_path / "a.npz", FILE)
    with pytest.raises(UserError, match=r"made by 'techno' \(codec 0123.*'piano' \(codec ffff.*--checkpoint"):
        load_latents(tmp_path / "a.npz", codec="ffff", codec_name="piano")
    save_latents(tmp_path / "a.npz", dataclasses.replace(FILE, codec_name=""))
    with pytest.raises(UserError, match="made by codec 0123456789abcdef, which codec ffff cannot read"):
        load_latents(tmp_path / "a.npz", codec="ffff")


def damaged(path, **changes):
    arrays = {name: np.asarray(value) for name, value in dataclasses.asdict(FILE).items()}
    np.savez(path, **{name: np.asarray(value) for name, value in (arrays | changes).items() if value is not None})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.write_bytes(b""), "not a latent file"),
        (lambda path: path.write_text("text"), "not a latent file"),
        (lambda path: damaged(path, codec=None), "codec missing"),
        (lambda path: damaged(path, latents=FILE.latents.astype(np.float64)), "float32"),
        (lambda path: damaged(path, latents=FILE.latents[0]), r"\(8,\)"),
        (lambda path: damaged(path, latents=FILE.latents[:, :7]), r"\(7, 7\)"),
        (lambda path: damaged(path, latents=np.full((2, 8), np.nan, np.float32)), "NaN"),
        (lambda path: damaged(path, samples="many"), "damaged"),
        (lambda path: damaged(path, samples=[1, 2]), "damaged"),
        (lambda path: damaged(path, sample_rate=0), "samples at 0 Hz are no audio"),
        (lambda path: damaged(path, samples=-5), "-5 samples at"),
        (lambda path: np.savez(path, latents=np.array([None], dtype=object)), "not a latent file"),
        (lambda path: damaged(path, source=np.array([{}], dtype=object)), "not a latent file"),
    ],
)
def test_other_files_are_refused(tmp_path, make, message):
    path = tmp_path / "a.npz"
    make(path)
    with pytest.raises(UserError, match=message) as raised:
        load_latents(path)
    assert "a.npz" in str(raised.value)


def test_a_single_array_and_a_cut_file_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", FILE.latents)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(UserError, match="not a latent file"):
        load_latents(tmp_path / "a.npz")
    save_latents(tmp_path / "b.npz", FILE)
    data = (tmp_path / "b.npz").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "b.npz").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UserError, match="not a latent file"):
            load_latents(tmp_path / "b.npz")
