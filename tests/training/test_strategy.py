"""Training on several cards: the same step as on one, the same run folder, and how many cards are taken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from musika.training import several

HERE = Path(__file__).parent


def two_cards(what, folder, script="two_cards.py"):
    """Run a script on two logical devices; its report."""
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, str(HERE / script), what, str(folder)]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


def assert_alike(one, two, moments, weights):
    """Compare two sets of arrays: moments of the optimisers relative to their largest, weights by difference."""
    assert sorted(one) == sorted(two)
    for name in one:
        scale = max(float(np.abs(one[name]).max()), 1e-6)
        limit = moments * scale if "optimizer" in name else weights
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=limit, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_two_copies_of_half_a_batch_make_the_step_of_one_whole_batch(tmp_path, mode):
    report = two_cards(mode, tmp_path)
    assert report["copies"] == 2
    assert report["said"] == ["2 cards train side by side, 16 of each batch of 32 on each."]
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert_alike(one, two, moments=2e-5, weights=1e-6)  # the rate is 1e-3
    one, two = report["losses"]
    assert set(one) == {"critic_loss", "generator_loss", "real_score", "fake_score", "penalty", "penalty_factor"}
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


@pytest.mark.slow
def test_a_run_on_two_cards_saves_resumes_and_may_move_to_one(tmp_path):
    report = two_cards("run", tmp_path)
    assert report["said"].count("2 cards train side by side, 2 of each batch of 4 on each.") == 3
    for name in ("generator", "critic"):
        arrays = [
            dict(np.load(tmp_path / run / "last" / f"{name}.optimizer.npz")) for run in ("whole", "parts", "moved")
        ]
        for key, value in arrays[0].items():
            np.testing.assert_array_equal(arrays[1][key], value, err_msg=key)
            scale = max(float(np.abs(value).max()), 1e-6)
            np.testing.assert_allclose(arrays[2][key], value, rtol=0, atol=1e-3 * scale, err_msg=key)


def test_as_many_cards_as_share_a_batch_evenly_are_used(monkeypatch):
    cards = [f"GPU:{index}" for index in range(8)]
    counts = {(3, 32): 2, (8, 32): 8, (6, 32): 4, (3, 33): 3, (4, 1): 1, (0, 32): 0}
    for (number, batch), expected in counts.items():
        assert several.sharing_cards(cards[:number], batch) == cards[:expected]


def test_one_card_changes_nothing_and_an_odd_batch_says_so(monkeypatch):
    import tensorflow as tf

    lines = []
    with several.on_all_cards(32, lines.append) as copies:
        assert copies == 1 and not tf.distribute.has_strategy()
    monkeypatch.setattr(several, "local_cards", lambda: ["GPU:0", "GPU:1"])
    with several.on_all_cards(31, lines.append) as copies:
        assert copies == 1
    with several.on_all_cards([12, 8, 7], lines.append) as copies:
        assert copies == 1
    with several.on_all_cards([], lines.append) as copies:
        assert copies == 1
    assert lines == [
        "2 cards cannot share a batch of 31 evenly: one is used.",
        "2 cards cannot share a batch of 7 or 8 or 12 evenly: one is used.",
    ]
