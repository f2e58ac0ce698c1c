"""What a prepared folder holds: its manifest, and the journal that keeps it through a kill.

    {"format": 1, "codec": hash, "codec_name": "techno", "audio": folder, "annotator": "auto", "controls": [...],
     "settings": fingerprint of all that an entry depends on besides its file,
     "files": [{"source": "a.flac", "hash": ..., "latents": "a.npz", "seconds": 32.0, "loudness_db": -15.3, ...},
               {"source": "b.mp3", "hash": ..., "note": "damaged after 3.00 s"}]}

A file has an entry for each of its parts; one that could not be used has none but its note. While files are prepared,
each that is done is added to ``journal.jsonl``, which the next manifest takes in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from musika.audio.reading import show_path
from musika.audio.writing import replacing
from musika.checks import UserError
from musika.corpus.labels import labels_path
from musika.data.annotation import annotation_path
from musika.data.encode import MANIFEST

JOURNAL = "journal.jsonl"
FORMAT = 1
_BLOCK = 1 << 20

Entry = dict[str, Any]


def hash_file(path: Path) -> str:
    """Fingerprint of a file and, behind a ``-``, of the labels beside it, if there are any.

    Args:
        path: The file.

    Returns:
        32 hexadecimal digits, or twice as many.

    Raises:
        UserError: If it cannot be read.
    """
    found = []
    try:
        for part in (path, labels_path(path)):
            if part == path or part.is_file():
                digest = hashlib.blake2b(digest_size=16)
                with open(part, "rb") as handle:
                    while block := handle.read(_BLOCK):
                        digest.update(block)
                found.append(digest.hexdigest())
    except OSError as error:
        raise UserError(f"{show_path(path)}: cannot be opened: {error.strerror or error}. Check the path.") from None
    return "-".join(found)


def file_stamp(path: Path) -> list[int]:
    """Sizes and times of a file and its labels: while they stay, the content is taken to stay.

    Args:
        path: The file.

    Returns:
        Bytes and nanoseconds of each; zeros for what is not there.
    """
    stamp = []
    for part in (path, labels_path(path)):
        try:
            found = part.stat()
            stamp += [found.st_size, found.st_mtime_ns]
        except OSError:
            stamp += [0, 0]
    return stamp


@dataclasses.dataclass
class Shelf:
    """What a folder holds: its manifest, and what a run that was killed had noted beside it.

    Attributes:
        folder: The folder.
        head: What the manifest says besides the files.
        entries: The parts of the files that are done, by content.
        skipped: The files that could not be used, by path.
    """

    folder: Path
    head: dict[str, Any]
    entries: dict[str, list[Entry]] = dataclasses.field(default_factory=dict)
    skipped: dict[str, Entry] = dataclasses.field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, head: dict[str, Any]) -> Shelf:
        """Open a folder for what is described by a head.

        Args:
            folder: The folder.
            head: Codec, controls and annotator.

        Returns:
            The shelf, with what is done already and still fits.

        Raises:
            UserError: If it was prepared for another codec, or holds a manifest of another kind.
        """
        shelf = cls(folder, head)
        before = read_manifest(folder / MANIFEST)
        if before is None:
            shelf.write()
            return shelf
        if before.get("codec") != head["codec"] or "format" not in before:
            name = before.get("codec_name") or before.get("codec")
            how = "prepared for codec" if "format" in before else "written by `musika encode` with"
            raise UserError(f"{show_path(folder)} was {how} {name!r}. Give --out another folder.")
        same = before.get("settings") == head["settings"]
        lines = [entry for entry in before["files"] if "latents" in entry] if same else []
        for entry in [*lines, *shelf._journal()]:
            if _complete(folder, entry):
                shelf.entries.setdefault(entry["hash"], []).append(entry)
        shelf.write()
        return shelf

    def _journal(self) -> Iterator[Entry]:
        """The entries that were noted since the manifest was written; a line that was cut off is left out."""
        try:
            lines = (self.folder / JOURNAL).read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                noted = json.loads(line)
            except ValueError:
                continue
            if isinstance(noted, dict) and noted.get("settings") == self.head["settings"]:
                yield from noted["entries"]

    def note(self, entries: list[Entry]) -> None:
        """Take in a file that is done, and note it in the journal.

        Args:
            entries: Its parts.
        """
        self.entries[entries[0]["hash"]] = entries
        line = json.dumps({"settings": self.head["settings"], "entries": entries}, ensure_ascii=False)
        with open(self.folder / JOURNAL, "a", encoding="utf-8") as journal:
            journal.write(f"{line}\n")
            journal.flush()
            os.fsync(journal.fileno())

    def forget(self, digest: str) -> None:
        """Remove what was made of a content that is no longer there.

        Args:
            digest: The content's fingerprint.
        """
        for entry in self.entries.pop(digest, []):
            for path in (self.folder / entry["latents"], annotation_path(self.folder / entry["latents"])):
                path.unlink(missing_ok=True)

    def files(self) -> list[Entry]:
        """All entries, by path and part.

        Returns:
            The entries.
        """
        done = [entry for entries in self.entries.values() for entry in entries]
        return sorted([*done, *self.skipped.values()], key=lambda entry: (entry["source"], entry.get("start", 0.0)))

    def write(self) -> None:
        """Write the manifest; the journal has done its duty then."""
        text = json.dumps({"format": FORMAT, **self.head, "files": self.files()}, indent=1, ensure_ascii=False)
        with replacing(self.folder / MANIFEST) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
        (self.folder / JOURNAL).unlink(missing_ok=True)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Read a JSON file that holds an object.

    Args:
        path: The file.

    Returns:
        What it holds; None where there is none.

    Raises:
        UserError: If it cannot be read or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{show_path(path)} cannot be read ({error}). Remove it to prepare all files anew.") from None
    if not isinstance(content, dict):
        raise UserError(f"{show_path(path)} is no manifest. Give --out another folder.")
    return content


def _complete(folder: Path, entry: Entry) -> bool:
    """Whether the files of an entry are there."""
    latents = folder / entry["latents"]
    return latents.is_file() and annotation_path(latents).is_file()
