"""Whether a codec can be built from a config: every choice is one that there is, every size is in its range."""

from __future__ import annotations

from musika.checks import UserError, check_choice, check_integer, check_number
from musika.settings import BLOCK_STEPS, CodecConfig, CompactWidths, Config

ARCHITECTURES = ["published", "compact"]
PHASES = ["angle", "phasor"]
_MOST = 1 << 16
_PHASE_WIDTHS = ("phase_window", "phase_width", "phase_steps_width", "phase_steps_head")
_WIDTHS = ("level1_hidden", "trunk", "head", *_PHASE_WIDTHS, "level2_frame", "level2_hidden")
_COUNTS = ("trunk_blocks", "phase_recurrence", "phase_blocks", "phase_tracking", "level2_blocks")


def check_config(config: Config) -> None:
    """Check what a codec is built from.

    Args:
        config: The config.

    Raises:
        UserError: If a choice does not exist or a number is out of range.
    """
    spectral, codec = config.spectral, config.codec
    check_integer(config.sample_rate, "sample_rate", 1_000, 1_000_000)
    check_integer(spectral.hop_length, "spectral.hop_length", 1, _MOST)
    check_integer(spectral.fft_length, "spectral.fft_length", 2, _MOST)
    check_number(spectral.level_offset_db, "spectral.level_offset_db", -1e3, 1e3)
    check_number(spectral.level_scale_db, "spectral.level_scale_db", above=0.0, high=1e3)
    check_choice(codec.architecture, "codec.architecture", ARCHITECTURES)
    check_choice(codec.phase, "codec.phase", PHASES)
    for name in ("latent_channels", "frames_per_latent", "level1_channels", "decoder_frames"):
        check_integer(getattr(codec, name), f"codec.{name}", 1, _MOST)
    for name in ("context_latents", "phase_iterations"):
        check_integer(getattr(codec, name), f"codec.{name}", 0, _MOST)
    if codec.architecture == "published":
        _check_blocks(codec)
    else:
        _check_widths(codec.compact)


def _check_blocks(codec: CodecConfig) -> None:
    """Check that the decoders' blocks fill what is decoded at once."""
    frames = (BLOCK_STEPS + 2 * codec.context_latents) * codec.frames_per_latent
    if frames % codec.decoder_frames:
        allowed = [str(count) for count in range(16, frames + 1, 16) if frames % count == 0]
        raise UserError(
            "codec.decoder_frames must be a multiple of 16 in the published graph, of which whole ones make up the"
            f" {frames} frames decoded at once: {', '.join(allowed)}."
            f" Received: codec.decoder_frames={codec.decoder_frames}"
        )


def _check_widths(widths: CompactWidths) -> None:
    """Check the widths of the compact networks."""
    for name in _WIDTHS:
        check_integer(getattr(widths, name), f"codec.compact.{name}", 1, _MOST)
    for name in _COUNTS:
        check_integer(getattr(widths, name), f"codec.compact.{name}", 0, _MOST)
    check_number(widths.floor_db, "codec.compact.floor_db", -1e3, 1e3)
    check_number(widths.latent_noise, "codec.compact.latent_noise", 0.0, 1e3)
