"""Recordings from outside: read as latents of a codec, and played once a blend has been made of them.

>>> latents_hash(np.zeros((0, 2), np.float32))[:8]
'e3b0c442'
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.audio.reading import AudioReader, show_path
from musika.blend import Blend
from musika.checks import UserError
from musika.data.encode import show_length
from musika.data.latent_tools import ARRAY_ENDING, fill_in, read_latents
from musika.data.latents import LATENT_ENDING, LatentFile, load_latents, save_latents

if TYPE_CHECKING:
    from musika.autoencoder.codec import Codec
    from musika.loops import Loop
    from musika.piece import Piece
    from musika.presets import Preset
    from musika.rendering import Rendered

Floats = NDArray[np.float32]

NOISE_SEED = 0  # of the decoders' noise, as ``musika decode`` has it
LATENT_ENDINGS = (LATENT_ENDING, ARRAY_ENDING)


def read_recording(
    codec: Codec,
    path: str | Path,
    codec_name: str = "",
    longest: float = math.inf,
    on_progress: Callable[[float, float], None] = lambda done, whole: None,
    stopped: Callable[[], bool] = lambda: False,
    kept: Path | None = None,
) -> LatentFile:
    """Read a recording as latents of a codec.

    Args:
        codec: The codec.
        path: Audio, which is encoded; or latents of this codec, ``.npz`` or ``.npy``.
        codec_name: The codec's name, for messages.
        longest: Greatest length that is allowed, in seconds.
        on_progress: Called while audio is encoded with the seconds that were read and the whole.
        stopped: Asked meanwhile; once it says yes, nothing becomes of it.
        kept: File in which the latents of audio are kept: they are read from there if it exists.

    Returns:
        The latents.

    Raises:
        UserError: If it cannot be read, is too long, or another codec made it.
    """
    path, rate = Path(path), codec.sample_rate
    if path.suffix.lower() in LATENT_ENDINGS:
        file = read_latents(path)
        if file.codec not in ("", codec.hash):
            raise UserError(
                f"these latents were made by the codec of {file.codec_name or 'another preset'}, and the codec of"
                f" {codec_name or 'this one'} cannot read them. Choose the preset that made them, or give the audio."
            )
        file = file if file.codec else fill_in(file, codec, codec_name)
        if file.samples <= 0:
            raise UserError(f"{show_path(path)}: holds no music (0 samples). Give another file.")
        check_length(file.samples / rate, longest)
        return file

    if kept is not None and kept.is_file():
        return load_latents(kept, codec.hash)

    def follow(reader: AudioReader) -> Iterator[Floats]:
        """Pass the blocks on, and tell how far they are."""
        done = 0.0
        for block in reader.blocks():
            done += len(block) / rate
            check_length(done, longest)  # the header may be wrong
            on_progress(done, max(done, reader.samples / rate))
            if stopped():
                raise UserError("stopped while the recording was read: nothing was made.")
            yield block

    with AudioReader(path, rate) as reader:
        check_length(reader.samples / rate, longest)
        latents = np.concatenate(list(codec.encode_stream(follow(reader))))
    file = LatentFile(latents, codec.hash, rate, reader.samples, path.name, codec_name)
    if kept is not None:
        save_latents(kept, file)
    return file


def check_length(seconds: float, longest: float) -> None:
    """Refuse a recording that is too long.

    Args:
        seconds: Its length.
        longest: Greatest length that is allowed, in seconds.

    Raises:
        UserError: If it is.
    """
    if seconds > longest:
        raise UserError(
            f"the recording lasts {show_length(seconds)}; at most {show_length(longest)} are allowed here. Cut it"
            " first, or work on the command line with `musika encode` and `musika latents`."
        )


def recorded_seconds(path: str | Path) -> float | None:
    """The length of a recording, as its header says.

    Args:
        path: Audio or latents.

    Returns:
        Seconds; None of a plain ``.npy``, which does not say.

    Raises:
        UserError: If it cannot be read.
    """
    if Path(path).suffix.lower() not in LATENT_ENDINGS:
        with AudioReader(path) as reader:
            return reader.samples / reader.sample_rate
    file = read_latents(path)
    return file.samples / file.sample_rate if file.sample_rate > 0 else None


def piece_latents(piece: Piece | Loop, start: float, seconds: float) -> LatentFile:
    """The latents of a stretch of a piece, as ``musika generate --latents`` saves them.

    Args:
        piece: The piece.
        start: Where the stretch begins, in seconds.
        seconds: Its length.

    Returns:
        The latents.
    """
    from musika.rendering import save_piece_latents

    with tempfile.TemporaryDirectory(prefix="musika-") as folder:
        return load_latents(save_piece_latents(piece, Path(folder) / f"seed-{piece.seed}.npz", start, seconds))


@dataclass(frozen=True)
class Blended:
    """Latents that play like a piece.

    Attributes:
        preset: The preset whose codec plays them.
        file: The latents.
    """

    preset: Preset
    file: LatentFile

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.preset.config.sample_rate

    @property
    def seconds(self) -> float:
        """Length."""
        return self.file.samples / self.sample_rate

    def save(self, path: str | Path) -> Path:
        """Write the latents into a file.

        Args:
            path: The file, ending in ``.npz``.

        Returns:
            The file.

        Raises:
            UserError: If it cannot be written.
        """
        save_latents(path, self.file)
        return Path(path)

    def play(self, start: int, stop: int) -> Generator[Floats, None, None]:
        """Play from one sample to another, as ``musika decode`` does.

        Args:
            start: First sample.
            stop: Sample to stop before.

        Returns:
            Iterator over consecutive blocks, float32 of shape ``(samples, 2)``.
        """
        from musika.autoencoder.codec import latent_window

        return self.preset.codec.play(functools.partial(latent_window, self.file.latents), start, stop, NOISE_SEED)


def latents_hash(latents: Floats) -> str:
    """The SHA-256 of latents as little-endian float32, step after step.

    Args:
        latents: Latents ``(steps, channels)``.

    Returns:
        Hexadecimal digits.
    """
    return hashlib.sha256(np.ascontiguousarray(latents, "<f4").tobytes()).hexdigest()


def write_blend_sidecar(
    rendered: Rendered,
    blended: Blended,
    how: Blend,
    recording: dict[str, Any],
    piece: dict[str, Any] | None,
    checkpoint: str,
) -> Path:
    """Write down everything that makes a blend again.

    Args:
        rendered: What was made of it.
        blended: The blend.
        how: What was done.
        recording: ``file`` and ``sha256`` of the recording, and ``latents_sha256`` of its latents.
        piece: What decides the piece: seed, truncation, controls, path, start and seconds; None where there is none.
        checkpoint: The preset as ``--checkpoint`` takes it.

    Returns:
        The sidecar. It lacks a seed at its top, so ``musika generate --from`` does not take it for a piece's.

    Raises:
        UserError: If it cannot be written.
    """
    from musika.rendering import save_sidecar

    settings = {
        "blend": how.describe(),
        "recording": recording,
        "piece": piece,
        "noise_seed": NOISE_SEED,
        "latents_sha256": latents_hash(blended.file.latents),
    }
    return save_sidecar(blended.preset, rendered, checkpoint, settings)


def read_blend_sidecar(path: str | Path) -> dict[str, Any] | None:
    """Read the sidecar of a blend.

    Args:
        path: A sidecar.

    Returns:
        Its values, those of the piece among them, as `musika.rendering.read_sidecar` gives them; None if it is no
        blend's.

    Raises:
        UserError: If something is missing in it.
    """
    from musika.rendering import FORMAT, check_loop

    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("blend"), dict):
        return None
    if values.get("format") != FORMAT:
        raise UserError(f"these settings have format {values.get('format')}, not {FORMAT}. Update musika.")
    alone = {"seed": 0, "truncation": 2.0, "start": 0.0, "seconds": 1.0}
    piece = values.get("piece") or (alone if values["blend"].get("tool") == "codec" else {})
    whole = {**values, **piece} if isinstance(piece, dict) else values
    needed = ("file", "checkpoint", "preset_hash", "precision", "recording", *alone)
    missing = [name for name in needed if name not in whole]
    if missing or not isinstance(whole["recording"], dict):
        raise UserError(f"these settings are incomplete ({', '.join(missing) or 'recording'}). Give the whole .json.")
    return check_loop(whole, path)
