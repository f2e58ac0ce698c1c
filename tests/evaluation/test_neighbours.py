import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation import neighbours
from musika.evaluation.neighbours import copying_score, nearest_distances, precision_recall


def radius(points, index, k):
    return sorted(np.linalg.norm(points - points[index], axis=1))[k]  # the first is the point itself


def brute_force(real, made, k):
    """Precision, recall, density and coverage as their papers write them, by loops."""
    near_real = [[np.linalg.norm(x - y) < radius(real, i, k) for i, x in enumerate(real)] for y in made]
    near_made = [[np.linalg.norm(x - y) < radius(made, j, k) for j, y in enumerate(made)] for x in real]
    return {
        "precision": np.mean([any(row) for row in near_real]),
        "recall": np.mean([any(row) for row in near_made]),
        "density": np.mean([sum(row) for row in near_real]) / k,
        "coverage": np.mean([any(row[i] for row in near_real) for i in range(len(real))]),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_all_four_are_those_of_their_definitions(k, monkeypatch):
    monkeypatch.setattr(neighbours, "_CHUNK_ROWS", 7)
    rng = np.random.default_rng(k)
    real, made = rng.standard_normal((30, 3)), 0.8 * rng.standard_normal((25, 3)) + 0.7
    assert precision_recall(real, made, k) == pytest.approx(brute_force(real, made, k), rel=1e-12)


def test_a_set_against_itself_has_everything():
    samples = np.random.default_rng(4).standard_normal((40, 2))
    scores = precision_recall(samples, samples)
    assert scores["precision"] == scores["recall"] == scores["coverage"] == 1.0


def test_a_far_set_has_nothing():
    samples = np.random.default_rng(5).standard_normal((20, 2))
    assert set(precision_recall(samples, samples + 100).values()) == {0.0}


def test_a_narrow_set_is_precise_and_recalls_little():
    rng = np.random.default_rng(6)
    scores = precision_recall(rng.standard_normal((200, 2)), 0.1 * rng.standard_normal((200, 2)))
    assert scores["precision"] > 0.95 and scores["recall"] < 0.3 and scores["coverage"] < 0.5


def test_copies_score_0_and_new_music_1():
    rng = np.random.default_rng(7)
    training, held_out, new = (rng.standard_normal((300, 4)) for _ in range(3))
    copied = copying_score(training[::3] + 1e-9, training, held_out)
    assert copied["score"] < 1e-6 and copied["closer"] == 1.0 and copied["chance"] < 0.01
    original = copying_score(new, training, held_out)
    assert original["score"] == pytest.approx(1.0, abs=0.15)
    assert original["closer"] == pytest.approx(0.05, abs=0.05) and original["chance"] == pytest.approx(0.5, abs=0.1)


def test_the_copying_score_is_the_ratio_of_median_distances():
    rng = np.random.default_rng(8)
    training, held_out, made = rng.standard_normal((50, 2)), rng.standard_normal((21, 2)), rng.standard_normal((31, 2))

    def median(samples):
        return np.median([min(np.linalg.norm(training - sample, axis=1)) for sample in samples])

    scores = copying_score(made, training, held_out)
    assert scores["score"] == pytest.approx(median(made) / median(held_out), rel=1e-9)
    theirs = nearest_distances(held_out, training)
    ours = nearest_distances(made, training)
    assert scores["chance"] == pytest.approx(np.mean(ours[:, None] > theirs[None]), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision_recall(np.zeros((5, 2)), np.zeros((9, 2))), "at least 6 windows"),
        (lambda: precision_recall(np.zeros((9, 3)), np.zeros((9, 2))), "the same features"),
        (lambda: copying_score(np.eye(3), np.eye(3), np.zeros((0, 3))), "held_out"),
        (lambda: copying_score(np.eye(3), np.eye(3), np.eye(3)), "most of the held-out windows"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
