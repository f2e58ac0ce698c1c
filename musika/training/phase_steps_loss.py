"""The loss of phase steps: how well a network tells how phase turns from frame to frame and from bin to bin."""

from __future__ import annotations

from typing import Any

from keras import ops

from musika.autoencoder.compact import initial_turn
from musika.autoencoder.soft_floor import bin_frequencies
from musika.config import Config
from musika.training.autodiff import mean_over_replicas

_WEIGHT_CORNER_HZ = 800.0
_LOW_HZ, _LOW_WEIGHT = 150.0, 4.0  # below, few bins decide what remains of kicks: each weighs so many times as much
_COMPRESSION = 0.375  # exponent of the product of two amplitudes: loud tones count most, attacks of quiet ones too


def _mean(weights: Any, values: Any) -> Any:
    """Weighted mean over the whole batch, on several cards over all their shares of it."""
    total = mean_over_replicas(ops.mean(weights))
    return ops.mean(weights * values) / (total + 1e-9)


class PhaseStepsLoss:
    """Cosine distances of phase steps, each weighted by the amplitudes that it joins."""

    def __init__(self, config: Config):
        self.bins = config.codec.compact.phase_tracking
        frequency = bin_frequencies(config)[: self.bins]
        low = 1.0 + (_LOW_WEIGHT - 1.0) / (1.0 + (frequency / _LOW_HZ) ** 4)
        self.weights = (low / (1.0 + frequency / _WEIGHT_CORNER_HZ)).astype("float32")
        self.turn = initial_turn(config)[: self.bins + 1]

    def __call__(self, steps: Any, real: Any, imaginary: Any) -> Any:
        """Compare with a true spectrum.

        Args:
            steps: What `PhaseSteps` gives.
            real: Real part of the true spectrum `(batch, frames, bins)`.
            imaginary: Imaginary part.

        Returns:
            Scalar, 0 when all steps agree and about 2 when none does.
        """
        advance, across = ops.split(steps, 2, axis=-1)
        real, imaginary = (ops.multiply(part[..., : self.bins + 1], self.turn) for part in (real, imaginary))
        amplitude = ops.sqrt(real * real + imaginary * imaginary + 1e-8)
        real, imaginary = real / amplitude, imaginary / amplitude
        now, before = (slice(None), slice(1, None)), (slice(None), slice(None, -1))
        low, high = (..., slice(None, -1)), (..., slice(1, None))
        a, b, c = (part[low] for part in (amplitude, real, imaginary))
        terms = []
        for step, joined, ahead, behind in (
            (advance[now], a[now] * a[before], (b[now], c[now]), (b[before], c[before])),
            (across, a * amplitude[high], (real[high], imaginary[high]), (b, c)),
        ):
            cosine_true = ahead[0] * behind[0] + ahead[1] * behind[1]
            sine_true = ahead[1] * behind[0] - ahead[0] * behind[1]
            agreement = cosine_true * ops.cos(step) + sine_true * ops.sin(step)
            terms.append(_mean(ops.multiply(ops.power(joined, _COMPRESSION), self.weights), 1.0 - agreement))
        return terms[0] + terms[1]
