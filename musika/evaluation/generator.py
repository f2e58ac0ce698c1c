"""How close generated music comes to real music, beside what real music and the codec reach.

The reference's tracks are split into two halves. All rows are compared with the first half, by as many clips of one
length: the second half (the floor, real against real), the second half through the codec, generated pieces, and
generated pieces that were asked for values of their controls. Clips of real music start anywhere, pieces at time zero.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
from numpy.typing import NDArray

from musika.checks import UserError
from musika.data.audio_pool import open_pool
from musika.evaluation.cache import describe
from musika.evaluation.embedded import EmbeddedSet
from musika.evaluation.fad import FadOptions, compare
from musika.evaluation.intervals import generator as random_generator
from musika.evaluation.neighbours import copying_score
from musika.evaluation.report import table
from musika.evaluation.sound import sound_measures
from musika.gan.conditioning import value_of_share

if TYPE_CHECKING:
    from musika.evaluation.embeddings.base import Embedding
    from musika.presets import Preset
    from musika.settings import ControlConfig

Floats = NDArray[np.float32]
Clip = tuple[Floats, Floats]  # waveform (samples, 2) and latents (steps, channels)

REAL, CODEC, GENERATED, CONTROLLED = "real, other tracks", "through the codec", "generated", "generated, controlled"
REFERENCE = "reference"
_PIECE_LENGTHS = 10  # of each piece's latents, in which the steps at seams are measured
MEASURES = ("frechet", "frechet_infinity", "kernel", "precision", "recall", "density", "coverage")
_SOUND_HEADS = {
    "above 8 kHz (dB)": "treble_db",
    "side / mid (dB)": "width_db",
    "loudness (LUFS)": "loudness_lufs",
    "loudness range (LU)": "loudness_range_lu",
    "off pitch (cents)": "pitch_off_cents",
    "pitch moves (cents)": "pitch_moves_cents",
    "seam flux": "seam_flux",
    "seam step": "seam_step",
}
COPYING_STEPS = 8  # latent steps that are compared with training music as one: about 0.75 s
MOST_TRAINING = 20_000  # windows of training music
_CORPUS_TRACK_SECONDS = 32.0


@dataclass(frozen=True)
class GeneratorStudy:
    """What is measured.

    Attributes:
        pieces: Pieces, and clips in each half of the reference.
        seconds: Length of each.
        seed: Seed of the corpus, the halves, the clips and the drawn values; piece ``i`` has the seed ``seed + i``.
        options: Of the comparisons.
    """

    pieces: int = 32
    seconds: float = 26.0
    seed: int = 1
    options: FadOptions = field(default_factory=FadOptions)


@dataclass
class _Measured:
    """Some clips as windows and numbers."""

    tracks: dict[str, list[Floats]]
    sound: list[dict[str, float]] = field(default_factory=list)
    latents: list[Floats] = field(default_factory=list)

    def as_set(self, source: str, embedding: str) -> EmbeddedSet:
        """The windows of one embedding."""
        tracks = self.tracks[embedding]
        return EmbeddedSet(source, tuple(f"{source} {index}" for index in range(len(tracks))), tuple(tracks))

    def mean_sound(self) -> dict[str, float | None]:
        """Mean of every measure over the clips that have it."""
        means: dict[str, float | None] = {}
        for key in self.sound[0]:
            values = [row[key] for row in self.sound if np.isfinite(row[key])]
            means[key] = float(np.mean(values)) if values else None
        return means


def real_clips(data: str, study: GeneratorStudy, sample_rate: int) -> tuple[list[Floats], list[Floats]]:
    """Cut clips out of two halves of real music that have no track in common.

    Args:
        data: Folder of audio, or ``corpus:KIND[:MINUTES]``.
        study: What is measured.
        sample_rate: Samples a second.

    Returns:
        Clips `(samples, 2)` of each half, ``study.pieces`` of each.

    Raises:
        UserError: If there is too little music.
    """
    samples = round(study.seconds * sample_rate)
    if data.startswith("corpus:") and data.count(":") == 1:
        data += f":{2 * study.pieces * max(_CORPUS_TRACK_SECONDS, study.seconds) / 60:g}"
    halves = []
    with tempfile.TemporaryDirectory(prefix="musika-") as folder:
        pool = open_pool(data, Path(folder), sample_rate, 0.5, study.seed)
        for stream, tracks in enumerate((pool.held_out, pool.train)):
            rng = random_generator(study.seed, 18 + stream)
            # first one clip of each track, then a second one, ...
            places = sorted(
                (slot, index) for index, track in enumerate(tracks) for slot in range(len(track) // samples)
            )
            if len(places) < study.pieces:
                raise UserError(
                    f"the reference {data} holds {len(places)} clips of {study.seconds:g} s in one half of its tracks,"
                    f" but {study.pieces} are wanted. Give more music, or lower --pieces or --seconds."
                )
            clips = []
            for slot, index in places[: study.pieces]:
                track = tracks[index]
                slots = len(track) // samples
                start = slot * (len(track) // slots) + int(rng.integers(len(track) // slots - samples + 1))
                clips.append(track[start : start + samples].astype(np.float32) / np.float32(32768))
            halves.append(clips)
    return halves[0], halves[1]


def draw_values(controls: dict[str, ControlConfig], study: GeneratorStudy) -> list[dict[str, Any]]:
    """Draw values of controls as often as the training music has them.

    Args:
        controls: The controls by name.
        study: What is measured; its seed decides.

    Returns:
        Values by name for each piece; where quantiles are not known, evenly drawn over the learned range in the
        control's own scaling, classes alike.
    """
    rng = random_generator(study.seed, 20)
    pieces = []
    for _ in range(study.pieces):
        values: dict[str, Any] = {}
        for name, control in controls.items():
            place = float(rng.uniform(-1.0, 1.0))
            if control.classes:
                values[name] = control.classes[
                    min(int((place + 1) / 2 * len(control.classes)), len(control.classes) - 1)
                ]
            else:
                values[name] = round(value_of_share(control, (place + 1) / 2), 4)
        pieces.append(values)
    return pieces


class _Bench:
    """A preset with the embeddings that it is measured by."""

    def __init__(self, preset: Preset, embeddings: Sequence[Embedding], study: GeneratorStudy) -> None:
        self.preset, self.embeddings, self.study = preset, embeddings, study

    def encoded(self, clips: Sequence[Floats]) -> Iterator[Clip]:
        """Real clips with their latents."""
        for audio in clips:
            yield audio, self.preset.codec.encode(audio)

    def through_codec(self, clips: Sequence[Floats]) -> Iterator[Clip]:
        """The same after the codec."""
        for index, (audio, latents) in enumerate(self.encoded(clips)):
            yield self.preset.codec.decode(latents, samples=len(audio), seed=index), latents

    def pieces(self, values: Sequence[dict[str, Any]]) -> Iterator[Clip]:
        """Generated pieces, with their latents and those of what would come next: few seams lie in what is heard."""
        steps = _PIECE_LENGTHS * round(self.study.seconds * self.preset.config.latent_rate)
        for index, controls in enumerate(values):
            piece = self.preset.piece(self.study.seed + index, seconds=self.study.seconds, **controls)
            yield piece.render(0.0, self.study.seconds), piece.latents(0, steps)

    def measure(self, clips: Iterator[Clip], step: Callable[[], object]) -> _Measured:
        """Measure clips one by one; only windows, numbers and latents are kept."""
        found = _Measured({embedding.name: [] for embedding in self.embeddings})
        rate = self.preset.config.sample_rate
        for audio, latents in clips:
            for embedding in self.embeddings:
                fitting = audio if embedding.sample_rate == rate else soxr.resample(audio, rate, embedding.sample_rate)
                windows = embedding.embed(iter([fitting]))
                if not len(windows):
                    raise UserError(f"clips of {self.study.seconds:g} s are shorter than a window of {embedding.name}.")
                found.tracks[embedding.name].append(windows)
            found.sound.append(sound_measures(audio, latents, self.preset.config))
            found.latents.append(latents[: len(audio) // self.preset.config.latent_hop])
            step()
        return found


def stacked_latents(latents: Sequence[Floats], hop: int = COPYING_STEPS) -> Floats:
    """Latents in windows of several steps, as the copying score compares them.

    Args:
        latents: Latents `(steps, channels)` of each piece.
        hop: Steps from one window to the next.

    Returns:
        Windows `(windows, COPYING_STEPS * channels)`.

    >>> stacked_latents([np.zeros((20, 2), np.float32)]).shape
    (2, 16)
    """
    windows = [
        part[start : start + COPYING_STEPS].reshape(-1)
        for part in latents
        for start in range(0, len(part) - COPYING_STEPS + 1, hop)
    ]
    channels = latents[0].shape[1] if len(latents) else 0
    return np.stack(windows) if windows else np.zeros((0, COPYING_STEPS * channels), np.float32)


def training_windows(folder: str | Path, codec_hash: str, seed: int) -> Floats:
    """Windows of the latents that a generator was trained on.

    Args:
        folder: Folder of latent files.
        codec_hash: Hash of the codec that they must be of.
        seed: Seed of the choice, where there are more than 20,000.

    Returns:
        As `stacked_latents`, a window every second step.

    Raises:
        UserError: If there are no latent files, or another codec made them.
    """
    from musika.data.encode import latent_sources
    from musika.data.latents import load_latents

    parts = [stacked_latents([load_latents(path, codec_hash).latents], 2) for path in latent_sources(folder)]
    windows = np.concatenate(parts)
    if not len(windows):
        raise UserError(f"{folder}: the latents are shorter than {COPYING_STEPS} steps. Give the training latents.")
    if len(windows) > MOST_TRAINING:
        chosen = random_generator(seed, 21).choice(len(windows), MOST_TRAINING, replace=False)
        windows = windows[np.sort(chosen)]
    return windows


def evaluate_generator(
    preset: Preset,
    data: str,
    embeddings: Sequence[Embedding],
    study: GeneratorStudy,
    training: str | Path | None = None,
    step: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Measure a preset's music against real music.

    Args:
        preset: The preset, with a generator.
        data: The reference, which the preset was not trained on: folder of audio, or ``corpus:KIND[:MINUTES]``.
        embeddings: By which embeddings.
        study: What is measured.
        training: Folder of the latents that the generator was trained on, for the copying score.
        step: Called after each clip.

    Returns:
        The report, as JSON can hold it: ``rows`` (measures by row and embedding, ``sound`` among them), ``scores`` (the
        same flat), ``embeddings``, ``seeds``, ``controls``, ``copying`` and ``settings``.

    Raises:
        UserError: If there is no generator, or too little music.
    """
    if preset.generator is None:
        raise UserError(f"preset {preset.name!r} has no generator. `musika evaluate codec` measures its codec.")
    known = None if training is None else training_windows(training, preset.codec.hash, study.seed)
    bench = _Bench(preset, embeddings, study)
    ours, theirs = real_clips(data, study, preset.config.sample_rate)
    values = draw_values(preset.controls, study) if preset.controls else []
    sets = {
        REFERENCE: bench.measure(bench.encoded(ours), step),
        REAL: bench.measure(bench.encoded(theirs), step),
        CODEC: bench.measure(bench.through_codec(theirs), step),
        GENERATED: bench.measure(bench.pieces([{}] * study.pieces), step),
    }
    if values:
        sets[CONTROLLED] = bench.measure(bench.pieces(values), step)
    about = {embedding.name: describe(embedding) for embedding in embeddings}
    rows = {name: _row(sets, name, about, study.options) for name in sets}
    copying = None
    if known is not None:
        held_out = stacked_latents(sets[REFERENCE].latents)
        copying = {
            name: copying_score(stacked_latents(sets[name].latents), known, held_out)
            for name in (REAL, GENERATED, CONTROLLED)
            if name in sets
        }
    return {
        "rows": rows,
        "scores": _flat(rows, copying),
        "copying": copying,
        "embeddings": about,
        "seeds": [study.seed + index for index in range(study.pieces)],
        "controls": values,
        "settings": asdict(study),
    }


def _row(sets: dict[str, _Measured], name: str, about: dict[str, Any], options: FadOptions) -> dict[str, Any]:
    """A row: its sound, and its distances to the reference in each embedding."""
    row: dict[str, Any] = {"sound": sets[name].mean_sound()}
    if name != REFERENCE:
        for embedding, description in about.items():
            report = compare(
                sets[REFERENCE].as_set(REFERENCE, embedding), sets[name].as_set(name, embedding), description, options
            )
            counts = {"windows": report["evaluated"]["windows"], "reference_windows": report["reference"]["windows"]}
            row[embedding] = report["scores"] | counts | {"notes": report["notes"]}
    return row


def _flat(rows: dict[str, Any], copying: dict[str, Any] | None) -> dict[str, float]:
    """The main figures under one name each."""
    short = {REAL: "real", CODEC: "codec", GENERATED: "generated", CONTROLLED: "controlled"}
    scores = {}
    for name, key in short.items():
        for embedding, values in rows.get(name, {}).items():
            for measure in values if embedding == "sound" else MEASURES:
                if values.get(measure) is not None:
                    scores[f"{key}_{embedding}_{measure}"] = values[measure]
        if copying and name in copying:
            scores[f"{key}_copying"] = copying[name]["score"]
    return scores


def _shown(value: float | None) -> str:
    """A figure in a table."""
    return "-" if value is None else f"{value:.3g}"


def quality_tables(report: dict[str, Any]) -> str:
    """The report as Markdown: a table for each embedding, and one of sound.

    Args:
        report: What `evaluate_generator` gave.

    Returns:
        The tables, with blank lines between.
    """
    tables = []
    for embedding in report["embeddings"]:
        lines = {}
        for name, row in report["rows"].items():
            if name == REFERENCE:
                continue
            values = row[embedding]
            cells = {"Fréchet": _shown(values["frechet"])}
            low, high = values.get("frechet_low"), values.get("frechet_high")
            cells["95 %"] = "-" if low is None else f"{_shown(low)} to {_shown(high)}"
            cells["FAD-infinity"] = _shown(values.get("frechet_infinity"))
            cells |= {name: _shown(values[name]) for name in MEASURES[2:]}
            lines[name] = cells
        tables.append(table(lines, embedding))
    sound = {}
    for name, row in report["rows"].items():
        sound[name] = {head: _shown(row["sound"][key]) for head, key in _SOUND_HEADS.items()}
        if report["copying"]:
            sound[name]["copying"] = _shown(report["copying"].get(name, {}).get("score"))
    return "\n\n".join([*tables, table(sound, "sound")])
