"""Whole folders to annotations: ``NAME.controls.json`` beside every latent file, or beside every audio file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from musika.audio.reading import AudioReader, find_audio, find_files, show_path
from musika.checks import UserError, check_choice, check_exists
from musika.data.annotation import ANNOTATION_ENDING, Annotation, annotation_path, load_annotation, save_annotation
from musika.data.annotators import ANNOTATORS, Recording
from musika.data.encode import MANIFEST, FileResult, check_any, relative_path, skipped, target_paths
from musika.data.latents import LATENT_ENDING, load_latents
from musika.data.measures import measure_control
from musika.settings import Config, ControlConfig

# What is measured for a config that has no controls of its own.
DEFAULT_CONTROLS = (
    ControlConfig("tempo", unit="BPM", low=60.0, high=200.0, clock=True),
    ControlConfig("note_density", unit="onsets a second", low=0.5, high=12.0, scaling="log", per="step"),
)


def choose_controls(config: Config, names: Sequence[str] | None = None) -> list[ControlConfig]:
    """The controls to measure: those of a config, or some of them.

    Args:
        config: The config. One without controls stands for tempo and note density.
        names: Names of the controls; None for all.

    Returns:
        The controls.

    Raises:
        UserError: If there is no control of a name.
    """
    known = {control.name: control for control in config.generator.controls or DEFAULT_CONTROLS}
    for name in names or []:
        check_choice(name, "control", list(known))
    return [known[name] for name in (known if names is None else names)]


@dataclass(frozen=True)
class _Place:
    """Where latents and audio lie.

    Attributes:
        root: The folder that is annotated.
        audio: The folder of the audio, if the user gave it.
        recorded: The same as encode's manifest has it; may be empty.
        sources: The audio file of each latent file, as the manifest has it.
    """

    root: Path
    audio: Path | None = None
    recorded: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    def find(self, latents: Path, named: str) -> Path:
        """The audio file that a latent file was made from, whether or not it is there.

        Args:
            latents: The latent file.
            named: The audio file as the latent file has it.

        Returns:
            Its path.
        """
        name = self.sources.get(latents.relative_to(self.root).as_posix(), Path(named).name)
        if self.audio is not None:
            return self.audio / name if (self.audio / name).parent.is_dir() else self.audio / Path(name).name
        beside = latents.parent / named
        return beside if beside.exists() or not self.recorded else Path(self.recorded) / name


def _place(root: Path, audio: str | Path | None) -> _Place:
    """Where latents and audio lie, by what the user gave and by encode's manifest."""
    given = None if audio is None else check_exists(audio, "folder of the audio")
    try:
        content = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        sources = {entry["latents"]: entry["source"] for entry in content["files"] if "latents" in entry}
        return _Place(root, given, str(content.get("audio", "")), sources)
    except (OSError, ValueError, KeyError, TypeError):
        return _Place(root, given)


def _jobs(root: Path) -> list[tuple[Path, Path]]:
    """What there is to annotate, latent files or else audio files, and where each annotation goes."""
    files = find_files(root, {LATENT_ENDING})
    if files:
        return [(path, annotation_path(path)) for path in files]
    files = find_audio(root)
    if not files:
        raise UserError(
            f"there are neither latent files nor audio files in the folder {show_path(root)}."
            " Give a folder that `musika encode` wrote, or one of audio files."
        )
    return list(zip(files, target_paths(files, root, root, ANNOTATION_ENDING), strict=True))


def _open(source: Path, place: _Place, config: Config, annotator: str) -> Recording:
    """The recording of a latent or audio file; its audio is not read yet."""
    hop, rate = config.latent_hop, config.sample_rate
    if source.suffix.lower() != LATENT_ENDING:
        with AudioReader(source, rate) as reader:
            samples = reader.samples
        steps = -(-(samples + config.spectral.overlap) // hop)
        return Recording(source, steps, config.latent_rate, samples, rate, annotator)
    latents = load_latents(source)
    samples, steps = latents.samples, len(latents.latents)
    if latents.sample_rate != rate or abs(steps * hop - samples) > 2 * hop:
        raise UserError(
            f"its latents are {samples / max(steps, 1):.0f} samples a step at {latents.sample_rate} Hz, not those"
            f" of the config {config.name} ({hop} at {rate} Hz). Give --config another."
        )
    audio = place.find(source, latents.source)
    return Recording(audio, steps, config.latent_rate, samples, rate, annotator)


def annotate(recording: Recording, controls: Sequence[ControlConfig], folder: Path) -> Annotation:
    """Listen to a recording and measure its controls.

    Args:
        recording: The recording.
        controls: The controls.
        folder: Folder from which ``source`` is seen.

    Returns:
        The annotation.

    Raises:
        UserError: If the annotator or a measure cannot do it.
    """
    events = recording.events
    return Annotation(
        source=relative_path(recording.path, folder) if recording.path else "",
        annotator=recording.annotator,
        latent_rate=recording.latent_rate,
        steps=recording.steps,
        tempo=events.tempo,
        tempo_confidence=events.tempo_confidence,
        beats=events.beats,
        bars=events.bars,
        controls={control.name: measure_control(recording, control) for control in controls},
        onsets=events.onsets,
    )


def _is_done(target: Path, annotator: str, controls: Sequence[ControlConfig]) -> bool:
    """Whether a file has its annotation, by this annotator and with these controls."""
    try:
        done = load_annotation(target)
    except UserError:
        return False
    return done.annotator == annotator and {control.name for control in controls} <= set(done.controls)


def annotate_folder(
    folder: str | Path,
    config: Config,
    controls: Sequence[ControlConfig],
    annotator: str = "librosa",
    audio: str | Path | None = None,
    again: bool = False,
    progress: bool = False,
) -> list[FileResult]:
    """Write an annotation beside every latent file of a folder, or beside every audio file where it holds no latents.

    A file that cannot be used is skipped.

    Args:
        folder: The folder, searched with its subfolders.
        config: Says the latent rate.
        controls: The controls to measure.
        annotator: Name of the annotator.
        audio: Folder of the audio that the latents were made from; None for where encode found it.
        again: Whether to make anew what is already there.
        progress: Whether to show a progress bar.

    Returns:
        A result for every file.

    Raises:
        UserError: If there is nothing, nothing can be used, or an annotation cannot be written.
    """
    from tqdm import tqdm

    check_choice(annotator, "annotator", list(ANNOTATORS))
    root, results = check_exists(folder, "folder of latent or audio files"), []
    place = _place(root, audio)
    for source, target in tqdm(_jobs(root), desc="annotate", unit="file", disable=not progress, leave=False):
        if not again and _is_done(target, annotator, controls):
            results.append(FileResult(source, target, note="was done before (--again makes it anew)"))
            continue
        try:
            recording = _open(source, place, config, annotator)
            annotation = annotate(recording, controls, target.parent)
        except UserError as error:
            results.append(skipped(source, error))
            continue
        save_annotation(target, annotation)
        unknown = [name for name, value in annotation.controls.items() if value is None]
        note = f"{annotator} does not tell {', '.join(unknown)}" if unknown else ""
        results.append(FileResult(source, target, recording.seconds, note))
    check_any(results, root)
    return results


def annotation_table(results: Sequence[FileResult], folder: str | Path) -> str:
    """Say what became of the files: every one that was skipped, and how many there are of each other kind.

    Args:
        results: What ``annotate_folder`` gave.
        folder: The folder.

    Returns:
        Lines of text.

    >>> done = FileResult(Path("a.npz"), Path("a.controls.json"), note="labels does not tell note_density")
    >>> print(annotation_table([done, FileResult(Path("b.npz"), None, note="damaged")], "latents"))
    skipped   b.npz: damaged
    skipped   1
    annotated 1: labels does not tell note_density
    in all    2 files   latents
    """
    skips = [result for result in results if result.target is None]
    lines = [f"skipped   {show_path(result.source)}: {result.note}" for result in skips]
    lines += [f"skipped   {len(skips)}"] if skips else []
    notes = Counter(result.note for result in results if result.target is not None)
    lines += [f"annotated {count}{': ' if note else ''}{note}" for note, count in notes.items()]
    return "\n".join([*lines, f"in all    {len(results)} file{'s' if len(results) != 1 else ''}   {show_path(folder)}"])
