"""The codec's training on several cards: every phase takes the step of one card, and a run may move between them."""

import numpy as np
import pytest
from test_strategy import assert_alike, two_cards

from musika.config import load_config
from musika.presets import load_preset
from musika.training.codec_training import shared_crops

PHASES = (
    "level1_magnitude",
    "level1_phase",
    "level2_latent",
    "level2_signal",
    "level1_low_phase",
    "level1_phase_steps",
)
RATE = 1e-3


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    return folder, two_cards("compare", folder, "two_cards_codec.py")


def arrays_of(path):
    with np.load(path) as saved:
        return dict(saved)


def first_moments(arrays, optimizer):
    """Adam's first moments, joined: after two clipped steps hardly longer than (1 - beta_1 ** 2)."""
    group = [value.ravel() for key, value in arrays.items() if key.startswith(f"optimizer/{optimizer}/") and value.ndim]
    return np.concatenate(group[0::2])


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_two_copies_of_half_the_crops_take_the_steps_of_one_with_all_of_them(compared, phase):
    folder, report = compared
    assert report[phase]["copies"] == 2
    one, two = (arrays_of(folder / f"{phase}.{number}.npz") for number in ("one", "two"))
    assert_alike(one, two, moments=2e-4, weights=0.02 * RATE)  # a mean or a clipping by card is off by 0.03 and more
    logs, logs_of_two = report[phase]["logs"]
    assert set(logs_of_two) == set(logs)
    for name, value in logs.items():
        assert logs_of_two[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.slow
def test_the_compared_steps_were_clipped_and_judged(compared):
    folder, report = compared
    judged = arrays_of(folder / "level1_phase.two.npz")
    assert {"adversarial", "critic"} <= set(report["level1_phase"]["logs"][1])
    assert np.abs(first_moments(judged, "critic")).max() > 1e-3
    for phase in ("level1_magnitude", "level1_phase", "level2_signal", "level1_low_phase"):
        length = np.linalg.norm(first_moments(arrays_of(folder / f"{phase}.two.npz"), "networks"))
        assert 0.12 < length < 0.1901, phase  # 0.19 is two steps of length 1 in one direction


@pytest.mark.slow
def test_a_codec_run_on_two_cards_saves_resumes_and_may_move_to_one(tmp_path):
    said = two_cards("run", tmp_path, "two_cards_codec.py")["said"]
    assert said.count("2 cards train side by side, 1 or 2 of each batch of 2 or 4 on each.") == 3
    assert "time is up in phase level1_phase; go on with --resume." in said
    whole, parts, moved = (tmp_path / name / "last" for name in ("whole", "parts", "moved"))
    names = [f"{path.stem}.npz" for path in whole.glob("*.optimizer.npz")]
    assert names
    for name in names:
        arrays = [arrays_of(folder / name) for folder in (whole, parts, moved)]
        for key, value in arrays[0].items():
            np.testing.assert_array_equal(arrays[1][key], value, err_msg=key)
            scale = max(float(np.abs(value).max()), 1e-6)
            np.testing.assert_allclose(arrays[2][key], value, rtol=0, atol=1e-3 * scale, err_msg=key)
    codecs = [load_preset(tmp_path / name / "preset").codec for name in ("whole", "parts", "moved")]
    for name in codecs[0].networks:
        for one, again, elsewhere in zip(*(codec.networks[name].get_weights() for codec in codecs), strict=True):
            np.testing.assert_array_equal(again, one)
            np.testing.assert_allclose(elsewhere, one, rtol=0, atol=0.02 * RATE)


def test_the_phases_that_are_trained_say_what_cards_must_share():
    config = load_config("base", {"codec_training": {"level2_signal": {"steps": 0, "crops": 7}}})
    assert shared_crops(config) == [16, 16, 32]
    assert shared_crops(config, "level2_latent") == [32]
