"""Reports of measurements: plain tables, JSON, and where they were made."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musika.checks import UserError
from musika.threads import cores


def environment() -> dict[str, Any]:
    """The machine and the versions that a figure depends on.

    Returns:
        Processor, number of cores, system and versions of Python and the main libraries.
    """
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for package in ("tensorflow", "keras", "numpy", "scipy", "librosa", "torch", "musika"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"processor": processor(), "cores": cores(), "system": platform.platform(), "versions": versions}


def processor() -> str:
    """Name of the processor.

    Returns:
        The name, as Linux reports it, or what Python knows elsewhere.
    """
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def table(rows: Mapping[str, Mapping[str, Any]], head: str) -> str:
    """Format rows as a Markdown table.

    Args:
        rows: Values by column, by row name.
        head: Heading of the first column.

    Returns:
        The table's lines.

    >>> print(table({"speed": {"median": 2.0}}, "measure"))
    | measure | median |
    |---|---|
    | speed | 2.000 |
    """
    columns = list(next(iter(rows.values())))
    lines = ["| " + " | ".join([head, *columns]) + " |", "|" + "---|" * (len(columns) + 1)]
    for name, values in rows.items():
        cells = [f"{values[key]:.3f}" if isinstance(values[key], float) else str(values[key]) for key in columns]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def save_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON.

    Args:
        path: The file.
        report: What it holds.

    Raises:
        UserError: If it cannot be written.
    """
    from musika.audio.writing import replacing

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            aside.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the report {path}: {error}. Give --out another path.") from None


def read_report(path: Path) -> dict[str, Any]:
    """Read a report that `save_report` wrote.

    Args:
        path: The file.

    Returns:
        The report.

    Raises:
        UserError: If it cannot be read or is no report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read the report {path}: {error}. Give a JSON file that `musika evaluate` wrote."
        ) from None
    if not isinstance(report, dict) or not {"command", "scores"} <= set(report):
        raise UserError(f"{path} is not a report of `musika evaluate`: it lacks `command` or `scores`.")
    return report


def commit() -> str:
    """The commit of the checkout that this package runs from.

    Returns:
        Its hash, with a + when files differ from it; empty outside of a checkout, and where this file is none of its
        files, as when the package is installed into another project's environment.
    """
    import subprocess

    place = Path(__file__).resolve()

    def git(*words: str) -> str:
        """What git says in this file's folder."""
        command = ["git", "-C", str(place.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", place.name)
        return git("describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return ""
