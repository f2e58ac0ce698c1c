"""Training on several cards of one machine: each holds a copy of the networks and takes its share of every batch.

The batch, and with it every hyper-parameter, is the same as on one card. Losses are divided by the number of copies
(`autodiff.replicas`) and gradients are summed, so a step is the one that a single card takes on the whole batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from musika.training.autodiff import backend_name, replicas

Tensor = Any


def local_cards() -> list[str]:
    """The GPUs of this machine that Keras' backend may use.

    Returns:
        Their names; empty with PyTorch, which trains on one.
    """
    if backend_name() == "torch":
        return []
    import tensorflow as tf

    # Physical ones are listed without taking the cards' memory.
    return [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]


def sharing_cards(cards: Sequence[str], batch_size: int) -> list[str]:
    """As many cards as can share a batch evenly.

    Args:
        cards: The cards there are.
        batch_size: Items of a batch.

    Returns:
        The first of them.

    >>> sharing_cards(["a", "b", "c"], 32)
    ['a', 'b']
    """
    count = max((number for number in range(1, len(cards) + 1) if batch_size % number == 0), default=0)
    return list(cards[:count])


@contextlib.contextmanager
def side_by_side(batch_size: int, say: Callable[[str], None] = print) -> Iterator[int]:
    """Where networks are made that train on every card of this machine.

    Args:
        batch_size: Items of a batch, which the cards share evenly.
        say: Told how many cards are used, when there are several.

    Yields:
        The number of copies; 1 where there is no second card, and then nothing is different from usual.
    """
    cards = local_cards()
    used = sharing_cards(cards, batch_size)
    if len(used) < 2:
        if len(cards) > 1:
            say(f"{len(cards)} cards cannot share a batch of {batch_size} evenly: one is used.")
        yield 1
        return
    import tensorflow as tf

    left = f"; {len(cards) - len(used)} left out, to share it evenly" if len(cards) > len(used) else ""
    say(f"{len(used)} cards train side by side, {batch_size // len(used)} of each batch of {batch_size} on each{left}.")
    with tf.distribute.MirroredStrategy(used).scope():
        yield len(used)


def assign_everywhere(
    targets: Sequence[keras.Variable], sources: Sequence[keras.Variable], function: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Assign ``function(target, source)`` to each target, on every card, inside or outside of a training step.

    Args:
        targets: Variables to assign.
        sources: As many variables, which the cards hold alike.
        function: Computes a target's new value from its value and the source's; the same on every card.
    """
    if replicas() == 1:
        for target, source in zip(targets, sources, strict=True):
            target.assign(function(target.value, source.value))
        return
    import tensorflow as tf

    pairs = [(target.value, source.value) for target, source in zip(targets, sources, strict=True)]

    def update(strategy: Any) -> None:
        for target, source in pairs:
            strategy.extended.update(
                target, lambda mine, other: mine.assign(function(mine, other)), args=(source,), group=False
            )

    tf.distribute.get_replica_context().merge_call(update)
