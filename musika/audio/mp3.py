"""Mp3 files that do not say how long they are.

Encoders usually begin an mp3 with a frame that counts the others. Where it is missing, libsndfile guesses the length
from the first frames and reads no further than it guessed, so a file of variable bit rate may lose its greater part.
From a pipe it reads to the end.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import soundfile

_HEAD_BYTES = 4096  # more than any frame has
_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
_PIECE_BYTES = 1 << 16


def _music_begins(head: bytes) -> int:
    """Where the first frame can be: behind the ID3 tag, whose size is four digits to base 128."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for digit in head[6:10]:
        size = size * 128 + (digit & 127)
    return 10 + size


def lacks_length(path: str | Path) -> bool:
    """Look whether an mp3 file leaves its length open.

    Args:
        path: An mp3 file.

    Returns:
        Whether its first frame is not one that counts the others.
    """
    with open(path, "rb") as file:
        file.seek(_music_begins(file.read(10)))
        head = file.read(_HEAD_BYTES)
    return not any(tag in head for tag in _LENGTH_TAGS)


def open_to_the_end(path: str | Path) -> soundfile.SoundFile:
    """Open an mp3 file such that all of it is read, whatever libsndfile thinks of its length.

    Args:
        path: An mp3 file.

    Returns:
        The open file. It cannot be rewound, and its number of frames means nothing.
    """
    output, entry = os.pipe()

    def feed() -> None:
        """Write the file's music into the pipe."""
        # The pipe breaks when the reader is closed before the end.
        with contextlib.suppress(OSError), open(path, "rb") as file, open(entry, "wb") as pipe:
            file.seek(_music_begins(file.read(10)))
            while piece := file.read(_PIECE_BYTES):
                pipe.write(piece)

    threading.Thread(target=feed, name="musika-mp3", daemon=True).start()
    return soundfile.SoundFile(output, closefd=True)
