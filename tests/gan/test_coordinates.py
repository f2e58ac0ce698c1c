"""The coordinate path: pure in seed and place, on the anchor grid, truncated, and cropped as in training."""

import numpy as np
import pytest

from musika.checks import UserError
from musika.config import load_config
from musika.gan.coordinates import anchor, coordinates, counter_generator, patch_noise, style, training_coordinates

CONFIG = load_config("debug")
SPACING, PATCH, CHANNELS = 384, 128, 16


def test_an_anchor_lies_exactly_between_two_steps():
    path = coordinates(CONFIG, seed=3, start_step=-CONFIG.generator.first_step, steps=2 * SPACING + 1)
    for index in (1, 2):
        middle = (path[index * SPACING - 1, :CHANNELS].astype(float) + path[index * SPACING, :CHANNELS]) / 2
        before, here, after = (anchor(3, index + offset, CHANNELS) for offset in (-1, 0, 1))
        kink = (before + after - 2 * here) / (4 * SPACING)  # the path turns at the anchor
        np.testing.assert_allclose(middle, here + kink, atol=1e-6)


def test_the_path_averages_neighbouring_interpolated_points():
    left, right = anchor(3, 0, CHANNELS), anchor(3, 1, CHANNELS)
    points = left + (right - left) * np.linspace(0, 1, SPACING + 1)[:, None]
    expected = (points[1:] + points[:-1]) / 2
    path = coordinates(CONFIG, seed=3, start_step=-64, steps=SPACING)
    np.testing.assert_allclose(path[:, :CHANNELS], expected, atol=1e-6)


def test_a_piece_starts_a_quarter_window_after_the_first_anchor_and_every_third_patch_is_centred():
    first = coordinates(CONFIG, seed=3, start_step=0, steps=1)[0, :CHANNELS]
    share = 64.5 / SPACING
    np.testing.assert_allclose(first, (1 - share) * anchor(3, 0, CHANNELS) + share * anchor(3, 1, CHANNELS), atol=1e-6)
    centre = 2 * PATCH + PATCH // 2  # of the third patch
    middle = coordinates(CONFIG, seed=3, start_step=centre - 1, steps=2)[:, :CHANNELS].mean(axis=0)
    np.testing.assert_allclose(middle, anchor(3, 1, CHANNELS), atol=0.02)


@pytest.mark.parametrize(("start", "steps"), [(0, 10), (383, 700), (-1000, 999), (10**12, 300), (320, 1)])
def test_any_stretch_equals_the_same_stretch_of_a_longer_one_to_the_byte(start, steps):
    whole = coordinates(CONFIG, seed=11, start_step=start - 500, steps=steps + 1000)
    part = coordinates(CONFIG, seed=11, start_step=start, steps=steps)
    assert part.tobytes() == whole[500 : 500 + steps].tobytes()


def test_style_is_one_for_the_piece():
    path = coordinates(CONFIG, seed=5, start_step=-700, steps=1400)
    assert (path[:, CHANNELS:] == style(5, CHANNELS).astype(np.float32)).all()
    assert path.dtype == np.float32


def test_seeds_anchors_and_streams_are_independent():
    drawn = [tuple(anchor(seed, index, 4)) for seed in (0, 1, 2**63 - 1) for index in (-2, -1, 0, 1)]
    drawn += [tuple(style(seed, 4)) for seed in (0, 1)]
    assert len(set(drawn)) == len(drawn)
    values = np.array([anchor(0, index, 64) for index in range(-200, 200)])
    assert abs(np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]) < 0.03


def test_truncation_draws_again_only_what_lies_beyond_the_bound():
    free, bounded = anchor(1, 0, 4096, truncation=None), anchor(1, 0, 4096, truncation=0.5)
    assert np.abs(free).max() > 3
    assert np.abs(bounded).max() <= 0.5
    inside = np.abs(free) <= 0.5
    assert (bounded[inside] == free[inside]).all()
    assert abs(bounded.std() - 0.2813) < 0.01  # of a normal cut at half a deviation
    path = coordinates(CONFIG, seed=1, start_step=0, steps=3000, truncation=0.5)
    assert np.abs(path).max() <= 0.5


@pytest.mark.parametrize("truncation", [0.0, -1.0, 0.05, float("nan"), float("inf"), "two"])
def test_a_truncation_out_of_range_is_refused(truncation):
    with pytest.raises(UserError, match="truncation must be a number from 0.1"):
        coordinates(CONFIG, seed=1, start_step=0, steps=1, truncation=truncation)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(UserError, match="seed must be a whole number"):
        coordinates(CONFIG, seed=seed, start_step=0, steps=1)


def test_patch_noise_depends_on_seed_and_patch_alone():
    first = patch_noise(CONFIG, 7, -3, 10)
    assert first.shape == (PATCH, 10)
    assert first.dtype == np.float32
    assert (first == patch_noise(CONFIG, 7, -3, 10)).all()
    assert (first != patch_noise(CONFIG, 7, -2, 10)).any()
    assert (first != patch_noise(CONFIG, 8, -3, 10)).any()
    assert abs(np.std([patch_noise(CONFIG, 0, index, 10) for index in range(20)]) - 1) < 0.02


def test_drawing_much_does_not_reach_the_next_index():
    long = counter_generator(1, 1, 0).standard_normal(100_000)
    assert not np.isin(counter_generator(1, 1, 1).standard_normal(100), long).any()


@pytest.mark.parametrize("name", ["debug", "small"])
def test_training_windows_lie_on_the_anchor_grid_of_pieces(name):
    config = load_config(name)
    settings = config.generator
    channels, spacing = settings.coordinate_channels, settings.anchor_spacing
    rng, starts = np.random.default_rng(0), set()
    for _ in range(40):
        window = training_coordinates(rng, config, batch=2)
        assert window.shape == (2, settings.window_latents, 2 * channels)
        assert window.dtype == np.float32
        assert (window[:, :1, channels:] == window[:, :, channels:]).all()
        bend = np.abs(np.diff(window[..., :channels].astype(float), n=2, axis=1)).max(axis=-1)
        places = [set(np.flatnonzero(item > 1e-3 / spacing)) for item in bend]
        assert places[0] == places[1]  # one choice a batch
        starts.add(tuple(sorted(places[0])))
    # The anchor at `spacing` shows as a bend at the two steps beside it; the window starts at 1/2, 3/2 or 5/2 patches.
    half = settings.patch_latents // 2
    expected = set()
    for start in (half, 3 * half, 5 * half):
        bends = [step for step in (spacing - start - 2, spacing - start - 1) if 0 <= step < settings.window_latents - 2]
        expected.add(tuple(bends))
    assert starts == expected


def test_training_draws_within_the_bound_of_its_config():
    drawn = {}
    for bound in (0.0, 1.5):
        config = load_config("debug", {"generator_training": {"truncation": bound}})
        windows = [training_coordinates(np.random.default_rng(seed), config, batch=8) for seed in range(20)]
        drawn[bound] = np.abs(np.stack(windows))
    assert drawn[0.0].max() > 2.5
    assert 1.4 < drawn[1.5].max() <= 1.5
    styles = drawn[1.5][..., config.generator.coordinate_channels :]
    assert styles.std() < drawn[0.0][..., config.generator.coordinate_channels :].std()


def test_training_needs_an_anchor_spacing_of_whole_patches():
    config = load_config("debug", {"generator": {"anchor_spacing": 200}})
    with pytest.raises(UserError, match="anchor_spacing must be a multiple of patch_latents"):
        training_coordinates(np.random.default_rng(0), config, batch=1)
