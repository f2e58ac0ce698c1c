"""Names of presets on the Hugging Face Hub, and where those that were pulled lie. Nothing here needs a network.

A name is ``hf://user/name``, with ``@revision`` (a branch, tag or commit) and a folder of the repository if need be:
``hf://user/name@v2/techno``. A pulled preset lies in ``hub/user/name@v2+techno`` of the cache folder, which is
``$MUSIKA_CACHE``, else ``musika`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from musika.checks import UserError
from musika.resources import cache_folder

PREFIX = "hf://"
PULLED_FILE = "pulled.json"  # written last into a pulled preset: from where, which commit, which files
_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(
    rf"(?P<user>{_WORD})/(?P<name>{_WORD})(?:@(?P<revision>{_WORD}))?(?P<folder>(?:/[A-Za-z0-9_][A-Za-z0-9._ -]*)*)/?"
)
_PAGE = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/")


@dataclass(frozen=True)
class HubName:
    """A preset's place on the Hub.

    Attributes:
        repository: ``user/name``.
        revision: Branch, tag or commit; empty for the newest.
        folder: Folder inside the repository, without slashes at its ends; empty for the top or the only one.
    """

    repository: str
    revision: str = ""
    folder: str = ""

    def __str__(self) -> str:
        """The name as it is given."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.repository}{revision}{'/' if self.folder else ''}{self.folder}"

    @property
    def cached(self) -> Path:
        """The folder in the cache for this preset, whether it is there or not."""
        user, name = self.repository.split("/")
        revision = f"@{self.revision}" if self.revision else ""
        inside = f"+{self.folder.replace('/', '+')}" if self.folder else ""
        return hub_cache() / user / f"{name}{revision}{inside}"


def is_hub_name(name: str | Path) -> bool:
    """Whether a preset's name means the Hub; a path object has lost one of its slashes.

    Args:
        name: The name.

    Returns:
        True if it begins with ``hf://``.

    >>> is_hub_name("hf://user/name"), is_hub_name(Path("hf://user/name")), is_hub_name("techno")
    (True, True, False)
    """
    return Path(name).as_posix().startswith("hf:/")


def parse_hub_name(text: str | Path) -> HubName:
    """Take a Hub name apart.

    Args:
        text: ``user/name``, with or without ``hf://`` or the address of the Hub's page before it.

    Returns:
        Its parts.

    Raises:
        UserError: If it is no such name.

    >>> parse_hub_name("https://huggingface.co/marcop/musika_techno/tree/main")
    HubName(repository='marcop/musika_techno', revision='', folder='')
    """
    given = text.as_posix() if isinstance(text, Path) else str(text)
    short = _PAGE.sub("", re.sub(r"^hf:/+", "", given.strip()))
    page = re.fullmatch(r"([^/]+/[^/]+)/(?:tree|blob)/([^/]+)(.*)", short) if _PAGE.match(given.strip()) else None
    if page:
        repository, revision, rest = page.groups()
        short = f"{repository}{'' if revision == 'main' else '@' + revision}{rest}"
    found = _NAME.fullmatch(short)
    if found is None or ".." in short:
        raise UserError(
            "a name on the Hugging Face Hub is user/name, with @revision and a folder if need be, such as"
            f" hf://marcop/musika_techno. Received: {given!r}"
        )
    repository = f"{found['user']}/{found['name']}"
    return HubName(repository, found["revision"] or "", (found["folder"] or "").strip("/"))


def hub_cache() -> Path:
    """The folder that pulled presets lie in."""
    named = os.environ.get("MUSIKA_CACHE")
    if named:
        return Path(named).expanduser() / "hub"
    return cache_folder("hub")


def pulled_presets() -> list[str]:
    """Names of the presets that were pulled from the Hub, as ``hf://user/name``."""
    names = []
    for path in hub_cache().glob(f"*/*/{PULLED_FILE}"):
        stem, *inside = path.parent.name.split("+")
        names.append("/".join([f"{PREFIX}{path.parent.parent.name}", stem, *inside]))
    return sorted(names)
