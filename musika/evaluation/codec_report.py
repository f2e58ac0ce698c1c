"""What a codec makes of one's own music, to be heard before anything is trained: no generator sounds better."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musika.audio.reading import show_path
from musika.audio.spectral import analyse, log_magnitude
from musika.audio.writing import replacing, write_audio
from musika.checks import UserError
from musika.data.latents import load_latents
from musika.data.sources import SourceReader
from musika.evaluation.reconstruction import log_spectral_distance, spectral_convergence
from musika.evaluation.report import environment, save_report, table
from musika.presets import load_preset

FOLDER = "codec-report"
SECONDS = 12.0
NOTE = (
    "Before is your music, after is what the codec gives back. A generator makes what the codec decodes, so this is the"
    " best that it can sound like."
)


def _excerpt(path: Path, sample_rate: int, start: float) -> np.ndarray:
    """A stretch of a file, `(samples, 2)`, from a time in seconds on."""
    begin, end = round(start * sample_rate), round((start + SECONDS) * sample_rate)
    held, position = [], 0
    with SourceReader(path, sample_rate) as reader:
        for block in reader.blocks():
            held.append(block[max(0, begin - position) : max(0, end - position)])
            position += len(block)
            if position >= end:
                break
    return np.concatenate(held)


def choose(entries: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Choose files that lie evenly among those used.

    Args:
        entries: Entries of a manifest that were used.
        count: How many.

    Returns:
        The entries, each of another file.

    >>> [entry["hash"] for entry in choose([{"hash": name} for name in "abcde"], 2)]
    ['b', 'd']
    """
    files = list({entry["hash"]: entry for entry in entries}.values())
    count = min(count, len(files))
    return [files[int((index + 0.5) * len(files) / count)] for index in range(count)]


def codec_report(preset: str | Path, manifest: Mapping[str, Any], data: Path, count: int = 3) -> dict[str, Any]:
    """Render excerpts of prepared files through a codec, measure and write them.

    Args:
        preset: The preset with the codec.
        manifest: What ``manifest.json`` of the prepared folder holds.
        data: The prepared folder; the results go to ``codec-report`` in it.
        count: Number of files.

    Returns:
        Scores by file: ``log_spectral_distance`` in dB and ``spectral_convergence``.

    Raises:
        UserError: If no file can be read any more, or something cannot be written.
    """
    codec, scores, players = load_preset(preset).codec, {}, []
    config, rate = codec.config, codec.sample_rate
    for index, entry in enumerate(choose([item for item in manifest["files"] if "latents" in item], count)):
        latents = data / entry["latents"]
        source = (latents.parent / load_latents(latents).source).resolve()
        source = source if source.is_file() else Path(manifest["audio"]) / entry["source"]
        before = _excerpt(source, rate, entry["start"] + max(0.0, (entry["seconds"] - SECONDS) / 2))
        after = codec.decode(codec.encode(before), samples=len(before))
        names = [f"{index}-before.flac", f"{index}-after.flac"]
        for name, audio in zip(names, (before, after), strict=True):
            write_audio(data / FOLDER / name, audio, rate)
        scores[entry["source"]] = _scores(after, before, config)
        players.append((entry["source"], names))
    if not scores:
        raise UserError(f"{show_path(data)} holds no used file to render. Run `musika prepare` first.")
    report = {"kind": "codec", "command": "musika prepare --codec-report", "codec": codec.hash, "scores": scores}
    save_report(data / FOLDER / "report.json", {**report, "environment": environment()})
    _write_page(data / FOLDER / "index.html", players, scores)
    return scores


def _scores(after: np.ndarray, before: np.ndarray, config: Any) -> dict[str, float]:
    """Both distances, averaged over the channels."""
    distances, convergences = [], []
    for made, true in ((after[:, side], before[:, side]) for side in (0, 1)):
        levels = [log_magnitude(analyse(part, config.spectral), config.spectral) for part in (made, true)]
        distances.append(log_spectral_distance(levels[0], levels[1], config))
        convergences.append(spectral_convergence(made, true))
    return {
        "log_spectral_distance": round(float(np.mean(distances)), 3),
        "spectral_convergence": round(float(np.mean(convergences)), 4),
    }


def report_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The scores as a table.

    Args:
        scores: What `codec_report` gave.

    Returns:
        Lines of text.
    """
    return table(scores, "through the codec")


def _write_page(path: Path, players: Sequence[tuple[str, list[str]]], scores: Mapping[str, Any]) -> None:
    """Write a page with players."""
    parts = []
    for name, files in players:
        numbers = ", ".join(f"{key.replace('_', ' ')} {value:.2f}" for key, value in scores[name].items())
        pairs = zip(("before", "after"), files, strict=True)
        sound = "".join(f'<p>{label}<br><audio controls src="{file}"></audio></p>' for label, file in pairs)
        parts.append(f"<h2>{html.escape(name)}</h2>{sound}<p>{numbers}</p>")
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Through the codec</title></head>'
        '<body style="font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto"><h1>Through the codec</h1>'
        f"<p>{NOTE}</p>{''.join(parts)}</body></html>\n"
    )
    with replacing(path) as aside:
        aside.write_text(page, encoding="utf-8")
