"""Joints: how the last frame of one latent step meets the first frame of the next, as the critic is shown it.

Latents that look alike can still differ in what is heard between their steps: a tail that should fade evenly is struck
again when the next step begins a few decibels louder than the last one ended. These differences are a small part of the
latents' own distances, so the critic is given them as channels of their own: ``asinh`` of them in units of their
median, which spreads the quiet ones out and keeps attacks from drowning them. They follow from the principal components
of the compact codec, without decoding anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from musika.autoencoder.codec import Codec
from musika.data.crops import Normalisation
from musika.training.autodiff import mean_over_replicas
from musika.training.linear_part import linear_part
from musika.training.running_means import RunningMeans, told_windows

Tensor = Any

_LEAST_JOINT = 1e-3
_SIZES = (0.5, 2.0, 8.0)  # of joints, in medians, that are told from smaller and from larger ones
_CALM = 0.5  # half of the music is calm
_MOST_STEPS = 50_000  # by which the scale of joints is measured


def measure_joints(
    codec: Codec, statistics: Normalisation | None, sequences: Sequence[np.ndarray], count: int
) -> np.ndarray:
    """Measure how joints are computed from latents.

    Args:
        codec: A compact codec.
        statistics: How the latents were normalised, if they were.
        sequences: The (normalised) training latents, `(steps, 2 * latent_channels)` each.
        count: Leading principal components of level 1 that are compared, of each channel.

    Returns:
        Float32 matrices `(2, 2 * latent_channels, 2 * count)` for a step and for the next one. In training music the
        median magnitude of each joint is 1.

    Raises:
        UserError: If the codec is not compact.
    """
    basis, _, level1 = linear_part(codec, "critic_joints")
    channels, sizes = basis.shape[-1], ops.convert_to_numpy(level1.scale)[:count, None]
    one_side = np.stack([-(basis[-1, :count] * sizes).T, (basis[0, :count] * sizes).T])
    matrices = np.zeros((2, 2 * channels, 2 * one_side.shape[-1]))
    for index in range(2):
        matrices[index] = np.kron(np.eye(2), one_side[index])
    if statistics is not None:
        matrices *= statistics.std[:, None]
    joints, steps = [], 0
    for sequence in sequences:
        joints.append(np.abs(sequence[:-1] @ matrices[0] + sequence[1:] @ matrices[1]))
        steps += len(joints[-1])
        if steps > _MOST_STEPS:
            break
    return (matrices / (np.median(np.concatenate(joints), axis=0) + _LEAST_JOINT)).astype(np.float32)


def with_joints(windows: Tensor, matrices: np.ndarray) -> Tensor:
    """Put the joints of windows beside their latents.

    Args:
        windows: `(batch, window, 2 * latent_channels)`.
        matrices: From `measure_joints`.

    Returns:
        `(batch, window, 2 * latent_channels + joints)`; a window's last step has joints of 0.
    """
    joints = ops.arcsinh(_joints(windows, matrices))
    return ops.concatenate([windows, ops.pad(joints, [[0, 0], [0, 1], [0, 0]])], axis=-1)


def _joints(windows: Tensor, matrices: np.ndarray) -> Tensor:
    """Joints `(batch, window - 1, joints)` of windows."""
    return ops.matmul(windows[:, :-1], matrices[0]) + ops.matmul(windows[:, 1:], matrices[1])


def _roughness(joints: Tensor, numbers: Any = ops) -> Tensor:
    """How far joints `(..., joints)` are from none, 0 to 1, as seen from some sizes, one beside the other.

    Attacks, which are many times as large as the largest size, all count alike.
    """
    squares = joints * joints
    return numbers.concatenate([squares / (size * size + squares) for size in _SIZES], axis=-1)


class JointMatching(RunningMeans):
    """Tells the generator whether its steps meet as evenly as those of music where music is calm.

    The critic is slow to see that tails are a little rough. Generated windows are told the controls of real ones, so
    where nothing begins in a real window nothing should in the generated one: there the mean roughness of both is
    compared, joint by joint. Windows that are told nothing are left out.

    Attributes:
        roughness: Running means where music is calm, `(2, sizes * joints)`: of generated joints, of real ones.
    """

    def __init__(self, sequences: Sequence[np.ndarray], matrices: np.ndarray, told: bool = True) -> None:
        """Measure the training latents; the running means begin as theirs.

        Args:
            sequences: The (normalised) training latents, `(steps, 2 * latent_channels)` each.
            matrices: From `measure_joints`.
            told: Whether generated windows are told the controls of real ones. If not, nobody knows where they should
                be calm, and all places count.
        """
        super().__init__(name="joint_matching")
        self._matrices = matrices
        found = np.concatenate([_roughness(part[:-1] @ matrices[0] + part[1:] @ matrices[1], np) for part in sequences])
        overall = found.mean(axis=1)
        self._calm = float(np.quantile(overall, _CALM if told else 1.0))
        initial = np.tile(found[overall <= self._calm].mean(axis=0), (2, 1)).astype(np.float32)
        self.roughness = self._running("roughness", initial)
        self.built = True

    def call(
        self, windows: Tensor, real: Tensor, conditions: Tensor | None = None, shown: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compare generated with real windows that are told the same.

        Args:
            windows: Generated ones, `(batch, window, 2 * latent_channels)`.
            real: Real ones, likewise.
            conditions: What they are told, `(batch, window, columns)`; None counts all windows.
            shown: Where neither is cut out, `(batch, window, 1)`; None if nowhere.

        Returns:
            The loss, whose gradient is that of half the second value if the running means were those of the windows;
            the mean square of the running means' relative distances; and what `follow` takes.
        """
        rough, aim = (_roughness(_joints(ops.cast(part, "float32"), self._matrices)) for part in (windows, real))
        calm = ops.cast(ops.mean(aim, axis=-1, keepdims=True) <= self._calm, "float32")
        if conditions is not None:
            calm = calm * told_windows(conditions)[:, None, None]
        if shown is not None:
            calm = calm * shown[:, :-1] * shown[:, 1:]
        count = ops.maximum(mean_over_replicas(ops.sum(calm)), 1.0)
        here, there = (ops.sum(calm * part, axis=(0, 1)) / count for part in (rough, aim))
        running = ops.convert_to_tensor(self.roughness) + _LEAST_JOINT
        away = running[0] / running[1] - 1.0
        loss = ops.mean(ops.stop_gradient(away / running[1]) * here)
        return loss, ops.stop_gradient(ops.mean(ops.square(away))), ops.stop_gradient(ops.stack([here, there]))

    def compare(self, made: Tensor, fake: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """See the class it comes from; it looks at what the critic is shown."""
        shown = batch["real_mask"] * batch["fake_mask"] if "fake_mask" in batch else None
        return self(fake, batch["real"], batch.get("conditions"), shown)
