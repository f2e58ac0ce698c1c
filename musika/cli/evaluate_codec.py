"""``musika evaluate codec PRESET DATA``: measure a codec, as a table and as JSON."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELP = "measure how well a preset's codec gives back what it is given"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: The parser.
    """
    parser.add_argument("preset", help="name or folder of a preset")
    parser.add_argument("data", help="audio that it was not trained on: file, folder, or corpus:techno|piano[:MINUTES]")
    parser.add_argument("--clips", type=int, default=16, help="clips of about 6 s to measure (default 16)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the corpus and of the choice of clips (default 1)")
    parser.add_argument("--no-griffin-lim", action="store_true", help="leave out the slow comparison")
    parser.add_argument("--out", help="file for the JSON report")


def run(args: argparse.Namespace) -> int:
    """Measure and report.

    Args:
        args: Parsed arguments.

    Returns:
        The exit status.
    """
    from musika.cli.quiet import import_keras

    import_keras()
    import math
    from pathlib import Path

    from tqdm import tqdm

    import musika
    from musika.checks import check_integer
    from musika.evaluation.reconstruction import clip_samples, mean_scores, measure_clips, standard_errors
    from musika.evaluation.report import environment, save_report, table

    check_integer(args.clips, "clips", 1, 10_000)
    check_integer(args.seed, "seed", 0, 2**63 - 1)
    codec = musika.load(args.preset).codec
    clips = _clips(args.data, args.clips, args.seed, clip_samples(codec.config), codec.config.sample_rate)
    with tqdm(total=len(clips), unit="clip", dynamic_ncols=True) as bar:
        rows = measure_clips(
            codec.networks, codec.config, clips, not args.no_griffin_lim, lambda done, total: bar.update()
        )
    scores, errors = mean_scores(rows), standard_errors(rows)
    print(table({key: {"mean": scores[key], "standard error": errors[key]} for key in scores}, "measure"))
    report: dict[str, Any] = {
        "kind": "codec",
        "command": f"musika evaluate codec {args.preset} {args.data} --clips {len(clips)} --seed {args.seed}",
        "preset": str(args.preset),
        "codec": codec.hash,
        "data": args.data,
        "seed": args.seed,
        "clips": len(clips),
        "scores": scores,
        "standard_errors": {key: error for key, error in errors.items() if not math.isnan(error)},
        "environment": environment(),
    }
    if args.out:
        save_report(Path(args.out), report)
        print(f"report: {args.out}")
    return 0


def _clips(data: str, count: int, seed: int, samples: int, sample_rate: int) -> list[NDArray[np.float32]]:
    """Mono clips, spread evenly over the tracks of a source."""
    import tempfile
    from pathlib import Path

    import numpy as np

    from musika.checks import UserError
    from musika.data.audio_pool import open_pool

    if data.startswith("corpus:") and data.count(":") == 1:
        data += f":{max(count * 16 / 60, 1):g}"
    with tempfile.TemporaryDirectory(prefix="musika-") as folder:
        pool = open_pool(data, Path(folder), sample_rate, 0.0, seed)
        tracks = [track for track in [*pool.held_out, *pool.train] if len(track) >= samples]
        if not tracks:
            raise UserError(f"data: {data} has no track of at least {samples / sample_rate:.1f} s. Give longer audio.")
        rng = np.random.Generator(np.random.Philox(key=[seed, 3]))
        clips = []
        for index in range(count):
            track = tracks[index % len(tracks)]
            start = rng.integers(len(track) - samples + 1)
            clips.append(track[start : start + samples, index % 2].astype(np.float32) / np.float32(32768))
    return clips
