"""What every training shows and heeds while it runs: progress bar, TensorBoard scalars, Ctrl-C, learning rate, losses.

The classes named ``...Callback`` tie it to ``keras.Model.fit``.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

LINE_SECONDS = 30.0  # between two printed lines when the output is not a terminal


class ProgressBar:
    """A progress bar with the latest losses; plain lines from time to time when the output is not a terminal."""

    def __init__(self, total: int, done: int = 0, unit: str = "step", shown: bool = True) -> None:
        """Start the bar.

        Args:
            total: Steps in all.
            done: Steps that an earlier call did.
            unit: What is counted.
            shown: Whether anything is shown at all.
        """
        from tqdm import tqdm

        self.total, self.done, self.unit, self.shown = total, done, unit, shown
        self._terminal = sys.stderr.isatty()
        self._printed = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, unit=unit, dynamic_ncols=True, disable=not (shown and self._terminal)
        )

    def move(self, step: int, losses: Mapping[str, float] | None = None) -> None:
        """Move to a step, which may lie behind the present one.

        Args:
            step: Steps done.
            losses: The latest losses by name.
        """
        if losses:
            text = " ".join(f"{name}={value:.4g}" for name, value in losses.items())
            self._bar.set_postfix_str(text, refresh=False)
            now = time.monotonic()
            if self.shown and not self._terminal and now - self._printed >= LINE_SECONDS:
                self._printed = now
                print(f"{self.unit} {step} of {self.total}: {text}", flush=True)
        if step >= self.done:
            self._bar.update(step - self.done)
        else:
            self._bar.n = step
            self._bar.refresh()
        self.done = step

    def say(self, message: str) -> None:
        """Print a line without breaking the bar.

        Args:
            message: The line.
        """
        from tqdm import tqdm

        if self.shown:
            tqdm.write(message, file=sys.stderr if self._terminal else sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """End the bar."""
        self._bar.close()


class ScalarWriter:
    """Writes scalars that TensorBoard shows, on every backend; does nothing where TensorBoard is not installed.

    Attributes:
        available: Whether TensorBoard is installed.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open an event file.

        Args:
            folder: Where the event files go.
        """
        self._writer = None
        try:
            from tensorboard.summary import Writer
        except ImportError:
            self.available = False
            return
        self.available = True
        self._writer = Writer(str(folder))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars of one step.

        Args:
            step: The step.
            values: Scalars by name.
        """
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, float(value), step)

    def close(self) -> None:
        """Write what is waiting and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class StopRequest:
    """Turns Ctrl-C and a termination signal into a wish that a training reads between two steps.

    A context manager; the second Ctrl-C interrupts at once. Outside of the main thread it only holds the wish.

    Attributes:
        wanted: Whether the training shall save and stop.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        """Nothing is wished yet."""
        self.wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        """Listen to the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in self._SIGNALS:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number: int, frame: Any) -> None:
        """Note the wish; hand the signals back to whoever had them."""
        self.wanted = True
        self._hand_back()

    def _hand_back(self) -> None:
        """Stop listening."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, *error: object) -> None:
        """Stop listening."""
        self._hand_back()


def learning_rate_at(share: float, rate: float, decay_from: float, decay_to: float) -> float:
    """The learning rate at a share of the training.

    Args:
        share: How much of the training is done, from 0 to 1.
        rate: The rate until ``decay_from``.
        decay_from: The share after which it falls linearly.
        decay_to: The part of the rate that is left at the end.

    Returns:
        The rate.

    >>> [round(learning_rate_at(share, 1.0, 0.6, 0.2), 3) for share in (0.0, 0.6, 0.8, 1.0)]
    [1.0, 1.0, 0.6, 0.2]
    """
    if share <= decay_from or decay_from >= 1.0:
        return rate
    fallen = min(1.0, (share - decay_from) / (1.0 - decay_from))
    return rate * (1.0 - fallen * (1.0 - decay_to))


class LearningRateCallback(keras.callbacks.Callback):
    """Sets the learning rate before every step."""

    def __init__(self, rate: Callable[[], float]) -> None:
        """Remember the rule.

        Args:
            rate: Gives the rate of the next step.
        """
        super().__init__()
        self._rate = rate
        self._set = math.nan

    def on_train_begin(self, logs: Any = None) -> None:
        """Trust no rate that was set before: a save may have been loaded since, and it holds its own."""
        self._set = math.nan

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the rate when it has changed."""
        rate = self._rate()
        if rate != self._set:
            self.model.set_learning_rate(rate)
            self._set = rate


class LossCallback(keras.callbacks.Callback):
    """Gathers losses and hands their mean on from time to time; every ``every`` steps, so a device may run ahead."""

    def __init__(self, receive: Callable[[dict[str, float]], None], every: int) -> None:
        """Remember the receiver.

        Args:
            receive: Gets the mean losses of the steps since the last call.
            every: Steps between two calls.
        """
        super().__init__()
        self._receive, self._every = receive, every
        self._waiting: list[dict[str, Any]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Gather, and hand on when it is time."""
        self._waiting.append(dict(logs or {}))
        if len(self._waiting) >= self._every:
            self.flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Hand on what is left."""
        self.flush()

    def flush(self) -> None:
        """Hand the mean of what is waiting on."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        names = waiting[0].keys()
        self._receive({name: sum(float(step[name]) for step in waiting) / len(waiting) for name in names})
