"""A musician's recording and a generated piece become one, as latents of one codec.

    recording --encode--> latents --+
                                    +--blend--> latents --decode--> audio
    piece ----------------latents --+

The same is done by hand with ``musika encode``, ``generate --latents``, ``latents glide`` or ``mix``, and ``decode``.

    >>> Blend("glide", seconds=2.0, back=True).describe()
    {'tool': 'glide', 'seconds': 2.0, 'curve': 'smooth', 'back': True}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError, check_choice, check_integer, check_number
from musika.data.latent_tools import CURVES, cut, glide, mix, seconds_to_steps
from musika.data.latents import LatentFile

if TYPE_CHECKING:
    from musika.config import Config

Floats = NDArray[np.float32]

TOOLS = ("codec", "glide", "mix")
MOST_GAIN = 10.0
_LONGEST = 30 * 86400.0  # seconds


@dataclass(frozen=True)
class Blend:
    """What is done with a recording.

    Attributes:
        tool: ``codec``: it is heard as the codec renders it; ``glide``: it goes over into a piece; ``mix``: both at
            once.
        seconds: How long recording and piece overlap in a glide.
        curve: Of the glide, ``linear`` or ``smooth``.
        back: Whether the piece glides back into the recording at its end.
        gain: How much of the piece is in a mix, see `musika.data.latent_tools.mix`.
        channel_gains: Other gains of some latent channels, see `read_gains`.
        start: Where the part of the recording that is used begins, in seconds.
        length: How long that part is, in seconds; None for the rest.
    """

    tool: str = "codec"
    seconds: float = 4.0
    curve: str = "smooth"
    back: bool = False
    gain: float = 0.5
    channel_gains: tuple[str, ...] = ()
    start: float = 0.0
    length: float | None = None

    def check(self) -> Blend:
        """Check it.

        Returns:
            The same.

        Raises:
            UserError: If something is out of its range.
        """
        check_choice(self.tool, "what happens with the recording", list(TOOLS))
        check_choice(self.curve, "curve", CURVES)
        check_number(self.seconds, "seconds of the glide", 0.0, _LONGEST)
        check_number(self.gain, "gain", -MOST_GAIN, MOST_GAIN)
        check_number(self.start, "the start of the recording's part", 0.0, _LONGEST)
        if self.length is not None:
            check_number(self.length, "the length of the recording's part", high=_LONGEST, above=0.0)
        return self

    def describe(self) -> dict[str, Any]:
        """What decides the result, for a sidecar.

        Returns:
            Plain values by name: only those that its tool uses.
        """
        values: dict[str, Any] = {"tool": self.tool}
        if self.tool == "glide":
            values |= {"seconds": self.seconds, "curve": self.curve, "back": self.back}
        elif self.tool == "mix":
            values |= {"gain": self.gain, "channel_gains": list(self.channel_gains)}
        if self.start:
            values["start"] = self.start
        return values if self.length is None else values | {"length": self.length}


def recorded_blend(values: dict[str, Any]) -> Blend:
    """The blend that a sidecar has recorded.

    Args:
        values: What `Blend.describe` gave.

    Returns:
        The blend.

    Raises:
        UserError: If it is something else.

    >>> recorded_blend(Blend("mix", gain=0.25).describe()).gain
    0.25
    """
    try:
        gains = tuple(str(text) for text in values.get("channel_gains", ()))
        return Blend(**{**values, "channel_gains": gains}).check()
    except (TypeError, AttributeError):
        raise UserError("these settings do not say what is done with a recording. Give the .json of a blend.") from None


def read_gains(gain: float, texts: Sequence[str], channels: int) -> Floats:
    """Read a gain, and others for some latent channels.

    Args:
        gain: The gain of all others.
        texts: Each ``CHANNELS=G``, such as ``0=1`` or ``8-63=0.2``; the last one counts.
        channels: Latent channels of one side.

    Returns:
        `(channels,)` float32.

    Raises:
        UserError: If a text is no such pair, or out of range.

    >>> read_gains(0.5, ["1-2=0"], 4).tolist()
    [0.5, 0.0, 0.0, 0.5]
    """
    gains = np.full(channels, check_number(gain, "gain", -MOST_GAIN, MOST_GAIN), np.float32)
    for text in texts:
        match = re.fullmatch(r"(\d+)(?:-(\d+))?=(.+)", text.strip())
        if match is None:
            raise UserError(f"a channel gain is CHANNELS=G, such as 0=1 or 8-{channels - 1}=0.2. Received: {text!r}")
        first = check_integer(int(match[1]), "channel", 0, channels - 1)
        last = check_integer(int(match[2] or match[1]), "last channel", first, channels - 1)
        gains[first : last + 1] = check_number(match[3], "gain", -MOST_GAIN, MOST_GAIN)
    return gains


def blend(recording: LatentFile, piece: LatentFile | None, how: Blend, config: Config) -> LatentFile:
    """Make the latents of a blend: a pure function.

    Args:
        recording: The recording's latents.
        piece: The piece's, of the same codec; not needed where the recording is only heard through the codec.
        how: What is done.
        config: The codec's config, which says how long a step is.

    Returns:
        Latents and length of the result; ``source`` is the recording's.

    Raises:
        UserError: If one of them is too short for the glide, codecs or channels differ, or a value is out of range.
    """
    recording = _part(recording, how.check(), config)
    if how.tool == "codec":
        return replace(recording, samples=min(recording.samples, _most_samples(recording.latents, config)))
    if piece is None:
        raise UserError(f"to {how.tool} a recording, a piece is needed too. Give one.")
    if piece.codec != recording.codec:
        raise UserError(
            f"{recording.source} and {piece.source} were made by different codecs ({recording.codec} and"
            f" {piece.codec}), so they cannot be put together. Encode the recording with the piece's codec."
        )
    hop = config.latent_hop
    if how.tool == "mix":
        gains = read_gains(how.gain, how.channel_gains, config.codec.latent_channels)
        made, samples = mix(recording.latents, piece.latents, gains), max(recording.samples, piece.samples)
    else:
        steps = seconds_to_steps(how.seconds, config.latent_rate)
        _check_room(len(recording.latents), steps, "the recording", config)
        _check_room(len(piece.latents), steps * (1 + how.back), "the piece", config)
        made, last = glide(recording.latents, piece.latents, steps, how.curve), piece
        if how.back:
            made, last = glide(made, recording.latents, steps, how.curve), recording
        samples = (len(made) - len(last.latents)) * hop + last.samples
    return replace(recording, latents=made, samples=min(samples, _most_samples(made, config)))


def _most_samples(latents: Floats, config: Config) -> int:
    """How many samples latents hold."""
    return max(0, len(latents) * config.latent_hop - config.spectral.overlap)


def _part(recording: LatentFile, how: Blend, config: Config) -> LatentFile:
    """The part of a recording that is used."""
    if not how.start and how.length is None:
        return recording
    held, start = len(recording.latents), seconds_to_steps(how.start, config.latent_rate)
    if start >= held:
        whole = recording.samples / config.sample_rate
        raise UserError(f"the recording ends after {whole:.1f} s. Received: a part that begins at {how.start:g} s")
    steps = held if how.length is None else max(1, seconds_to_steps(how.length, config.latent_rate))
    latents = cut(recording.latents, start, min(start + steps, held))
    samples = max(recording.samples - start * config.latent_hop, 1)
    return replace(recording, latents=latents, samples=min(samples, _most_samples(latents, config)))


def _check_room(held: int, needed: int, name: str, config: Config) -> None:
    """Refuse what is too short for a glide."""
    if held < needed:
        raise UserError(
            f"{name} is too short for this glide: it lasts {held / config.latent_rate:.1f} s, and the glide needs"
            f" {needed / config.latent_rate:.1f} s of it. Choose a shorter glide, or something longer."
        )
