import keras
import numpy as np
import pytest
from keras import ops

from musika.config import load_config
from musika.gan.critic import build_critic
from musika.training.autodiff import gradients, input_gradient
from musika.training.penalty import certainty, next_factor, squared_slope


def test_the_squared_slope_is_the_mean_over_examples():
    assert float(squared_slope(np.array([[[3.0], [4.0]], [[0.0], [1.0]]], np.float32))) == pytest.approx(13.0)


@pytest.mark.parametrize(
    ("real", "fake", "expected"), [(2.0, 0.0, 1.0), (5.0, -5.0, 1.0), (-1.0, 1.0, 0.0), (1.0, 0.5, 0.25)]
)
def test_certainty_is_the_clipped_margin(real, fake, expected):
    assert float(certainty(real, fake)) == pytest.approx(expected)


def test_the_factor_rises_when_the_critic_is_certain_and_falls_otherwise():
    assert float(next_factor(0.5, 1.0, -1.0, 1e-4)) == pytest.approx(0.5001)
    assert float(next_factor(0.5, 1.0, -0.79, 1e-4)) == pytest.approx(0.4999)


def test_a_lower_limit_holds_a_less_certain_critic_back():
    assert float(next_factor(0.5, 0.7, -0.7, 0.1, certain=0.6)) == pytest.approx(0.6)
    assert float(next_factor(0.5, 0.5, -0.5, 0.1, certain=0.6)) == pytest.approx(0.4)


def test_the_factor_stays_between_zero_and_one():
    assert float(next_factor(1.0, 3.0, -3.0, 0.1)) == 1.0
    assert float(next_factor(0.05, 0.0, 0.0, 0.1)) == 0.0


def test_the_slope_of_the_critic_agrees_with_finite_differences():
    critic = build_critic(load_config("debug"), dtype="float64")
    # The last layers leave double precision (a cast; on PyTorch matrix products), so a sum stands for them.
    trunk = keras.Model(critic.input, critic.get_layer("judgement").input)
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(trunk.output_shape[1:])

    def score(windows):
        return ops.sum(trunk(windows) * ops.convert_to_tensor(weights, "float64"), axis=-1)

    step = 2.0**-20  # inputs are single precision: on this grid moving them is exact
    inputs = np.round(rng.standard_normal((2, *critic.input_shape[1:])) / step) * step
    direction = rng.choice([-1.0, 1.0], inputs.shape)
    _, slope = input_gradient(score, ops.convert_to_tensor(inputs, "float32"))
    sides = [(inputs + sign * step * direction).astype("float32") for sign in (1, -1)]
    up, down = (ops.convert_to_numpy(score(ops.convert_to_tensor(side))) for side in sides)
    expected = (up - down) / (2 * step)
    got = np.sum(ops.convert_to_numpy(slope) * direction, axis=(1, 2))
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_the_gradient_of_the_penalty_agrees_with_finite_differences():
    network = keras.Sequential(
        [
            keras.Input((6, 3), dtype="float64"),
            keras.layers.Conv1D(4, 3, activation="tanh", dtype="float64"),
            keras.layers.Conv1D(1, 4, dtype="float64"),
        ]
    )
    rng = np.random.default_rng(1)
    inputs = ops.convert_to_tensor(rng.standard_normal((3, 6, 3)), "float64")

    def penalty():
        _, slope = input_gradient(network, inputs)
        return ops.sum(slope * slope) / 3, None  # ops.mean is in single precision on PyTorch

    kernel = network.trainable_variables[0]
    step = 2.0**-17  # and weights on its grid: then a backend that assigns in single precision assigns exactly
    before = np.round(ops.convert_to_numpy(kernel.value) / step) * step
    kernel.assign(before)
    _, _, found = gradients(penalty, [kernel])
    direction = rng.choice([-1.0, 1.0], before.shape)
    sides = []
    for sign in (1, -1):
        kernel.assign(before + sign * step * direction)
        sides.append(float(ops.convert_to_numpy(penalty()[0])))
    expected = (sides[0] - sides[1]) / (2 * step)
    assert float(np.sum(ops.convert_to_numpy(found[0]) * direction)) == pytest.approx(expected, rel=1e-6)
