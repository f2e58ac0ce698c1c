"""How well a codec gives back what it was given, level by level.

All measures compare clips of ``CLIP_STEPS`` latent steps. Level 1 alone and both levels are measured on magnitudes and
on the re-synthesised waveform, beside what 100 iterations of Griffin-Lim reach on the true and on the predicted
magnitudes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musika.audio import borders
from musika.audio.spectral import analyse, log_magnitude
from musika.config import Config

CLIP_STEPS = 64
FLOOR_DB = -80.0  # re full-scale sine: bins below it are silence to the log-spectral distance
GRIFFIN_LIM_ITERATIONS = 100
BASS_WINDOW = 4096
_ONSET_WINDOW = 1024
_BASS_HZ = 150.0
_FINE_FFT = 4096
_FINE_BAND_HZ = (150.0, 5000.0)
_TONAL_DB = 6.0  # fine structure above which a bin of the original counts as tonal

Audio = NDArray[np.float32]


def clip_samples(config: Config) -> int:
    """Samples of a clip.

    Args:
        config: The config.

    Returns:
        The samples that ``CLIP_STEPS`` latent steps cover.
    """
    return CLIP_STEPS * config.latent_hop + config.spectral.overlap


def log_spectral_distance(level: Audio, target: Audio, config: Config) -> float:
    """Log-spectral distance: root mean square over bins of the difference in decibels, averaged over frames.

    Args:
        level: Predicted scaled log-magnitudes `(frames, bins)`.
        target: True ones.
        config: The config.

    Returns:
        Decibels.
    """
    spectral = config.spectral
    sine = 20 * math.log10(spectral.fft_length / 4)
    floor = (sine + FLOOR_DB - spectral.level_offset_db) / spectral.level_scale_db
    error = (np.maximum(level, floor) - np.maximum(target, floor)) * spectral.level_scale_db
    return float(np.sqrt((error**2).mean(axis=-1)).mean())


def spectral_convergence(audio: Audio, target: Audio) -> float:
    """Relative error of magnitudes, averaged over windows of 256 to 4096 samples.

    Args:
        audio: Predicted waveform `(samples,)`.
        target: True waveform.

    Returns:
        Ratio of norms, 0 for equal magnitudes.
    """
    values = []
    for length in (256, 512, 1024, 2048, 4096):
        predicted, true = (_magnitudes(item, length, length // 4) for item in (audio, target))
        values.append(np.linalg.norm(predicted - true) / max(float(np.linalg.norm(true)), 1e-9))
    return float(np.mean(values))


def multi_scale_distance(audio: Audio, target: Audio) -> float:
    """L1 of log-magnitudes in decibels, averaged over windows of 256 to 4096 samples, floor -80 dB.

    Args:
        audio: Predicted waveform `(samples,)`.
        target: True waveform.

    Returns:
        Decibels.
    """
    values = []
    for length in (256, 512, 1024, 2048, 4096):
        floor = length / 4 * 10 ** (FLOOR_DB / 20)
        predicted, true = (np.maximum(_magnitudes(item, length, length // 4), floor) for item in (audio, target))
        values.append(np.abs(20 * np.log10(predicted / true)).mean())
    return float(np.mean(values))


def _magnitudes(audio: Audio, length: int, hop: int) -> Audio:
    from musika.config import SpectralConfig

    return np.abs(analyse(audio, SpectralConfig(hop_length=hop, fft_length=length)))


def border_flux(audio: Audio, period: int, first: int) -> float:
    """Spectral flux where blocks meet, against that elsewhere.

    Args:
        audio: Waveform `(samples,)`.
        period: Samples between two borders.
        first: Sample of the first border.

    Returns:
        Mean flux where a frame enters or leaves a border, divided by the mean elsewhere; 1 is no difference.
    """
    magnitudes = _magnitudes(audio, borders.WINDOW, borders.HOP)
    flux = np.abs(np.diff(np.log(magnitudes + borders.FLOOR), axis=0)).mean(axis=1)
    near = borders.near_borders(len(flux), period, first)
    return float(flux[near].mean() / flux[~near].mean())


def harmonic_survival(audio: Audio, target: Audio, sample_rate: int) -> float:
    """Correlation of spectral fine structure on the original's tonal bins.

    Fine structure is the level in decibels (window 4096) minus its smooth envelope, from 150 Hz to 5 kHz. A bin is
    tonal where it stands 6 dB above the envelope in the original for three frames, within 40 dB of the frame's peak;
    its neighbours at 3 bins' distance count too, so that valleys must survive as well as peaks.

    Args:
        audio: Predicted waveform `(samples,)`.
        target: True waveform.
        sample_rate: Samples a second.

    Returns:
        The correlation, or NaN where the clip has too few tonal bins.
    """
    from scipy.ndimage import binary_dilation, gaussian_filter1d, minimum_filter1d

    low, high = (round(edge * _FINE_FFT / sample_rate) for edge in _FINE_BAND_HZ)
    levels = [20 * np.log10(_magnitudes(item, _FINE_FFT, 1024) + 1e-6) for item in (audio, target)]
    floors = [level[:, low:high].max(axis=1, keepdims=True) - 50 for level in levels]
    levels = [np.maximum(level, floor) for level, floor in zip(levels, floors, strict=True)]
    fine, true = (level - gaussian_filter1d(level, 8, axis=1) for level in levels)
    steady = minimum_filter1d(true, 3, axis=0) > _TONAL_DB
    steady &= levels[1] > floors[1] + 10
    tonal = binary_dilation(steady, np.ones((1, 7)))
    tonal[:, :low] = tonal[:, high:] = False
    if tonal.sum() < 300:
        return math.nan
    return float(np.corrcoef(fine[tonal], true[tonal])[0, 1])


def onset_correlation(
    audio: Audio, target: Audio, sample_rate: int, low: float, high: float, window: int = _ONSET_WINDOW
) -> float:
    """Correlation of onset envelopes in a band.

    Args:
        audio: Predicted waveform `(samples,)`.
        target: True waveform.
        sample_rate: Samples a second.
        low: Lower edge of the band in Hz.
        high: Upper edge in Hz.
        window: Samples of a frame. In short ones two partials of one bass note beat, and where the beats fall is up to
            their phases; in `BASS_WINDOW` samples they are told apart, and what is left is where notes begin.

    Returns:
        The correlation.
    """
    import librosa

    bands = 6 if high < 1000 else 32
    envelopes = [
        librosa.onset.onset_strength(
            y=item, sr=sample_rate, hop_length=256, n_fft=window, n_mels=bands, fmin=low, fmax=high
        )
        for item in (audio, target)
    ]
    if min(envelope.std() for envelope in envelopes) < 1e-9:
        return math.nan
    return float(np.corrcoef(np.stack(envelopes))[0, 1])


def griffin_lim(amplitude: Audio, config: Config) -> Audio:
    """The waveform that Griffin-Lim finds for magnitudes.

    Source: Perraudin et al., "A Fast Griffin-Lim Algorithm", WASPAA 2013, by librosa.

    Args:
        amplitude: Magnitudes `(frames, bins)`.
        config: The config.

    Returns:
        Waveform `(samples,)`.
    """
    import librosa

    spectral = config.spectral
    angles = librosa.griffinlim(
        np.ascontiguousarray(amplitude.T),
        n_iter=GRIFFIN_LIM_ITERATIONS,
        hop_length=spectral.hop_length,
        n_fft=spectral.fft_length,
        center=False,
        random_state=0,
    )
    return angles.astype(np.float32)


class Reconstruction:
    """Runs clips through a codec's networks and measures what comes back."""

    def __init__(self, networks: dict[str, Any], config: Config):
        """Take the networks.

        Args:
            networks: The four networks by name, see `musika.autoencoder`.
            config: Their config.
        """
        self.networks, self.config = networks, config

    def _run(self, name: str, values: NDArray[Any]) -> Any:
        import keras

        network = self.networks[name]
        inputs: Any = values
        if network.noise_layers:
            frames = values.shape[1] * (self.config.codec.frames_per_latent if name == "level2_decoder" else 1)
            inputs = [values, np.zeros((len(values), frames, network.noise_layers), np.float32)]
        outputs = network(inputs)
        return (
            [keras.ops.convert_to_numpy(item) for item in outputs]
            if isinstance(outputs, (list, tuple))
            else (keras.ops.convert_to_numpy(outputs))
        )

    def decode(self, level1: NDArray[Any]) -> tuple[Audio, Audio]:
        """Decode level-1 latents.

        Args:
            level1: `(1, frames, level1_channels)`.

        Returns:
            Scaled log-magnitudes `(frames, bins)` and the waveform `(samples,)`.
        """
        import keras

        from musika.autoencoder.decoded import level_of, waveform_of
        from musika.autoencoder.graphs import composes

        network, settings = self.networks["level1_decoder"], self.config.spectral
        if composes(network):
            outputs = network.heads(keras.ops.convert_to_tensor(level1))
            parts = tuple(keras.ops.convert_to_numpy(part) for part in outputs)
        else:
            parts = tuple(self._run("level1_decoder", level1))
        return level_of(parts, network, settings)[0], waveform_of(parts, network, settings)[:, 0]

    def amplitude(self, level: Audio) -> Audio:
        """Amplitudes of scaled log-magnitudes.

        Args:
            level: Scaled log-magnitudes.

        Returns:
            Amplitudes, same shape.
        """
        spectral = self.config.spectral
        return (10 ** ((level * spectral.level_scale_db + spectral.level_offset_db) / 20)).astype(np.float32)

    def measure(self, clip: Audio, griffin: bool = True) -> dict[str, float]:
        """Measure one clip.

        Args:
            clip: Mono waveform of `clip_samples` samples.
            griffin: Whether Griffin-Lim is run for comparison (most of the time taken).

        Returns:
            Every measure by name.
        """
        config, edge = self.config, self.config.spectral.overlap
        spectrum = analyse(clip, config.spectral)
        target = log_magnitude(spectrum, config.spectral)
        level1 = self._run("level1_encoder", target[None])
        latents = self._run("level2_encoder", level1)
        paths = {"level1": level1, "both": self._run("level2_decoder", latents)}
        true, result = clip[edge:-edge], {}
        for name, values in paths.items():
            level, audio = self.decode(values)
            audio = audio[edge : edge + len(true)]
            result[f"{name}_log_spectral_distance_db"] = log_spectral_distance(level, target, config)
            result.update({f"{name}_{key}": value for key, value in self._waveform(audio, true).items()})
            if griffin:
                found = self._by_griffin_lim(self.amplitude(level), true)
                result.update({f"{name}_{key}": value for key, value in found.items()})
        if griffin:
            found = self._by_griffin_lim(np.abs(spectrum), true)
            result.update({f"true_{key}": value for key, value in found.items()})
        result["original_border_flux"] = border_flux(true, *borders.decoder_borders(config))
        return result

    def _by_griffin_lim(self, amplitude: Audio, true: Audio) -> dict[str, float]:
        edge = self.config.spectral.overlap
        audio = griffin_lim(amplitude, self.config)[edge : edge + len(true)]
        return {
            "griffin_lim_spectral_convergence": spectral_convergence(audio, true),
            "griffin_lim_multi_scale_db": multi_scale_distance(audio, true),
            "griffin_lim_onsets_below_150_hz": onset_correlation(audio, true, self.config.sample_rate, 0.0, _BASS_HZ),
        }

    def _waveform(self, audio: Audio, true: Audio) -> dict[str, float]:
        rate = self.config.sample_rate
        return {
            "multi_scale_db": multi_scale_distance(audio, true),
            "spectral_convergence": spectral_convergence(audio, true),
            "border_flux": border_flux(audio, *borders.decoder_borders(self.config)),
            "harmonic_survival": harmonic_survival(audio, true, rate),
            "onsets_below_150_hz": onset_correlation(audio, true, rate, 0.0, _BASS_HZ),
            "onsets_below_150_hz_long_windows": onset_correlation(audio, true, rate, 0.0, _BASS_HZ, BASS_WINDOW),
            "onsets_above_150_hz": onset_correlation(audio, true, rate, _BASS_HZ, 16000.0),
        }


def measure_clips(
    networks: dict[str, Any],
    config: Config,
    clips: list[Audio],
    griffin: bool = True,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[dict[str, float]]:
    """Measure a codec on clips.

    Args:
        networks: The four networks by name.
        config: Their config.
        clips: Mono waveforms of `clip_samples` samples each.
        griffin: Whether Griffin-Lim is run for comparison.
        progress: Told how many clips are done.

    Returns:
        Every measure by name, clip by clip; NaN where a clip has nothing to measure.
    """
    codec = Reconstruction(networks, config)
    rows = []
    for index, clip in enumerate(clips):
        rows.append(codec.measure(clip, griffin))
        progress(index + 1, len(clips))
    return rows


def mean_scores(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over clips.

    Args:
        rows: What `measure_clips` gives.

    Returns:
        The mean of every measure (clips without tonal bins are left out of harmonic survival).

    >>> mean_scores([{"flux": 1.0}, {"flux": math.nan}, {"flux": 2.0}])
    {'flux': 1.5}
    """
    return {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}


def standard_errors(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Standard errors of means over clips: about two thirds of other choices of clips would have a mean so near.

    Args:
        rows: What `measure_clips` gives.

    Returns:
        The standard error of every measure; NaN where fewer than two clips have it.

    >>> standard_errors([{"flux": 1.0}, {"flux": 3.0}])
    {'flux': 1.0}
    """
    found = {}
    for key in rows[0]:
        values = np.asarray([row[key] for row in rows])
        values = values[~np.isnan(values)]
        found[key] = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return found
