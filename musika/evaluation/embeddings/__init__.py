"""Embeddings of audio by name.

``EMBEDDINGS`` describes them without importing anything heavy; `load_embedding` makes one.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from musika.checks import UserError, check_choice
from musika.evaluation.embeddings.registry import EMBEDDINGS, Entry

if TYPE_CHECKING:
    from musika.evaluation.embeddings.base import Embedding

DEFAULT = "logmel"
__all__ = ["DEFAULT", "EMBEDDINGS", "Entry", "load_embedding"]


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
