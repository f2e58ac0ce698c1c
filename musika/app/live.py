"""Endless listening: chunks of sound that join without a gap while the settings are moved.

A listener hears one piece, from its start on. When a setting changes, the piece with the new settings takes over at the
place where the old one is, by a cross-fade; both are functions of time alone, so they are at the same place of the same
path. Curves keep their past, so a beat clock goes on from where it is: only what comes is changed.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musika.app.studio import make_piece
from musika.app.wishes import SHORTEST, Wish
from musika.checks import UserError
from musika.warned import collected

if TYPE_CHECKING:
    from musika.app.shelf import Shelf
    from musika.piece import Piece

Floats = NDArray[np.float32]

CHUNK_SECONDS = 0.5  # of sound in one answer
FADE_SECONDS = 0.4  # of a cross-fade: long enough to hide that two pieces differ, short enough to follow the hand
RAMP_SECONDS = 0.5  # in which a control that is moved reaches its new value
KEPT_SECONDS = 60.0  # that a listener can still keep of what was played
MOST_LISTENERS = 16
IDLE_SECONDS = 120.0
_FULL_SCALE = 32768
_NOTHING = object()  # unlike any value, None among them


class _Source:
    """A piece played in portions of any size."""

    def __init__(self, piece: Piece, first: int) -> None:
        self._blocks: Generator[Floats, None, None] = piece.play(first)
        self._left = np.zeros((0, 2), np.float32)

    def take(self, samples: int) -> Floats:
        """The next samples, `(samples, 2)`."""
        parts, have = [self._left], len(self._left)
        while have < samples:
            block = next(self._blocks)
            parts.append(block)
            have += len(block)
        joined = np.concatenate(parts)
        self._left = joined[samples:]
        return joined[:samples]

    def prime(self) -> None:
        """Make the first block now: what follows is then made before it is needed."""
        self._left = next(self._blocks)

    def close(self) -> None:
        """End it."""
        self._blocks.close()


@dataclass(frozen=True)
class _Turn:
    """A piece that is ready to take over.

    Attributes:
        wish: What was asked for.
        asked: The values of its controls as asked for.
        piece: The piece, its curves joined to the past.
        source: Its sound from ``first`` on.
        first: The sample at which it shall take over.
    """

    wish: Wish
    asked: dict[str, Any]
    piece: Piece
    source: _Source
    first: int


class Listener:
    """One endless stream.

    Args:
        shelf: The presets.
        wish: What is played at first; its length is that of a glide.

    Attributes:
        rate: Samples a second.
        position: Where in the piece the next sample is, in samples.
        touched: When it was last asked for sound, in seconds of the monotonic clock.
        told: Sentences for the listener, such as on values outside the learned range; taken by who shows them.

    Raises:
        UserError: If the preset cannot play it.
    """

    def __init__(self, shelf: Shelf, wish: Wish) -> None:
        self._shelf = shelf
        self._lock, self._changing = threading.Lock(), threading.Lock()
        self._made, self._answer, self._closed = 0, b"", False
        self._coming: _Turn | None = None
        self._lead = 0.0  # seconds that it takes to make ready
        self.touched = time.monotonic()
        self.told: list[str] = []
        wish = replace(wish, loop=None)
        self.rate = shelf.get(wish.preset).config.sample_rate
        self.position = round(wish.start * self.rate)
        self._turn = self._prepare(wish, self.position, None)

    @property
    def wish(self) -> Wish:
        """What is played."""
        return self._turn.wish

    @property
    def seconds(self) -> float:
        """Where in the piece the next sample is, in seconds."""
        return self.position / self.rate

    def change(self, wish: Wish) -> None:
        """Play other settings as soon as they are ready; what plays goes on until then.

        Args:
            wish: The settings as the page has them; where it starts is not used.

        Raises:
            UserError: If the preset cannot play them.
        """
        with self._changing:
            began = time.monotonic()
            wish = replace(wish, loop=None)
            piece, self.told = make_piece(self._shelf, replace(wish, start=0.0))
            if piece.sample_rate != self.rate:
                self.told = [f"{wish.preset} has {piece.sample_rate} samples a second: stop and start to hear it."]
                return
            chunks = 1 + math.ceil(self._lead / CHUNK_SECONDS)
            first = self.position + chunks * round(CHUNK_SECONDS * self.rate)
            turn = self._prepare(wish, first, self._turn)
            self._lead = time.monotonic() - began
            with self._lock:
                waiting, self._coming = self._coming, None if self._closed else turn
            for unused in (waiting, turn if self._closed else None):
                if unused is not None:
                    unused.source.close()

    def chunk(self, number: int) -> bytes:
        """The next chunk, or the last one again.

        Args:
            number: Which chunk, counted from 0.

        Returns:
            Samples of left and right in turn, little-endian 16-bit integers.

        Raises:
            UserError: If it has ended, or another chunk is due.
        """
        with self._lock:
            self.touched = time.monotonic()
            if self._closed:
                raise UserError("this endless piece has ended. Press the button to play again.")
            if number == self._made - 1:
                return self._answer
            if number != self._made:
                raise UserError(f"chunk {self._made} of this endless piece is due. Received: {number}")
            samples = round(CHUNK_SECONDS * self.rate)
            sound = self._play(samples)
            self.position += samples
            self._made += 1
            self._answer = np.clip(np.rint(sound * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes()
            return self._answer

    def last_minute(self) -> Wish:
        """What has just been played, as a wish: the present piece, its curves with all their past."""
        with self._lock:
            played = self._made * CHUNK_SECONDS
            length = max(min(KEPT_SECONDS, played), SHORTEST)
            controls = self._turn.piece.controls.describe()
            return replace(self.wish, start=self.seconds - min(length, played), seconds=length, controls=controls)

    def close(self) -> None:
        """End it."""
        with self._lock:
            self._closed = True
            for turn in (self._turn, self._coming):
                if turn is not None:
                    turn.source.close()

    def _play(self, samples: int) -> Floats:
        """The next samples, faded over to what is ready to take over."""
        turn = self._coming
        if turn is None or self.position < turn.first:
            return self._turn.source.take(samples)
        turn.source.take(self.position - turn.first)  # it was ready too late by so much
        fade = min(samples, round(FADE_SECONDS * self.rate))
        rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade, dtype=np.float32)[:, None] + 0.5) / fade)
        sound = turn.source.take(samples)
        sound[:fade] = rise * sound[:fade] + (1 - rise) * self._turn.source.take(fade)
        self._turn.source.close()
        self._turn, self._coming = turn, None
        return sound

    def _prepare(self, wish: Wish, first: int, present: _Turn | None) -> _Turn:
        """Make the piece that goes on from where the present one will be at a sample, and its first block."""
        from musika.piece import Piece

        plain, _ = make_piece(self._shelf, replace(wish, start=0.0))
        asked = plain.controls.describe()
        before = present.piece.controls.describe() if present else {}
        moved = {name for name, value in asked.items() if not present or present.asked.get(name, _NOTHING) != value}
        controls = {
            name: extend_curve(before.get(name), value, first / self.rate) if name in moved else before[name]
            for name, value in asked.items()
        }
        with collected():  # `make_piece` has told them
            piece = Piece(plain.preset, wish.seed, wish.truncation, controls, path=wish.path)
        source = _Source(piece, first)
        source.prime()
        return _Turn(wish, asked, piece, source, first)


def extend_curve(before: Any, asked: Any, now: float) -> Any:
    """A control's curve that keeps its past and follows what is asked for from now on.

    Args:
        before: What it was: a number, points (seconds, value), a class's name or None.
        asked: What it shall be, likewise; the seconds of its points count from now.
        now: Seconds from the piece's start.

    Returns:
        A curve for `musika.piece.Piece`.

    >>> extend_curve(120.0, 130.0, 10.0)
    [[0.0, 120.0], [10.0, 120.0], [10.5, 130.0]]
    """
    if asked is None or isinstance(asked, str):
        return asked
    wanted = asked if isinstance(asked, list) else [[0.0, asked]]
    if isinstance(wanted[0][1], str):
        return [[now + at, value] for at, value in wanted] if now + wanted[0][0] >= 0 else wanted
    if before is None or isinstance(before, str):
        return [[now + at, value] for at, value in wanted] if len(wanted) > 1 else wanted[0][1]
    past = before if isinstance(before, list) else [[0.0, before]]
    times, values = zip(*past, strict=True)
    kept = [point for point in past if point[0] < now]
    kept.append([now, float(np.interp(now, times, values))])
    return kept + [[now + RAMP_SECONDS + at, value] for at, value in wanted]


class Listeners:
    """All endless streams of a server, by their secret names.

    Args:
        shelf: The presets.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._listeners: dict[str, Listener] = {}
        self._lock = threading.Lock()

    def open(self, wish: Wish) -> str:
        """Begin a stream.

        Args:
            wish: What is played at first.

        Returns:
            Its name.

        Raises:
            UserError: If it cannot be played, or too many listen already.
        """
        self._close_idle()
        if len(self._listeners) >= MOST_LISTENERS:
            raise UserError(f"{MOST_LISTENERS} listeners already play endlessly here. Try again in some minutes.")
        listener = Listener(self._shelf, wish)
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._listeners[name] = listener
        return name

    def get(self, name: str | None) -> Listener | None:
        """Find a stream, if it still runs.

        Args:
            name: Its name.

        Returns:
            The stream, or None.
        """
        return self._listeners.get(name or "")

    def find(self, name: str | None) -> Listener:
        """Find a stream.

        Args:
            name: Its name.

        Returns:
            The stream.

        Raises:
            UserError: If it has ended.
        """
        listener = self.get(name)
        if listener is None:
            raise UserError("this endless piece has ended. Press the button to play again.")
        return listener

    def close(self, name: str | None) -> None:
        """End a stream, if it still runs.

        Args:
            name: Its name.
        """
        with self._lock:
            listener = self._listeners.pop(name or "", None)
        if listener is not None:
            listener.close()

    def _close_idle(self) -> None:
        """End streams that nobody asks for sound."""
        oldest = time.monotonic() - IDLE_SECONDS
        for name, listener in list(self._listeners.items()):
            if listener.touched < oldest:
                self.close(name)
