"""Pictures of comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from musika.audio.writing import replacing

_MOST_BARS = 25


def save_fad_plot(path: str | Path, report: dict[str, Any]) -> None:
    """Draw a comparison as a PNG: the distance over the number of windows, the shares, and the worst tracks.

    Args:
        path: The picture; its folder is made if need be.
        report: What `fad.compare` gave.

    Raises:
        UserError: If the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tracks = report["details"].get("tracks") or []
    panels = 3 if tracks else 2
    figure = Figure(figsize=(5 * panels, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_distance(axes[0], report)
    names = [name for name in ("precision", "recall", "density", "coverage") if report["scores"].get(name) is not None]
    axes[1].bar(names, [report["scores"][name] for name in names], color="tab:blue")
    axes[1].axhline(1.0, color="grey", linewidth=0.8)
    axes[1].set_title("nearest neighbours" if names else "nearest neighbours: not measured")
    if tracks:
        shown = tracks[:_MOST_BARS][::-1]
        axes[2].barh([_plain(entry["track"])[-40:] for entry in shown], [entry["frechet"] for entry in shown])
        axes[2].tick_params(axis="y", labelsize=6)
        axes[2].set_title("distance of each track, the worst first")
    title = f"{report['embedding']['name']}: {report['evaluated']['source']} against {report['reference']['source']}"
    figure.suptitle(_plain(title))
    with replacing(path) as aside, open(aside, "wb") as handle:
        figure.savefig(handle, format="png", metadata={"Software": None})


def _plain(text: str) -> str:
    """Text without what matplotlib takes for formulas."""
    return text.replace("$", r"\$")


def _draw_distance(axis: Any, report: dict[str, Any]) -> None:
    """The Fréchet distance with its interval, the line of the extrapolation and the floor."""
    scores, line = report["scores"], report["details"].get("infinity")
    inverse = 1 / report["evaluated"]["windows"]
    if line:
        places = [1 / windows for windows in line["windows"]]
        axis.plot(places, line["distances"], "o", markersize=4, color="tab:blue", label="subsets of tracks")
        ends = [0.0, max(places)]
        axis.plot(ends, [line["value"] + line["slope"] * end for end in ends], "--", color="tab:blue")
        axis.plot([0.0], [line["value"]], "D", color="tab:orange", label=f"extrapolated: {line['value']:.3g}")
    error = None
    if scores.get("frechet_low") is not None:
        error = [[scores["frechet"] - scores["frechet_low"]], [scores["frechet_high"] - scores["frechet"]]]
    axis.errorbar(
        [inverse], [scores["frechet"]], error, fmt="s", color="black", capsize=4, label=f"all: {scores['frechet']:.3g}"
    )
    if scores.get("floor_frechet") is not None:
        axis.axhline(scores["floor_frechet"], color="tab:green", label=f"real halves: {scores['floor_frechet']:.3g}")
    axis.set_xlim(left=-0.02 * inverse)
    axis.set_ylim(bottom=min(0.0, *axis.get_ylim()))
    axis.set_xlabel("1 / windows")
    axis.set_title("Fréchet distance")
    axis.legend(fontsize=7)


def save_generator_plot(path: str | Path, report: dict[str, Any]) -> None:
    """Draw a generator's report as a PNG: for each embedding the distances with their intervals, and the shares.

    Args:
        path: The picture; its folder is made if need be.
        report: What `generator.evaluate_generator` gave.

    Raises:
        UserError: If the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    embeddings = list(report["embeddings"])
    rows = {name: row for name, row in report["rows"].items() if embeddings[0] in row}
    figure = Figure(figsize=(12, 3.2 * len(embeddings)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(embeddings), 2, squeeze=False)
    for (left, right), embedding in zip(axes, embeddings, strict=True):
        for place, row in enumerate(rows.values()):
            scores = row[embedding]
            ends = None
            if scores.get("frechet_low") is not None:
                ends = [[scores["frechet"] - scores["frechet_low"]], [scores["frechet_high"] - scores["frechet"]]]
            left.barh(place, scores["frechet"], xerr=ends, color=f"C{place}", capsize=3)
        left.set_yticks(range(len(rows)), list(rows))
        left.invert_yaxis()
        left.set_title(f"Fréchet distance, {embedding}")
        names = ("precision", "recall", "density", "coverage")
        for place, (name, row) in enumerate(rows.items()):
            places = [index + 0.8 * (place + 0.5) / len(rows) - 0.4 for index in range(len(names))]
            heights = [row[embedding][measure] or 0.0 for measure in names]
            right.bar(places, heights, 0.8 / len(rows), color=f"C{place}", label=name)
        right.set_xticks(range(len(names)), names)
        right.legend(fontsize=7)
    figure.suptitle(_plain(f"{report['preset']} against {report['data']}"))
    with replacing(path) as aside, open(aside, "wb") as handle:
        figure.savefig(handle, format="png", metadata={"Software": None})
