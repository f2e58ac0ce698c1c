"""Practice music with exactly known labels, synthesised far faster than it sounds.

`render_track` makes one track, `write_corpus` a folder of them. A track is a pure function of its kind, seed, index and
length, so a corpus can be made again to the byte, in any order and on any number of processes.

>>> track = render_track("techno", seed=1, index=0, seconds=2.0)
>>> track.audio.shape, track.labels.beats[0].item()
((88200, 2), 0.0)
"""

from __future__ import annotations

from musika.corpus.folder import write_corpus
from musika.corpus.labels import Labels, labels_path, read_labels, write_labels
from musika.corpus.tracks import KINDS, Track, render_track

__all__ = ["KINDS", "Labels", "Track", "labels_path", "read_labels", "render_track", "write_corpus", "write_labels"]
