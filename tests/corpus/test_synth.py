import numpy as np
import pytest

from musika.corpus import synth
from musika.corpus.piano import strike_note, string_partials


def test_a_tone_has_no_partial_above_its_limit():
    tone = synth.oscillate("saw", 1234.5, 44100, highest=9000)
    power = np.abs(np.fft.rfft(tone * np.hanning(44100))) ** 2
    assert power[9500:].sum() < 1e-7 * power.sum()


def test_a_tone_has_the_frequency_asked_for():
    tone = synth.oscillate("sine", 440.25, 4 * 44100)
    assert np.allclose(tone, np.sin(2 * np.pi * 440.25 * np.arange(4 * 44100) / 44100), atol=2e-4)


def test_damped_partials_equal_the_plain_sum():
    hertz, amplitudes, seconds = np.array([100.0, 333.0, 20000.0]), np.array([1.0, 0.5, 9.0]), np.array([0.3, 0.1, 1.0])
    time = np.arange(1000) / 44100
    plain = sum(
        a * np.exp(-time / d) * np.sin(2 * np.pi * f * time)
        for f, a, d in zip(hertz[:2], amplitudes, seconds, strict=False)
    )
    assert np.allclose(synth.damped_partials(hertz, amplitudes, seconds, 1000), plain, atol=1e-5)


def test_band_passes_what_lies_inside_only():
    inside, outside = (synth.oscillate("sine", hertz, 44100) for hertz in (1000.0, 8000.0))
    assert np.std(synth.band(inside, 500, 2000)) > 0.6
    assert np.std(synth.band(outside, 500, 2000)) < 0.1
    assert np.std(synth.band(outside, low=2000)) > 0.6
    assert np.std(synth.band(outside, high=2000)) < 0.1


def test_a_swept_lowpass_opens_and_closes():
    noise = np.random.default_rng(0).standard_normal((2, 44100)).astype(np.float32)
    swept = synth.swept_lowpass(noise, np.linspace(0, 1, 44100), 200, 8000)
    assert np.std(swept[:, -4000:]) > 3 * np.std(swept[:, :4000])


def test_echoes_swap_sides():
    click = np.zeros((2, 100), np.float32)
    click[0, 0] = 1
    echoed = synth.ping_pong(click, 30, 0.5, repeats=2)
    assert echoed[:, 30].tolist() == [0.0, 0.5]
    assert echoed[:, 60].tolist() == [0.25, 0.0]


def test_what_lies_beyond_the_end_is_cut():
    stem = np.zeros((2, 10), np.float32)
    synth.mix_in(stem, np.ones(5, np.float32), 8, 0.5)
    synth.mix_in(stem, np.ones(5, np.float32), 12)
    assert stem.sum() == 2.0


def test_a_panned_sound_keeps_its_power():
    sides = synth.pan(np.ones(4, np.float32), 0.6)
    assert np.allclose(np.sum(sides**2, axis=0), 2)
    assert np.all(sides[1] > sides[0])


@pytest.mark.parametrize("pitch", [36, 60, 84])
def test_a_struck_note_decays_and_holds_its_pitch(pitch):
    note = strike_note(pitch, 5, 2 * 44100, np.random.default_rng(0)).mean(axis=0)
    tenths = np.sqrt(np.mean(note.reshape(20, -1) ** 2, axis=1))
    assert tenths[0] > 1.2 * tenths[3] > 1.2 * 1.2 * tenths[10]
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note))))
    partial = string_partials(pitch)[1] * 2  # the second partial, at two bins a hertz
    assert spectrum[round(partial) - 2 : round(partial) + 3].max() > 10 * np.median(spectrum[: round(3 * partial)])


def test_a_harder_blow_is_brighter():
    def brightness(layer):
        power = np.abs(np.fft.rfft(strike_note(60, layer, 44100, np.random.default_rng(0))[0])) ** 2
        return (power * np.arange(len(power))).sum() / power.sum()

    assert brightness(7) > 1.3 * brightness(1)


def test_strings_are_stiff():
    partials = string_partials(48)
    assert np.all(np.diff(partials / (partials[0] * np.arange(1, 49))) > 0)


def test_low_keys_lie_left_and_high_keys_right():
    sides = [np.std(strike_note(pitch, 4, 22050, np.random.default_rng(0)), axis=1) for pitch in (36, 84)]
    assert sides[0][0] > sides[0][1] and sides[1][0] < sides[1][1]
