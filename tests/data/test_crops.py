import numpy as np
import pytest

from musika.audio.stereo import from_mid_side, to_mid_side
from musika.checks import UserError
from musika.config import config_from_dict
from musika.data.annotation import Annotation, annotation_path, save_annotation
from musika.data.crops import LatentCrops, Normalisation, load_latent_data, swap_sides
from musika.data.encode import latent_sources
from musika.data.latents import LatentFile, save_latents

CODEC = "0123456789abcdef"


def config(held_out=0.0, controls=()):
    """Four stereo channels, and a window of 8 steps."""
    return config_from_dict(
        {
            "codec": {"latent_channels": 2},
            "generator": {"patch_latents": 4, "controls": list(controls)},
            "generator_training": {"held_out": held_out},
        }
    )


def sequence(steps, first=0):
    """Latents whose left channel counts steps and whose right channel is its negative."""
    counts = np.arange(first, first + steps, dtype=np.float32)
    return np.stack([counts, counts + 0.25, -counts, -counts - 0.25], axis=1)


def write(folder, name, steps, codec=CODEC):
    save_latents(folder / name, LatentFile(sequence(steps), codec, 44100, steps * 512, name))


def test_windows_are_stretches_of_the_sequences_half_of_them_swapped():
    sequences = [sequence(20), sequence(9, first=1000)]
    windows, conditions = LatentCrops(sequences, 8).draw(np.random.default_rng(0), 400)
    assert conditions.shape == (400, 8, 0)
    swapped = windows[:, 0, 1] < windows[:, 0, 3]
    assert 120 < swapped.sum() < 280
    upright = np.where(swapped[:, None, None], swap_sides(windows), windows)
    starts = upright[:, 0, 0]
    np.testing.assert_array_equal(upright, np.stack([sequence(8, first=int(start)) for start in starts]))
    assert set(starts.astype(int)) == {*range(12), 1000}  # a last step is left out


def test_music_near_the_ends_is_seen_nearly_as_often_as_that_between():
    windows, _ = LatentCrops([sequence(41)], 8).draw(np.random.default_rng(0), 20_000)
    seen = np.bincount(np.abs(windows[:, :, 0]).round().astype(int).ravel(), minlength=41) / 20_000
    assert seen[40] == 0  # the last step
    np.testing.assert_allclose(seen[8:32], 8 / 40, rtol=0.1)
    assert seen[:40].min() > 0.9 * 4 / 40 and seen.max() < 1.1 * 12 / 40


def test_the_same_generator_draws_the_same_windows():
    crops = LatentCrops([sequence(50)], 8)
    first, second = (crops.draw(np.random.default_rng(3), 16)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, crops.draw(np.random.default_rng(4), 16)[0])


def test_no_or_too_short_sequences_are_refused():
    with pytest.raises(UserError, match="no latents"):
        LatentCrops([], 8)
    with pytest.raises(UserError, match=r"at least 8 steps\. Received: 7"):
        LatentCrops([sequence(7)], 8)


def test_normalised_latents_have_mean_zero_and_deviation_one_on_both_sides_together():
    rng = np.random.default_rng(0)
    sequences = [3.0 + 2.0 * rng.standard_normal((500, 6)).astype("f") for _ in range(2)]
    statistics = Normalisation.measure(sequences)
    assert statistics.mean.shape == statistics.std.shape == (6,)
    sides = np.concatenate([statistics.apply(part) for part in sequences]).reshape(-1, 3)
    np.testing.assert_allclose(sides.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(sides.std(axis=0), 1.0, atol=1e-4)


def test_normalising_commutes_with_swapping_sides():
    latents = sequence(10)
    statistics = Normalisation.measure([latents])
    np.testing.assert_array_equal(statistics.apply(swap_sides(latents)), swap_sides(statistics.apply(latents)))


def test_a_side_keeps_its_proportion_to_the_middle_and_turns_by_sign():
    rng = np.random.default_rng(1)
    stereo = rng.standard_normal((2000, 1)) * [1.0, 1.0, 1.0, 1.0] + 0.1 * rng.standard_normal((2000, 4)) + 5.0
    latents = to_mid_side(stereo.astype("f"))
    statistics = Normalisation.measure([latents], mid_side=True, emphasis=np.array([2.0, 0.5]))
    normal = statistics.apply(latents)
    np.testing.assert_allclose(normal[:, :2].std(axis=0), [2.0, 0.5], rtol=1e-3)
    assert np.all(normal[:, 2:].std(axis=0) < 0.2 * normal[:, :2].std(axis=0))
    np.testing.assert_allclose(normal[:, :2].mean(axis=0), 0.0, atol=1e-3)
    swapped = statistics.apply(to_mid_side(swap_sides(stereo.astype("f"))))
    np.testing.assert_allclose(swap_sides(normal, mid_side=True), swapped, atol=1e-5)
    np.testing.assert_allclose(from_mid_side(latents), stereo, rtol=1e-5)


def test_a_channel_that_never_moves_stays_finite():
    statistics = Normalisation.measure([np.ones((10, 4), np.float32)])
    assert np.isfinite(statistics.apply(np.ones((10, 4), np.float32))).all()


def test_a_folder_is_loaded_and_what_is_left_out_is_named_with_its_reason(tmp_path):
    for number in range(4):
        write(tmp_path, f"long{number}.npz", 40)
    write(tmp_path, "short.npz", 5)
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    data = load_latent_data(tmp_path, CODEC, config(held_out=0.25))
    assert len(data.training) == 3
    assert len(data.held_out) == 1
    assert data.used == [f"long{number}.npz" for number in range(4)]
    reasons = dict(data.skipped)
    assert "5 of 8 latent steps" in reasons["short.npz"]
    assert "damaged" in reasons["broken.npz"]


def test_the_files_of_a_folder_are_those_that_other_commands_see(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    data = tmp_path / "data"
    data.mkdir()
    write(tmp_path / "elsewhere", "a.npz", 20)
    (data / "linked").symlink_to(tmp_path / "elsewhere")
    write(data, "b.npz", 20)
    (data / "._b.npz").write_bytes(b"of macOS")
    loaded = load_latent_data(data, CODEC, config())
    assert (loaded.used, loaded.skipped) == (["b.npz", "linked/a.npz"], [])
    assert [data / name for name in loaded.used] == latent_sources(data)


def test_of_a_single_file_the_end_is_held_out(tmp_path):
    write(tmp_path, "only.npz", 100)
    data = load_latent_data(tmp_path / "only.npz", CODEC, config(held_out=0.1))
    assert [len(part) for part in (*data.training, *data.held_out)] == [90, 10]


def test_a_single_short_file_is_all_trained_on(tmp_path):
    write(tmp_path, "only.npz", 12)
    data = load_latent_data(tmp_path, CODEC, config(held_out=0.1))
    assert ([len(part) for part in data.training], data.held_out) == ([12], [])


def test_latents_of_another_codec_are_refused_by_name(tmp_path):
    write(tmp_path, "good.npz", 40)
    write(tmp_path, "other.npz", 40, codec="fedcba9876543210")
    with pytest.raises(UserError, match=r"other\.npz.*fedcba9876543210.*0123456789abcdef"):
        load_latent_data(tmp_path, CODEC, config(held_out=0.0))


def test_a_folder_without_usable_latents_is_an_error_that_says_why(tmp_path):
    with pytest.raises(UserError, match="no latent file"):
        load_latent_data(tmp_path, CODEC, config(held_out=0.0))
    write(tmp_path, "short.npz", 5)
    with pytest.raises(UserError, match=r"short\.npz: shorter"):
        load_latent_data(tmp_path, CODEC, config(held_out=0.0))
    with pytest.raises(UserError, match="does not exist"):
        load_latent_data(tmp_path / "nothing", CODEC, config(held_out=0.0))


def test_windows_bring_the_conditions_of_their_own_steps():
    sequences = [sequence(30), sequence(30, first=1000)]
    conditions = [part[:, :1] * 2.0 for part in sequences]
    windows, given = LatentCrops(sequences, 8, conditions=conditions).draw(np.random.default_rng(0), 50)
    left = np.where(windows[:, 0, 1] < windows[:, 0, 3], -windows[:, 0, 0], windows[:, 0, 0])
    np.testing.assert_array_equal(given[:, 0, 0], 2.0 * np.abs(left))
    np.testing.assert_array_equal(np.diff(given[:, :, 0], axis=1), 2.0)


def test_annotations_become_conditions_and_files_without_one_have_none(tmp_path):
    controls = [{"name": "brightness", "low": 0.0, "high": 4.0, "per": "step"}]
    write(tmp_path, "a.npz", 40)
    write(tmp_path, "b.npz", 40)
    curve = np.linspace(0.0, 4.0, 40)
    save_annotation(
        annotation_path(tmp_path / "a.npz"), Annotation("a", "mine", 10.0, 40, controls={"brightness": curve})
    )
    data = load_latent_data(tmp_path, CODEC, config(controls=controls))
    assert data.annotated == 1
    np.testing.assert_allclose(data.conditions[0][:, 0], np.linspace(-1.0, 1.0, 40), atol=1e-5)
    np.testing.assert_array_equal(data.conditions[0][:, 5], 1.0)
    assert not data.conditions[1].any()


def test_an_annotation_of_another_length_is_refused(tmp_path):
    write(tmp_path, "a.npz", 40)
    save_annotation(annotation_path(tmp_path / "a.npz"), Annotation("a", "mine", 10.0, 39, controls={"x": 1.0}))
    with pytest.raises(UserError, match="39 latent steps, but the latents have 40"):
        load_latent_data(tmp_path, CODEC, config(controls=[{"name": "x"}]))
