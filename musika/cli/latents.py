"""``musika latents WHAT ...``: cut, join, reverse, stretch, mix and glide latent files, as one works on tape."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.checks import UserError, check_number

if TYPE_CHECKING:
    from musika.data.latents import LatentFile
    from musika.settings import Config

HELP = "cut, join, reverse, stretch, mix or glide latents; `musika decode` plays them"
_MOST_SECONDS = 30 * 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    whats = parser.add_subparsers(dest="what", metavar="WHAT", required=True, help="what is done:")

    def what(name: str, text: str, files: str) -> argparse.ArgumentParser:
        """Add one of the tools, with the arguments that all have."""
        part = whats.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        count: int | str = {"one": 1, "two": 2}.get(files, "+")
        part.add_argument("files", nargs=count, metavar="LATENTS", help="a latent file (.npz), or an .npy")
        part.add_argument("--out", required=True, metavar="FILE", help="ends in .npz, or .npy for the array alone")
        part.add_argument(
            "--checkpoint",
            metavar="NAME|DIR",
            help="preset whose codec made the latents, where only .npy files are given",
        )
        return part

    part = what("cut", "take a stretch", "one")
    part.add_argument("--start", type=float, default=0.0, metavar="S", help="where it begins, in seconds (default: 0)")
    part.add_argument("--seconds", type=float, metavar="S", help="its length (default: to the end)")
    what("join", "put files one after another", "many")
    what("reverse", "turn time around", "one")
    part = what("stretch", "make it longer or shorter at the same pitch", "one")
    part.add_argument("--factor", type=float, required=True, metavar="F", help="how many times as long, 0.01 to 100")
    part = what("mix", "mix two files, (1 - gain) * first + gain * second", "two")
    part.add_argument("--gain", type=float, default=0.5, metavar="G", help="how much of the second (default: 0.5)")
    part.add_argument(
        "--channel-gain",
        action="append",
        default=[],
        metavar="CHANNELS=G",
        help="another gain for some latent channels of both sides, such as 0=1 or 8-63=0.2; may be given many times",
    )
    part = what("glide", "go from the first over into the second", "two")
    part.add_argument("--seconds", type=float, default=4.0, metavar="S", help="how long they overlap (default: 4)")
    part.add_argument("--curve", default="smooth", metavar="C", help="smooth (default) or linear")
    part.add_argument("--back", action="store_true", help="and back into the first at the end")


def run(args: argparse.Namespace) -> int:
    """Work on latents and say what became of them.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If a file cannot be read or written, codecs differ, or a value is out of range.
    """
    from musika.data.latent_tools import ARRAY_ENDING, read_latents, write_latents

    if Path(args.out).suffix.lower() not in (ARRAY_ENDING, ".npz"):
        raise UserError(f"--out must end in .npz or .npy. Received: {args.out!r}")
    if Path(args.out).resolve() in [Path(name).resolve() for name in args.files]:
        raise UserError(f"--out would replace {args.out}, which is read. Give another name.")
    files = [read_latents(name) for name in args.files]
    made_by = _common_codec(files, args.checkpoint)
    config = _config(made_by, args.checkpoint)
    latents, samples = _work(args, files, config)
    source = Path(args.files[0]).name
    rate = config.sample_rate if config is not None else made_by.sample_rate
    whole = replace(made_by, latents=latents, samples=samples, source=source, sample_rate=rate)
    write_latents(args.out, whole)
    seconds = f", {samples / config.sample_rate:.1f} s" if config is not None else ""
    print(f"{args.out}: {len(latents)} steps{seconds}")
    return 0


def _common_codec(files: list[LatentFile], checkpoint: str | None) -> LatentFile:
    """A file that names the codec of all of them; plain arrays are taken to be of it."""
    named = [file for file in files if file.codec]
    for file in named[1:]:
        if file.codec != named[0].codec:
            raise UserError(
                f"{file.source} and {named[0].source} were made by different codecs ({file.codec} and"
                f" {named[0].codec}), so they cannot be put together. Encode the audio with one codec."
            )
    if checkpoint is None:
        return named[0] if named else files[0]
    codec, name = _recorded_codec(checkpoint)
    if named and named[0].codec != codec:
        raise UserError(f"{named[0].source} was made by codec {named[0].codec}, but {checkpoint} has codec {codec}.")
    return replace(files[0], codec=codec, codec_name=name)


def _recorded_codec(checkpoint: str) -> tuple[str, str]:
    """A preset's codec fingerprint and name, as its metadata says."""
    from musika.preset_names import METADATA_FILE, find_preset

    folder = find_preset(checkpoint)
    values = _read_json(folder / METADATA_FILE)
    return str(values.get("codec_hash", "")), str(values.get("name", folder.name))


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a preset."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}). Copy the preset again.") from None


def _config(made_by: LatentFile, checkpoint: str | None) -> Config | None:
    """The config of the codec, which says how long a step is; None where nothing tells which codec it is."""
    from musika.config import config_from_dict
    from musika.preset_names import find_preset, preset_names

    names = [checkpoint] if checkpoint is not None else preset_names()
    for name in names:
        if _recorded_codec(name)[0] == made_by.codec:
            return config_from_dict(_read_json(find_preset(name) / "config.json"))
    if made_by.codec:
        known = f" ({made_by.codec_name})" if made_by.codec_name else ""
        raise UserError(f"no preset here has codec {made_by.codec}{known}: give --checkpoint, the preset that has it.")
    return None


def _work(args: argparse.Namespace, files: list[LatentFile], config: Config | None) -> tuple[Any, int]:
    """Do what was asked for: the new latents, and how many samples they hold."""
    from musika.blend import read_gains
    from musika.data import latent_tools as tools

    hop, overlap = (config.latent_hop, config.spectral.overlap) if config is not None else (0, 0)
    parts = [file.latents for file in files]
    lengths = [file.samples or max(0, len(file.latents) * hop - overlap) for file in files]

    def steps(seconds: float, name: str) -> int:
        """Seconds as latent steps."""
        if config is None:
            raise UserError("a plain .npy does not say how long a step is: give --checkpoint.")
        return round(check_number(seconds, name, 0.0, _MOST_SECONDS) * config.latent_rate)

    if args.what == "cut":
        start = steps(args.start, "start")
        if config is not None and start >= len(parts[0]):
            held = lengths[0] / config.sample_rate
            raise UserError(f"the latents end after {held:.1f} s. Received: --start {args.start:g}")
        stop = None if args.seconds is None else min(start + max(1, steps(args.seconds, "seconds")), len(parts[0]))
        made, samples = tools.cut(parts[0], start, stop), lengths[0] - start * hop
    elif args.what == "join":
        made = tools.join(parts)
        samples = (len(made) - len(parts[-1])) * hop + lengths[-1]
    elif args.what == "reverse":
        made, samples = tools.reverse(parts[0]), lengths[0]
    elif args.what == "stretch":
        made, samples = tools.stretch(parts[0], args.factor), round(lengths[0] * args.factor)
    elif args.what == "mix":
        gains = read_gains(args.gain, args.channel_gain, parts[0].shape[1] // 2)
        made, samples = tools.mix(parts[0], parts[1], gains), max(lengths)
    else:
        overlap_steps, last = steps(args.seconds, "seconds"), 0 if args.back else 1
        if config is not None and overlap_steps > min(map(len, parts)):
            raise UserError(
                f"the shorter file is {min(lengths) / config.sample_rate:.1f} s long, so a glide cannot take"
                f" {args.seconds:g} s. Give --seconds up to that."
            )
        made = tools.glide(parts[0], parts[1], overlap_steps, args.curve)
        made = tools.glide(made, parts[0], overlap_steps, args.curve) if args.back else made
        samples = (len(made) - len(parts[last])) * hop + lengths[last]
    return made, min(max(samples, 1), max(len(made) * hop - overlap, 0))
