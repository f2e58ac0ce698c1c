"""Files of a repository on the Hugging Face Hub: what there is, and getting some of it, checked by size and hash."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musika.checks import UserError
from musika.hub_names import HubName
from musika.preset_names import presets_here
from musika.resources import file_hash

LARGEST_FILE = 2 * 2**30  # bytes; the largest published file has 62 MB
_LIST_TIMEOUT = 20.0  # seconds
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DISK_ERRORS = {errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT}


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it.

    Attributes:
        path: Its path inside the repository.
        size: In bytes.
        sha256: Its SHA-256, for large files; empty for small ones.
        git: Its git blob identifier, for small ones.
    """

    path: str
    size: int
    sha256: str = ""
    git: str = ""


@dataclass(frozen=True)
class Listing:
    """A repository at one commit.

    Attributes:
        name: What was asked for.
        commit: The commit, which all files are taken from.
        files: Its files by path.
    """

    name: HubName
    commit: str
    files: dict[str, RemoteFile]


def endpoint() -> str:
    """The Hub's address: ``$HF_ENDPOINT``, else ``https://huggingface.co``."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


@contextmanager
def hub_errors(name: HubName, doing: str) -> Iterator[None]:
    """Turn what goes wrong with the Hub into a ``UserError`` that says what is here already.

    Args:
        name: The repository, for messages.
        doing: What is being done to it, such as ``pull``.

    Yields:
        Nothing.

    Raises:
        UserError: If something goes wrong.
    """
    from huggingface_hub import errors

    # The common base of everything that its HTTP library raises (httpx or requests, by version).
    transport: Any = errors.HfHubHTTPError.__bases__
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, errors.HFValidationError, *transport) as error:
        if getattr(error, "errno", None) in _DISK_ERRORS:
            raise
        problem = _problem(name, error)
        raise UserError(f"cannot {doing} {name}: {problem} Already here: {presets_here()}.") from None


def _problem(name: HubName, error: BaseException) -> str:
    """What went wrong, and what to do about it."""
    from huggingface_hub import errors

    address = f"{endpoint()}/{name.repository}"
    if isinstance(error, errors.GatedRepoError):
        return f"its owner wants terms accepted: do so at {address}, then run `hf auth login`."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no repository {address}, or it is private. Check the name; for a private one `hf auth login`."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{address} has no branch, tag or commit {name.revision!r}. Leave @{name.revision} out for the newest."
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so the Hub is not asked. Unset it."
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in (401, 403):
        return f"the Hub does not allow it (status {status}). Run `hf auth login` with a token that may."
    if status is not None:
        return f"the Hub answered with status {status}. Try again later."
    reason = " ".join(str(error).split())[:200]
    if isinstance(error, errors.HFValidationError):
        return f"{reason}."
    return f"{endpoint()} cannot be reached ({type(error).__name__}: {reason}). Check the network and try again."


def list_files(name: HubName) -> Listing:
    """Ask the Hub what a repository holds.

    Args:
        name: The repository, its revision and folder.

    Returns:
        The listing of the whole repository.

    Raises:
        UserError: If there is no such repository or revision, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with hub_errors(name, "pull"):
        api = HfApi(endpoint=endpoint())
        found = api.model_info(
            name.repository, revision=name.revision or "main", files_metadata=True, timeout=_LIST_TIMEOUT
        )
    files = {item.rfilename: _remote_file(item) for item in found.siblings or []}
    strange = [path for path in files if path.startswith("/") or "\\" in path or ".." in path.split("/")]
    if strange or not _COMMIT.fullmatch(str(found.sha)):
        raise UserError(
            f"{endpoint()} answers as no Hub does ({strange[0] if strange else found.sha!r} in {name}). Nothing was"
            " pulled. Check HF_ENDPOINT."
        )
    return Listing(name, str(found.sha), files)


def _remote_file(item: Any) -> RemoteFile:
    """A file of the Hub's own listing."""
    large = item.lfs
    sha256 = "" if large is None else str(getattr(large, "sha256", None) or large["sha256"])
    return RemoteFile(item.rfilename, -1 if item.size is None else int(item.size), sha256, item.blob_id or "")


def download(
    listing: Listing, paths: Sequence[str], folder: Path, say: Callable[[str], None] = print
) -> dict[str, Path]:
    """Get files of a repository, each checked by its size and hash.

    What arrived before a connection broke is used by the next call with the same folder.

    Args:
        listing: The repository.
        paths: Which of its files.
        folder: Where they go, each at its path inside the repository.
        say: Receives lines to print.

    Returns:
        The files on disk, by path inside the repository.

    Raises:
        UserError: If a file is not listed, larger than 2 GiB, cannot be got or arrives damaged.
    """
    from huggingface_hub import HfApi

    for path in paths:
        size = listing.files[path].size
        if not 0 < size <= LARGEST_FILE:
            raise UserError(
                f"{listing.name}: {path} has {size} bytes; a preset's files have from 1 to {LARGEST_FILE}. Nothing was"
                " pulled. Choose another repository."
            )
    total = sum(listing.files[path].size for path in paths)
    say(f"{listing.name}: {len(paths)} files, {total / 1e6:.1f} MB")
    found = {}
    for path in paths:
        with hub_errors(listing.name, "pull"):
            api = HfApi(endpoint=endpoint())
            got = api.hf_hub_download(listing.name.repository, path, revision=listing.commit, local_dir=folder)
        found[path] = Path(got)
        check_arrival(found[path], listing.files[path], listing.name)
    return found


def check_arrival(path: Path, listed: RemoteFile, name: HubName) -> None:
    """Check that a file is the one that the Hub lists.

    Args:
        path: The file on disk.
        listed: How it is listed.
        name: The repository, for the message.

    Raises:
        UserError: If it is not; the file is removed then.
    """
    size = path.stat().st_size
    expected = listed.sha256 or listed.git
    received = file_hash(path) if listed.sha256 else file_hash(path, "sha1", f"blob {size}\0".encode())
    if size == listed.size and expected and received == expected:
        return
    path.unlink()
    raise UserError(
        f"{name}: {listed.path} did not arrive as the Hub lists it: {size} bytes of {listed.size}, hash"
        f" {received[:12]} instead of {expected[:12] or 'none listed'}. It was removed; pull again."
    )
