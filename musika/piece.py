"""A piece: the whole machine, from a seed to endless stereo music.

    seed --anchors--> coordinates --generator--> latents (--refiner--> latents) --codec--> audio

A piece is a pure function of its preset, seed, truncation, path and controls. Any stretch of it, rendered alone, in any
order, is to the byte the stretch of a longer render on the same machine. Three things make it so: all randomness is
counted, not drawn one after another (``gan/coordinates.py``, ``autoencoder/graphs.py``); the generator makes groups of
patches, and the codec makes blocks, that lie on fixed grids of absolute time and always have one shape; and what
follows them, overlap-add and limiter, treats a sample the same wherever a stretch begins. Patches before time zero
exist like any other, so a piece has no edge there.

    >>> from musika.config import load_config
    >>> from musika.presets import random_preset
    >>> piece = random_preset(load_config("debug")).piece(seed=7)
    >>> piece.render(start=0.5, seconds=0.25).shape
    (11025, 2)
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError, check_integer, check_number
from musika.controls import PieceControls
from musika.gan.coordinates import (
    LARGEST_SEED,
    check_truncation,
    circular_coordinates,
    coordinates,
    draw_seed,
    patch_noise,
    refiner_noise,
)
from musika.paths import make_path

if TYPE_CHECKING:
    from musika.loops import Loop
    from musika.presets import Preset

Floats = NDArray[np.float32]

DEFAULT_TRUNCATION = 2.0  # of the published generator
LATEST_START = 1e9  # seconds, 31 years: sample positions stay exact in a float far beyond it
LONGEST_RENDER = 3 * 3600.0  # seconds in one array, 3.8 GB; streams have no end
_GROUP_PATCHES = 8  # patches that the generator makes together: 4 take 1.6 times as long each, 16 delay the start


def sample_position(seconds: float, sample_rate: int) -> int:
    """The sample at a time.

    Args:
        seconds: The time.
        sample_rate: Samples a second.

    Returns:
        The nearest sample's index.

    >>> sample_position(37.5, 44100)
    1653750
    """
    return round(seconds * sample_rate)


class Piece:
    """An endless piece of music.

    Args:
        preset: The preset, with a generator.
        seed: Which piece, from 0 to 2**63 - 1; None draws one.
        truncation: Bound of the normal numbers that a piece is made from: low is typical, high is varied.
        controls: What it is asked for by name, see `musika.curves.make_curve`; None leaves a control out.
        seconds: Length over which a line such as ``"90:160"`` goes, and glides of a path that say nothing.
        path: Points to travel between instead of staying with the seed's music, see `musika.paths.make_path`. The seed,
            which then draws noise and controls only, is the first point's when left out.

    Attributes:
        preset: The preset.
        seed: The seed.
        truncation: The truncation.
        controls: What it is asked for, as curves.
        path: The path; None where the music stays with the seed's.

    Raises:
        UserError: If the preset has no generator, the seed or truncation is out of range, or a control is impossible.
    """

    def __init__(
        self,
        preset: Preset,
        seed: int | None = None,
        truncation: float = DEFAULT_TRUNCATION,
        controls: Mapping[str, Any] | None = None,
        seconds: float | None = None,
        path: Any = None,
    ):
        if preset.generator is None:
            raise UserError(
                f"preset {preset.name!r} has a codec but no generator, so it cannot make music. Train one with"
                f" `musika train generator --codec {preset.folder or preset.name}`, or choose another preset."
            )
        self.preset = preset
        self._noise_layers = preset.generator.noise_layers
        self.path = None if path is None else make_path(path, seconds)
        if seed is None:
            seed = draw_seed() if self.path is None else self.path.stops[0].point.seed
        self.seed = check_integer(seed, "seed", 0, LARGEST_SEED)
        self.truncation = check_truncation(truncation)
        if self.path is not None:
            self.path.check_styles(preset.config, self.truncation)
        self.controls = PieceControls(preset.config, self.seed, controls or {}, seconds)
        self._group = functools.lru_cache(maxsize=4)(self._make_group)
        self._patches = functools.lru_cache(maxsize=4)(self._make_patches)

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.preset.config.sample_rate

    def latents(self, start_step: int, steps: int) -> Floats:
        """Make any stretch of the piece's latents.

        Args:
            start_step: First latent step, counted from time zero; may be negative.
            steps: Number of steps, 0 or more.

        Returns:
            float32 array of shape ``(steps, 2 * latent_channels)``: left channel, then right channel.
        """
        size = _GROUP_PATCHES * self.preset.config.generator.patch_spacing
        first, last = start_step // size, (start_step + max(steps, 1) - 1) // size
        joined = np.concatenate([self._group(group) for group in range(first, last + 1)])
        return joined[start_step - first * size :][:steps]

    def _make_group(self, group: int) -> Floats:
        """Make the latents of one group of patches, faded into their neighbours where they overlap, and refined."""
        config, refiner = self.preset.config, self.preset.refiner
        spacing, fade = config.generator.patch_spacing, config.generator.overlap_latents
        if not fade and refiner is None:
            return self._patches(group).reshape(_GROUP_PATCHES * spacing, -1)
        patches = [self._patches(group - 1)[-1], *self._patches(group), self._patches(group + 1)[0]]
        ramp = ((np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)[:, None]
        weights = np.concatenate([ramp, np.ones((spacing - fade, 1), np.float32), 1 - ramp])
        joined = np.zeros((len(patches) * spacing + fade, patches[0].shape[-1]), np.float32)
        for index, patch in enumerate(patches):
            joined[index * spacing :][: len(patch)] += patch * weights
        begin, steps = spacing + fade // 2, _GROUP_PATCHES * spacing
        if refiner is None:
            return joined[begin : begin + steps]
        seen = joined[begin - refiner.reach : begin + steps + refiner.reach]
        noise = refiner_noise(self.seed, group * steps - refiner.reach, len(seen), len(refiner.drawn))
        return self.preset.refine(seen, noise)[refiner.reach :][:steps]

    def refine_circle(self, latents: Floats) -> Floats:
        """Refine the latents of a loop, if the preset refines.

        Args:
            latents: One turn, ``(steps, 2 * latent_channels)``.

        Returns:
            The same shape.
        """
        refiner, steps = self.preset.refiner, len(latents)
        if refiner is None:
            return latents
        turn = np.arange(-refiner.reach, steps + refiner.reach) % steps
        noise = refiner_noise(self.seed, 0, steps, len(refiner.drawn))
        return self.preset.refine(latents[turn], noise[turn])[refiner.reach :][:steps]

    def _make_patches(self, group: int) -> Floats:
        """Make a group of patches, `(patches, patch_latents, 2 * latent_channels)`; one begins half a fade early."""
        config, first = self.preset.config, group * _GROUP_PATCHES
        settings, inputs = config.generator, []
        for index in range(first, first + _GROUP_PATCHES):
            start, steps = index * settings.patch_spacing - settings.overlap_latents // 2, settings.patch_latents
            inputs.append(
                np.concatenate([self._coordinates(index, start), self.controls.condition(start, steps)], axis=1)
            )
        indices = range(first, first + _GROUP_PATCHES)
        noise = [patch_noise(config, self.seed, index, self._noise_layers) for index in indices]
        return self.preset.generate(np.stack(inputs), np.stack(noise))

    def _coordinates(self, index: int, start_step: int) -> Floats:
        """What the generator is told about a patch, but for the controls.

        Patches stand on the grid of anchors, as in training. So where they overlap in time, coordinates go on a little
        faster than latent steps: each patch begins, on the way from anchor to anchor, where the last one ends.
        """
        config, steps = self.preset.config, self.preset.config.generator.patch_latents
        place = index * steps
        if self.path is not None:
            return self.path.coordinates(config, start_step, steps, self.truncation, place)
        return coordinates(config, self.seed, place, steps, self.truncation)

    def circular_patch(self, index: int, turns: NDArray[np.float64], steps: int, condition: Floats) -> Floats:
        """Make one patch of a loop.

        Args:
            index: Which patch of the loop.
            turns: The places of its steps, in turns of the loop.
            steps: Latent steps of the whole loop.
            condition: The controls there, as channels.

        Returns:
            float32 array of shape ``(patch_latents, 2 * latent_channels)``.
        """
        config = self.preset.config
        if self.path is not None:
            places = self.path.circular_coordinates(config, turns, steps, self.truncation)
        else:
            places = circular_coordinates(config, self.seed, turns, steps, self.truncation)
        inputs = np.concatenate([places, condition], axis=1)
        noise = patch_noise(config, self.seed, index, self._noise_layers)
        # A group of the usual size needs no other graph; what stands beside a patch in it does not touch it.
        return self.preset.generate(np.stack([inputs] * _GROUP_PATCHES), np.stack([noise] * _GROUP_PATCHES))[0]

    def play(self, start: int, stop: int | None = None) -> Generator[Floats, None, None]:
        """Play from one sample to another: what `render` and `stream` share.

        Args:
            start: First sample, counted from time zero.
            stop: Sample to stop before; None to go on for ever.

        Returns:
            Iterator over consecutive blocks, float32 of shape ``(samples, 2)``.
        """
        return self.preset.codec.play(self.latents, start, stop, noise_seed=self.seed)

    def loop(self, seconds: float | None = None, bars: int | None = None, on_beat: bool = False) -> Loop:
        """Make a seamless loop of this music. See `musika.loops.Loop`.

        Args:
            seconds: Its length; or
            bars: its length in bars of the piece's tempo.
            on_beat: Whether to begin exactly on beat one, and not in the calm shortly before.

        Returns:
            The loop.

        Raises:
            UserError: If the length is impossible, or a control does not end where it begins.
        """
        from musika.loops import Loop

        return Loop(self, seconds, bars, on_beat)

    def render(self, start: float = 0.0, seconds: float = 60.0) -> Floats:
        """Render a stretch into one array.

        Args:
            start: Where it begins, in seconds.
            seconds: Its length, at most three hours; for more, use `stream`.

        Returns:
            float32 waveform of shape ``(samples, 2)`` within [-1, 1].

        Raises:
            UserError: If ``start`` or ``seconds`` is out of range.
        """
        check_number(start, "start", 0.0, LATEST_START)
        check_number(seconds, "seconds", above=0.0, high=LONGEST_RENDER)
        first = sample_position(start, self.sample_rate)
        audio = np.empty((sample_position(seconds, self.sample_rate), 2), np.float32)
        filled = 0
        for block in self.play(first, first + len(audio)):
            audio[filled : filled + len(block)] = block
            filled += len(block)
        return audio

    def stream(self, start: float = 0.0) -> Generator[Floats, None, None]:
        """Play for ever.

        Args:
            start: Where to begin, in seconds.

        Returns:
            Endless iterator over consecutive blocks of some seconds, float32 of shape ``(samples, 2)``.

        Raises:
            UserError: If ``start`` is out of range.
        """
        check_number(start, "start", 0.0, LATEST_START)
        return self.play(sample_position(start, self.sample_rate))
