import json

import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation.frechet import fit_normal, normal_distance
from musika.evaluation.statistics import Statistics, check_same_embedding, load_statistics, save_statistics

EMBEDDING = {"name": "loudness", "dimension": 5, "weights_hash": "a", "settings": {"version": 1}}


@pytest.fixture
def statistics():
    normal = fit_normal(np.random.default_rng(0).standard_normal((40, 5)))
    return Statistics(normal, EMBEDDING, {"source": "music", "windows": 40, "floor": {"frechet": 0.5}})


def test_what_is_saved_comes_back(statistics, tmp_path):
    save_statistics(tmp_path / "a.npz", statistics)
    back = load_statistics(tmp_path / "a.npz")
    assert normal_distance(back.normal, statistics.normal) < 1e-12
    assert back.normal.count == 40 and back.embedding == EMBEDDING and back.about == statistics.about


def test_the_file_opens_without_pickle_and_without_musika(statistics, tmp_path):
    save_statistics(tmp_path / "a.npz", statistics)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["covariance"], statistics.normal.covariance, rtol=1e-12)
        assert arrays["mean"].dtype == np.float64
        assert json.loads(str(arrays["about"]))["embedding"] == EMBEDDING


@pytest.mark.parametrize("change", [{"name": "other"}, {"weights_hash": "b"}, {"settings": {"version": 2}}])
def test_another_embedding_is_refused(statistics, change):
    check_same_embedding(statistics, EMBEDDING, "a.npz")
    with pytest.raises(UserError, match=f"a.npz: statistics of .* whose {next(iter(change))} is"):
        check_same_embedding(statistics, EMBEDDING | change, "a.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "no statistics"),
        ({"mean": np.zeros(5), "covariance": np.eye(4)}, "damaged"),
        ({"mean": np.zeros(5), "covariance": np.full((5, 5), np.nan)}, "not finite"),
        ({"mean": np.zeros(5), "covariance": np.triu(np.ones((5, 5)))}, "not symmetric"),
        ({"mean": np.array([None] * 5), "covariance": np.eye(5)}, "no statistics"),
    ],
)
def test_files_that_are_no_statistics_are_refused(statistics, tmp_path, arrays, message):
    save_statistics(tmp_path / "a.npz", statistics)
    with np.load(tmp_path / "a.npz") as whole:
        about = {"about": whole["about"]} if "mean" in arrays else {}
    np.savez(tmp_path / "b.npz", **about, **arrays)
    with pytest.raises(UserError, match=message):
        load_statistics(tmp_path / "b.npz")


def test_damaged_missing_and_misnamed_files_are_refused(statistics, tmp_path):
    (tmp_path / "c.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match="no statistics"):
        load_statistics(tmp_path / "c.npz")
    with pytest.raises(UserError, match="cannot be read"):
        load_statistics(tmp_path / "missing.npz")
    with pytest.raises(UserError, match=r"saved as \.npz"):
        save_statistics(tmp_path / "a.txt", statistics)
