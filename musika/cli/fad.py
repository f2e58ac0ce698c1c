"""``musika fad REFERENCE EVALUATED``: how far one set of music lies from another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musika.evaluation.fad import FadOptions, Side

HELP = "measure how far music lies from reference music: Fréchet audio distance and its kin"

_ROWS = {
    "Fréchet distance": ("frechet", "frechet_low", "frechet_high", "floor_frechet"),
    "FAD-infinity": ("frechet_infinity", "", "", ""),
    "  slope": ("frechet_infinity_slope", "", "", ""),
    "  r²": ("frechet_infinity_r2", "", "", ""),
    "kernel distance (x100)": ("kernel", "kernel_low", "kernel_high", "floor_kernel"),
    "precision": ("precision", "", "", ""),
    "recall": ("recall", "", "", ""),
    "density": ("density", "", "", ""),
    "coverage": ("coverage", "", "", ""),
    "copying (0 copy, 1 new)": ("copying", "", "", ""),
}
_NAMED_TRACKS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Args:
        parser: The verb's parser.
    """
    source = "folder of audio, audio file, or statistics (.npz)"
    parser.add_argument("reference", metavar="REFERENCE", nargs="?", help=f"real music: {source}")
    parser.add_argument("evaluated", metavar="EVALUATED", nargs="?", help=f"what is measured: {source}")
    parser.add_argument("--embedding", default="logmel", metavar="NAME", help="see --list (default: logmel)")
    parser.add_argument("--preset", metavar="NAME|DIR", help="preset whose latents are the embedding `codec`")
    parser.add_argument("--weights", metavar="FILE", help="weights of the embedding, where it has any")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another option of the embedding: hop=0.5",
    )
    parser.add_argument("--list", action="store_true", help="list the embeddings and stop")
    parser.add_argument("--json", metavar="OUT", help="write the report with all settings")
    parser.add_argument("--plot", metavar="OUT", help="draw the report as a PNG")
    parser.add_argument("--save-statistics", metavar="OUT", help="save REFERENCE's statistics (.npz), to be shared")
    parser.add_argument("--training", metavar="DIR", help="a generator's training music: adds the copying score")
    parser.add_argument("--per-track", action="store_true", help="also the distance of each track, the worst first")
    parser.add_argument(
        "--infinity",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="extrapolate to unlimited sample size (default: yes)",
    )
    parser.add_argument("--bootstrap", type=int, default=100, metavar="N", help="draws of the intervals (default: 100)")
    parser.add_argument("--match", action="store_true", help="cut the larger set to as many windows as the other has")
    parser.add_argument("--shrink", action="store_true", help="shrunk covariances (Ledoit-Wolf), for few windows")
    parser.add_argument("--split", type=float, metavar="S", help="let every S seconds of a long file count as a track")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all that is drawn (default: 0)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="files embedded at once (default: 1)")
    parser.add_argument("--cache", metavar="DIR", help="where embeddings are kept (default: in ~/.cache/musika)")
    parser.add_argument("--clear", action="store_true", help="forget the embeddings that are kept first")


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: The parsed arguments.

    Returns:
        Exit status 0.

    Raises:
        UserError: If an argument is out of its range, a set cannot be used or is too small.
    """
    from musika.checks import UserError
    from musika.evaluation.cache import EmbeddingCache

    if args.list:
        print(_list())
        return 0
    cache = EmbeddingCache(args.cache)
    if args.clear:
        print(f"cleared {cache.clear()} embeddings in {cache.folder}")
        if args.reference is None:
            return 0
    if args.reference is None:
        raise UserError("give REFERENCE and EVALUATED: folders of audio, audio files or statistics (.npz).")
    if args.evaluated is None and not args.save_statistics:
        raise UserError("give EVALUATED as well, or --save-statistics to keep REFERENCE's statistics.")
    options = _options(args)
    measure = _Measure(args, options)
    reference = measure.side(args.reference)
    if args.save_statistics:
        measure.save(reference)
    if args.evaluated is None:
        return 0
    report = measure.report(reference)
    print("\n".join(_lines(report)))
    _write(args, report)
    return 0


def _options(args: argparse.Namespace) -> FadOptions:
    """Check the numbers, and gather what `compare` takes."""
    from musika.checks import UserError, check_integer, check_number
    from musika.evaluation.embedded import MOST_PROCESSES
    from musika.evaluation.fad import FadOptions
    from musika.evaluation.statistics import STATISTICS_ENDING

    check_integer(args.seed, "seed", 0, 2**63 - 1)
    check_integer(args.bootstrap, "bootstrap", 0, 100_000)
    check_integer(args.processes, "processes", 1, MOST_PROCESSES)
    if args.split is not None:
        check_number(args.split, "split", above=0.0)
    if args.save_statistics and not args.save_statistics.lower().endswith(STATISTICS_ENDING):
        raise UserError(f"--save-statistics must end in {STATISTICS_ENDING}. Received: {args.save_statistics}")
    return FadOptions(args.seed, args.match, args.shrink, args.infinity, args.bootstrap, args.per_track)


def _embedding_options(given: list[str]) -> dict[str, str]:
    """Options of an embedding from ``NAME=VALUE``."""
    from musika.checks import UserError

    for text in given:
        if not text.partition("=")[0].isidentifier() or not text.partition("=")[2]:
            raise UserError(f"--option must be NAME=VALUE, such as hop=0.5. Received: {text!r}")
    return {name: value for name, _, value in (text.partition("=") for text in given)}


class _Measure:
    """What one run of the verb has in hand: the embedding, the cache and the options."""

    def __init__(self, args: argparse.Namespace, options: FadOptions) -> None:
        import functools

        from musika.checks import check_choice
        from musika.cli.quiet import import_keras
        from musika.evaluation.cache import EmbeddingCache, describe
        from musika.evaluation.embedded import opened
        from musika.evaluation.embeddings import EMBEDDINGS, load_embedding

        self.args, self.options, self.cache = args, options, EmbeddingCache(args.cache)
        check_choice(args.embedding, "embedding", list(EMBEDDINGS))
        if args.embedding != "logmel":
            import_keras()
        given = {"preset": args.preset, "weights": args.weights, **_embedding_options(args.option)}
        self.open = functools.partial(load_embedding, args.embedding, **given)
        self.embedding = describe(opened(self.open))

    def side(self, source: str) -> Side:
        """A set from audio or statistics."""
        from pathlib import Path

        from musika.evaluation.embedded import embed_source, split_tracks
        from musika.evaluation.statistics import STATISTICS_ENDING, check_same_embedding, load_statistics

        if Path(source).suffix.lower() == STATISTICS_ENDING and not Path(source).is_dir():
            statistics = load_statistics(source)
            check_same_embedding(statistics, self.embedding, source)
            return statistics
        found = embed_source(source, self.open, self.cache, self.args.processes, True, self.embedding)
        if self.args.split is not None:
            found = split_tracks(found, self.args.split, self.embedding["hop_seconds"])
        return found

    def save(self, reference: Side) -> None:
        """Save the reference's statistics."""
        from musika.checks import UserError
        from musika.evaluation.embedded import EmbeddedSet
        from musika.evaluation.fad import check_enough, set_floor
        from musika.evaluation.frechet import fit_normal
        from musika.evaluation.report import environment
        from musika.evaluation.statistics import Statistics, save_statistics

        if not isinstance(reference, EmbeddedSet):
            raise UserError("--save-statistics: REFERENCE is statistics already; copy the file.")
        if not self.options.shrink:
            check_enough("REFERENCE", reference.windows, self.embedding)
        floor = set_floor(reference, self.embedding, self.options)
        about = reference.about() | {"floor": floor, "environment": environment()}
        normal = fit_normal(reference.tracks, self.options.shrink)
        save_statistics(self.args.save_statistics, Statistics(normal, self.embedding, about))
        print(f"statistics of {reference.windows} windows: {self.args.save_statistics}")

    def report(self, reference: Side) -> dict[str, Any]:
        """Compare, and say how."""
        import sys

        import soundfile

        from musika.data.encode import results_table
        from musika.evaluation.embedded import EmbeddedSet
        from musika.evaluation.fad import compare
        from musika.evaluation.report import environment

        evaluated = self.side(self.args.evaluated)
        training = self.side(self.args.training) if self.args.training else None
        if training is not None and not isinstance(training, EmbeddedSet):
            from musika.checks import UserError

            raise UserError("--training must be audio: the copying score needs windows, not statistics.")
        report = compare(
            reference,
            evaluated,
            self.embedding,
            self.options,
            training,
            lambda line: print(f"measuring: {line} ...", file=sys.stderr, flush=True),
        )
        for side in (reference, evaluated):
            if isinstance(side, EmbeddedSet):
                print(results_table(list(side.results), side.source))
        return {
            "kind": "fad",
            "command": _command(self.args),
            **report,
            "split_seconds": self.args.split,
            "decoder": f"libsndfile {soundfile.__libsndfile_version__}",
            "environment": environment(),
        }


def _command(args: argparse.Namespace) -> str:
    """The command that gives these figures again."""
    import shlex

    words = ["musika", "fad", args.reference, args.evaluated, "--embedding", args.embedding, "--seed", str(args.seed)]
    for name in ("preset", "weights", "training", "split"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    words += [word for text in args.option for word in ("--option", text)]
    words += [f"--{name}" for name in ("match", "shrink") if getattr(args, name)]
    words += ["--per-track"] if args.per_track else []
    words += [] if args.infinity else ["--no-infinity"]
    return shlex.join([*words, "--bootstrap", str(args.bootstrap)])


def _list() -> str:
    """The embeddings and what is known of them."""
    from musika.evaluation.embeddings import EMBEDDINGS
    from musika.evaluation.report import table

    return table({name: entry.row() for name, entry in EMBEDDINGS.items()}, "embedding")


def _number(value: float | None) -> str:
    """A score for people.

    >>> _number(0.12345), _number(None)
    ('0.1235', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def _lines(report: dict[str, Any]) -> list[str]:
    """The report as text."""
    from musika.evaluation.report import table

    scores, embedding = report["scores"], report["embedding"]
    rows = {}
    for label, (name, low, high, floor) in _ROWS.items():
        if name in scores:
            between = f"{_number(scores[low])} to {_number(scores[high])}" if scores.get(low) is not None else ""
            rows[label] = {
                "value": _number(scores[name]),
                "95 % interval": between,
                "real halves": _number(scores.get(floor)) if floor else "",
            }
    lines = [
        table(rows, f"{embedding['name']}, {embedding['dimension']} dimensions"),
        f"windows of {embedding['window_seconds']:.3g} s: {report['reference']['windows']} reference,"
        f" {report['evaluated']['windows']} evaluated",
    ]
    tracks = report["details"].get("tracks") or []
    if tracks:
        lines.append(f"the worst of {len(tracks)} tracks:")
        lines += [f"  {entry['frechet']:10.4g}  {entry['track']}" for entry in tracks[:_NAMED_TRACKS]]
    lines += [f"note: {note}" for note in report["notes"]]
    if embedding["note"]:
        lines.append(f"{embedding['name']}: {embedding['note']}")
    return lines


def _write(args: argparse.Namespace, report: dict[str, Any]) -> None:
    """Write the report and the picture where they are wanted."""
    from pathlib import Path

    from musika.evaluation.plots import save_fad_plot
    from musika.evaluation.report import save_report

    if args.json:
        save_report(Path(args.json), report)
        print(f"report: {args.json}")
    if args.plot:
        save_fad_plot(args.plot, report)
        print(f"picture: {args.plot}")
