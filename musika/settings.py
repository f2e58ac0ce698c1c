"""What can be set in every part: frozen dataclasses, documented field by field. ``config.py`` reads them from files."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from musika.training_settings import CodecTrainingConfig, GeneratorTrainingConfig

BLOCK_STEPS = 96  # that a codec runs at once, 9 s at 10.77 latents a second: more take more memory, fewer more context


@dataclass(frozen=True)
class SpectralConfig:
    """The short-time Fourier transform and the scale of log-magnitudes.

    Attributes:
        hop_length: Samples between two frames.
        fft_length: Samples of a frame, which is also the window length. The published graph has 4 hops.
        level_offset_db: Added (negated) to decibels before scaling: ``S = (dB - level_offset_db) / level_scale_db``.
        level_scale_db: Decibels that one unit of ``S`` stands for.
    """

    hop_length: int = 256
    fft_length: int = 1024
    level_offset_db: float = -25.0
    level_scale_db: float = 75.0

    @property
    def bins(self) -> int:
        """Number of frequency bins, ``fft_length // 2 + 1``."""
        return self.fft_length // 2 + 1

    @property
    def overlap(self) -> int:
        """Samples that a frame shares with later ones, ``fft_length - hop_length``."""
        return self.fft_length - self.hop_length


@dataclass(frozen=True)
class CompactWidths:
    """Widths of the compact codec's networks (unused by the published graph).

    Attributes:
        level1_hidden: Width of the level-1 encoder's residual network.
        trunk: Width of the level-1 decoder's convolutional trunk.
        trunk_blocks: Residual blocks in that trunk; block ``i`` has dilation ``2 ** i``.
        head: Width of the last hidden layer before the magnitude and phase heads.
        phase_recurrence: Lowest bins whose phase is carried on from frame to frame by a learned recurrence; 0 is none.
        phase_window: Frames that the recurrence looks back over, a power of two; at most what the context covers.
        phase_width: Width of the network that drives the recurrence.
        phase_blocks: Residual blocks in it, besides those of the trunk; block ``i`` has dilation ``2 ** i``.
        phase_tracking: Lowest bins, more than those, whose phase is carried on along the loudest ways, by steps that
            a network tells, from the phases that would else be decoded; 0 is none.
        phase_steps_width: Width of that network; of its residual block too.
        phase_steps_head: Width of its last hidden layer.
        level2_frame: Channels to which a frame is projected before frames are joined to a patch.
        level2_hidden: Width of the networks that run at the latent rate.
        level2_blocks: Residual blocks in each of them.
        floor_db: Level of a bin (a full-scale sine has about 54 dB) that counts as silence to the components.
        ceiling: Whether no bin is decoded louder than it ever was in the training music, so that an unlikely latent
            does not overload the limiter.
        match: Whether what is decoded is made as loud, bin by bin, and as wide, bin by bin and level by level, as the
            training music is: an expected logarithm is quieter than the expected power, and left and right, decoded
            alone, come out more alike than they were, most so in quiet tails.
        spread: As `match`, but as wide only and that at all levels alike: of codecs made before it, not measured anew.
        latent_noise: Standard deviation of the noise on the latents in training.
    """

    level1_hidden: int = 256
    trunk: int = 256
    trunk_blocks: int = 3
    head: int = 384
    phase_recurrence: int = 0
    phase_window: int = 32
    phase_width: int = 128
    phase_blocks: int = 0
    phase_tracking: int = 0
    phase_steps_width: int = 128
    phase_steps_head: int = 384
    level2_frame: int = 128
    level2_hidden: int = 512
    level2_blocks: int = 2
    floor_db: float = -4.0
    ceiling: bool = False
    match: bool = False
    spread: bool = False
    latent_noise: float = 0.03


@dataclass(frozen=True)
class CodecConfig:
    """The two-level autoencoder.

    Attributes:
        architecture: ``published`` (the graph of the public weights) or ``compact`` (CPU-first).
        latent_channels: Latents a step for one audio channel (L); a stereo latent has ``2 * L``.
        frames_per_latent: Spectrogram frames in one latent step.
        level1_channels: Channels of a level-1 latent (H/4 in the published graph).
        decoder_frames: Frames that the published decoders decode together, each block alone.
        context_latents: Latent steps that the compact networks see on each side of a block.
        phase: ``angle`` (phase / pi, published) or ``phasor`` (cosine and sine, compact).
        phase_iterations: Griffin-Lim iterations after the compact decoder: 0 once its phase has been learned.
        compact: Widths of the compact networks.
    """

    architecture: str = "published"
    latent_channels: int = 64
    frames_per_latent: int = 16
    level1_channels: int = 64
    decoder_frames: int = 64
    context_latents: int = 0
    phase: str = "angle"
    phase_iterations: int = 0
    compact: CompactWidths = field(default_factory=CompactWidths)


@dataclass(frozen=True)
class ControlConfig:
    """A control: something measured in the training music that a piece can then be asked for, as a number or a curve.

    Attributes:
        name: Its name, as in ``--control NAME=VALUE`` and ``piece(NAME=VALUE)``.
        unit: Unit of its values, for messages.
        low: Least value of the learned range.
        high: Greatest value of the learned range.
        scaling: ``linear``, or ``log`` where equal ratios should count as equal steps.
        per: ``file`` for one value a recording, ``step`` for a curve.
        measure: Name of the measure that annotates it; its own name when left out.
        kernel_seconds: Standard deviation of the kernel that makes a curve of single events; 0 for the measure's own.
        classes: Names of the classes, for a control that is a choice; its range is not used then.
        clock: Whether its value is a tempo in beats a minute that drives the beat clock.
        beats_per_bar: Beats in a bar of that clock; 0 where bars are not known.
        events: Whether its value is a number of onsets a second that drives an event clock: the generator is told where
            each onset falls.
        decays: Time constants, in seconds, of traces that an onset leaves until the next one comes, for a control with
            events: so the generator is also told how long ago the last onset was.
        drop: Share of the training examples in which it is left out, so that music can be made without it.
        drawn: Whether a piece that is not told its value draws one from its seed, within the learned range; where it
            may change from step to step, and is no clock, a curve that goes to and fro in it.
        quantiles: Its values in the training music, from the least to the greatest, at evenly spaced shares of the
            time: what is drawn is drawn as often as music has it. Training measures them, where it is drawn.
    """

    name: str = ""
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    scaling: str = "linear"
    per: str = "file"
    measure: str = ""
    kernel_seconds: float = 0.0
    classes: tuple[str, ...] = ()
    clock: bool = False
    beats_per_bar: int = 0
    events: bool = False
    decays: tuple[float, ...] = ()
    drop: float = 0.15
    drawn: bool = False
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class RefinerConfig:
    """The refiner, which draws the finer latent channels of a piece anew, given the coarser ones.

    Attributes:
        kept: Leading latent channels of each side that stay as the generator made them. 0: there is no refiner.
        width: Channels of its convolutions.
        blocks: Residual blocks of its network.
        steps: Steps by which noise becomes latents; each is one pass through the network.
        blur: Deviation of the noise by which the network does not trust the channels that stay, in theirs.
    """

    kept: int = 0
    width: int = 160
    blocks: int = 4
    steps: int = 4
    blur: float = 0.03


@dataclass(frozen=True)
class GeneratorConfig:
    """The latent GAN's generator, critic and coordinate path.

    Attributes:
        base_channels: Channel unit C of generator and critic.
        small: Whether this is the short-context variant (half the window, see the README).
        patch_latents: Latent steps that the generator makes alone.
        anchor_spacing: Latent steps between two anchors (3 patches).
        first_step: Steps between the first anchor and a piece's start (a quarter window).
        coordinate_channels: Channels of an anchor, and of the style; the coordinates have twice as many.
        adain_shift: Whether AdaIN also shifts, by a second projection of the coordinates. Not in the published graph.
        last_width: Channels of the last unit, in C; the published graph has 2.
        refine_blocks: Residual blocks of two units each at the latent rate, before the output. Published: none.
        mid_side: Whether the generator makes middle and side, (left + right) / 2 and (left - right) / 2, so that what
            is common to both channels need not be learned. Published: left and right.
        controls: What a piece can be asked for, such as its tempo. Published: nothing.
        overlap_latents: Steps over which two patches of a piece are cross-faded, an even number; so they stand a little
            closer than in training, and where they meet is not heard. Published: 0, patches stand side by side.
        refiner: What draws the finer channels of joined patches anew. Published: nothing.
    """

    base_channels: int = 128
    small: bool = False
    patch_latents: int = 128
    anchor_spacing: int = 384
    first_step: int = 64
    coordinate_channels: int = 64
    adain_shift: bool = False
    last_width: int = 2
    refine_blocks: int = 0
    mid_side: bool = False
    controls: tuple[ControlConfig, ...] = ()
    overlap_latents: int = 0
    refiner: RefinerConfig = RefinerConfig()

    @property
    def patch_spacing(self) -> int:
        """Latent steps from one patch of a piece to the next."""
        return self.patch_latents - self.overlap_latents

    @property
    def window_latents(self) -> int:
        """Latent steps of a critic window: two patches."""
        return 2 * self.patch_latents


@dataclass(frozen=True)
class Config:
    """Everything that a preset, a run or a network is built from.

    Attributes:
        name: Name of the config.
        sample_rate: Samples a second.
        spectral: The short-time Fourier transform.
        codec: The autoencoder.
        generator: The latent GAN and its coordinates.
        codec_training: How ``musika train codec`` trains.
        generator_training: How ``musika train generator`` trains.
    """

    name: str = "base"
    sample_rate: int = 44100
    spectral: SpectralConfig = field(default_factory=SpectralConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    codec_training: CodecTrainingConfig = field(default_factory=CodecTrainingConfig)
    generator_training: GeneratorTrainingConfig = field(default_factory=GeneratorTrainingConfig)

    @property
    def latent_hop(self) -> int:
        """Samples in one latent step."""
        return self.codec.frames_per_latent * self.spectral.hop_length

    @property
    def latent_rate(self) -> float:
        """Latent steps a second."""
        return self.sample_rate / self.latent_hop

    def to_dict(self) -> dict[str, Any]:
        """The whole config as plain dictionaries, lists, numbers and strings."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def changed_settings(settings: Any) -> dict[str, Any]:
    """The settings that differ from their defaults: a fingerprint of these survives the arrival of new settings.

    Args:
        settings: One of the dataclasses of this module.

    Returns:
        Values by name, nested as the dataclasses are.

    >>> changed_settings(CodecConfig(latent_channels=32))
    {'latent_channels': 32}
    """
    changed: dict[str, Any] = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value):
            value = changed_settings(value)
            if value:
                changed[item.name] = value
        elif value != item.default:
            parts = isinstance(value, tuple) and all(dataclasses.is_dataclass(part) for part in value)
            changed[item.name] = [changed_settings(part) for part in value] if parts else value
    return changed
