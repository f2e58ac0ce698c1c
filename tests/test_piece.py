import dataclasses
import itertools

import numpy as np
import pytest

from musika.autoencoder.codec import BLOCK_STEPS
from musika.checks import UserError
from musika.gan.coordinates import coordinates
from musika.piece import Piece
from musika.presets import random_preset


@pytest.fixture(scope="module")
def long_render(debug_preset):
    return debug_preset.piece(seed=7).render(0.0, 20.0)


@pytest.mark.parametrize("seconds", [2.0, 6.0])
def test_a_short_render_is_the_beginning_of_a_long_one(debug_preset, long_render, seconds):
    audio = debug_preset.piece(seed=7).render(0.0, seconds)
    assert audio.shape == (round(seconds * 44100), 2)
    assert audio.dtype == np.float32
    assert np.array_equal(audio, long_render[: len(audio)])


def test_any_stretch_is_the_same_alone(debug_preset, long_render):
    config = debug_preset.config
    border = BLOCK_STEPS * config.latent_hop - config.spectral.overlap
    starts = [0.0, 0.37, 3.75, 11.1, (border - 5) / 44100, border / 44100, (border + 40) / 44100, 17.0]
    for start in starts:
        audio = debug_preset.piece(seed=7).render(start, 0.3)
        first = round(start * 44100)
        assert np.array_equal(audio, long_render[first : first + len(audio)]), start


def test_the_order_of_calls_does_not_matter(debug_preset, long_render):
    piece = debug_preset.piece(seed=7)
    later, earlier = piece.render(9.0, 2.0), piece.render(0.5, 2.0)
    assert np.array_equal(later, long_render[9 * 44100 :][: 2 * 44100])
    assert np.array_equal(earlier, long_render[22050:][: 2 * 44100])


def test_a_stream_is_the_render(debug_preset, long_render):
    blocks, samples = [], 0
    for block in debug_preset.piece(seed=7).stream(1.0):
        blocks.append(block)
        samples += len(block)
        if samples > 6 * 44100:
            break
    assert np.array_equal(np.concatenate(blocks), long_render[44100:][:samples])


def test_two_streams_do_not_disturb_each_other(debug_preset, long_render):
    piece = debug_preset.piece(seed=7)
    for first, second in itertools.islice(zip(piece.stream(0.0), piece.stream(2.0), strict=False), 3):
        assert np.isfinite(first).all() and np.isfinite(second).all()
    assert np.array_equal(next(piece.stream(0.0)), long_render[: len(next(piece.stream(0.0)))])


def test_seeds_and_truncation_change_the_piece(debug_preset, long_render):
    head = long_render[:22050]
    assert not np.array_equal(debug_preset.piece(seed=8).render(0.0, 0.5), head)
    assert not np.array_equal(debug_preset.piece(seed=7, truncation=0.5).render(0.0, 0.5), head)


def test_audio_is_limited_stereo_and_not_silent(long_render):
    assert np.abs(long_render).max() <= 1.0
    assert np.abs(long_render).max() > 1e-3
    assert not np.array_equal(long_render[:, 0], long_render[:, 1])


def test_latents_do_not_depend_on_the_stretch_even_before_time_zero(debug_preset):
    piece = debug_preset.piece(seed=3)
    whole = piece.latents(-700, 1500)
    assert whole.shape == (1500, 2 * debug_preset.config.codec.latent_channels)
    for first, steps in [(-700, 1), (-513, 40), (-1, 2), (0, 128), (500, 300)]:
        assert np.array_equal(debug_preset.piece(seed=3).latents(first, steps), whole[first + 700 :][:steps])
    assert piece.latents(5, 0).shape == (0, whole.shape[1])


def test_decoding_a_pieces_latents_gives_the_piece(debug_preset):
    piece = debug_preset.piece(seed=5)
    decoded = debug_preset.codec.decode(piece.latents(0, 2 * BLOCK_STEPS), seed=5)
    assert np.array_equal(decoded, piece.render(0.0, 10.0)[: len(decoded)])


def test_a_drawn_seed_makes_the_piece_again(debug_preset):
    piece = debug_preset.piece()
    assert np.array_equal(piece.render(0.0, 0.1), debug_preset.piece(seed=piece.seed).render(0.0, 0.1))


def test_far_away_is_reached_at_once(debug_preset):
    assert np.isfinite(debug_preset.piece(seed=1).render(3.6e6, 0.2)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 0.0}, "seconds must be a number greater than 0"),
        ({"seconds": 1e9}, "seconds must be a number"),
        ({"start": -1.0}, "start must be a number from 0"),
        ({"start": float("nan")}, "start must be a number"),
    ],
)
def test_absurd_stretches_are_refused(debug_preset, arguments, message):
    with pytest.raises(UserError, match=message):
        debug_preset.piece(seed=1).render(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": 2**63}, "seed must be a whole number"),
        ({"seed": 1, "truncation": 0.0}, "truncation must be a number"),
    ],
)
def test_absurd_pieces_are_refused(debug_preset, arguments, message):
    with pytest.raises(UserError, match=message):
        Piece(debug_preset, **arguments)


def test_a_codec_alone_says_how_to_get_a_generator(debug_preset):
    from musika.presets import Preset

    with pytest.raises(UserError, match="musika train generator --codec toy"):
        Preset("toy", debug_preset.config, debug_preset.codec).piece(seed=1)


@pytest.fixture(scope="module")
def fading_preset(debug_config):
    generator = dataclasses.replace(debug_config.generator, overlap_latents=4)
    return random_preset(dataclasses.replace(debug_config, generator=generator), seed=1)


def test_patches_that_overlap_give_the_same_stretch_of_any_request(fading_preset):
    whole = fading_preset.piece(seed=3).latents(-700, 1500)
    for first, steps in ((-700, 3), (-1, 2), (100, 300), (490, 20), (799, 1)):
        assert np.array_equal(fading_preset.piece(seed=3).latents(first, steps), whole[first + 700 :][:steps])


def test_patches_fade_into_each_other_and_are_themselves_elsewhere(fading_preset):
    piece = fading_preset.piece(seed=3)
    spacing = piece.preset.config.generator.patch_spacing
    made = {group: piece._make_patches(group) for group in (-1, 0)}
    latents = piece.latents(-spacing, 2 * spacing)
    left, right = made[-1][-1], made[0][0]
    np.testing.assert_array_equal(latents[2 : spacing - 2], left[4:spacing])
    np.testing.assert_array_equal(latents[spacing + 2 : 2 * spacing - 2], right[4:spacing])
    shares = np.array([0.125, 0.375, 0.625, 0.875])[:, None]
    mixed = left[spacing:] * (1 - shares) + right[:4] * shares
    np.testing.assert_allclose(latents[spacing - 2 : spacing + 2], mixed, atol=1e-5)


@pytest.mark.parametrize("path", [None, [7]])
def test_patches_that_overlap_stand_on_the_grid_of_anchors_as_in_training(fading_preset, monkeypatch, path):
    config, seen = fading_preset.config, []
    monkeypatch.setattr(type(fading_preset), "generate", lambda self, inputs, noise: seen.append(inputs) or inputs)
    piece = fading_preset.piece(seed=7, path=path)
    piece._make_patches(0)
    piece._make_patches(5)
    count, steps = seen[0].shape[:2]
    for group, inputs in zip((0, 5), seen, strict=True):
        unbroken = coordinates(config, 7, group * count * steps, count * steps)
        np.testing.assert_array_equal(inputs.reshape(count * steps, -1), unbroken)
