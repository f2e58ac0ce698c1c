"""The card of a preset on the Hugging Face Hub: what it was trained on, how long, how well, and what may be done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from musika.checks import UserError
from musika.model_card import model_card

# Licences that the Hub knows by these names; any other is `other`, with its own name beside it.
KNOWN_LICENCES = (
    "mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "unlicense",
    "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0",
    "openrail", "creativeml-openrail-m",
)  # fmt: skip
_LONGEST = 4000  # characters


@dataclass(frozen=True)
class Statement:
    """What only the one who shares a preset can say of it. Nothing here is assumed.

    Attributes:
        data: What it was trained on, and by what right.
        code_licence: Licence of the code that it needs.
        weights_licence: Licence of the weights.
        outputs_licence: What may be done with the music that it makes.
    """

    data: str
    code_licence: str
    weights_licence: str
    outputs_licence: str

    def __post_init__(self) -> None:
        """Check that each is said."""
        for name in ("data", "code_licence", "weights_licence", "outputs_licence"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
                raise UserError(
                    f"{name.replace('_', ' ')} must be said in 1 to {_LONGEST} characters, to share a preset."
                    f" Received: {value if value is None else value[:40]!r}"
                )


def training_facts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What a preset's metadata knows of its trainings, for the head of a card.

    Args:
        metadata: What its ``metadata.json`` holds.

    Returns:
        Text by title; what is not known says so.

    >>> training_facts({"generator_training": {"steps": 10, "hours": 0.5}})["Generator steps"]
    '10'
    """
    facts = {}
    for part in ("generator", "codec"):
        notes = metadata.get(f"{part}_training") or {}
        title = part.capitalize()
        facts[f"{title} minutes of music"] = _said(notes.get("minutes_of_music"))
        facts[f"{title} steps"] = _said(notes.get("steps"))
        facts[f"{title} hours of training"] = _said(notes.get("hours"))
        scores = notes.get("scores") or {}
        for name, value in scores.items():
            facts[f"{title} {name.replace('_', ' ')}"] = _said(value)
    return facts


def _said(value: Any) -> str:
    """A fact, or that it is not known."""
    return "not recorded" if value in (None, "", {}) else f"{value:.4g}" if isinstance(value, float) else str(value)


def hub_card(
    repository: str,
    statement: Statement,
    metadata: Mapping[str, Any],
    samples: Sequence[tuple[str, str]],
    own_card: str | None = None,
    address: str = "https://huggingface.co",
) -> str:
    """Write the card.

    Args:
        repository: ``user/name``.
        statement: What the one who shares it says.
        metadata: What the preset's ``metadata.json`` holds.
        samples: Path inside the repository and description of each sample.
        own_card: The preset's ``MODEL_CARD.md``; written from the metadata when left out.
        address: The Hub's address, for the players.

    Returns:
        Markdown, with the Hub's head.
    """
    name = repository.split("/")[1]
    parts = [
        _head(statement.weights_licence),
        f"# {name}",
        "A preset of `musika`, which turns a seed into an endless piece of stereo music:",
        f"```bash\nmusika generate --checkpoint hf://{repository} --seconds 60 --out {name}.wav\n```",
    ]
    if samples:
        players = [
            f'{text}\n\n<audio controls src="{address}/{repository}/resolve/main/{path}"></audio>'
            for path, text in samples
        ]
        parts += ["## Samples", *players]
    facts = "\n".join(f"| {title} | {value} |" for title, value in training_facts(metadata).items())
    licences = (
        ("code", statement.code_licence), ("weights", statement.weights_licence), ("outputs", statement.outputs_licence)
    )  # fmt: skip
    rows = "\n".join(f"| {what} | {_cell(text)} |" for what, text in licences)
    parts += ["## Training data", statement.data.strip(), "## Training", f"| fact | value |\n|---|---|\n{facts}"]
    parts += ["## Licences", f"| of the | licence |\n|---|---|\n{rows}"]
    return "\n\n".join([*parts, _details(name, metadata, own_card)]).rstrip() + "\n"


def _head(licence: str) -> str:
    """The head that the Hub reads."""
    short = licence.strip().lower()
    lines = ["---", "library_name: musika", "tags:", "- musika", "- music", "- audio", "- music-generation"]
    if short in KNOWN_LICENCES:
        lines.append(f"license: {short}")
    else:
        slug = re.sub(r"[^a-z0-9]+", "-", short).strip("-")[:60] or "stated-below"
        lines += ["license: other", f"license_name: {slug}"]
    return "\n".join([*lines, "---"])


def _cell(text: str) -> str:
    """Text as a table takes it."""
    return " ".join(text.split()).replace("|", "\\|")


def _details(name: str, metadata: Mapping[str, Any], own_card: str | None) -> str:
    """The preset's own card, one level down and without its title."""
    if own_card is None:
        trainings = {
            part: metadata[f"{part}_training"] for part in ("codec", "generator") if f"{part}_training" in metadata
        }
        own_card = model_card(name, trainings) if trainings else ""
    own_card = re.sub(r"\A---\n.*?\n---\n", "", own_card, flags=re.DOTALL)
    body = re.sub(r"\A\s*# .*\n", "", own_card).strip()
    return "## Details\n\n" + re.sub(r"^#", "##", body, flags=re.MULTILINE) if body else ""
