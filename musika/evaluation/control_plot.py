"""The picture of what was asked for and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from musika.audio.writing import replacing
from musika.evaluation.control import Findings
from musika.settings import ControlConfig

_MOST_CURVES = 3


def save_control_plot(
    path: str | Path, control: ControlConfig, pieces: Findings, practice: Findings | None, title: str
) -> None:
    """Draw measured values over requested ones, and some curves over time, as a PNG.

    Args:
        path: The picture; its folder is made if need be.
        control: The control.
        pieces: What was found of pieces.
        practice: What was found of practice music, drawn in grey behind the pieces.
        title: The title.

    Raises:
        UserError: If the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = pieces.curves[:_MOST_CURVES]
    figure = Figure(figsize=(12 if curves else 5.5, 5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(max(len(curves), 1), 2 if curves else 1)
    _draw_scatter(figure.add_subplot(grid[:, 0]), control, pieces, practice)
    for place, curve in enumerate(curves):
        axes = figure.add_subplot(grid[place, 1])
        axes.plot(curve["seconds"], curve["requested"], color="black", linewidth=1.2, label="requested")
        found = [float("nan") if value is None else value for value in curve["measured"]]
        axes.plot(curve["seconds"], found, color="tab:blue", linewidth=1.2, label="measured")
        score = curve["spearman"]
        axes.set_title(f"seed {curve['seed']}: Spearman {'-' if score is None else f'{score:.3f}'}", fontsize=9)
        if place == 0:
            axes.legend(fontsize=8)
        if place == len(curves) - 1:
            axes.set_xlabel("seconds")
    figure.suptitle(title.replace("$", r"\$"))
    with replacing(path) as aside, open(aside, "wb") as handle:
        figure.savefig(handle, format="png", metadata={"Software": None})


def _draw_scatter(axes: Any, control: ControlConfig, pieces: Findings, practice: Findings | None) -> None:
    """Measured over requested, with the diagonal."""
    values = []
    series = [(practice, "true, practice music", "0.6", "x"), (pieces, "requested, pieces", "tab:blue", "o")]
    for findings, label, colour, marker in series:
        rows = [row for row in findings.constants if row["measured"] is not None] if findings else []
        if rows:
            asked, found = [row["requested"] for row in rows], [row["measured"] for row in rows]
            axes.scatter(asked, found, s=22, c=colour, marker=marker, label=label)
            values += asked
    if values:
        axes.plot([min(values), max(values)], [min(values), max(values)], color="black", linewidth=0.8)
        axes.legend(fontsize=8)
    if control.scaling == "log":
        axes.set_xscale("log")
        axes.set_yscale("log")
    unit = f" ({control.unit})" if control.unit else ""
    axes.set_xlabel(f"{control.name} requested{unit}")
    axes.set_ylabel(f"measured{unit}")
