"""Visits: whoever has the page open finds their own pieces there, and nobody else's."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from musika.app.recordings import MOST_RECORDINGS, Recording
from musika.app.studio import Made
from musika.checks import UserError
from musika.points import Point

MOST_PIECES = 60  # of a visit; the oldest goes first
MOST_PREVIEWS = 24
MOST_BYTES = 6 * 2**30  # of a visit's files: three hours as wav are 1.9 GB
MOST_BYTES_ALTOGETHER = 20 * 2**30
MOST_VISITS = 200
IDLE_SECONDS = 12 * 3600.0


@dataclass
class Visit:
    """One visitor's pieces.

    Attributes:
        key: Its secret name: whoever knows it sees the pieces.
        folder: Where the files lie.
        keep: Whether files stay when their piece is forgotten.
        pieces: The pieces by number, oldest first.
        previews: Short pieces of sampled points, by negative numbers; they are in no history.
        points: Points that were loaded, by name.
        recordings: Recordings that were brought, by their hash; the last is the one that is used.
        stopping: Set to end the render that is going on.
        touched: When it was last used, in seconds of the monotonic clock.
    """

    key: str
    folder: Path
    keep: bool = False
    pieces: dict[int, Made] = field(default_factory=dict)
    previews: dict[int, Made] = field(default_factory=dict)
    points: dict[str, Point] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    touched: float = field(default_factory=time.monotonic)
    _last: int = 0
    _last_preview: int = 0

    @property
    def bytes(self) -> int:
        """Size of its pieces' files and its recordings."""
        files: list[Made | Recording] = [*self.pieces.values(), *self.recordings.values()]  # a copy
        return sum(file.bytes for file in files)

    @property
    def recording(self) -> Recording | None:
        """The recording that is used; None if there is none."""
        return next(reversed(list(self.recordings.values())), None)

    def use(self, recording: Recording) -> None:
        """Use a recording from now on; the oldest are removed when there are too many.

        Args:
            recording: The recording.
        """
        self.recordings.pop(recording.sha256, None)
        self.recordings[recording.sha256] = recording
        while len(self.recordings) > MOST_RECORDINGS:
            self.recordings.pop(next(iter(self.recordings))).remove()

    def next_number(self, preview: bool = False) -> int:
        """The number of what is to be made.

        Args:
            preview: Whether it is a preview.

        Returns:
            The number, above 0 for a piece and below for a preview.
        """
        if preview:
            self._last_preview -= 1
            return self._last_preview
        self._last += 1
        return self._last

    def add(self, number: int, made: Made) -> None:
        """Keep a piece; the oldest are removed when there are too many.

        Args:
            number: Its number.
            made: The piece.
        """
        self.pieces[number] = made
        while len(self.pieces) > 1 and (len(self.pieces) > MOST_PIECES or self.bytes > MOST_BYTES):
            oldest = self.pieces.pop(min(self.pieces))
            if not self.keep:
                oldest.remove()

    def add_preview(self, number: int, made: Made) -> None:
        """Keep a preview; the oldest are removed when there are too many.

        Args:
            number: Its number.
            made: The preview.
        """
        self.previews[number] = made
        while len(self.previews) > MOST_PREVIEWS:
            self.previews.pop(max(self.previews)).remove()

    def piece(self, number: int | str | None) -> Made:
        """Find a piece or preview.

        Args:
            number: Its number.

        Returns:
            The piece.

        Raises:
            UserError: If it is not there.
        """
        try:
            return (self.previews | self.pieces)[int(number)]  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            raise UserError("choose a piece of this visit first; make one if there is none yet.") from None


class Visits:
    """All visits.

    Args:
        folder: Below it each visit has its own folder.
        keep: Whether files stay when their visit is forgotten.
    """

    def __init__(self, folder: Path, keep: bool = False) -> None:
        self._folder, self._keep = folder, keep
        self._visits: dict[str, Visit] = {}
        self._lock = threading.Lock()

    def open(self, key: str | None = None) -> Visit:
        """Come back to a visit, or begin one.

        Args:
            key: The visit's key, if the browser remembers one.

        Returns:
            The visit.
        """
        with self._lock:
            self._forget_idle()
            if key not in self._visits:
                key = secrets.token_urlsafe(18)
                self._visits[key] = Visit(key, self._folder / f"visit-{secrets.token_hex(4)}", self._keep)
            return self._touch(self._visits[key])

    def find(self, key: str | None) -> Visit:
        """Find a visit.

        Args:
            key: Its key.

        Returns:
            The visit.

        Raises:
            UserError: If it is unknown here.
        """
        with self._lock:
            if key not in self._visits:
                raise UserError("this page is older than the app that serves it. Reload the page.")
            return self._touch(self._visits[key])

    def _touch(self, visit: Visit) -> Visit:
        """Note that a visit is in use."""
        visit.touched = time.monotonic()
        return visit

    def _forget_idle(self) -> None:
        """Forget visits that nobody comes back to, and the idlest when there are too many."""
        by_age = sorted(self._visits.values(), key=lambda visit: visit.touched)
        oldest = time.monotonic() - IDLE_SECONDS
        surplus, bytes_ = len(by_age) - MOST_VISITS + 1, sum(visit.bytes for visit in by_age)
        for index, visit in enumerate(by_age):
            if index < surplus or visit.touched < oldest or bytes_ > MOST_BYTES_ALTOGETHER:
                bytes_ -= visit.bytes
                del self._visits[visit.key]
                visit.stopping.set()
                if not self._keep:
                    shutil.rmtree(visit.folder, ignore_errors=True)
