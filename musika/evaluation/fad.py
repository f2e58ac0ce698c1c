"""The whole comparison of two sets of music, as one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.checks import UserError
from musika.evaluation.embedded import EmbeddedSet, choose_windows, match_windows
from musika.evaluation.frechet import Normal, fit_normal, normal_distance
from musika.evaluation.intervals import (
    LEAST_TRACKS,
    Extrapolation,
    extrapolate,
    generator,
    half_masks,
    interval,
    resample,
)
from musika.evaluation.kernel import KernelSums, kernel_sums, median_distance
from musika.evaluation.neighbours import NEIGHBOURS, copying_score, precision_recall
from musika.evaluation.statistics import Statistics

MOST_PAIRED = 5000  # windows on a side for what compares pairs: 25 million distances
_MOST_GROUPS = 1000  # groups of tracks in the kernel's sums
_FLOOR_REPEATS = 10
_UNEQUAL = 0.01  # share by which counts may differ without a warning

Side = EmbeddedSet | Statistics
Windows = NDArray[np.float32]


@dataclass(frozen=True)
class FadOptions:
    """What can be chosen about a comparison.

    Attributes:
        seed: Seed of everything that is drawn.
        match: Whether the larger set is cut to the smaller one's number of windows.
        shrink: Whether covariances are shrunk (Ledoit and Wolf), which any number of windows allows.
        infinity: Whether the distance is extrapolated to unlimited sample size.
        bootstrap: Draws for the 95 % intervals; 0 for none.
        per_track: Whether each evaluated track gets its own distance.
    """

    seed: int = 0
    match: bool = False
    shrink: bool = False
    infinity: bool = True
    bootstrap: int = 100
    per_track: bool = False


def check_enough(name: str, windows: int, embedding: dict[str, Any]) -> None:
    """Check that a covariance can be estimated.

    Args:
        name: The set's name in the message.
        windows: Its windows.
        embedding: The embedding, as `cache.describe` gives it.

    Raises:
        UserError: If there are not more windows than dimensions.
    """
    need = embedding["dimension"] + 1
    if windows < need:
        minutes = (need * embedding["hop_seconds"] + embedding["window_seconds"]) / 60
        raise UserError(
            f"{name} has {windows} windows of {embedding['name']!r}, but its {embedding['dimension']} dimensions need"
            f" at least {need}, about {minutes:.1f} minutes of audio. Give more audio, choose an embedding of fewer"
            " dimensions, or add --shrink for a shrunk estimate."
        )


def set_floor(reference: EmbeddedSet, embedding: dict[str, Any], options: FadOptions) -> dict[str, Any] | None:
    """How far apart two halves of the reference lie: what real music scores against real music.

    Args:
        reference: The reference.
        embedding: The embedding, as `cache.describe` gives it.
        options: ``seed`` and ``shrink`` count.

    Returns:
        ``frechet``, mean over seeded splits by tracks, its standard deviation ``frechet_deviation``, the windows of a
        half and ``repeats``; None where there is too little for two halves.
    """
    if len(reference.tracks) < 2:
        return None
    found, sizes = [], []
    for mask in half_masks(len(reference.tracks), _FLOOR_REPEATS, options.seed):
        halves = [
            [track for track, here in zip(reference.tracks, mask == side, strict=True) if here] for side in (1, 0)
        ]
        sizes += [sum(len(track) for track in half) for half in halves]
        if min(sizes) <= (1 if options.shrink else embedding["dimension"]):
            return None
        found.append(normal_distance(*(fit_normal(half, options.shrink) for half in halves)))
    return {
        "frechet": float(np.mean(found)),
        "frechet_deviation": float(np.std(found)),
        "windows": round(float(np.mean(sizes))),
        "repeats": _FLOOR_REPEATS,
    }


class Comparison:
    """Two sets, and everything that is measured between them.

    Args:
        reference: Real music, or its statistics.
        evaluated: What is measured, or its statistics.
        embedding: The embedding of both, as `cache.describe` gives it.
        options: What can be chosen.

    Attributes:
        scores: Measures by name; None where one cannot be had.
        details: What lies behind them.
        notes: Warnings, and why measures are missing.

    Raises:
        UserError: If a set has too few windows.
    """

    def __init__(self, reference: Side, evaluated: Side, embedding: dict[str, Any], options: FadOptions) -> None:
        self.embedding, self.options = embedding, options
        self.scores: dict[str, float | None] = {}
        self.details: dict[str, Any] = {}
        self.notes: list[str] = []
        self.reference, self.evaluated = self._matched(reference, evaluated)
        self._real, self._made = self._normal("REFERENCE", self.reference), self._normal("EVALUATED", self.evaluated)

    def _matched(self, reference: Side, evaluated: Side) -> tuple[Side, Side]:
        """Both sides with as many windows where that is wanted, and a warning where it is not."""
        counts = [self._count(side) for side in (reference, evaluated)]
        if abs(counts[0] - counts[1]) <= _UNEQUAL * max(counts):
            return reference, evaluated
        text = f"the reference has {counts[0]} windows and the evaluated set {counts[1]}"
        larger = reference if counts[0] > counts[1] else evaluated
        if self.options.match and isinstance(larger, EmbeddedSet):
            self.notes.append(f"{text}: matched at {min(counts)}")
            cut = match_windows(larger, min(counts), self.options.seed)
            return (cut, evaluated) if larger is reference else (reference, cut)
        reason = "statistics cannot be cut to match" if self.options.match else "--match makes them equal"
        self.notes.append(f"{text}, and the distance depends on it: {reason}")
        return reference, evaluated

    @staticmethod
    def _count(side: Side) -> int:
        return side.windows if isinstance(side, EmbeddedSet) else side.normal.count

    def _fit(self, tracks: Sequence[Windows]) -> Normal:
        return fit_normal(tracks, self.options.shrink)

    def _normal(self, name: str, side: Side) -> Normal:
        """The normal distribution of a side."""
        if isinstance(side, Statistics):
            return side.normal
        if not self.options.shrink:
            check_enough(name, side.windows, self.embedding)
        return self._fit(side.tracks)

    def frechet(self) -> None:
        """Measure the Fréchet distance, its interval and its extrapolation."""
        distance = normal_distance(self._real, self._made)
        self.scores["frechet"] = distance
        ends = self._frechet_interval(distance)
        self.scores["frechet_low"], self.scores["frechet_high"] = ends or (None, None)
        if self.options.infinity:
            line = self._extrapolation()
            self.scores["frechet_infinity"] = line.value if line else None
            self.scores["frechet_infinity_slope"] = line.slope if line else None
            self.scores["frechet_infinity_r2"] = line.r2 if line else None
            self.details["infinity"] = asdict(line) if line else None

    def _frechet_interval(self, distance: float) -> tuple[float, float] | None:
        """The bootstrap interval over the tracks of both sides (of statistics there are no tracks to draw)."""
        evaluated, count = self.evaluated, self.options.bootstrap
        if not count:
            return None
        if not isinstance(evaluated, EmbeddedSet) or len(evaluated.tracks) < LEAST_TRACKS:
            self.notes.append(f"no interval: resampling needs at least {LEAST_TRACKS} evaluated tracks (see --split)")
            return None
        rng, draws = generator(self.options.seed, 16), []
        for _ in range(count):
            real = self._real
            if isinstance(self.reference, EmbeddedSet) and len(self.reference.tracks) >= LEAST_TRACKS:
                tracks = self.reference.tracks
                real = self._fit([tracks[index] for index in resample(rng, len(tracks))])
            chosen = [evaluated.tracks[index] for index in resample(rng, len(evaluated.tracks))]
            draws.append(normal_distance(real, self._fit(chosen)))
        low, high = interval(distance, draws)
        return max(low, 0.0), high

    def _extrapolation(self) -> Extrapolation | None:
        least = 2 if self.options.shrink else self.embedding["dimension"] + 1
        line = None
        if isinstance(self.evaluated, EmbeddedSet):
            tracks = self.evaluated.tracks
            line = extrapolate(
                tracks, lambda chosen: normal_distance(self._real, self._fit(chosen)), least, self.options.seed
            )
        if line is None:
            self.notes.append(
                f"no FAD-infinity: it needs the evaluated set's tracks, at least {LEAST_TRACKS}, with well over"
                f" {least} windows altogether (see --split)"
            )
        elif line.value < 0:
            self.notes.append("FAD-infinity is below 0: there are too few tracks to extrapolate from")
        return line

    def pairs(self) -> None:
        """Measure what compares windows pair by pair: kernel distance, precision, recall, density and coverage."""
        names = ("kernel", "kernel_low", "kernel_high", "precision", "recall", "density", "coverage")
        self.scores.update(dict.fromkeys(names))
        if not isinstance(self.reference, EmbeddedSet) or not isinstance(self.evaluated, EmbeddedSet):
            self.notes.append("no kernel distance, precision or recall: statistics hold no windows")
            return
        real = choose_windows(self.reference.tracks, MOST_PAIRED, self.options.seed)
        made = choose_windows(self.evaluated.tracks, MOST_PAIRED, self.options.seed)
        joined = np.concatenate(real), np.concatenate(made)
        sums = kernel_sums(_grouped(real), _grouped(made), median_distance(joined[0], self.options.seed))
        self.scores["kernel"] = sums.distance()
        enough = min(len(sums.reference_sizes), len(sums.evaluated_sizes)) >= LEAST_TRACKS
        if self.options.bootstrap and enough:
            self.scores["kernel_low"], self.scores["kernel_high"] = self._kernel_interval(sums)
        self.details["pairs"] = {
            "bandwidth": sums.bandwidth,
            "reference_windows": len(joined[0]),
            "evaluated_windows": len(joined[1]),
            "neighbours": NEIGHBOURS,
        }
        if min(map(len, joined)) > NEIGHBOURS:
            self.scores |= precision_recall(*joined, NEIGHBOURS)
        if len(sums.reference_sizes) >= 2:
            masks = half_masks(len(sums.reference_sizes), _FLOOR_REPEATS, self.options.seed)
            self.details["kernel_floor"] = float(np.mean([sums.floor(mask) for mask in masks]))

    def _kernel_interval(self, sums: KernelSums) -> tuple[float, float]:
        rng, draws = generator(self.options.seed, 17), []
        counts = len(sums.reference_sizes), len(sums.evaluated_sizes)
        for _ in range(self.options.bootstrap):
            weights = [np.bincount(resample(rng, count), minlength=count) for count in counts]
            draws.append(sums.distance(*weights))
        return interval(sums.distance(), draws)

    def floor(self) -> None:
        """Measure the reference against itself."""
        if isinstance(self.reference, EmbeddedSet):
            floor = set_floor(self.reference, self.embedding, self.options)
        else:
            floor = self.reference.about.get("floor")
        if floor is None:
            self.notes.append("no floor: the reference is too small to be split into two halves of tracks")
        self.scores["floor_frechet"] = floor["frechet"] if floor else None
        self.scores["floor_kernel"] = self.details.pop("kernel_floor", None)
        self.details["floor"] = floor

    def each_track(self) -> None:
        """Measure every evaluated track against the reference, the worst first."""
        if not isinstance(self.evaluated, EmbeddedSet):
            self.notes.append("no distances of tracks: statistics hold no tracks")
            return
        found = []
        for name, track in zip(self.evaluated.names, self.evaluated.tracks, strict=True):
            if len(track) > 1:
                found.append({"track": name, "windows": len(track), "frechet": self._track_distance(track)})
        self.details["tracks"] = sorted(found, key=lambda entry: -entry["frechet"])

    def _track_distance(self, track: Windows) -> float:
        return normal_distance(self._real, self._fit([track]))

    def copying(self, training: EmbeddedSet) -> None:
        """Measure how near the evaluated windows come to training music, seen against the reference.

        Args:
            training: What the generator was trained on.

        Raises:
            UserError: If a side has only statistics, or the reference lies in the training music.
        """
        if not isinstance(self.reference, EmbeddedSet) or not isinstance(self.evaluated, EmbeddedSet):
            raise UserError("the copying score needs audio, not statistics, as REFERENCE and EVALUATED.")
        generated, trained, held_out = (
            np.concatenate(choose_windows(side.tracks, most, self.options.seed))
            for side, most in (
                (self.evaluated, MOST_PAIRED),
                (training, 10 * MOST_PAIRED),
                (self.reference, MOST_PAIRED),
            )
        )
        result = copying_score(generated, trained, held_out)
        self.scores["copying"] = result["score"]
        self.details["copying"] = result | {"training": training.about()}


def _grouped(tracks: list[Windows]) -> list[Windows]:
    """Tracks joined with their neighbours to a bounded number of groups."""
    if len(tracks) <= _MOST_GROUPS:
        return tracks
    places = np.array_split(np.arange(len(tracks)), _MOST_GROUPS)
    return [np.concatenate([tracks[index] for index in place]) for place in places]


def compare(
    reference: Side,
    evaluated: Side,
    embedding: dict[str, Any],
    options: FadOptions | None = None,
    training: EmbeddedSet | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Compare two sets of music.

    Args:
        reference: Real music, or its statistics.
        evaluated: What is measured, or its statistics.
        embedding: The embedding of both, as `cache.describe` gives it.
        options: What can be chosen.
        training: What a generator was trained on, for the copying score; the reference must not be in it.
        say: Told what is measured next.

    Returns:
        The report, as JSON can hold it: ``scores`` (numbers by name, None where one cannot be had), ``details``,
        ``notes``, ``reference``, ``evaluated``, ``embedding`` and ``settings``.

    Raises:
        UserError: If a set has too few windows.
    """
    options = options or FadOptions()
    comparison = Comparison(reference, evaluated, embedding, options)
    say("Fréchet distance")
    comparison.frechet()
    say("kernel distance and neighbours")
    comparison.pairs()
    say("floor")
    comparison.floor()
    if options.per_track:
        say("tracks")
        comparison.each_track()
    if training is not None:
        say("copying")
        comparison.copying(training)
    return {
        "scores": comparison.scores,
        "details": comparison.details,
        "notes": comparison.notes,
        "reference": _about(comparison.reference),
        "evaluated": _about(comparison.evaluated),
        "embedding": embedding,
        "settings": asdict(options),
    }


def _about(side: Side) -> dict[str, Any]:
    """What the report says of a side."""
    if isinstance(side, EmbeddedSet):
        return side.about()
    return {key: value for key, value in side.about.items() if key not in ("floor", "environment")} | {
        "statistics": True
    }
