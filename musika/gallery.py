"""A gallery: points of a preset, each with a short preview, to choose from by ear and to lay paths through."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musika.audio.writing import replacing
from musika.points import Point, save_point
from musika.rendering import render_file

if TYPE_CHECKING:
    from musika.presets import Preset

PREVIEW_SECONDS = 5.0
PAGE = "index.html"
# A point that wanders little still sounds after minutes as its preview did: with 0.3, two stretches of a point a minute
# apart differ 0.4 (techno) and 0.6 (piano) times as much as stretches of two points; with 1, hardly less than those.
WANDER = 0.3


@dataclass(frozen=True)
class Preview:
    """A point of a gallery.

    Attributes:
        point: The point.
        file: Its JSON file.
        audio: Its preview.
    """

    point: Point
    file: Path
    audio: Path


def make_gallery(
    preset: Preset,
    folder: str | Path,
    seeds: Iterable[int],
    seconds: float = PREVIEW_SECONDS,
    truncation: float = 2.0,
    controls: Mapping[str, Any] | None = None,
    ending: str = "wav",
    wander: float = WANDER,
) -> Iterator[Preview]:
    """Make points and their previews, and at last a page to hear them on.

    Args:
        preset: The preset.
        folder: Where the files go: ``SEED.json``, ``SEED.wav`` and ``index.html``.
        seeds: Seeds of the points.
        seconds: Length of a preview.
        truncation: Bound of the normal numbers that points are made from.
        controls: What the previews are asked for, by name.
        ending: Of the previews: ``wav``, ``flac``, ``ogg`` or ``mp3``.
        wander: How far the music moves on at these points, see `musika.points.Point`.

    Yields:
        The previews, as they are made.

    Raises:
        UserError: If a value is out of range or a file cannot be written.
    """
    from musika.piece import Piece

    folder, previews = Path(folder), []
    for seed in seeds:
        point = Point(seed, truncation=truncation, name=str(seed), wander=wander)
        piece = Piece(preset, seed, truncation, controls, seconds, [point])
        audio = folder / f"{seed}.{ending}"
        render_file(piece, audio, 0.0, seconds)
        previews.append(Preview(point, save_point(folder / f"{seed}.json", point, preset), audio))
        yield previews[-1]
    with replacing(folder / PAGE) as aside:
        aside.write_text(gallery_page(preset.name, previews), encoding="utf-8")


def gallery_page(title: str, previews: list[Preview]) -> str:
    """The page of a gallery.

    Args:
        title: The preset's name.
        previews: The previews, in the page's folder.

    Returns:
        HTML that needs nothing but the files beside it.
    """
    rows = "\n".join(
        f'<p><code>{html.escape(view.file.name)}</code><br><audio controls preload="none"'
        f' src="{html.escape(view.audio.name)}"></audio></p>'
        for view in previews
    )
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}\n<title>{html.escape(title)}</title>\n<h1>{html.escape(title)}: points</h1>\n{rows}\n</html>\n"
