"""`musika export`: make a preset to share from a training run, at half the size, with its model card."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from musika.piece import Piece
    from musika.presets import Preset

SHEET_FILE = "spectrograms.png"
SHEET_SECONDS = 20.0
HELP = "make a preset to share from a training run, with its model card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    parser.add_argument("preset", help="training run or preset folder")
    parser.add_argument("--out", required=True, help="folder of the new preset; its last part is the preset's name")
    parser.add_argument(
        "--codec", metavar="PRESET", help="decode by this codec, of the same latents but newer decoders"
    )
    parser.add_argument(
        "--music",
        metavar="LATENTS",
        help="measure anew, in annotated latents, how often music has which value of the controls: pieces draw them so",
    )
    parser.add_argument("--full", action="store_true", help="keep weights in float32 (default: float16, half the size)")
    parser.add_argument(
        "--training", action="store_true", help="also keep the critic, so that fine-tuning goes on from where it stood"
    )
    parser.add_argument(
        "--report", action="append", default=[], metavar="JSON", help="report of `musika evaluate`, shown on the card"
    )
    parser.add_argument("--renders", type=int, default=10, help="20 s renders whose spectrograms the card shows (10)")
    parser.add_argument("--statement", default="", help="what the card says of rights to data, weights and output")


def run(args: argparse.Namespace) -> int:
    """Write the preset.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status.
    """
    from musika.cli.quiet import import_keras

    import_keras()
    import shutil
    import tempfile
    from pathlib import Path

    from musika.checks import UserError, check_integer
    from musika.evaluation.report import read_report
    from musika.model_card import model_card
    from musika.preset_names import find_preset
    from musika.presets import load_preset
    from musika.training_networks import add_training_networks

    check_integer(args.renders, "renders", 0, 100)
    preset = load_preset(args.preset)
    if preset.folder is not None and Path(args.out).resolve() == preset.folder.resolve():
        raise UserError(f"--out is the preset itself: {args.out}. Give another folder.")
    if args.codec is not None:
        preset = _with_codec(preset, load_preset(args.codec))
    if args.music is not None:
        preset = _drawn_as_in(preset, args.music)
    reports = [read_report(Path(path)) for path in args.report]
    scores: dict[str, dict[str, Any]] = {report["command"]: report["scores"] for report in reports}
    name = Path(args.out).resolve().name
    metadata = {**preset.metadata, "name": name}
    trainings = {key: metadata[key] for key in ("codec_training", "generator_training") if metadata.get(key)}
    titled = {key.removesuffix("_training"): value for key, value in trainings.items()}
    card = model_card(name, titled, scores)
    renders = args.renders if preset.generator is not None else 0
    if renders:
        card += f"\n## {renders} renders\n\n![Spectrograms of {renders} renders of 20 s]({SHEET_FILE})\n"
    if args.statement:
        card += f"\n## Rights\n\n{args.statement}\n"
    dtype = "float32" if args.full else "float16"
    known = metadata.pop("training_networks", [])
    with tempfile.TemporaryDirectory() as aside:
        if args.training:  # before anything is written: there may be no critic
            metadata["training_networks"] = add_training_networks(find_preset(args.preset), Path(aside), known, dtype)
        folder = _save(args, preset, metadata, card, dtype)
        for file in Path(aside).iterdir():
            shutil.copyfile(file, folder / file.name)
    if renders:
        _draw_sheet(preset, renders, folder / SHEET_FILE)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    print(f"Preset: {folder} ({size:.1f} MB)")
    return 0


def _save(args: argparse.Namespace, preset: Preset, metadata: dict[str, Any], card: str, dtype: str) -> Path:
    """Write the preset's own files."""
    from musika.presets import save_preset

    statistics = None if getattr(preset.mean, "ndim", 0) == 0 else (preset.mean, preset.std)
    return save_preset(
        args.out,
        preset.config,
        codec=preset.codec,
        generator=preset.generator,
        statistics=statistics,
        metadata={key: value for key, value in metadata.items() if key != "codec"},
        card=card,
        weights_dtype=dtype,
        refiner=preset.refiner,
    )


def _with_codec(preset: Preset, other: Preset) -> Preset:
    """The preset with the codec of another one, which must read the same latents."""
    import dataclasses

    from musika.checks import UserError

    if other.codec.hash != preset.codec.hash:
        raise UserError(
            f"--codec {other.name} makes other latents (codec {other.codec.hash}) than {preset.name} was trained on"
            f" ({preset.codec.hash}). Give a codec whose decoders alone were trained on from that one."
        )
    config = dataclasses.replace(preset.config, codec=other.config.codec, codec_training=other.config.codec_training)
    notes = {key: other.metadata[key] for key in ("codec_training", "bfloat16_error_db") if key in other.metadata}
    kept = {key: value for key, value in preset.metadata.items() if key != "bfloat16_error_db"}
    return dataclasses.replace(preset, config=config, codec=other.codec, metadata=kept | notes)


def _drawn_as_in(preset: Preset, music: str) -> Preset:
    """The preset whose pieces draw each value of a control as often as some music has it."""
    import dataclasses

    from musika.checks import UserError
    from musika.data.crops import load_latent_data
    from musika.gan.conditioning import with_quantiles

    generator = preset.config.generator
    known = load_latent_data(music, preset.codec.hash, preset.config, preset.name).conditions
    bare = tuple(dataclasses.replace(control, quantiles=()) for control in generator.controls)
    found = with_quantiles(bare, known)
    if found == bare:
        raise UserError(
            f"--music {music}: no file there is annotated with a control that pieces of {preset.name} draw."
            " Run `musika annotate` first, or leave --music out."
        )
    pairs = zip(found, generator.controls, strict=True)
    controls = tuple(new if new.quantiles else old for new, old in pairs)
    return dataclasses.replace(
        preset,
        config=dataclasses.replace(preset.config, generator=dataclasses.replace(generator, controls=controls)),
    )


def _draw_sheet(preset: Preset, count: int, path: Path) -> None:
    """Draw spectrograms of the first seeds' pieces, each from its thirtieth second."""
    from musika.audio.picture import save_spectrogram_sheet

    pieces = [preset.piece(seed=seed) for seed in range(count)]
    save_spectrogram_sheet(path, [(_title(piece), piece.render(30.0, SHEET_SECONDS)) for piece in pieces])


def _title(piece: Piece) -> str:
    """The seed and what the piece is asked for."""
    told = {name.replace("_", " "): value for name, value in piece.controls.describe().items() if value}
    asked = [f"{name} {value}" if isinstance(value, str) else f"{name} {value:.3g}" for name, value in told.items()]
    return ", ".join([f"seed {piece.seed}", *asked])
