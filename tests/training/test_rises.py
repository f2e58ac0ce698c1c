import keras
import numpy as np
import pytest
from descent import descend
from toy_gan import toy_config

from musika.audio.stereo import to_mid_side
from musika.checks import UserError
from musika.data.crops import Normalisation
from musika.presets import load_preset, random_preset
from musika.training.rises import LevelChanges, RiseMatching, measure_level_changes

BINS = 3


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("mid_side", [True, False])
def test_changes_are_those_of_what_the_codec_decodes(mid_side):
    codec = load_preset("piano").codec
    latents = np.random.default_rng(0).standard_normal((40, 128)).astype("float32")
    seen = to_mid_side(latents) if mid_side else latents
    statistics = Normalisation.measure([seen + 0.3], mid_side=mid_side)
    found = measure_level_changes(codec, statistics, mid_side)(statistics.apply(seen), np)
    patches, frames = (codec.networks[f"level{level}_decoder"].components for level in (2, 1))
    weights, levels = codec.networks["level1_decoder"].soft_floor.inverse_weights, []
    for side in np.split(latents, 2, axis=1):
        level1 = numbers(patches(side, backward=True)).reshape(-1, 256)[::2]
        levels.append(numbers(frames(level1, backward=True)) * weights)
    frequency = np.arange(1025) * codec.sample_rate / codec.config.spectral.fft_length
    chosen = (frequency >= 50) & (frequency <= 10_000) & ((frequency <= 2000) | (np.arange(1025) % 3 == 0))
    expected = np.diff(np.mean(levels, axis=0)[:, chosen], axis=0)[: 39 * 4].reshape(39, 4, -1)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_level_changes_need_a_compact_codec():
    other = random_preset(toy_config())
    with pytest.raises(UserError, match="rise_matching needs a compact codec. Received: architecture='published'"):
        measure_level_changes(other.codec, None, True)


def music(seed, early=0.0):
    """Notes struck every fourth step that fade evenly; ``early`` of each attack comes in the step before."""
    random = np.random.default_rng(seed)
    attacks = np.zeros((200, BINS), "float32")
    attacks[4::4] = 2.0 + random.random((49, BINS))
    falls = np.full((200, BINS), -0.6, "float32") + 0.01 * random.standard_normal((200, BINS)).astype("float32")
    levels = (falls + attacks).cumsum(axis=0)
    levels[3:-1:4] += early * (levels[4::4] - levels[3:-1:4])
    return levels.astype("float32")


@pytest.fixture
def matching():
    """One place a step, and a bin for each channel."""
    one = np.eye(BINS, dtype="float32")
    changes = LevelChanges(np.stack([-one, one]), np.zeros(BINS, "float32"), BINS)
    return RiseMatching([music(seed) for seed in range(3)], changes)


def test_music_is_not_pulled(matching):
    real = np.stack([music(seed) for seed in range(3)])
    loss, distance, found = matching(real, real)
    np.testing.assert_allclose(numbers(found), numbers(matching.rises.value), rtol=0.02)
    assert abs(float(loss)) < 1e-6 and float(distance) < 1e-10


def test_what_fades_in_before_an_attack_is_unlearned(matching, short_memory):
    real = np.stack([music(seed) for seed in range(3)])
    spread = np.stack([music(seed, early=1.0) for seed in range(3)]) - real

    def make(share):
        return keras.ops.add(real, keras.ops.multiply(share, spread))

    share, seen = descend(matching, make, real, start=0.5, rate=0.015, steps=100)
    assert max(seen) > 1.0 > 0.1 > seen[-1]
    assert share < 0.3


def test_only_calm_places_that_are_told_count(matching):
    real = np.stack([music(seed) for seed in range(2)])
    made, told = real.copy(), np.zeros((2, 200, 1), "float32")
    made[:, 4::4] += 5.0  # louder where something begins
    told[0] = 1.0
    made[1] = np.random.default_rng(0).standard_normal((200, BINS)).cumsum(axis=0)
    np.testing.assert_allclose(
        numbers(matching(made, real, told)[2]), numbers(matching(real, real, told)[2]), rtol=1e-4
    )
    assert (numbers(matching(made, real)[2]) > 2 * numbers(matching(real, real)[2])).all()


def test_what_is_cut_out_of_music_is_not_calm(matching):
    real = np.stack([music(seed) for seed in range(2)])
    shown = np.ones((2, 200, 1), "float32")
    shown[:, 50:150] = 0
    made = real.copy()
    made[:, 51:149:2] += 5.0
    made[:, 53:149:4] += 10.0
    found = numbers(matching(made, real * shown, None, shown)[2])
    np.testing.assert_allclose(found, numbers(matching(real, real)[2]), rtol=0.1)
    assert (numbers(matching(made, real * shown)[2]) > 2 * found).all()


def test_where_nothing_is_calm_the_running_mean_stays(matching):
    loud = np.tile(np.arange(50, dtype="float32")[:, None], (2, 1, BINS))
    loss, _, found = matching(loud, loud)
    assert np.isfinite(float(loss))
    np.testing.assert_allclose(numbers(found), numbers(matching.rises.value))


def test_where_nothing_is_told_all_places_count():
    one, notes = np.eye(BINS, dtype="float32"), [music(seed) for seed in range(3)]
    changes = LevelChanges(np.stack([-one, one]), np.zeros(BINS, "float32"), BINS)
    matching = RiseMatching(notes, changes, told=False)
    shifted = np.stack([np.roll(part, 2, axis=0)[3:] for part in notes])  # the same music, struck elsewhere
    real = np.stack([part[3:] for part in notes])
    np.testing.assert_allclose(numbers(matching(shifted, real)[2]), numbers(matching(real, real)[2]), rtol=0.05)
    assert float(matching(shifted, real)[1]) < 1e-6
