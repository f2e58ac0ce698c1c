import io
import random
import zipfile

import numpy as np
import pytest

from musika.arrays import read_arrays
from musika.checks import UserError

WORDS = ("no statistics", "Copy them again.")


def claiming(path, shape, name="mean"):
    """An archive whose array has a head that claims more than follows."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", head.getvalue() + bytes(16))


def test_arrays_are_read_as_numpy_reads_them(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.str_("text"), "c": np.zeros((0, 3), np.float32)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        read = read_arrays(tmp_path / "a.npz", *WORDS)
        assert list(read) == list(arrays)
        for name, values in arrays.items():
            assert np.array_equal(read[name], values) and read[name].dtype == np.asarray(values).dtype
    assert list(read_arrays(tmp_path / "a.npz", *WORDS, names=("c", "d"))) == ["c"]


def test_whatever_is_damaged_is_one_sentence(tmp_path):
    path, chance = tmp_path / "a.npz", random.Random(0)
    np.savez_compressed(path, mean=np.random.default_rng(0).random(64, np.float32), std=np.ones(64, np.float32))
    good, refused = path.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(3):
            damaged[chance.randrange(len(good))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_arrays(path, *WORDS)
        except UserError as error:
            assert "no statistics, or damaged" in str(error) and str(error).endswith("Copy them again.")
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file or directory. Check the path."),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"PK"), "no statistics, or damaged .*Copy them again"),
        (lambda path: claiming(path, (10**15,)), "an array is shorter than its head says"),
        (lambda path: claiming(path, (5,)), "an array is shorter|damaged"),
        (lambda path: np.savez_compressed(path, a=np.zeros(2000)), "its arrays have more than 9000 bytes"),
        (lambda path: np.savez(path, a=np.array([None] * 9)), "no statistics, or damaged"),
        (lambda path: zipfile.ZipFile(path, "w").writestr("a.txt", "text"), "something else than arrays"),
    ],
)
def test_what_is_refused(tmp_path, make, message):
    make(tmp_path / "a.npz")
    with pytest.raises(UserError, match=message):
        read_arrays(tmp_path / "a.npz", *WORDS, most=9000)
