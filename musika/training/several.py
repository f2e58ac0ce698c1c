"""Training on several cards of one machine: each holds a copy of the networks and takes its share of every batch.

The batch, and with it every hyper-parameter, is the same as on one card, and so is the step. Either losses are divided
by the number of copies (`autodiff.replicas`) and the optimiser sums gradients, or, where these are clipped, their mean
is taken first (`autodiff.mean_over_replicas`) and the optimiser is told that all copies hold it
(`autodiff.apply_alike`).
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from musika.training.autodiff import backend_name, replicas

Tensor = Any

_STRATEGIES = itertools.count(1)
_KEYS_EACH = 1000  # more groups of devices than a strategy makes


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
def on_all_cards(batch_size: int | Sequence[int], say: Callable[[str], None] = print) -> Iterator[int]:
    """Where networks are made that train on every card of this machine.

    Args:
        batch_size: Items of a batch, which the cards share evenly; or several such numbers, each of which is.
        say: Told how many cards are used, when there are several.

    Yields:
        The number of copies; 1 where there is no second card, and then nothing is different from usual.
    """
    cards = local_cards()
    sizes = [batch_size] if isinstance(batch_size, int) else sorted(set(batch_size))
    used = sharing_cards(cards, math.gcd(*sizes)) if sizes else []
    whole = " or ".join(str(size) for size in sizes)
    if len(used) < 2:
        if len(cards) > 1 and sizes:
            say(f"{len(cards)} cards cannot share a batch of {whole} evenly: one is used.")
        yield 1
        return
    left = f"; {len(cards) - len(used)} left out, to share it evenly" if len(cards) > len(used) else ""
    share = " or ".join(str(size // len(used)) for size in sizes)
    say(f"{len(used)} cards train side by side, {share} of each batch of {whole} on each{left}.")
    with _strategy(used).scope():
        yield len(used)


def _strategy(cards: list[str]) -> Any:
    """A strategy for some cards, after which another may be made in the same process.

    Strategies number their sums over devices all from the same key on, and TensorFlow refuses a number that comes again
    with other shapes or devices, such as those of a generator that is trained after a codec.
    """
    import tensorflow as tf

    keys = {"_collective_key_base": _KEYS_EACH * next(_STRATEGIES)}
    return type("MirroredStrategy", (tf.distribute.MirroredStrategy,), keys)(cards)


def same_cards() -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """Remember where networks are being made, so that more can be made beside them later.

    Returns:
        Opens that place again; one card is nothing different from usual.
    """
    if replicas() == 1:
        return contextlib.nullcontext
    import tensorflow as tf

    return tf.distribute.get_strategy().scope


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
        """Assign in every copy."""
        for target, source in pairs:
            strategy.extended.update(
                target, lambda mine, other: mine.assign(function(mine, other)), args=(source,), group=False
            )

    tf.distribute.get_replica_context().merge_call(update)
