"""The spectral front end against scipy and librosa, and its own round trip."""

import numpy as np
import pytest
import scipy.signal

from musika.audio import spectral
from musika.checks import UserError
from musika.config import SpectralConfig

CONFIGS = [SpectralConfig(32, 128), SpectralConfig(256, 1024), SpectralConfig(512, 2048)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(params=CONFIGS, ids=lambda config: str(config.fft_length))
def config(request):
    return request.param


def test_analyse_equals_scipy_with_phase(config):
    audio = noise(8 * config.fft_length + 7)
    window = scipy.signal.get_window("hann", config.fft_length, fftbins=True)
    starts = range(0, len(audio) - config.fft_length + 1, config.hop_length)
    expected = np.stack([np.fft.rfft(audio[start : start + config.fft_length] * window) for start in starts])
    actual = spectral.analyse(audio, config)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=2e-6 * np.abs(expected).max())


def test_analyse_equals_librosa_with_phase(config):
    librosa = pytest.importorskip("librosa")
    audio = noise(8 * config.fft_length)
    expected = librosa.stft(audio, n_fft=config.fft_length, hop_length=config.hop_length, window="hann", center=False).T
    np.testing.assert_allclose(spectral.analyse(audio, config), expected, atol=2e-6 * np.abs(expected).max())


def test_synthesise_equals_the_dual_of_scipy_on_any_spectrum(config):
    """Any spectrum, also one that no waveform has: there the choice of synthesis window shows."""
    bins = noise(11, config.bins) + 1j * noise(11, config.bins, seed=1)
    window = scipy.signal.get_window("hann", config.fft_length, fftbins=True)
    dual = scipy.signal.ShortTimeFFT(window, config.hop_length, fs=1, fft_mode="onesided").dual_win
    expected = np.zeros(spectral.sample_count(11, config))
    for frame, row in enumerate(bins):
        start = frame * config.hop_length
        expected[start : start + config.fft_length] += np.fft.irfft(row, n=config.fft_length) * dual
    actual = spectral.synthesise(bins.astype(np.complex64), config)
    np.testing.assert_allclose(actual, expected, atol=2e-6 * np.abs(expected).max())


def test_round_trip_is_exact_where_all_frames_overlap(config):
    audio = noise(9 * config.fft_length, 2)
    again = spectral.synthesise(spectral.analyse(audio, config), config)
    assert again.shape == audio.shape
    inside = slice(config.overlap, -config.overlap)
    np.testing.assert_allclose(again[inside], audio[inside], atol=4e-6)


@pytest.mark.parametrize("hops", [2, 3, 4, 8])
def test_round_trip_with_any_number_of_hops_a_window(hops):
    config = SpectralConfig(32, 32 * hops)
    audio = noise(40 * 32)
    again = spectral.synthesise(spectral.analyse(audio, config), config)
    inside = slice(config.overlap, -config.overlap)
    np.testing.assert_allclose(again[inside], audio[inside], atol=4e-6)


@pytest.mark.parametrize("samples", [0, 1, 127, 128, 129, 159, 160, 161, 5000])
def test_counts_match_the_arrays(samples):
    config = CONFIGS[0]
    spectrum = spectral.analyse(noise(samples, 2), config)
    assert spectrum.shape == (2, spectral.frame_count(samples, config), config.bins)
    back = spectral.synthesise(spectrum, config)
    assert back.shape == (spectral.sample_count(spectrum.shape[1], config), 2)


def test_published_scale_of_magnitudes(config):
    spectrum = noise(3, 5) + 1j * noise(3, 5, seed=1)
    expected = (10 * np.log10(np.maximum(1e-10, np.abs(spectrum) ** 2)) + 25) / 75
    np.testing.assert_allclose(spectral.log_magnitude(spectrum.astype(np.complex64), config), expected, atol=1e-6)
    silence = spectral.log_magnitude(np.zeros((2, 2), np.complex64), config)
    np.testing.assert_allclose(silence, -1.0, atol=1e-6)


def test_published_amplitude_of_scaled_magnitudes(config):
    scaled = np.linspace(-1.2, 1.2, 101, dtype=np.float32)
    expected = np.sqrt(10 ** ((75 * scaled.astype(np.float64) - 25) / 10) + 1e-7)
    np.testing.assert_allclose(spectral.amplitude(scaled, config), expected, rtol=4e-6)


def test_magnitude_and_phase_give_the_waveform_back_by_angle_and_by_phasor(config):
    audio = noise(9 * config.fft_length, 2)
    spectrum = spectral.analyse(audio, config)
    scaled = spectral.log_magnitude(spectrum, config)
    angle = np.angle(spectrum)
    inside = slice(config.overlap, -config.overlap)
    for phase in (angle / np.pi, np.concatenate([np.cos(angle), np.sin(angle)], axis=-1)):
        again = spectral.synthesise_scaled(scaled, phase.astype(np.float32), config)
        np.testing.assert_allclose(again[inside], audio[inside], atol=1e-4)
        composed = spectral.compose(scaled, phase.astype(np.float32), config)
        np.testing.assert_array_equal(spectral.synthesise(composed, config), again)


def test_one_channel_equals_the_same_channel_of_several():
    config = CONFIGS[0]
    audio = noise(20_000, 3)
    spectrum = spectral.analyse(audio, config)
    whole = spectral.synthesise(spectrum, config)
    for channel in range(3):
        alone = spectral.analyse(audio[:, channel], config)
        np.testing.assert_array_equal(alone, spectrum[channel])
        np.testing.assert_array_equal(spectral.synthesise(alone, config), whole[:, channel])


def test_same_input_same_bytes():
    config = CONFIGS[1]
    spectrum = spectral.analyse(noise(100_000, 2), config)
    first = spectral.synthesise(spectrum, config)
    for _ in range(3):
        np.testing.assert_array_equal(spectral.synthesise(spectrum, config), first)


@pytest.mark.parametrize("frames", [1, 100, 128, 131, 256])
def test_whole_samples_do_not_depend_on_later_frames(frames):
    config = CONFIGS[0]
    spectrum = spectral.analyse(noise(300 * 32, 2), config)[:, :280]
    whole = spectral.synthesise(spectrum, config)
    part = spectral.synthesise(spectrum[:, :frames], config)
    np.testing.assert_array_equal(part[: frames * 32], whole[: frames * 32])


def test_neighbouring_blocks_add_up_to_the_whole():
    config = CONFIGS[0]
    spectrum = spectral.analyse(noise(100 * 32 + 96), config)
    whole = spectral.synthesise(spectrum, config)
    joined = np.zeros_like(whole)
    for start in range(0, 100, 20):
        part = spectral.synthesise(spectrum[start : start + 20], config)
        joined[start * 32 : start * 32 + len(part)] += part
    np.testing.assert_allclose(joined, whole, atol=2e-6)


def test_input_is_left_alone():
    config = CONFIGS[0]
    audio = noise(1000, 2)
    spectrum = spectral.analyse(audio, config)
    scaled, phase = spectral.log_magnitude(spectrum, config), np.angle(spectrum).astype(np.float32)
    copies = [array.copy() for array in (audio, spectrum, scaled, phase)]
    spectral.analyse(audio, config)
    spectral.log_magnitude(spectrum, config)
    spectral.synthesise(spectrum, config)
    spectral.synthesise_scaled(scaled, phase, config)
    for array, copy in zip((audio, spectrum, scaled, phase), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_integers_and_double_precision_are_taken_as_float32():
    config = CONFIGS[0]
    audio = np.arange(1000) % 7
    assert spectral.analyse(audio, config).dtype == np.complex64
    assert spectral.synthesise(spectral.analyse(audio.astype(np.float64), config), config).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda config: spectral.analyse(np.zeros((2, 2, 2)), config), r"\(samples, channels\)"),
        (lambda config: spectral.synthesise(np.zeros((4, 64), np.complex64), config), "65"),
        (lambda config: spectral.synthesise(np.zeros(65, np.complex64), config), "65"),
        (lambda config: spectral.synthesise_scaled(np.zeros((4, 65)), np.zeros((3, 65)), config), "same channels"),
        (lambda config: spectral.synthesise_scaled(np.zeros((4, 65)), np.zeros((4, 66)), config), "phase"),
        (lambda config: spectral.synthesis_window(100, 32), "whole multiple"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call(CONFIGS[0])


def test_refined_phases_keep_magnitudes_and_fit_better():
    config = SpectralConfig(hop_length=64, fft_length=256)
    rng = np.random.default_rng(5)
    time = np.arange(8192)
    audio = np.stack([np.sin(0.2 * time), np.sin(0.31 * time)], axis=1).astype(np.float32)
    magnitude = np.abs(spectral.analyse(audio, config))
    start = (magnitude * np.exp(2j * np.pi * rng.random(magnitude.shape))).astype(np.complex64)

    def inconsistency(spectrum):
        again = np.abs(spectral.analyse(spectral.synthesise(spectrum, config), config))
        return np.linalg.norm(again - magnitude) / np.linalg.norm(magnitude)

    refined = spectral.refine_phases(start, config, 32)
    np.testing.assert_allclose(np.abs(refined), magnitude, atol=1e-3)
    assert inconsistency(refined) < 0.4 * inconsistency(start)
