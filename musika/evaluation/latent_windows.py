"""Windows of latents as points, for the question whether generated music repeats the music that it was trained on.

A window is 3 s of the leading principal components of the latents, taken at every step, so that a copy is found
wherever it begins. Each is scaled to length 1: distance then tells how alike the course of two windows is, not how loud
they are, and quiet or plain windows are not near to everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError
from musika.evaluation.neighbours import copying_score

Floats = NDArray[np.float32]

WINDOW_STEPS = 32
COMPONENTS = 16
MOST_WINDOWS = 40_000  # of training music; longer music is looked at at every second, third, ... step
MOST_COMPARED = 512  # windows of generated and of held-out music


class CopyingDetector:
    """Compares generated latents with training latents, seen against held-out ones.

    Args:
        training: Sequences `(steps, channels)` that a generator is trained on.
        held_out: Sequences that it is not.

    Attributes:
        usable: Whether there is enough of both for an answer.
    """

    def __init__(self, training: Sequence[Floats], held_out: Sequence[Floats]) -> None:
        steps = np.concatenate([part for part in training if len(part)])
        self._mean = steps.mean(axis=0)
        covariance = np.cov((steps - self._mean).astype(np.float64), rowvar=False)
        self._components = np.linalg.eigh(covariance)[1][:, ::-1][:, :COMPONENTS].astype(np.float32)
        count = sum(max(0, len(part) - WINDOW_STEPS + 1) for part in training)
        self._training = self._windows(training, max(1, -(-count // MOST_WINDOWS)))
        self._held_out = _thinned(self._windows(held_out, WINDOW_STEPS))
        self.usable = len(self._training) > 0 and len(self._held_out) > 1

    def _windows(self, sequences: Sequence[Floats], hop: int) -> Floats:
        """Windows of sequences as points of length 1, `(windows, WINDOW_STEPS * components)`."""
        parts = []
        for sequence in sequences:
            if len(sequence) >= WINDOW_STEPS:
                leading = ((sequence - self._mean) @ self._components).astype(np.float32)
                views = np.lib.stride_tricks.sliding_window_view(leading, WINDOW_STEPS, axis=0)[::hop]
                parts.append(views.reshape(len(views), -1))
        if not parts:
            return np.zeros((0, WINDOW_STEPS * self._components.shape[1]), np.float32)
        windows = np.concatenate(parts)
        return windows / np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-9)

    def score(self, generated: Sequence[Floats]) -> dict[str, float]:
        """Compare generated latents with the training music.

        Args:
            generated: Sequences `(steps, channels)`.

        Returns:
            What `neighbours.copying_score` tells.

        Raises:
            UserError: If something is shorter than a window, or the held-out music lies in the training music.
        """
        windows = _thinned(self._windows(generated, WINDOW_STEPS))
        if not self.usable or not len(windows):
            raise UserError(
                f"copying: a window has {WINDOW_STEPS} latent steps. Give longer training, held-out and generated"
                " music."
            )
        return copying_score(windows, self._training, self._held_out)


def _thinned(windows: Floats) -> Floats:
    """At most so many windows, spread evenly."""
    return windows[:: max(1, -(-len(windows) // MOST_COMPARED))]
