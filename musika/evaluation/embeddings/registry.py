"""What is known of each embedding before it is loaded: nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What is known of an embedding before it is loaded.

    Attributes:
        rate: Sample rate in Hz and channels, for people.
        window: Length of the audio behind one vector, in seconds, for people.
        hop: Time from one vector to the next, in seconds, for people.
        dimension: Numbers in a vector, for people.
        licence: Of the weights.
        needs: What has to be there.
        note: What its distances may be compared with.
        module: Where its class is.
        kind: Name of the class.
    """

    rate: str
    window: str
    hop: str
    dimension: str
    licence: str
    needs: str
    note: str
    module: str
    kind: str

    def row(self) -> dict[str, str]:
        """The columns of `musika fad --list`."""
        names = ("rate", "window", "hop", "dimension", "licence", "needs", "note")
        return {name: getattr(self, name) for name in names}


_HERE = "musika.evaluation.embeddings"
EMBEDDINGS: dict[str, Entry] = {
    "logmel": Entry(
        rate="44100 Hz stereo",
        window="1.04 s",
        hop="0.51 s",
        dimension="80",
        licence="MIT (part of musika)",
        needs="nothing",
        note="not comparable with published FAD; full band, stereo",
        module=f"{_HERE}.logmel",
        kind="LogMel",
    ),
    "codec": Entry(
        rate="the preset's, 44100 Hz stereo",
        window="a latent step, 0.09 s",
        hop="0.09 s",
        dimension="2 x latent channels, 128",
        licence="the preset's",
        needs="preset=NAME",
        note="comparable only between runs with one preset's codec; full band, stereo",
        module=f"{_HERE}.codec",
        kind="CodecLatents",
    ),
    "vggish": Entry(
        rate="16000 Hz mono",
        window="0.96 s",
        hop="0.96 s (hop=0.48 allowed)",
        dimension="128",
        licence="Apache-2.0 (Google)",
        needs="weights=vggish_model.ckpt, or the network once (288 MB)",
        note="comparable with published VGGish FAD where hop, activation and resampler agree; ends at 7.5 kHz",
        module=f"{_HERE}.vggish",
        kind="Vggish",
    ),
    "clap": Entry(
        rate="48000 Hz mono",
        window="10 s",
        hop="1 s",
        dimension="512",
        licence="Apache-2.0 (LAION)",
        needs="pip install musika[clap], and the network once",
        note="close to other tools with the same CLAP model; ends at 14 kHz",
        module=f"{_HERE}.pretrained",
        kind="Clap",
    ),
    "encodec": Entry(
        rate="48000 Hz stereo",
        window="1 s",
        hop="0.5 s",
        dimension="128",
        licence="MIT (Meta)",
        needs="pip install musika[encodec], and the network once",
        note="not comparable with tools that take every frame; blind to level",
        module=f"{_HERE}.pretrained",
        kind="Encodec",
    ),
}
