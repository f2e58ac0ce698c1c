"""The page of a fine-tuning, ``report.html``: players, spectrograms and curves; opens from disk, loads nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musika.audio.writing import replacing
from musika.settings import ControlConfig

REPORT = "report.html"
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 240, 56, 32, 12
_COLOURS = ("#1f6fb2", "#c2571a", "#3a8f3a", "#8a4fb0")
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
.word{font-size:1.2rem;padding:.8rem 1rem;background:#eef4fa;border-left:4px solid #1f6fb2}
.curves{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0}figcaption{font-weight:600}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}
.sample{margin:1.2rem 0}.sample img{display:block;max-width:100%}audio{width:100%}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}.word{background:#223}}
"""

Curve = Sequence[tuple[float, float]]


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that span a range."""
    rough = (high - low) / count or 1.0
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [float(value) for value in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def curve_svg(title: str, curves: Mapping[str, Curve], level: tuple[str, float] | None = None) -> str:
    """Draw curves over training steps.

    Args:
        title: What they show.
        curves: By name, points (step, value), in the order of the steps.
        level: A horizontal line to compare with, and its name.

    Returns:
        An HTML figure with an inline SVG.

    >>> "<polyline" in curve_svg("distance", {"generated": [(0, 9.0), (10, 3.0)]})
    True
    """
    points = [point for curve in curves.values() for point in curve]
    values = [value for _, value in points] + ([level[1]] if level else [])
    low, high = min(0.0, *values), max(values) * 1.05 or 1.0
    last = max(max(step for step, _ in points), 1)

    def place(step: float, value: float) -> tuple[float, float]:
        """Where a point lies in the drawing."""
        across = _LEFT + (_WIDTH - _LEFT - 10) * step / last
        return across, _TOP + (_HEIGHT - _BOTTOM - _TOP) * (1 - (value - low) / (high - low))

    parts = []
    for tick in _ticks(low, high):
        _, y = place(0, tick)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _ticks(0, last):
        x, _ = place(tick, low)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{tick:g}</text>')
    if level:
        _, y = place(0, level[1])
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#888" stroke-dasharray="5 4"/>'
            f'<text x="{_WIDTH - 12}" y="{y - 4:.1f}" text-anchor="end">{html.escape(level[0])}</text>'
        )
    for (name, curve), colour in zip(curves.items(), _COLOURS, strict=False):
        line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in curve:
            x, y = place(*point)
            text = f"{html.escape(name)} at step {point[0]:g}: {point[1]:.4g}"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{text}</title></circle>')
    body = "".join(parts)
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'role="img" font-size="11" fill="currentColor">{body}</svg></figure>'
    )


def _curves(content: Mapping[str, Any], controls: Mapping[str, ControlConfig]) -> list[str]:
    """The figures of all that was measured."""
    saves, floor = content["saves"], content["frechet_training"]
    figures = []
    names = (
        ("frechet", "Fréchet distance to held-out music", None if floor is None else ("training music", floor)),
        ("copying", "Copying score: 1 as new as other real music, 0 a copy", ("as new as real music", 1.0)),
        ("closer", "Share of windows suspiciously near to the training music", ("chance", 0.05)),
    )
    for key, title, level in names:
        curve = [(item["step"], item[key]) for item in saves if item[key] is not None]
        if curve:
            figures.append(curve_svg(title, {key: curve}, level))
    for name, control in controls.items():
        curve = [(item["step"], item["controls"][name]) for item in saves if name in item["controls"]]
        if curve:
            what = "share of pieces that hold it" if control.clock else "rank correlation of asked and measured"
            figures.append(curve_svg(f"{name}: {what}", {name: curve}))
    return figures


def _samples(folder: Path, best: int | None) -> list[str]:
    """Players with spectrograms, the latest first."""
    lines = []
    for audio in sorted(folder.glob("samples/step-*.flac"), reverse=True):
        step = int(audio.stem.partition("-")[2])
        mark = " (best)" if step == best else ""
        picture = audio.with_suffix(".png")
        image = f'<img src="samples/{picture.name}" alt="spectrogram" loading="lazy">' if picture.is_file() else ""
        player = f'<audio controls preload="none" src="samples/{audio.name}"></audio>'
        lines.append(f'<div class="sample"><h3>Step {step}{mark}</h3>{player}{image}</div>')
    return lines


def _number(value: float | None) -> str:
    """A number for the table."""
    return "" if value is None else f"{value:.3g}"


def write_report(folder: str | Path, content: Mapping[str, Any], controls: Mapping[str, ControlConfig]) -> Path:
    """Write the page.

    Args:
        folder: The run folder; samples are those in ``samples``.
        content: ``verdict``, ``best``, ``frechet_training`` and ``saves``, as ``evaluations.json`` holds them.
        controls: The preset's controls.

    Returns:
        The page.

    Raises:
        UserError: If it cannot be written.
    """
    folder = Path(folder)
    rows = [
        f"<tr><td>{item['step']}</td><td>{_number(item['frechet'])}</td><td>{_number(item['copying'])}</td>"
        f"<td>{_number(item['closer'])}</td></tr>"
        for item in content["saves"]
    ]
    name = html.escape(folder.resolve().name)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
        f'</head><body><h1>Fine-tuning {name}</h1><p class="word">{html.escape(content["verdict"])}</p>'
        f'<div class="curves">{"".join(_curves(content, controls))}</div>'
        "<h2>Samples</h2><p>The same piece at every save.</p>"
        f"{''.join(_samples(folder, content['best']))}"
        "<h2>Numbers</h2><table><tr><th>step</th><th>distance</th><th>copying</th><th>closer</th></tr>"
        f"{''.join(rows)}</table><p>Presets: <code>best</code> and <code>preset</code> (the last), beside this page."
        "</p></body></html>\n"
    )
    with replacing(folder / REPORT) as aside:
        aside.write_text(page, encoding="utf-8")
    return folder / REPORT
