"""The coordinate path: what the generator is told about a place in an endless piece.

Anchors stand on a line, ``anchor_spacing`` steps apart, and the path runs straight from one to the next.
A step's coordinates are the path at that step followed by the piece's style, which never changes.
Anchor ``k`` depends on (seed, k) alone, so any stretch of a piece is reached without what came before it.

The path averages neighbouring points, so anchor ``k`` lies between steps ``k * anchor_spacing - 1`` and
``k * anchor_spacing``; a piece starts ``first_step`` steps after anchor 0, and then every third patch is
centred on an anchor, as in training.
"""

from __future__ import annotations

import secrets

import numpy as np

from musika.checks import UserError, check_integer, check_number
from musika.config import Config

STREAM_ANCHOR = 1
STREAM_STYLE = 2
STREAM_NOISE = 3
STREAM_REFINER = 4
LEAST_TRUNCATION = 0.1  # below this, drawing again until a value fits takes too long to be useful
LARGEST_SEED = 2**63 - 1
_REFINER_BLOCK = 64  # steps whose noise is drawn together
_DRAWN_SEEDS = 2**32  # a drawn seed is short enough to type
_WORD = 2**64


def draw_seed() -> int:
    """Draw a seed that is short enough to type."""
    return secrets.randbelow(_DRAWN_SEEDS)


def counter_generator(seed: int, stream: int, index: int) -> np.random.Generator:
    """A random generator that depends on nothing but its three numbers.

    Args:
        seed: The piece's seed, from 0 to 2**63 - 1.
        stream: What is drawn (one of the ``STREAM_`` constants).
        index: Which one; may be negative.

    Returns:
        A NumPy generator on Philox, a counter-based bit generator (Salmon et al. 2011): the seed and the stream
        are its key, and the index is a word of its counter that drawing never reaches.

    >>> bool(counter_generator(7, 1, -3).normal() == counter_generator(7, 1, -3).normal())
    True
    """
    key = np.array([seed % _WORD, stream % _WORD], dtype=np.uint64)
    counter = np.array([0, 0, index % _WORD, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def _truncated_normal(generator: np.random.Generator, size: int, truncation: float | None) -> np.ndarray:
    """Normal numbers; those beyond the bound are drawn again."""
    return _bounded(generator, generator.standard_normal(size), truncation)


def _bounded(generator: np.random.Generator, values: np.ndarray, truncation: float | None) -> np.ndarray:
    """The same array, with those of its normal numbers that are beyond the bound drawn again."""
    if truncation is None:
        return values
    outside = np.abs(values) > truncation
    while outside.any():
        values[outside] = generator.standard_normal(int(outside.sum()), dtype=values.dtype)
        outside = np.abs(values) > truncation
    return values


def check_truncation(truncation: float | None) -> float | None:
    """Check the bound of anchors and style.

    Args:
        truncation: The bound, at least 0.1, or None for no bound.

    Returns:
        The bound.

    Raises:
        UserError: If it is out of range.
    """
    if truncation is None:
        return None
    return check_number(truncation, "truncation", low=LEAST_TRUNCATION, high=100.0)


def anchor(seed: int, index: int, channels: int, truncation: float | None = 2.0) -> np.ndarray:
    """One anchor of a piece.

    Args:
        seed: The piece's seed.
        index: Which anchor; may be negative.
        channels: Its length.
        truncation: Bound of its values; None for none.

    Returns:
        `(channels,)` float64, normal with values beyond the bound drawn again.

    >>> anchor(7, 0, 4).shape
    (4,)
    """
    return _truncated_normal(counter_generator(seed, STREAM_ANCHOR, index), channels, truncation)


def style(seed: int, channels: int, truncation: float | None = 2.0) -> np.ndarray:
    """The style of a piece, the same at every step.

    Args:
        seed: The piece's seed.
        channels: Its length.
        truncation: Bound of its values; None for none.

    Returns:
        `(channels,)` float64.
    """
    return _truncated_normal(counter_generator(seed, STREAM_STYLE, 0), channels, truncation)


def coordinates(config: Config, seed: int, start_step: int, steps: int, truncation: float | None = 2.0) -> np.ndarray:
    """The coordinates of any stretch of a piece.

    Args:
        config: The config.
        seed: The piece's seed, from 0 to 2**63 - 1.
        start_step: First latent step, counted from the piece's start; may be negative.
        steps: Number of latent steps.
        truncation: Bound of anchors and style, at least 0.1; None for none.

    Returns:
        `(steps, 2 * coordinate_channels)` float32: the interpolated anchors, then the style.

    Raises:
        UserError: If the seed or the truncation is out of range.

    >>> coordinates(Config(), seed=7, start_step=0, steps=128).shape
    (128, 128)
    """
    check_integer(seed, "seed", 0, LARGEST_SEED)
    truncation = check_truncation(truncation)
    settings = config.generator
    channels, spacing = settings.coordinate_channels, settings.anchor_spacing
    places = np.arange(steps, dtype=np.int64) + (start_step + settings.first_step)
    left = places // spacing
    result = np.empty((steps, 2 * channels), dtype=np.float32)
    result[:, channels:] = style(seed, channels, truncation)
    for index in np.unique(left):
        here = left == index
        share = ((places[here] - index * spacing) + 0.5)[:, None] / spacing
        before = anchor(seed, int(index), channels, truncation)
        after = anchor(seed, int(index) + 1, channels, truncation)
        result[here, :channels] = before * (1.0 - share) + after * share
    return result


def circle_steps(config: Config, seconds: float) -> int:
    """How many latent steps a loop has.

    Args:
        config: The config.
        seconds: The loop's length.

    Returns:
        The whole number nearest to its length, at least 2.
    """
    return max(2, round(seconds * config.latent_rate))


def circular_coordinates(
    config: Config, seed: int, turns: np.ndarray, steps: int, truncation: float | None = 2.0
) -> np.ndarray:
    """The coordinates of places on a loop: anchors stand on a circle, as near to ``anchor_spacing`` as fits.

    A loop that is longer than a patch has two anchors at least, so that there is somewhere to go and come back from.

    Args:
        config: The config.
        seed: The piece's seed.
        turns: The places, `(places,)`, in turns of the loop; anchor 0 stands at whole numbers.
        steps: Latent steps of one turn.
        truncation: Bound of anchors and style; None for none.

    Returns:
        `(places, 2 * coordinate_channels)` float32: the interpolated anchors, then the style.

    >>> places = np.array([0.25, 1.25])
    >>> ends = circular_coordinates(Config(), 7, places, steps=400)
    >>> bool(np.array_equal(ends[0], ends[1]))
    True
    """
    settings, truncation = config.generator, check_truncation(truncation)
    channels = settings.coordinate_channels
    count = max(2 if steps > settings.patch_latents else 1, round(steps / settings.anchor_spacing))
    anchors = np.stack([anchor(seed, index, channels, truncation) for index in range(count)])
    places = (turns % 1.0) * count
    left = np.minimum(places.astype(np.int64), count - 1)
    share = (places - left)[:, None]
    path = anchors[left] * (1.0 - share) + anchors[(left + 1) % count] * share
    manner = np.broadcast_to(style(seed, channels, truncation), path.shape)
    return np.concatenate([path, manner], axis=1).astype(np.float32)


def patch_noise(config: Config, seed: int, patch_index: int, layers: int) -> np.ndarray:
    """The generator's noise for one patch of a piece.

    Args:
        config: The config.
        seed: The piece's seed.
        patch_index: Which patch, counted from the piece's start; may be negative.
        layers: The generator's ``noise_layers``.

    Returns:
        `(patch_latents, layers)` float32, standard normal.
    """
    generator = counter_generator(seed, STREAM_NOISE, patch_index)
    return generator.standard_normal((config.generator.patch_latents, layers), dtype=np.float32)


def refiner_noise(seed: int, start_step: int, steps: int, channels: int) -> np.ndarray:
    """What the refiner makes the finer channels of a piece from.

    Args:
        seed: The piece's seed.
        start_step: First latent step, counted from time zero; may be negative.
        steps: Number of steps.
        channels: The channels that it draws.

    Returns:
        `(steps, channels)` float32, standard normal: at each step the same wherever a stretch begins.
    """
    first, last = start_step // _REFINER_BLOCK, (start_step + steps - 1) // _REFINER_BLOCK
    blocks = [
        counter_generator(seed, STREAM_REFINER, block).standard_normal((_REFINER_BLOCK, channels), dtype=np.float32)
        for block in range(first, last + 1)
    ]
    return np.concatenate(blocks)[start_step - first * _REFINER_BLOCK :][:steps]


def training_coordinates(rng: np.random.Generator, config: Config, batch: int) -> np.ndarray:
    """Coordinates of random windows, cut so that patches stay on the anchor grid.

    Of a path through three anchors, a window starts half, one and a half or two and a half patches after
    the first (64, 192 or 320 of 768 steps in the published graph): one choice for the whole batch.

    Args:
        rng: Source of the anchors, styles and the choice.
        config: The config.
        batch: Number of windows.

    Returns:
        `(batch, window_latents, 2 * coordinate_channels)` float32.

    Raises:
        UserError: If the anchor spacing is not a whole number of patches.

    >>> training_coordinates(np.random.default_rng(0), Config(), batch=2).shape
    (2, 256, 128)
    """
    settings = config.generator
    spacing, patch, channels = settings.anchor_spacing, settings.patch_latents, settings.coordinate_channels
    if spacing < 2 * patch or spacing % patch:
        raise UserError(
            "generator.anchor_spacing must be a multiple of patch_latents, at least two. "
            f"Received: anchor_spacing={spacing}, patch_latents={patch}"
        )
    anchors = rng.standard_normal((batch, 3, channels), dtype=np.float32)
    styles = rng.standard_normal((batch, 1, channels), dtype=np.float32)
    for drawn in (anchors, styles):
        _bounded(rng, drawn, config.generator_training.truncation or None)
    start = patch // 2 + patch * int(rng.integers(spacing // patch))
    places = np.arange(start, start + settings.window_latents)
    left = places // spacing
    share = ((places % spacing + 0.5) / spacing).astype(np.float32)[:, None]
    path = anchors[:, left] * (1 - share) + anchors[:, left + 1] * share
    return np.concatenate([path, np.broadcast_to(styles, path.shape)], axis=-1)
