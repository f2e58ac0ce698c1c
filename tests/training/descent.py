"""Gradient descent of one number by a loss that compares what it makes with music."""

import keras
import numpy as np

from musika.training.autodiff import gradients


def descend(matching, make, real, start, rate, steps):
    """Follow the loss of ``matching`` on ``make(number)``: the number at the end, and the distance at each step.

    A matching that looks at what is made alone has None for ``real``.
    """
    number = keras.Variable(np.float32(start))
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build([number])
    seen = []

    def loss_function():
        loss, distance, found = matching(make(number)) if real is None else matching(make(number), real)
        return loss, {"distance": distance, "found": found}

    for _ in range(steps):
        _, logs, found = gradients(loss_function, [number])
        optimizer.apply(found, [number])
        matching.follow(logs["found"])
        seen.append(float(logs["distance"]))
    return float(keras.ops.convert_to_numpy(number.value)), seen
