"""Level 2 of the published codec: sizes, blocks computed alone, and noise."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from musika.autoencoder.level2 import build_level2_decoder, build_level2_encoder
from musika.config import load_config

DEBUG = load_config("debug")  # hop 32, so 8 level-1 channels; 16 latent channels
NORMAL = np.random.default_rng(0).standard_normal


def decode(model, latents, noise=None):
    if noise is None:
        noise = np.zeros((len(latents), 16 * latents.shape[1], model.noise_layers))
    return to_numpy(model([latents.astype(np.float32), noise.astype(np.float32)]))


@pytest.fixture(scope="module")
def decoder():
    model = build_level2_decoder(DEBUG)
    for layer in model.layers:
        if layer.name.endswith("_noise"):
            layer.gain.assign([0.5])
    return model


def test_full_size_has_the_published_counts():
    base = load_config("base")
    assert build_level2_encoder(base).count_params() == 3_984_960
    assert build_level2_decoder(base).count_params() == 6_639_303


def test_encoder_makes_each_latent_from_its_own_16_frames():
    model = build_level2_encoder(DEBUG)
    frames = NORMAL((2, 80, 8)).astype(np.float32)
    latents = to_numpy(model(frames))
    assert latents.shape == (2, 5, 16)
    assert np.abs(latents).max() <= 1
    np.testing.assert_allclose(to_numpy(model(frames[1:, 32:48])), latents[1:, 2:3], atol=1e-5)
    assert model.noise_layers == 0


def test_decoder_decodes_blocks_of_4_latents_alone(decoder):
    latents, noise = NORMAL((2, 12, 16)), NORMAL((2, 192, 7))
    level1 = decode(decoder, latents, noise)
    assert level1.shape == (2, 192, 8)
    alone = decode(decoder, latents[1:, 4:8], noise[1:, 64:128])
    np.testing.assert_allclose(alone, level1[1:, 64:128], atol=1e-5)


def test_every_noise_column_is_heard_and_only_where_its_layer_looks(decoder):
    assert decoder.noise_layers == 7
    latents = NORMAL((1, 4, 16))
    silent = decode(decoder, latents)
    for column, stride in enumerate((16, 8, 8, 4, 4, 2, 1)):
        noise = np.zeros((1, 64, 7))
        noise[:, ::stride, column] = 1
        assert np.abs(decode(decoder, latents, noise) - silent).max() > 1e-3
        unseen = np.zeros((1, 64, 7))
        unseen[..., column] = 1 - noise[..., column]
        assert (decode(decoder, latents, unseen) == silent).all()


def test_weights_survive_saving(decoder, tmp_path):
    path = tmp_path / "decoder.weights.h5"
    decoder.save_weights(path)
    other = build_level2_decoder(DEBUG)
    other.load_weights(path)
    latents = NORMAL((1, 8, 16))
    assert (decode(other, latents) == decode(decoder, latents)).all()
