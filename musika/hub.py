"""Presets from the Hugging Face Hub: pulled once, checked, and from then on found without a network.

    listing --recognise--> the files that playing needs --download, check size and hash--> check contents
                                                       --(published Musika weights: import)--> preset in the cache

A repository holds either a preset of this package, or weights that Musika's authors or others published with the
original code. Of those, many hold the generator alone: the autoencoder is ``marcop/musika_ae`` for all of them, for the
short-context variant (``musika_misc_small``) too.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from musika.checks import UserError
from musika.hub_checks import check_file, check_preset_folder
from musika.hub_files import Listing, download, list_files
from musika.hub_names import PULLED_FILE, HubName, hub_cache, parse_hub_name
from musika.preset_names import METADATA_FILE, presets_here
from musika.resources import file_hash, replace_folder

AUTOENCODER = HubName("marcop/musika_ae")
CARD_FILE = "MODEL_CARD.md"
PRESET_FILES = ("config.json", METADATA_FILE, "codec.weights.h5")
OPTIONAL_FILES = ("generator.weights.h5", "statistics.npz", CARD_FILE)
CODEC_FILES = ("enc.h5", "enc2.h5", "dec.h5", "dec2.h5")
GENERATOR_FILE = "gen_ema.h5"
README_FILE = "README.md"
TRAINING_WEIGHTS = "training.weights.h5"
TRAINING_FILES = (TRAINING_WEIGHTS, "gen.h5", "critic.h5")  # what training goes on from; playing needs none of it


@dataclass(frozen=True)
class Contents:
    """What a repository was recognised as.

    Attributes:
        kind: ``preset``, ``generator`` (published), ``codec`` (published, alone) or ``both``.
        folder: Its folder inside the repository, empty for the top.
        files: The names of the files to get, in that folder.
    """

    kind: str
    folder: str
    files: tuple[str, ...]

    def path(self, name: str) -> str:
        """A file's path inside the repository."""
        return f"{self.folder}/{name}" if self.folder else name


def _recognise_names(names: set[str], training: bool) -> tuple[str, tuple[str, ...]] | None:
    """What a folder with these files is, and which of them are wanted.

    >>> _recognise_names({"gen_ema.h5", "gen.h5", "opt_dec.npy"}, training=False)
    ('generator', ('gen_ema.h5',))
    """
    card = tuple(name for name in (README_FILE,) if name in names)
    more = tuple(name for name in TRAINING_FILES if training and name in names)
    if names >= set(PRESET_FILES):
        own = tuple(name for name in OPTIONAL_FILES if name in names and not (name == CARD_FILE and card))
        critic = tuple(name for name in more if name == TRAINING_WEIGHTS)
        return "preset", (*PRESET_FILES, *own, *critic, *card)
    whole = names >= set(CODEC_FILES)
    if GENERATOR_FILE not in names:
        return ("codec", (*CODEC_FILES, *card)) if whole else None
    networks = tuple(name for name in (GENERATOR_FILE, *more) if name != TRAINING_WEIGHTS)
    return ("both", (*CODEC_FILES, *networks, *card)) if whole else ("generator", (*networks, *card))


def recognise(listing: Listing, training: bool = False) -> Contents:
    """Find out what a repository holds.

    Args:
        listing: Its files.
        training: Whether what training goes on from is wanted too.

    Returns:
        Its kind, its folder and the files to get.

    Raises:
        UserError: If it holds no preset, or several, of which one must be named.
    """
    folders: dict[str, set[str]] = {}
    for path in listing.files:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, set()).add(name)
    found = {
        folder: Contents(known[0], folder, known[1])
        for folder, names in sorted(folders.items())
        if (known := _recognise_names(names, training)) is not None
    }
    wanted = listing.name.folder
    if wanted in found:
        return found[wanted]
    inside = [folder for folder in found if not wanted or folder.startswith(f"{wanted}/")]
    if len(inside) == 1:
        return found[inside[0]]
    if inside:
        base = HubName(listing.name.repository, listing.name.revision)
        raise UserError(
            f"{listing.name} holds several presets; choose one: {', '.join(f'{base}/{i}' for i in inside)}."
        )
    files = sorted(listing.files)
    shown = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
    raise UserError(
        f"{listing.name} holds neither a preset ({', '.join(PRESET_FILES)}) nor published Musika weights"
        f" ({GENERATOR_FILE}, {', '.join(CODEC_FILES)}). It holds: {shown or 'nothing'}."
        f" Already here: {presets_here()}."
    )


def find_or_pull(name: str | Path) -> Path:
    """The folder of a preset on the Hub: pulled before, or now.

    Args:
        name: ``hf://user/name``.

    Returns:
        The preset's folder.

    Raises:
        UserError: If it is not here and cannot be pulled.
    """
    place = parse_hub_name(name)
    return place.cached if (place.cached / PULLED_FILE).is_file() else pull(place)


def pull(
    name: str | Path | HubName,
    out: str | Path | None = None,
    training: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Get a preset from the Hub, or its newest state.

    Args:
        name: ``user/name``, with or without ``hf://``.
        out: Folder for the preset; the cache when left out, where ``hf://user/name`` finds it.
        training: Whether to get what training goes on from, too (the critic), if it was published.
        say: Receives lines to print.

    Returns:
        The preset's folder.

    Raises:
        UserError: If there is no such repository, it holds no preset, a file fails its checks, or the network does.
    """
    place = name if isinstance(name, HubName) else parse_hub_name(name)
    target = place.cached if out is None else Path(out)
    foreign = target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / METADATA_FILE).is_file())
    if out is not None and foreign:
        raise UserError(f"{target} exists and is no preset. Give --out another folder, or remove it first.")
    listing = list_files(place)
    contents = recognise(listing, training)
    if _pulled(target) in {(str(place), listing.commit, True), (str(place), listing.commit, training)}:
        say(f"{target}: up to date")
        return target
    arriving = hub_cache() / "arriving" / place.repository / (listing.commit + ("+" if training else ""))
    try:
        files = download(listing, [contents.path(file) for file in contents.files], arriving, say)
        for path in files.values():
            check_file(path)
        if contents.kind == "preset":
            _keep_preset(contents, files, arriving, target, listing, training)
        else:
            _keep_import(contents, files, arriving, target, listing, training, say)
    except OSError as error:
        raise UserError(
            f"cannot write {error.filename or target}: {error.strerror or error}. Check space and permissions, or set"
            " MUSIKA_CACHE to another folder."
        ) from None
    if place != AUTOENCODER:
        shutil.rmtree(arriving, ignore_errors=True)
    return target


def stated_licence(folder: str | Path) -> str:
    """The licence that the head of a pulled preset's card states.

    Args:
        folder: The preset's folder.

    Returns:
        Its name, or that none is stated.
    """
    import yaml

    try:
        text = (Path(folder) / CARD_FILE).read_text(encoding="utf-8")
        head = yaml.safe_load(text.split("---", 2)[1]) if text.startswith("---") else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        head = None
    known = head if isinstance(head, dict) else {}
    licence = known.get("license_name") or known.get("license")
    return f"{licence}, says its {CARD_FILE}" if isinstance(licence, str) else "not stated; ask its owner"


def _pulled(folder: Path) -> tuple[str, str, bool] | None:
    """What was pulled into a folder: name, commit, and whether with what training needs."""
    try:
        notes = json.loads((folder / PULLED_FILE).read_text(encoding="utf-8"))
        return notes["name"], notes["commit"], notes["training"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep_preset(
    contents: Contents, files: dict[str, Path], arriving: Path, target: Path, listing: Listing, training: bool
) -> None:
    """Check a preset of this package and put it in its place."""
    aside = arriving / "preset"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name in contents.files:
        shutil.copyfile(files[contents.path(name)], aside / (CARD_FILE if name == README_FILE else name))
    check_preset_folder(aside)
    _finish(aside, target, listing, files, training)


def _keep_import(
    contents: Contents,
    files: dict[str, Path],
    arriving: Path,
    target: Path,
    listing: Listing,
    training: bool,
    say: Callable[[str], None],
) -> None:
    """Turn published weights into a preset and put it in its place."""
    own = (arriving / contents.folder).resolve()
    codec, generator = own, None
    if contents.kind == "generator":
        codec, generator = _autoencoder_files(say), own
    say(f"{listing.name}: weights of the original code; turning them into a preset")
    from musika.upstream import import_published, save_published

    published = import_published(codec, generator, codec_only=contents.kind == "codec")
    aside = arriving / "preset"
    shutil.rmtree(aside, ignore_errors=True)
    name = listing.name.repository.split("/")[1]
    save_published(published, aside, {"name": name, "hub": str(listing.name)})
    card = files.get(contents.path(README_FILE))
    if card is not None:
        shutil.copyfile(card, aside / CARD_FILE)
    _finish(aside, target, listing, files, training)


def _autoencoder_files(say: Callable[[str], None]) -> Path:
    """The folder of the published autoencoder's files; they are kept, for every generator needs them."""
    listing = list_files(AUTOENCODER)
    contents = recognise(listing)
    folder = hub_cache() / "arriving" / AUTOENCODER.repository / listing.commit
    for path in download(listing, [contents.path(name) for name in CODEC_FILES], folder, say).values():
        check_file(path)
    return folder / contents.folder


def _finish(aside: Path, target: Path, listing: Listing, files: dict[str, Path], training: bool) -> None:
    """Note where a preset came from and put it in its place, at once."""
    notes = {
        "name": str(listing.name),
        "commit": listing.commit,
        "training": training,
        "files": {name: {"size": path.stat().st_size, "sha256": file_hash(path)} for name, path in files.items()},
    }
    (aside / PULLED_FILE).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    landing = target.with_name(f".{target.name}.partial-{os.getpid()}")
    shutil.rmtree(landing, ignore_errors=True)
    shutil.move(aside, landing)
    replace_folder(landing, target)
