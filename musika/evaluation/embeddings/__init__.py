"""Embeddings of audio by name.

``EMBEDDINGS`` describes them without importing anything heavy; `load_embedding` makes one.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musika.checks import UserError, check_choice

if TYPE_CHECKING:
    from musika.evaluation.embeddings.base import Embedding

DEFAULT = "logmel"


@dataclass(frozen=True)
class Entry:
    """What is known of an embedding before it is loaded.

    Attributes:
        rate: Sample rate in Hz and channels, for people.
        window: Length of the audio behind one vector, in seconds, for people.
        hop: Time from one vector to the next, in seconds, for people.
        dimension: Numbers in a vector, for people.
        licence: Of the weights.
        needs: What has to be there.
        note: What its distances may be compared with.
        module: Where its class is.
        kind: Name of the class.
    """

    rate: str
    window: str
    hop: str
    dimension: str
    licence: str
    needs: str
    note: str
    module: str
    kind: str

    def row(self) -> dict[str, str]:
        """The columns of `musika fad --list`."""
        names = ("rate", "window", "hop", "dimension", "licence", "needs", "note")
        return {name: getattr(self, name) for name in names}


_HERE = "musika.evaluation.embeddings"
EMBEDDINGS: dict[str, Entry] = {
    "logmel": Entry(
        "44100 Hz stereo",
        "1.04 s",
        "0.51 s",
        "80",
        "MIT",
        "nothing",
        "not comparable with published FAD; full band, stereo",
        f"{_HERE}.logmel",
        "LogMel",
    ),
}


def load_embedding(name: str = DEFAULT, **options: Any) -> Embedding:
    """Make an embedding.

    Args:
        name: One of ``EMBEDDINGS``.
        **options: What it can be told, such as ``preset`` for `codec` or ``weights`` for `vggish`; None counts as not
            given.

    Returns:
        The embedding, ready to use.

    Raises:
        UserError: If the name or an option is unknown, or weights or packages are missing.

    >>> load_embedding("logmel").dimension
    80
    """
    entry = EMBEDDINGS[check_choice(name, "embedding", list(EMBEDDINGS))]
    kind = getattr(importlib.import_module(entry.module), entry.kind)
    given = {key: value for key, value in options.items() if value is not None}
    allowed = list(inspect.signature(kind).parameters)
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        can = f"takes {', '.join(allowed)}" if allowed else "takes no options"
        raise UserError(f"embedding {name!r} {can}. Received: {', '.join(unknown)}. Leave it out.")
    return kind(**given)
