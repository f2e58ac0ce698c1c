"""What the notebooks need besides the rest of the package: Drive, folders that are named wrongly, players.

Everything here works in Colab, in Jupyter and in plain Python; where there is no notebook, players become file names.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from musika.checks import UserError

DRIVE = Path("/content/drive")  # where Colab mounts Google Drive
_ARCHIVES = {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz"}
_SHOWN = 8  # names of a folder in a message


def in_colab() -> bool:
    """Whether this runs in Google Colab."""
    try:
        return importlib.util.find_spec("google.colab") is not None
    except (ImportError, ValueError):
        return False


def reach(path: str | Path) -> Path:
    """Make a path usable: mount Drive if it lies there.

    Args:
        path: A file or folder.

    Returns:
        The path, ``~`` expanded.

    Raises:
        UserError: If it lies in Drive, and Drive is not there.
    """
    if not str(path).strip():
        raise UserError("no folder is named. Write its path between the quotes, such as /content/drive/MyDrive/music.")
    found = Path(str(path).strip()).expanduser()
    if found != DRIVE and DRIVE not in found.parents:
        return found
    if not in_colab():
        raise UserError(
            f"{found} is where Colab mounts Google Drive, but this notebook does not run in Colab. Give a folder of"
            " this computer, such as ~/Music."
        )
    if not (DRIVE / "MyDrive").is_dir():
        _mount()
    return found


def _mount() -> None:
    """Let Colab ask for Drive."""
    from google.colab import drive  # type: ignore[import-not-found]

    try:
        drive.mount(str(DRIVE))
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"Google Drive was not mounted ({reason}). Run the cell again and allow access, with the account that holds"
            " the folder; or upload the music with the folder symbol on the left and give its path, /content/..."
        ) from None


def existing(path: str | Path, what: str) -> Path:
    """A folder or file that must be there; if it is not, the part of its path that is wrong is named.

    Args:
        path: The path.
        what: What it should be, for messages.

    Returns:
        The path.

    Raises:
        UserError: If it is not there.
    """
    found = reach(path)
    if found.exists():
        return found
    parts = [*reversed(found.absolute().parents), found.absolute()]
    wrong = next(part for part in parts if not part.exists())
    raise UserError(f"{what} {found} is not there: {_mistake(wrong)}")


def _mistake(wrong: Path) -> str:
    """What is wrong with the first part of a path that is not there."""
    holder = wrong.parent
    if holder.is_file():
        return f"{holder.name} is a file, not a folder. Give the folder that it lies in."
    try:
        names = sorted(item.name for item in holder.iterdir() if not item.name.startswith("."))
    except OSError as error:
        return f"{holder} cannot be opened ({error.strerror})."
    plain = {" ".join(name.casefold().split()): name for name in names}
    same = plain.get(" ".join(wrong.name.casefold().split()))
    if same is None and wrong.name.replace(" ", "") in names:
        same = wrong.name.replace(" ", "")
    if same is not None:
        return f"{holder} holds {same!r}, not {wrong.name!r}: capital letters and spaces count."
    close = difflib.get_close_matches(wrong.name.casefold(), list(plain), n=1)
    hint = f" Did you mean {plain[close[0]]!r}?" if close else ""
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"{holder} has no {wrong.name!r}. It holds: {shown or 'nothing'}.{hint}"


def music_folder(path: str | Path) -> Path:
    """The folder of music, checked.

    Args:
        path: The folder.

    Returns:
        The path.

    Raises:
        UserError: If it is not there, is no folder, or neither it nor its subfolders hold audio; the message names the
            mistake.
    """
    from musika.data.sources import SOURCE_ENDINGS

    folder = existing(path, "the folder of music")
    if folder.is_file():
        if folder.suffix.lower() in _ARCHIVES:
            raise UserError(f"{folder} is an archive. Unpack it and give the folder that comes out.")
        raise UserError(f"{folder} is one file. Give the folder that it lies in: {folder.parent}")
    counts: dict[str, int] = {}
    for _, _, names in os.walk(folder):
        for name in names:
            ending = Path(name).suffix.lower() or "no ending"
            counts[ending] = counts.get(ending, 0) + 1
    audio = {ending: count for ending, count in counts.items() if ending in SOURCE_ENDINGS}
    if not audio:
        found = ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items())[:_SHOWN])
        unpack = " Unpack the archive first." if _ARCHIVES & set(counts) else ""
        raise UserError(f"{folder} and its subfolders hold no audio. They hold: {found or 'nothing'}.{unpack}")
    print(
        f"{folder}: {sum(audio.values())} audio files ({', '.join(f'{n} {end}' for end, n in sorted(audio.items()))})"
    )
    return folder


def begin(work: str | Path) -> Path:
    """Get ready: the folder that everything goes to, what runs here, and errors of one line.

    Args:
        work: The folder; it is made. Presets that are pulled are kept in it, too, so that they survive a disconnect.

    Returns:
        The folder.

    Raises:
        UserError: If it cannot be made.
    """
    _short_errors()
    folder = reach(work)
    if DRIVE in folder.parents:
        existing(folder.parent, "the folder in Drive")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}). Give another folder.") from None
    os.environ["MUSIKA_CACHE"] = str(folder.absolute() / "cache")
    # Files are encoded in several processes, which must share a GPU's memory.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    from musika.cli.quiet import import_keras
    from musika.version import __version__

    import_keras()
    from musika.training.several import local_cards

    cards = len(local_cards())
    where = f"{cards} GPU{'s' if cards > 1 else ''}" if cards else "no GPU: training takes longer, playing does not"
    if not cards and in_colab():
        where += ". Runtime > Change runtime type gives one"
    print(f"musika {__version__}, {where}. Everything goes to {folder.absolute()}")
    return folder


def _short_errors() -> None:
    """Let a notebook show mistakes of the user's as one line."""
    interactive: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if interactive is None:
        return

    def show(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: int | None = None) -> None:
        """Print the message alone."""
        print(f"Please change something: {' '.join(str(error).split())}", file=sys.stderr)

    interactive.set_custom_exc((UserError,), show)


def go_on(run: str | Path, minutes: float | None = None, steps: int | None = None) -> dict[str, Any] | None:
    """Go on with a fine-tuning after a disconnect, or for longer.

    Args:
        run: Its run folder.
        minutes: Train for so long.
        steps: Steps in all, instead of the run's own.

    Returns:
        The closing report; None if there is no run yet.

    Raises:
        UserError: If the run cannot be gone on with.
    """
    folder = Path(run)
    if not (folder / "run.json").is_file():
        print("No training to go on with yet: run the cells below.")
        return None
    from musika.training.finetune import finetune

    print(f"Going on with {folder}")
    return finetune(None, None, folder, resume=True, minutes=minutes, steps=steps)


def listen(path: str | Path, title: str = "") -> None:
    """Show a player for an audio file, or its name where there is no notebook.

    Args:
        path: The file.
        title: A line above it.
    """
    file = existing(path, "the audio file")
    print(title or file.name)
    try:
        from IPython.display import Audio, display
    except ImportError:
        print(file)
        return
    display(Audio(filename=str(file)))


def show_run(run: str | Path, count: int = 3) -> None:
    """Show players and spectrograms of a training's newest samples, and where its page is.

    Args:
        run: The run folder.
        count: How many saves to show.

    Raises:
        UserError: If it has no samples yet.
    """
    folder = existing(Path(run) / "samples", "the folder of samples")
    samples = sorted(folder.glob("*.flac"))[-count:]
    if not samples:
        raise UserError(f"{folder} holds no samples yet. Train for longer.")
    for sample in samples:
        listen(sample, sample.stem)
        picture = sample.with_suffix(".png")
        if picture.is_file():
            _show_picture(picture)
    page = Path(run) / "report.html"
    if page.is_file():
        print(f"All saves, curves and scores: {page}")


def _show_picture(path: Path) -> None:
    """Show a picture where there is a notebook."""
    try:
        from IPython.display import Image, display
    except ImportError:
        return
    display(Image(filename=str(path)))
