"""The model card of a preset: how it was made, from what, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TITLES = {"codec": "Codec", "generator": "Generator"}


def _lines(notes: Mapping[str, Any]) -> list[str]:
    """One bullet for each thing that is known of a training."""
    kinds = (
        ("command", "command: `{}`"),
        ("config", "config: `{}`"),
        ("from", "started from: `{}`"),
        ("data", "data: `{}`"),
        ("files", "files: {}"),
        ("minutes_of_music", "minutes of music to train on: {}"),
        ("steps", "steps: {}"),
        ("hours", "hours of training: {}"),
        ("commit", "commit: `{}`"),
        ("machine", "machine: {}"),
    )
    lines = ["- " + form.format(notes[key]) for key, form in kinds if notes.get(key) not in (None, "")]
    for before in notes.get("earlier", []):
        what = [f"config `{before['config']}`"] if before.get("config") else []
        what += [f"{before[key]} {key}" for key in ("steps", "hours") if before.get(key)]
        lines.append(f"- before that: {', '.join(what)}")
    return lines


def model_card(
    name: str, trainings: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    """Write a model card.

    Args:
        name: Name of the preset.
        trainings: By `codec` or `generator`, what its metadata notes of the training: `command`, `config`, `data`,
            `steps`, `hours`, `commit` and `scores`; what is not known is left out.
        scores: Further measurements, by the command that made them.

    Returns:
        Markdown.

    >>> print(model_card("mine", {"generator": {"steps": 10, "scores": {"frechet_generated": 2.5}}}))
    # mine
    <BLANKLINE>
    ## Generator
    <BLANKLINE>
    - steps: 10
    <BLANKLINE>
    | score at the last save | value |
    |---|---|
    | frechet generated | 2.5 |
    <BLANKLINE>
    """
    parts = [f"# {name}"]
    for key, notes in trainings.items():
        parts.append(f"## {_TITLES.get(key, key)}")
        if _lines(notes):
            parts.append("\n".join(_lines(notes)))
        if notes.get("scores"):
            parts.append(_table("score at the last save", notes["scores"]))
    for command, values in (scores or {}).items():
        parts += [f"## Measured by `{command}`", _table("measure", values)]
    return "\n\n".join(parts) + "\n"


def _table(head: str, values: Mapping[str, float]) -> str:
    rows = [f"| {key.replace('_', ' ')} | {value:.4g} |" for key, value in values.items() if value is not None]
    return "\n".join([f"| {head} | value |", "|---|---|", *rows])
