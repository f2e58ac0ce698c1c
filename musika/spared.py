"""Imports that the commands spare: Keras would take in scikit-learn, pandas and Matplotlib to serve whoever has them.

That takes a second of every start and 110 MB, and no command uses what Keras offers for them.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_OPTIONAL = {"sklearn", "pandas", "matplotlib"}


class _WhileKerasIsImported(importlib.abc.MetaPathFinder):
    """Says that optional packages are not there, to Keras alone; later they can be imported as ever."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing, or refuse."""
        keras = sys.modules.get("keras")
        if name in _OPTIONAL and keras is not None and getattr(keras.__spec__, "_initializing", False):
            raise ModuleNotFoundError(f"{name} is not imported with Keras", name=name)
        return None


def spare_imports() -> None:
    """Let Keras be imported without what it takes in only because it is installed, in this process."""
    if not any(isinstance(finder, _WhileKerasIsImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhileKerasIsImported())
