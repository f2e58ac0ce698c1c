"""Sharing a preset on the Hugging Face Hub: the files that playing needs, samples, and a card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from musika.checks import UserError, check_integer
from musika.hub import CARD_FILE, OPTIONAL_FILES, PRESET_FILES, README_FILE
from musika.hub_card import Statement, hub_card
from musika.hub_checks import check_preset_folder
from musika.hub_files import endpoint, hub_errors
from musika.hub_names import HubName, parse_hub_name
from musika.preset_names import METADATA_FILE, find_preset
from musika.training_networks import add_training_networks

SAMPLE_SECONDS = 20.0
_SAMPLES = "samples"
_MOST_SAMPLES = 20
_OUR_FILES = ("*.weights.h5", "*.npz", CARD_FILE, f"{_SAMPLES}/*.flac")  # of an earlier push: gone unless pushed again


def stage(
    preset: str | Path, repository: str, statement: Statement, folder: Path, samples: int = 2, training: bool = False
) -> list[Path]:
    """Put together what is pushed.

    Args:
        preset: The preset's name or folder.
        repository: ``user/name`` that it is for.
        statement: What the one who shares it says.
        folder: Where the files go; empty or new.
        samples: How many pieces of 20 seconds to render.
        training: Whether to add what training goes on from (the critic).

    Returns:
        The files, relative to the folder.

    Raises:
        UserError: If there is no such preset, a file of it fails its checks, or it lacks what is asked for.
    """
    check_integer(samples, "samples", 0, _MOST_SAMPLES)
    source = find_preset(preset)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder} is not empty. Give --out a new folder.")
    metadata = json.loads((source / METADATA_FILE).read_text(encoding="utf-8"))
    codec = source / metadata.pop("codec", ".")  # it may lie in another preset; what is shared is whole
    for name in (*PRESET_FILES, *OPTIONAL_FILES):
        path = (codec if name == "codec.weights.h5" else source) / name
        if path.is_file() and name != CARD_FILE:
            shutil.copyfile(path, folder / name)
    missing = [name for name in PRESET_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{source} is no whole preset: {', '.join(missing)} is missing. Save or copy it again.")
    known = metadata.pop("training_networks", [])
    if training:
        metadata["training_networks"] = add_training_networks(source, folder, known)
    metadata["name"] = repository.split("/")[1]
    (folder / METADATA_FILE).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    check_preset_folder(folder)
    heard = _render_samples(folder, samples)
    card = source / CARD_FILE
    own_card = card.read_text(encoding="utf-8") if card.is_file() else None
    text = hub_card(repository, statement, metadata, heard, own_card, endpoint())
    (folder / README_FILE).write_text(text, encoding="utf-8")
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _render_samples(folder: Path, count: int) -> list[tuple[str, str]]:
    """Render the first seconds of some pieces, by the very files that are pushed."""
    if not count:
        return []
    from musika.presets import load_preset
    from musika.rendering import render_file

    preset = load_preset(folder)
    made = []
    for seed in range(1, count + 1):
        path = f"{_SAMPLES}/seed-{seed}.flac"
        (folder / _SAMPLES).mkdir(exist_ok=True)
        render_file(preset.piece(seed=seed), folder / path, 0.0, SAMPLE_SECONDS)
        made.append((path, f"The first {SAMPLE_SECONDS:g} seconds of seed {seed}"))
    return made


def push(
    preset: str | Path,
    name: str,
    statement: Statement,
    samples: int = 2,
    private: bool = False,
    training: bool = False,
    out: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> str:
    """Share a preset on the Hub, or its newest state.

    Args:
        preset: The preset's name or folder.
        name: ``user/name`` of the repository, which is made if it is not there.
        statement: What the one who shares it says.
        samples: How many pieces of 20 seconds to render and share.
        private: Whether a new repository is private.
        training: Whether to share what training goes on from, too (the critic).
        out: Write what would be pushed into this folder, and push nothing.
        say: Receives lines to print.

    Returns:
        The address of the preset, or the folder.

    Raises:
        UserError: If the preset or the name is wrong, or the Hub refuses or cannot be reached.
    """
    place = parse_hub_name(name)
    if place.revision or place.folder:
        raise UserError(f"a preset is pushed to user/name, without revision or folder. Received: {name!r}")
    if out is not None:
        files = stage(preset, place.repository, statement, Path(out), samples, training)
        say(f"{out}: {len(files)} files, as `musika push` would share them")
        return str(out)
    with tempfile.TemporaryDirectory(prefix="musika-push-") as folder:
        files = stage(preset, place.repository, statement, Path(folder), samples, training)
        size = sum((Path(folder) / path).stat().st_size for path in files)
        say(f"{place}: {len(files)} files, {size / 1e6:.1f} MB")
        return _upload(Path(folder), place, private)


def _upload(folder: Path, place: HubName, private: bool) -> str:
    """Make the repository and put the files into it, as one commit."""
    from huggingface_hub import HfApi

    with hub_errors(place, "push"):
        api = HfApi(endpoint=endpoint())
        api.create_repo(place.repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=place.repository,
            folder_path=str(folder),
            commit_message="musika push",
            delete_patterns=list(_OUR_FILES),
        )
    return f"{endpoint()}/{place.repository}"
