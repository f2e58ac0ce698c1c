"""What `musika prepare` says at its end: a table of what became of the files, and plain advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from musika.data.encode import show_length
from musika.data.prepare import Prepared

_MOST_NAMED = 12  # skipped files that are named one by one


def advice(hours: float) -> str:
    """What so much music is good for.

    Args:
        hours: Length of the music in hours.

    Returns:
        A sentence or two.

    >>> advice(3.0).partition(":")[0]
    'Fine-tune'
    """
    if hours < 1:
        return (
            "Expect copies: this is less than an hour. Fine-tune with few steps (`musika finetune` takes few by itself)"
            " and trust its copying score; more music of the same kind helps most."
        )
    if hours < 10:
        return "Fine-tune: `musika finetune DATA --from PRESET --out RUN`. It is too little to train from scratch."
    return "Train from scratch (`musika train generator`) or fine-tune, which sounds well sooner."


def _range(values: Sequence[float]) -> str:
    """Numbers in brief."""
    low, middle, high = np.quantile(values, [0.0, 0.5, 1.0])
    return f"{middle:.3g} (from {low:.3g} to {high:.3g})"


def _reason(note: str) -> str:
    """The kind of a reason for skipping, without names and numbers."""
    kinds = {
        "the same file as": "the same as another file",
        "silent": "silent",
        "not readable as audio": "not readable as audio",
        "neither libsndfile nor ffmpeg": "not readable as audio",
        "the file is empty": "empty (0 bytes)",
        "the file holds no audio": "no audio in it",
        "cannot be opened": "cannot be opened",
        "damaged": "damaged",
        "NaN or infinite": "NaN or infinite samples",
    }
    return next((kind for start, kind in kinds.items() if note.startswith(start)), "other reasons")


def _controls(manifest: dict[str, Any], used: Sequence[dict[str, Any]]) -> list[str]:
    """A line a control: its values, and in how many files it is known."""
    lines = []
    for control in manifest["controls"]:
        found = [entry["controls"].get(control["name"]) for entry in used]
        known = [value for value in found if value is not None]
        numbers = [number for value in known if not isinstance(value, str) for number in np.atleast_1d(value)]
        classes = Counter(value for value in known if isinstance(value, str))
        what = ", ".join(f"{count} {name}" for name, count in classes.most_common()) or "not known"
        what = f"{_range(numbers)} {control['unit']}".rstrip() if numbers else what
        lines.append(f"{control['name']:<13} {what}; known in {len(known)} of {len(used)}")
    return lines


def summary(prepared: Prepared) -> str:
    """Say what became of the files.

    Args:
        prepared: What `prepare_folder` gave.

    Returns:
        Lines of text.
    """
    files = prepared.manifest["files"]
    used = [entry for entry in files if "latents" in entry]
    skips = [entry for entry in files if "latents" not in entry]
    hours = sum(entry["seconds"] for entry in used) / 3600.0
    lines = [f"skipped       {entry['source']}: {entry['note']}" for entry in skips[:_MOST_NAMED]]
    if len(skips) > _MOST_NAMED:
        lines.append(f"skipped       and {len(skips) - _MOST_NAMED} more, see manifest.json")
    for reason, count in Counter(_reason(entry["note"]) for entry in skips).most_common():
        lines.append(f"skipped       {count}: {reason}")
    looped = sum("repeats" in entry for entry in used)
    parts = Counter(entry["hash"] for entry in used)
    cut = sum(count > 1 for count in parts.values())
    notes = [f"{prepared.new} new", f"{prepared.before} done before"]
    notes += [f"{looped} shorter than a training window, looped"] if looped else []
    notes += [f"{cut} longer than ten minutes, cut into parts"] if cut else []
    notes += [f"{prepared.gone} no longer in the folder, kept (--prune removes them)"] if prepared.gone else []
    lines.append(f"used          {len(parts)} files, {show_length(3600 * hours)} of music ({'; '.join(notes)})")
    if prepared.others:
        found = ", ".join(f"{count} {ending}" for ending, count in prepared.others.most_common(5))
        lines.append(f"not audio     {found}")
    lines.append(f"loudness      {_range([entry['loudness_db'] for entry in used])} dB below full scale, RMS")
    lines += _controls(prepared.manifest, used)
    lines.append(f"advice        {advice(hours)}")
    return "\n".join(lines)
