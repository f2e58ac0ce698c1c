"""Decoding a circle: against the middle turn of many turns in a row."""

import numpy as np
import pytest

from musika.autoencoder.circular import add_around, decode_circular


def turns_in_a_row(codec, latents, turns=3):
    """The second of some turns, decoded as one long piece."""
    audio = codec.decode(np.tile(latents, (turns, 1)), noise=False)
    samples = len(latents) * codec.config.latent_hop
    return audio[samples : 2 * samples]


@pytest.fixture(scope="module")
def latents(debug_preset):
    return debug_preset.piece(seed=3).latents(0, 256)


@pytest.mark.parametrize("steps", [4, 20, 128, 200])
def test_a_turn_is_the_middle_one_of_many(debug_preset, latents, steps):
    circle = decode_circular(debug_preset.codec, latents[:steps], None)
    expected = turns_in_a_row(debug_preset.codec, latents[:steps])
    assert circle.shape == (steps * debug_preset.config.latent_hop, 2)
    loud = np.abs(circle) > 0.79  # what the limiter changes
    assert np.abs(np.where(loud, 0.0, circle - expected)).max() < 1e-5


@pytest.mark.parametrize("steps", [3, 21, 130])
def test_any_number_of_steps_makes_a_turn(debug_preset, latents, steps):
    circle = decode_circular(debug_preset.codec, latents[:steps], noise_seed=1)
    assert circle.shape == (steps * debug_preset.config.latent_hop, 2)
    assert np.isfinite(circle).all()
    assert np.array_equal(circle, decode_circular(debug_preset.codec, latents[:steps], noise_seed=1))
    assert not np.array_equal(circle, decode_circular(debug_preset.codec, latents[:steps], noise_seed=2))


def test_adding_goes_round_as_often_as_needed():
    circle = np.zeros((5, 2), np.float32)
    add_around(circle, -3, np.ones((13, 2), np.float32))
    assert circle[2:].tolist() == [[3, 3]] * 3 and circle[:2].tolist() == [[2, 2]] * 2
