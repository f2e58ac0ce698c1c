"""From a piece to a file: audio, the JSON sidecar that makes it again, and a picture of it.

>>> sidecar_path("piece.flac").name
'piece.flac.json'
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musika.audio.writing import AudioWriter, replacing
from musika.checks import UserError
from musika.version import __version__

if TYPE_CHECKING:
    from musika.loops import Loop
    from musika.piece import Piece
    from musika.presets import Preset
    from musika.recordings import Blended

FORMAT = 1
_LATENT_BLOCK = 4096  # steps that are written at once


@dataclass(frozen=True)
class Rendered:
    """What a render has left.

    Attributes:
        path: The audio file.
        samples: Its length in samples.
        sample_rate: Samples a second.
        elapsed: Seconds that it took.
        complete: Whether it is as long as asked for.
        end: Where it ends in the piece, in seconds.
    """

    path: Path
    samples: int
    sample_rate: int
    elapsed: float
    complete: bool
    end: float

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.samples / self.sample_rate

    @property
    def times_real_time(self) -> float:
        """How many times faster than it plays it was made."""
        return self.seconds / max(self.elapsed, 1e-9)


def sidecar_path(path: str | Path) -> Path:
    """Name the sidecar of an audio file.

    Args:
        path: The audio file.

    Returns:
        The same name with ``.json`` after it.
    """
    return Path(f"{path}.json")


def picture_path(path: str | Path) -> Path:
    """Name the spectrogram picture of an audio file.

    Args:
        path: The audio file.

    Returns:
        The same name with ``.png`` after it.
    """
    return Path(f"{path}.png")


def latents_path(path: str | Path) -> Path:
    """Name the latent file of an audio file.

    Args:
        path: The audio file.

    Returns:
        The same name with ``.npz`` after it.
    """
    return Path(f"{path}.npz")


def render_file(
    piece: Piece | Loop | Blended,
    path: str | Path,
    start: float,
    seconds: float,
    on_progress: Callable[[float], object] = lambda seconds: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Rendered:
    """Render a stretch of a piece into a file, in flat memory.

    Args:
        piece: The piece, a loop, which plays turn after turn, or a blend with a recording.
        path: The file; its ending is its format.
        start: Where the stretch begins, in seconds.
        seconds: Its length.
        on_progress: Called with the seconds that each newly written block lasts.
        stopped: Asked after each block; once it says yes, the file is finished as long as it is.

    Returns:
        What was made.

    Raises:
        UserError: If the file cannot be written. Nothing is left of it then.
    """
    from musika.piece import sample_position

    begin = time.perf_counter()
    first = sample_position(start, piece.sample_rate)
    samples = sample_position(seconds, piece.sample_rate)
    with AudioWriter(path, piece.sample_rate, samples=samples) as writer:
        blocks = piece.play(first, first + samples)
        try:
            for block in blocks:
                writer.write(block)
                on_progress(len(block) / piece.sample_rate)
                if stopped():
                    break
        finally:
            blocks.close()
    end = (first + writer.written) / piece.sample_rate
    elapsed = time.perf_counter() - begin
    return Rendered(Path(path), writer.written, piece.sample_rate, elapsed, writer.written == samples, end)


def write_sidecar(piece: Piece | Loop, rendered: Rendered, start: float, seconds: float, checkpoint: str) -> Path:
    """Write down every setting of a render.

    Args:
        piece: The piece.
        rendered: What was made of it.
        start: Where the stretch begins, in seconds.
        seconds: Its length as asked for.
        checkpoint: The preset as ``--checkpoint`` takes it.

    Returns:
        The sidecar.

    Raises:
        UserError: If it cannot be written.
    """
    from musika.loops import Loop

    settings = {
        "seed": piece.seed,
        "truncation": piece.truncation,
        "controls": piece.controls.describe(),
        "path": piece.path.describe() if piece.path else None,
        "loop": piece.describe() | {"turns": round(seconds / piece.turn_seconds)} if isinstance(piece, Loop) else None,
        "start": start,
        "seconds": seconds if rendered.complete else rendered.seconds,
    }
    return save_sidecar(piece.preset, rendered, checkpoint, settings)


def save_sidecar(preset: Preset, rendered: Rendered, checkpoint: str, settings: dict[str, Any]) -> Path:
    """Write down what every sidecar says, with the settings of what was made.

    Args:
        preset: The preset.
        rendered: What was made of it.
        checkpoint: The preset as ``--checkpoint`` takes it.
        settings: What decides the music beside the preset.

    Returns:
        The sidecar.

    Raises:
        UserError: If it cannot be written.
    """
    values = {
        "format": FORMAT,
        "musika": __version__,
        "file": rendered.path.name,
        "checkpoint": checkpoint,
        "preset": preset.name,
        "preset_hash": preset.hash,
        "codec_hash": preset.codec.hash,
        "config": preset.config.name,
        **settings,
        "precision": preset.codec.precision,
        "sample_rate": rendered.sample_rate,
        "samples": rendered.samples,
        "complete": rendered.complete,
        "times_real_time": round(rendered.times_real_time, 2),
    }
    path = sidecar_path(rendered.path)
    with replacing(path) as aside:
        aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return path


def save_piece_latents(piece: Piece | Loop, path: str | Path, start: float, seconds: float) -> Path:
    """Save the latents that a stretch was decoded from, in flat memory.

    They begin with the step in which the stretch begins, so what is decoded from them may begin up to one step earlier;
    at its ends, where they do not say how the music goes on, it may sound a little different.

    Args:
        piece: The piece or loop. Of a loop, they are counted from its beat one, before it was brought to its exact
            length.
        path: The file, ending in ``.npz``.
        start: Where the stretch begins, in seconds.
        seconds: Its length.

    Returns:
        The file.

    Raises:
        UserError: If it cannot be written.
    """
    from musika.data.latent_tools import save_blocks
    from musika.data.latents import LatentFile

    codec, rate = piece.preset.codec, piece.sample_rate
    hop, channels = codec.config.latent_hop, 2 * codec.config.codec.latent_channels
    first = round(start * rate) // hop
    samples = round((start + seconds) * rate) - first * hop
    steps = codec.steps_for(samples)
    blocks = (piece.latents(first + done, min(_LATENT_BLOCK, steps - done)) for done in range(0, steps, _LATENT_BLOCK))
    empty = np.zeros((0, channels), np.float32)
    source = Path(path).name.removesuffix(Path(path).suffix)
    save_blocks(path, blocks, steps, LatentFile(empty, codec.hash, rate, samples, source, piece.preset.name))
    return Path(path)


def read_sidecar(path: str | Path) -> dict[str, Any]:
    """Read a sidecar.

    Args:
        path: The sidecar, or the audio file beside it.

    Returns:
        Its values.

    Raises:
        UserError: If it is missing or not a sidecar.
    """
    path = Path(path)
    if path.suffix.lower() != ".json" and sidecar_path(path).is_file():
        path = sidecar_path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the sidecar {path}: {error.strerror}. Give the .json beside a render.") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not a sidecar (no JSON). Give the .json beside a render.") from None
    needed = ("file", "checkpoint", "preset_hash", "seed", "truncation", "start", "seconds", "precision")
    missing = [key for key in needed if not isinstance(values, dict) or key not in values]
    if missing:
        raise UserError(f"{path} is not a sidecar ({', '.join(missing)} missing). Give the .json beside a render.")
    if values.get("format") != FORMAT:
        raise UserError(f"{path} has format {values.get('format')}, not {FORMAT}. Install the version that made it.")
    return check_loop(values, path)


def check_loop(values: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Check that the loop of a sidecar, if it has one, says how long it is.

    Args:
        values: The sidecar's values.
        path: The sidecar, for the message.

    Returns:
        The values.

    Raises:
        UserError: If it does not.
    """
    loop = values.get("loop")
    if loop is None:
        return values
    needed = ("seconds", "bars") if isinstance(loop, dict) and loop.get("by_bars") else ("seconds",)
    missing = [name for name in needed if not isinstance(loop, dict) or name not in loop]
    if missing:
        raise UserError(f"{path}: its loop is incomplete ({', '.join(missing)} missing). Give the .json of a render.")
    return values
