import numpy as np
import pytest

from musika.checks import UserError
from musika.corpus import KINDS, render_track
from musika.corpus.palettes import PALETTES, STEPS_PER_BAR
from musika.corpus.synth import SAMPLE_RATE
from musika.corpus.tracks import track_tempo


@pytest.fixture(scope="module", params=KINDS)
def track(request):
    return render_track(request.param, seed=5, index=2, seconds=16.0)


def energy_near(audio, times, before, after):
    """Mean energy from `before` to `after` seconds around each time."""
    starts = np.round(times * SAMPLE_RATE).astype(int)
    low, high = round(before * SAMPLE_RATE), round(after * SAMPLE_RATE)
    return np.array([np.mean(audio[max(0, start + low) : start + high] ** 2) for start in starts])


def test_audio_has_the_promised_form(track):
    assert track.audio.shape == (16 * SAMPLE_RATE, 2)
    assert track.audio.dtype == np.float32
    assert np.isfinite(track.audio).all()


def test_peak_stays_below_one(track):
    assert 0.3 < np.abs(track.audio).max() < 1.0


def test_loudness_is_even(track):
    assert 0.1 < np.sqrt(np.mean(track.audio**2)) < 0.2


def test_there_is_no_constant_offset(track):
    assert np.abs(track.audio.mean(axis=0)).max() < 1e-4


def test_there_is_no_rumble(track):
    power = np.abs(np.fft.rfft(track.audio.mean(axis=1))) ** 2
    hertz = np.fft.rfftfreq(len(track.audio), 1 / SAMPLE_RATE)
    assert power[hertz < 15].sum() < 1e-3 * power.sum()


def test_the_sides_differ(track):
    left, right = track.audio.T
    assert np.sqrt(np.mean((left - right) ** 2)) > 0.01
    assert 0.3 < np.corrcoef(left, right)[0, 1] < 0.999


def test_edges_are_silent(track):
    assert np.abs(track.audio[[0, -1]]).max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_equal_arguments_give_equal_bytes(kind):
    first, again = (render_track(kind, seed=1, index=4, seconds=3.0) for _ in range(2))
    assert first.audio.tobytes() == again.audio.tobytes()
    assert first.labels.beats.tobytes() == again.labels.beats.tobytes()
    assert first.labels.onsets.tobytes() == again.labels.onsets.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_index_or_kind_gives_other_music(kind):
    sounds = [render_track(kind, *place, seconds=2.0).audio.tobytes() for place in ((0, 0), (0, 1), (1, 0))]
    assert len(set(sounds)) == 3


def test_beats_lie_on_the_grid_of_the_tempo():
    labels = render_track("techno", seed=0, index=1, seconds=10.0).labels
    assert np.allclose(labels.beats, np.arange(len(labels.beats)) * 60 / labels.tempo, atol=1e-12)
    assert labels.beats[-1] < 10.0 <= labels.beats[-1] + 60 / labels.tempo
    assert np.array_equal(labels.bars, labels.beats[::4])
    assert len(labels.onsets) == 0


@pytest.mark.parametrize("index", range(3))
def test_energy_rises_on_the_beat(index):
    track = render_track("techno", seed=2, index=index, seconds=6.0)  # a first section, which always has a kick
    beats, third = track.labels.beats[1:-1], 20 / track.labels.tempo

    def rise(times):
        return np.median(energy_near(track.audio, times, 0.0, 0.03) / energy_near(track.audio, times, -0.03, 0.0))

    assert rise(beats) > 3
    assert rise(beats) > 2 * rise(beats + third)


def test_tempi_cover_the_range_evenly():
    tempi = np.array([track_tempo(9, index) for index in range(70)])
    assert 90 <= tempi.min() < 93 and 157 < tempi.max() <= 160
    counts, _ = np.histogram(tempi, bins=7, range=(90, 160))
    assert counts.min() >= 8


def test_kicks_and_hats_fill_the_ends_of_the_spectrum():
    audio = render_track("techno", seed=2, index=0, seconds=8.0).audio.mean(axis=1)
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    assert power[hertz < 120].sum() > 0.2 * power.sum()
    assert power[(hertz > 6000) & (hertz < 18000)].sum() > 2e-3 * power.sum()


@pytest.mark.parametrize("index", range(3))
def test_piano_goes_from_sparse_to_dense(index):
    onsets = render_track("piano", seed=3, index=index, seconds=32.0).labels.distinct_onsets
    windows = np.arange(0.1, 29.0, 0.5)
    density = [np.sum((onsets >= start) & (onsets < start + 3)) / 3 for start in windows]
    assert min(density) <= 1.4
    assert max(density) >= 7
    assert np.diff(onsets).min() > 0.03


def test_piano_labels_are_notes_in_order_and_no_key_sounds_twice():
    labels = render_track("piano", seed=3, index=0, seconds=16.0).labels
    assert labels.tempo is None and len(labels.beats) == 0
    assert np.all(np.diff(labels.onsets) >= 0)
    assert labels.pitches.min() >= 21 and labels.pitches.max() <= 108
    assert labels.velocities.min() >= 1 and labels.velocities.max() <= 127
    assert len(set(zip(labels.onsets, labels.pitches, strict=True))) == len(labels.onsets)
    assert np.array_equal(np.rint(labels.onsets * SAMPLE_RATE) / SAMPLE_RATE, labels.onsets)


def test_piano_energy_rises_at_onsets():
    track = render_track("piano", seed=3, index=1, seconds=16.0)
    edges = np.diff(track.audio, axis=0, prepend=0)  # a strike is bright
    onsets = track.labels.distinct_onsets
    rise = energy_near(edges, onsets, 0.0, 0.02) / (energy_near(edges, onsets, -0.02, -0.001) + 1e-9)
    assert np.mean(rise > 1.2) > 0.85


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jazz", 0, 0, 2.0), "kind must be one of techno, piano"),
        (("techno", -1, 0, 2.0), "seed must be a whole number"),
        (("techno", 0, -1, 2.0), "index must be a whole number"),
        (("piano", 0, 0, 0.0), "seconds must be a number from 1 to 600"),
        (("piano", 0, 0, float("nan")), "seconds must be a number from 1 to 600"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        render_track(*arguments)


def test_the_base_is_what_it_was_before_there_were_variants():
    track = render_track("techno", seed=0, index=1, seconds=12.0)
    assert track.labels.tempo == 138.9
    # not its bytes: processors round differently in the last bit
    loudness = np.sqrt((track.audio.reshape(8, -1, 2) ** 2).mean(axis=1))
    np.testing.assert_allclose(
        loudness,
        [
            [0.16529999673366547, 0.1655000001192093],
            [0.15209999680519104, 0.15199999511241913],
            [0.1664000004529953, 0.1662999987602234],
            [0.15520000457763672, 0.1550000011920929],
            [0.1673000007867813, 0.16760000586509705],
            [0.16439999639987946, 0.1648000031709671],
            [0.17440000176429749, 0.1753000020980835],
            [0.17080000042915344, 0.17149999737739563],
        ],
        atol=2e-4,
    )


def test_a_variant_is_other_music_with_labels_as_exact():
    tempi = [track_tempo(9, index, "techno@breaks") for index in range(30)]
    assert 165 <= min(tempi) < 167 and 178 < max(tempi) <= 180
    base, variant = PALETTES["techno"], PALETTES["techno@breaks"]
    assert not set(base.roots) & set(variant.roots)
    assert not {scale[0] for scale in base.scales.values()} & {scale[0] for scale in variant.scales.values()}
    for index in range(3):
        track = render_track("techno@breaks", seed=2, index=index, seconds=6.0)
        labels = track.labels
        assert np.allclose(labels.beats, np.arange(len(labels.beats)) * 60 / labels.tempo, atol=1e-12)
        bars = labels.bars[1:-1]  # every pattern has a kick on one
        kick = energy_near(track.audio, bars, 0.0, 0.03) / energy_near(track.audio, bars, -0.03, 0.0)
        assert np.median(kick) > 2


@pytest.mark.parametrize("name", PALETTES)
def test_patterns_of_a_palette_fill_a_bar(name):
    palette = PALETTES[name]
    assert {len(pattern) for pattern in palette.bass_patterns + palette.stab_patterns} == {STEPS_PER_BAR}
    assert all(0 <= step < STEPS_PER_BAR for places in palette.drum_places for part in places for step in part)
    assert set(palette.scale_names) == set(palette.scales)
