"""The one file that knows how a Keras backend takes gradients (TensorFlow and PyTorch).

Everything else in training is written over ``keras.ops`` and these few functions:

- ``gradients``: a loss and its gradients by some variables;
- ``joint_gradients``: several losses of one forward pass, each by its own variables;
- ``input_gradient``: a network's output and the gradient of its sum by the input, which may itself be
  differentiated again (the gradient penalty needs that);
- ``apply_gradients``, and ``apply_alike`` for gradients that all copies hold already: a step of an optimiser;
- ``replicas`` and ``mean_over_replicas``: how many copies train side by side under ``tf.distribute``;
- ``accelerated``: whether the device is more than a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from musika.checks import UserError

Tensor = Any
Variables = Sequence[keras.Variable]


def backend_name() -> str:
    """The name of the Keras backend, checked to be one that can train here.

    Returns:
        ``tensorflow`` or ``torch``.

    Raises:
        UserError: If Keras runs on another backend.
    """
    name = keras.backend.backend()
    if name not in ("tensorflow", "torch"):
        raise UserError(
            "training runs on Keras' TensorFlow and PyTorch backends. "
            f"Received: KERAS_BACKEND={name!r}. Set KERAS_BACKEND=tensorflow or KERAS_BACKEND=torch."
        )
    return name


def gradients(
    loss_function: Callable[[], tuple[Tensor, Any]], variables: Variables
) -> tuple[Tensor, Any, list[Tensor]]:
    """A loss and its gradients.

    Args:
        loss_function: Computes ``(loss, aux)``: a scalar, and whatever else is wanted from the same pass.
        variables: What the loss is differentiated by.

    Returns:
        The loss, ``aux``, and a gradient for each variable (zeros where the loss does not depend on it).
    """
    losses, aux, groups = joint_gradients(lambda: _single(loss_function()), [variables])
    return losses[0], aux, groups[0]


def _single(result: tuple[Tensor, Any]) -> tuple[list[Tensor], Any]:
    """Wrap one loss as a list of losses."""
    loss, aux = result
    return [loss], aux


def joint_gradients(
    loss_function: Callable[[], tuple[Sequence[Tensor], Any]], groups: Sequence[Variables]
) -> tuple[list[Tensor], Any, list[list[Tensor]]]:
    """Several losses of one forward pass, each differentiated by its own variables.

    Args:
        loss_function: Computes ``(losses, aux)``: one scalar for each group, and whatever else is wanted.
        groups: For each loss the variables that it is differentiated by.

    Returns:
        The losses, ``aux``, and for each loss its gradients (zeros where it does not depend on a variable).
    """
    if backend_name() == "tensorflow":
        return _joint_tensorflow(loss_function, groups)
    return _joint_torch(loss_function, groups)


def _joint_tensorflow(
    loss_function: Callable[[], tuple[Sequence[Tensor], Any]], groups: Sequence[Variables]
) -> tuple[list[Tensor], Any, list[list[Tensor]]]:
    """``joint_gradients`` by a tape that may be read once a loss."""
    import tensorflow as tf

    with tf.GradientTape(persistent=len(groups) > 1) as tape:
        losses, aux = loss_function()
    found = [
        tape.gradient(loss, [variable.value for variable in group], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for loss, group in zip(losses, groups, strict=True)
    ]
    return list(losses), aux, found


def _joint_torch(
    loss_function: Callable[[], tuple[Sequence[Tensor], Any]], groups: Sequence[Variables]
) -> tuple[list[Tensor], Any, list[list[Tensor]]]:
    """``joint_gradients`` by ``torch.autograd.grad``, which leaves no gradients behind in the variables."""
    import torch

    with torch.enable_grad():
        losses, aux = loss_function()
    found = []
    for index, (loss, group) in enumerate(zip(losses, groups, strict=True)):
        values = [variable.value for variable in group]
        got = torch.autograd.grad(loss, values, retain_graph=index + 1 < len(groups), allow_unused=True)
        found.append([torch.zeros_like(v) if g is None else g for g, v in zip(got, values, strict=True)])
    aux = keras.tree.map_structure(lambda value: value.detach() if isinstance(value, torch.Tensor) else value, aux)
    return [loss.detach() for loss in losses], aux, found


def input_gradient(network: Callable[[Tensor], Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """A network's output and the gradient of the output's sum by the input.

    As long as the items of a batch do not see one another this is each item's own gradient. It can be
    differentiated again, by the network's variables, inside ``gradients``.

    Args:
        network: Maps a batch to scores.
        inputs: The batch.

    Returns:
        The scores, and the gradient, of the shape of ``inputs``.
    """
    if backend_name() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(inputs)
            scores = network(inputs)
            total = tf.reduce_sum(scores)
        return scores, tape.gradient(total, inputs)
    import torch

    watched = inputs.detach().requires_grad_(True)
    with torch.enable_grad():
        scores = network(watched)
        (slope,) = torch.autograd.grad(scores.sum(), watched, create_graph=True)
    return scores, slope


def apply_gradients(optimizer: keras.optimizers.Optimizer, found: Sequence[Tensor], variables: Variables) -> None:
    """Let an optimiser take one step.

    Args:
        optimizer: The optimiser, built for these variables.
        found: A gradient for each variable.
        variables: The variables.
    """
    if backend_name() == "torch":
        import torch

        with torch.no_grad():
            optimizer.apply(list(found), list(variables))
    else:
        optimizer.apply(list(found), list(variables))


def apply_alike(optimizer: keras.optimizers.Optimizer, found: Sequence[Tensor], variables: Variables) -> None:
    """Let an optimiser take one step by gradients that all copies hold alike, and which count once.

    Args:
        optimizer: The optimiser, built for these variables.
        found: A gradient for each variable, the same in every copy (see ``mean_over_replicas``).
        variables: The variables.
    """
    copies = replicas()
    shares = found if copies == 1 else [gradient / copies for gradient in found]  # Keras sums what the copies give it
    apply_gradients(optimizer, shares, variables)


def without_gradients(function: Callable[[], None]) -> None:
    """Run what assigns variables outside of any recording of gradients.

    Args:
        function: What to run.
    """
    if backend_name() == "torch":
        import torch

        with torch.no_grad():
            function()
    else:
        function()


def replicas() -> int:
    """How many copies of the model train side by side (1 without ``tf.distribute``).

    Returns:
        The number; optimisers add the gradients of all copies, so a loss is divided by it.
    """
    if backend_name() == "torch":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def mean_over_replicas(value: Tensor) -> Tensor:
    """The mean of a value over all copies that train side by side.

    Args:
        value: A tensor of this copy, or a list of them.

    Returns:
        The mean, the same for every copy; of a list the means.
    """
    if replicas() == 1:
        return value
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, value)


def accelerated() -> bool:
    """Whether Keras computes on more than a CPU.

    Returns:
        True where the backend sees a GPU.
    """
    if backend_name() == "torch":
        import torch

        return torch.cuda.is_available()
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
