"""New decoders for a preset's codec, trained on the music that a generator is fine-tuned on.

The encoders stay as they are, and with them what latents mean: prepared data and generators remain valid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from musika.checks import UserError, check_number
from musika.config import CodecPhaseConfig, Config
from musika.data.encode import MANIFEST
from musika.data.shelf import read_manifest
from musika.presets import Preset, load_preset
from musika.training.callbacks import StopRequest
from musika.training.codec_training import train_codec

STEPS = 600
RATE_SHARE = 0.3  # of the rate at which the decoders were trained
DECODERS = ("level1_decoder", "level2_decoder")


def audio_folder(data: str | Path) -> Path:
    """The folder of the audio that a folder of latents was made from.

    Args:
        data: The folder, made by `musika prepare` or `musika encode`.

    Returns:
        The folder of audio.

    Raises:
        UserError: If the manifest does not say, or the audio is no longer there.
    """
    manifest = read_manifest(Path(data) / MANIFEST) or {}
    folder = manifest.get("audio")
    if not folder or not Path(folder).is_dir():
        raise UserError(
            f"the decoders need the audio that {data} was made from, which is not at {folder or 'a place it names'}."
            " Put it back, or run `musika prepare` again."
        )
    return Path(folder)


def decoder_config(config: Config, steps: int = STEPS) -> Config:
    """The config of a training of the decoders alone.

    Args:
        config: The preset's config.
        steps: Training steps.

    Returns:
        The config: one phase, the first level's phase, through both levels, at a lower rate.
    """
    trained = config.codec_training.level1_phase
    if not trained.steps:  # a preset that does not say how its codec was trained
        trained = CodecPhaseConfig(magnitude=0.5, difference=0.5, waveform=2.0, phasor=1.0)
    phase = dataclasses.replace(
        trained,
        steps=steps,
        learning_rate=RATE_SHARE * trained.learning_rate,
        through_level2=max(trained.through_level2, 0.75),
        phase_steps=config.codec_training.level1_phase_steps.phase_steps,
        trains=DECODERS,
    )
    training = dataclasses.replace(
        config.codec_training, order=("level1_phase",), level1_phase=phase, save_every=max(1, steps // 2)
    )
    return dataclasses.replace(config, codec_training=training)


def tune_decoders(
    data: str | Path,
    preset: Preset,
    out: str | Path,
    steps: int = STEPS,
    minutes: float | None = None,
    shown: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """Train the decoders of a preset's codec on; goes on where an earlier call stopped.

    Args:
        data: The folder of latents, whose manifest names the audio.
        preset: The preset.
        out: The codec's run folder.
        steps: Training steps.
        minutes: Stop after so long.
        shown: Whether progress bars are shown.
        say: Receives the lines that are printed.

    Returns:
        The folder of a preset with the new codec.

    Raises:
        UserError: If there is no audio, or the latents would no longer fit.
        KeyboardInterrupt: If someone stopped it; what is done is saved.
    """
    if minutes is not None:
        check_number(minutes, "decoders", above=0.0, high=1e6)
    audio, resume = audio_folder(data), (Path(out) / "run.json").is_file()
    config = decoder_config(preset.config, steps)
    say(f"decoders: trained on the audio in {audio}.")
    stop = StopRequest()
    folder = train_codec(
        config, str(audio), out, resume=resume, minutes=minutes, say=say, progress=shown, start=preset.folder, stop=stop
    )
    if stop.wanted:
        say("decoders: stopped; the same command goes on.")
        raise KeyboardInterrupt
    if load_preset(folder).codec.hash != preset.codec.hash:
        raise UserError(f"the codec in {folder} makes other latents than {preset.name}. Remove it and start anew.")
    return folder
