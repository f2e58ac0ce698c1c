import keras
import numpy as np
import pytest
from keras import ops

from musika.training.ema import ema_decay, update_average


def test_the_average_follows_its_formula():
    average, source = keras.Variable([1.0, 2.0]), keras.Variable([3.0, -2.0])
    update_average([average], [source], 0.75)
    np.testing.assert_allclose(ops.convert_to_numpy(average.value), [0.75 * 1 + 0.25 * 3, 0.75 * 2 - 0.25 * 2])
    assert ops.convert_to_numpy(source.value).tolist() == [3.0, -2.0]


def test_the_decay_starts_at_one_half_and_rises_to_its_limit():
    decays = [float(ema_decay(step, 0.999)) for step in (0, 1, 100, 9_979, 9_981, 10**6)]
    assert decays[0] == 0.5
    assert decays[1] == pytest.approx(1 - 1 / 2.1)
    assert decays[2] == pytest.approx(1 - 1 / 12)
    assert decays == sorted(decays)
    assert decays[3] < 0.999
    assert decays[-1] == pytest.approx(0.999)


def test_a_constant_source_is_reached():
    average, source = keras.Variable([0.0]), keras.Variable([1.0])
    for step in range(60):
        update_average([average], [source], ema_decay(step, 0.999))
    assert float(average.value[0]) > 0.999
