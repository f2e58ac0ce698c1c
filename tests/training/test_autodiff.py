import keras
import numpy as np
from keras import ops

from musika.training import autodiff


def variable(values):
    return keras.Variable(np.asarray(values, np.float32))


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def test_gradients_of_a_polynomial_are_those_by_hand():
    x, y = variable([1.0, 2.0]), variable(3.0)
    loss, aux, found = autodiff.gradients(lambda: (ops.sum(x.value**2) * y.value, {"x": x.value + 0.0}), [x, y])
    assert float(loss) == 15.0
    assert numbers(aux["x"]).tolist() == [1.0, 2.0]
    assert numbers(found[0]).tolist() == [6.0, 12.0]
    assert float(found[1]) == 5.0


def test_a_variable_that_the_loss_does_not_use_has_a_zero_gradient():
    x, unused = variable([1.0, 2.0]), variable([5.0, 6.0, 7.0])
    _, _, found = autodiff.gradients(lambda: (ops.sum(x.value), None), [x, unused])
    assert numbers(found[1]).tolist() == [0.0, 0.0, 0.0]


def test_each_of_several_losses_has_its_own_variables():
    x, y = variable(2.0), variable(5.0)

    def losses():
        shared = x.value * y.value
        return [shared, -(shared**2)], None

    values, _, (by_x, by_y) = autodiff.joint_gradients(losses, [[x], [y]])
    assert [float(value) for value in values] == [10.0, -100.0]
    assert float(by_x[0]) == 5.0
    assert float(by_y[0]) == -2 * 10.0 * 2.0


def test_input_gradient_of_a_linear_network_is_its_kernel():
    layer = keras.layers.Dense(1)
    layer.build((None, 3))
    inputs = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((4, 3)), "float32")
    scores, slope = autodiff.input_gradient(layer, inputs)
    assert tuple(scores.shape) == (4, 1)
    np.testing.assert_allclose(numbers(slope), np.tile(layer.get_weights()[0][:, 0], (4, 1)), rtol=1e-6)


def test_input_gradient_can_be_differentiated_again():
    scale = variable(3.0)
    inputs = ops.convert_to_tensor([[2.0], [4.0]], "float32")

    def loss():
        _, slope = autodiff.input_gradient(lambda x: scale.value**2 * x**3, inputs)  # slope = 3 scale^2 x^2
        return ops.sum(slope), None

    value, _, found = autodiff.gradients(loss, [scale])
    assert float(value) == 3 * 9 * (4 + 16)
    assert float(found[0]) == 6 * 3 * (4 + 16)


def test_applying_gradients_moves_the_variables():
    x = variable([1.0, 2.0])
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build([x])
    autodiff.apply_gradients(optimizer, [ops.convert_to_tensor([2.0, -2.0])], [x])
    assert numbers(x.value).tolist() == [0.0, 3.0]


def test_one_copy_trains_without_distribution():
    assert autodiff.replicas() == 1
    assert float(autodiff.mean_over_replicas(ops.convert_to_tensor(2.5))) == 2.5
