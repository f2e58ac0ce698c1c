import numpy as np
import pytest

from musika.checks import UserError
from musika.shapes import fold_time, map_batches, pad_to_multiple, unfold_time


@pytest.mark.parametrize(("batch", "blocks", "length"), [(1, 1, 1), (2, 3, 4), (3, 1, 7), (1, 5, 2)])
def test_unfold_undoes_fold(batch, blocks, length):
    x = np.random.default_rng(0).normal(size=(batch, blocks * length, 3))
    folded = fold_time(x, length)
    assert folded.shape == (batch * blocks, length, 3)
    assert np.array_equal(folded[0], x[0, :length])
    assert np.array_equal(unfold_time(folded, blocks), x)


def test_fold_works_on_tensors():
    from keras import ops

    x = ops.ones((2, 6, 3))
    assert tuple(unfold_time(fold_time(x, 2), 3).shape) == (2, 6, 3)


def test_fold_refuses_a_rest():
    with pytest.raises(UserError, match=r"multiple of 4.*Received: shape"):
        fold_time(np.zeros((1, 6, 2)), 4)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
def test_padding_reaches_the_next_multiple_and_no_further(length):
    x = np.ones((2, length))
    padded = pad_to_multiple(x, 4, axis=1)
    assert padded.shape[1] == -(-length // 4) * 4
    assert padded.sum() == x.sum()


@pytest.mark.parametrize("items", [1, 2, 3, 7])
def test_map_batches_always_gives_one_shape_to_the_function(items):
    seen = set()

    def double(part):
        seen.add(part.shape)
        return 2 * part

    x = np.random.default_rng(0).normal(size=(items, 5))
    assert np.array_equal(map_batches(double, x, 3), 2 * x)
    assert seen == {(3, 5)}
