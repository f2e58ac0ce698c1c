"""Spectrogram pictures: loudness over time and frequency on logarithmic scales, one panel a channel.

A picture has a fixed number of columns, each the mean of the frames that fall into it, so hours of audio need no more
memory than a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from musika.audio.reading import SAMPLE_RATE, AudioReader, clock
from musika.audio.spectral import analysis_window
from musika.audio.writing import replacing
from musika.checks import UserError

Floats = NDArray[np.float32]

_COLUMNS, _ROWS = 1200, 360
_WAVE_ROWS, _STRIP_ROWS = 90, 180  # of a player's strip: waveform, mel bands
_LOWEST_HZ = 30.0
_RANGE_DB = 80.0  # what is more than this below the loudest spot is black
_SHEET_COLOURS = 32  # a preset is to stay below 25 MB, its picture included
_FFT_LENGTH = 4096  # 11 Hz a bin at 44.1 kHz: neighbouring piano keys come apart from 200 Hz up
_FASTEST_HOP, _SLOWEST_HOP = 256, 2048
_CHUNK_FRAMES = 128


class _Columns:
    """Collects the mean power spectrum of every column of the picture from a stream of blocks."""

    def __init__(self, samples: int, channels: int) -> None:
        self.hop = int(np.clip(samples // (2 * _COLUMNS), _FASTEST_HOP, _SLOWEST_HOP))
        self.frames = max(1, 1 + samples // self.hop)
        count = min(_COLUMNS, self.frames)
        self.power = np.zeros((channels, count, _FFT_LENGTH // 2 + 1), np.float32)
        self.counts = np.zeros(count, np.int64)
        self._done = 0
        # Half a frame of silence before the beginning centres frame t on sample t * hop.
        self._waiting = np.zeros((channels, _FFT_LENGTH // 2), np.float32)

    def add(self, block: Floats) -> None:
        """Take the next block of shape ``(samples, channels)``."""
        waiting = np.concatenate([self._waiting, block.T], axis=1)
        available = max(0, 1 + (waiting.shape[1] - _FFT_LENGTH) // self.hop)
        if available:
            views = np.lib.stride_tricks.sliding_window_view(waiting, _FFT_LENGTH, axis=1)[:, :: self.hop]
            for start in range(0, available, _CHUNK_FRAMES):
                self._add_frames(views[:, start : min(start + _CHUNK_FRAMES, available)])
        self._waiting = waiting[:, available * self.hop :]

    def _add_frames(self, frames: Floats) -> None:
        """Add frames of shape ``(channels, frames, fft_length)`` to their columns."""
        count = len(self.counts)
        places = np.minimum((self._done + np.arange(frames.shape[1])) * count // self.frames, count - 1)
        np.add.at(self.counts, places, 1)
        firsts = np.flatnonzero(np.diff(places, prepend=-1))
        for total, channel in zip(self.power, frames, strict=True):
            spectrum = scipy.fft.rfft(channel * analysis_window(_FFT_LENGTH), axis=-1)
            power = np.square(spectrum.real) + np.square(spectrum.imag)
            total[places[firsts]] += np.add.reduceat(power, firsts, axis=0)
        self._done += len(places)

    def decibels(self, weights: Floats) -> Floats:
        """The picture ``(channels, rows, columns)``, 0 dB at its loudest spot; ``weights`` are ``(rows, bins)``."""
        self.add(np.zeros((_FFT_LENGTH // 2, len(self.power)), np.float32))
        mean = (self.power / np.maximum(self.counts, 1).astype(np.float32)[:, None]) @ weights.T
        level = 10 * np.log10(np.maximum(mean, 1e-12))
        return np.clip(level - max(level.max(), -60.0), -_RANGE_DB, 0.0).transpose(0, 2, 1)


def _row_weights(borders: NDArray[np.float64], sample_rate: int) -> Floats:
    """Weights ``(rows, bins)`` from linear frequency to rows between borders in Hz.

    A row takes the mean of the bins inside it, or interpolates between the two nearest where bins lie wider apart.
    """
    places = borders * _FFT_LENGTH / sample_rate
    weights = np.zeros((len(borders) - 1, _FFT_LENGTH // 2 + 1), np.float32)
    for row, (low, high) in enumerate(pairwise(places)):
        bins = np.arange(int(np.ceil(low)), int(np.ceil(high)))
        if len(bins):
            weights[row, bins] = 1 / len(bins)
        else:
            centre = (low + high) / 2
            weights[row, int(centre)] = 1 - centre % 1
            weights[row, int(centre) + 1] = centre % 1
    return weights


def _log_rows(sample_rate: int) -> tuple[Floats, NDArray[np.float64]]:
    """Weights ``(rows, bins)`` to logarithmic frequency, and the rows' borders in Hz."""
    borders = np.geomspace(_LOWEST_HZ, sample_rate / 2, _ROWS + 1)
    return _row_weights(borders, sample_rate), borders


def _paint(levels: Floats, borders: NDArray[np.float64], seconds: float, start: float, title: str, path: Path) -> None:
    """Paint levels ``(channels, rows, columns)`` and save them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    channels = len(levels)
    figure = Figure(figsize=(12, 1 + 3 * channels), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    times = np.linspace(start, start + seconds, levels.shape[2] + 1)
    axes = figure.subplots(channels, 1, sharex=True, squeeze=False)[:, 0]
    names = ["left", "right"] if channels == 2 else [""] * channels
    for axis, level, name in zip(axes, levels, names, strict=True):
        image = axis.pcolormesh(times, borders, level, cmap="magma", vmin=-_RANGE_DB, vmax=0, rasterized=True)
        axis.set_yscale("log")
        axis.set_yticks([50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000])
        axis.yaxis.set_major_formatter(FuncFormatter(lambda hertz, _: f"{hertz:g}"))
        axis.minorticks_off()
        axis.set_ylim(borders[0], borders[-1])
        axis.set_ylabel(f"{name} (Hz)".strip())
    if seconds >= 20:
        axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 3, 5, 6, 10]))
        axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    axes[-1].set_xlabel("time (min:s)" if seconds >= 20 else "time (s)")
    figure.colorbar(image, ax=list(axes), label="dB", pad=0.01, aspect=15 * channels)
    if title:
        axes[0].set_title(title.replace("$", r"\$"))
    with replacing(path) as aside, open(aside, "wb") as handle:
        figure.savefig(handle, format="png", metadata={"Software": None})


def save_spectrogram(
    path: str | Path,
    audio: Floats | Iterable[Floats],
    sample_rate: int = SAMPLE_RATE,
    samples: int | None = None,
    start: float = 0.0,
    title: str = "",
) -> None:
    """Draw the spectrogram of a waveform, or of a stream of blocks, as a PNG.

    Args:
        path: The picture; its folder is made if need be.
        audio: Waveform of shape ``(samples,)`` or ``(samples, channels)``, or an iterable of such blocks.
        sample_rate: Samples a second.
        samples: Samples of all blocks together; needed only for a stream.
        start: What the time axis begins with, in seconds.
        title: A line above the picture.

    Raises:
        UserError: If there is no audio, or the picture cannot be written.
    """
    if isinstance(audio, np.ndarray):
        samples = len(audio)
        audio = np.array_split(audio, 1 + samples // (1 << 18))
    if not samples or samples < 1:
        raise UserError(f"a spectrogram needs audio; a stream's length must be given. Received: samples={samples}")
    weights, borders = _log_rows(sample_rate)
    columns: _Columns | None = None
    for block in audio:
        shaped = np.asarray(block, np.float32)
        shaped = shaped[:, None] if shaped.ndim == 1 else shaped
        if columns is None:
            columns = _Columns(samples, shaped.shape[1])
        columns.add(shaped)
    if columns is None:
        raise UserError("a spectrogram needs audio. Received: a stream without blocks")
    _paint(columns.decibels(weights), borders, samples / sample_rate, start, title, Path(path))


def save_spectrogram_sheet(
    path: str | Path, renders: Iterable[tuple[str, Floats]], sample_rate: int = SAMPLE_RATE
) -> None:
    """Draw the spectrograms of several waveforms on one sheet, two in a row, channels averaged.

    Args:
        path: The picture, a PNG; its folder is made if need be.
        renders: Titles and waveforms of shape ``(samples, channels)``.
        sample_rate: Samples a second.

    Raises:
        UserError: If there is nothing to draw, or the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    weights, borders = _log_rows(sample_rate)
    panels = []
    for title, audio in renders:
        columns = _Columns(len(audio), audio.shape[1])
        columns.add(np.asarray(audio, np.float32))
        panels.append((title, len(audio) / sample_rate, columns.decibels(weights).mean(axis=0)))
    if not panels:
        raise UserError("a sheet of spectrograms needs at least one waveform. Received: none")
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(13, 2.1 * rows), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 2, sharey=True, squeeze=False).ravel()
    for axis, (title, seconds, level) in zip(axes, panels, strict=False):
        times = np.linspace(0.0, seconds, level.shape[1] + 1)
        axis.pcolormesh(times, borders, level, cmap="magma", vmin=-_RANGE_DB, vmax=0, rasterized=True)
        axis.set_yscale("log")
        axis.set_yticks([100, 1000, 10000], ["100", "1k", "10k"])
        axis.minorticks_off()
        axis.set_title(title.replace("$", r"\$"), fontsize=9)
        axis.tick_params(labelsize=8)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(_SHEET_COLOURS)
    with replacing(path) as aside, open(aside, "wb") as handle:
        picture.save(handle, format="png", optimize=True)


def draw_file(audio_path: str | Path, path: str | Path, start: float = 0.0, title: str = "") -> None:
    """Draw the spectrogram of an audio file of any length as a PNG.

    Args:
        audio_path: The audio file.
        path: The picture; its folder is made if need be.
        start: What the time axis begins with, in seconds.
        title: A line above the picture.

    Raises:
        UserError: If the file cannot be read, or the picture not be written.
    """
    with AudioReader(audio_path) as reader:
        save_spectrogram(path, reader.blocks(), samples=reader.samples, start=start, title=title)


def draw_strip(audio_path: str | Path, path: str | Path) -> None:
    """Draw what a player shows: the waveform above the log-mel spectrogram, edge to edge, so that place means time.

    Args:
        audio_path: The audio file, of any length.
        path: The picture, a PNG; its folder is made if need be.

    Raises:
        UserError: If the file cannot be read, or the picture not be written.
    """
    from matplotlib import colormaps
    from matplotlib.image import imsave

    with AudioReader(audio_path) as reader:
        rate, samples = reader.sample_rate, reader.samples
        columns, peaks, done = _Columns(samples, 2), np.zeros(_COLUMNS, np.float32), 0
        for block in reader.blocks():
            columns.add(block)
            places = (done + np.arange(len(block), dtype=np.int64)) * _COLUMNS // samples
            np.maximum.at(peaks, np.minimum(places, _COLUMNS - 1), np.abs(block).max(axis=1))
            done += len(block)
    top_mel = 2595 * np.log10(1 + rate / 2 / 700)  # O'Shaughnessy's formula
    borders = 700 * (10 ** (np.linspace(0, top_mel, _STRIP_ROWS + 1) / 2595) - 1)
    levels = columns.decibels(_row_weights(borders, rate)).mean(axis=0)
    levels = levels[::-1, np.arange(_COLUMNS) * levels.shape[1] // _COLUMNS]
    heights = np.abs(np.linspace(1, -1, _WAVE_ROWS))[:, None]
    wave = np.where(heights <= np.maximum(peaks, 1 / _WAVE_ROWS), -12.0, -_RANGE_DB)
    colours = colormaps["magma"](1 + np.concatenate([wave, levels]) / _RANGE_DB)
    with replacing(path) as aside, open(aside, "wb") as handle:
        imsave(handle, (255 * colours[..., :3]).astype(np.uint8), format="png", pil_kwargs={"compress_level": 2})
