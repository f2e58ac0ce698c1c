"""Level 1 of the published codec: sizes, blocks decoded alone, noise, and phase heads."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from musika.autoencoder.level1 import build_level1_decoder, build_level1_encoder
from musika.checks import UserError
from musika.config import load_config
from musika.weights import randomise

DEBUG = load_config("debug")  # hop 32, so 65 bins and 8 level-1 channels
NORMAL = np.random.default_rng(0).standard_normal


def decode(model, level1, noise=None):
    if noise is None:
        noise = np.zeros((*level1.shape[:2], model.noise_layers))
    return [to_numpy(output) for output in model([level1.astype(np.float32), noise.astype(np.float32)])]


@pytest.fixture(scope="module")
def decoder():
    model = build_level1_decoder(DEBUG)
    for layer in model.layers:
        if layer.name.endswith("_noise"):
            layer.gain.assign([0.5])
    return model


def test_full_size_has_the_published_counts():
    base = load_config("base")
    assert build_level1_encoder(base).count_params() == 4_790_336
    assert build_level1_decoder(base).count_params() == 12_673_291


def test_encoder_sees_every_frame_alone():
    model = build_level1_encoder(DEBUG)
    frames = NORMAL((2, 7, 65)).astype(np.float32)
    whole = to_numpy(model(frames))
    assert whole.shape == (2, 7, 8)
    assert np.abs(whole).max() <= 1
    np.testing.assert_allclose(to_numpy(model(frames[:, 3:4])), whole[:, 3:4], atol=1e-6)
    assert model.noise_layers == 0


def test_decoder_decodes_blocks_of_64_frames_alone(decoder):
    level1, noise = NORMAL((2, 192, 8)), NORMAL((2, 192, 9))
    magnitude, phase = decode(decoder, level1, noise)
    assert magnitude.shape == phase.shape == (2, 192, 65)
    assert max(np.abs(magnitude).max(), np.abs(phase).max()) <= 1
    alone = decode(decoder, level1[1:, 64:128], noise[1:, 64:128])
    np.testing.assert_allclose(alone[0], magnitude[1:, 64:128], atol=1e-5)
    np.testing.assert_allclose(alone[1], phase[1:, 64:128], atol=1e-5)


def test_every_noise_column_is_heard_and_only_where_its_layer_looks(decoder):
    assert decoder.noise_layers == 9
    level1 = NORMAL((1, 64, 8))
    silent = np.concatenate(decode(decoder, level1), axis=-1)
    strides = (1, 2, 4, 8, 4, 2, 1, 2, 1)  # d0 d1 d2 d3 u2 u1 u0 p1 p0
    for column, stride in enumerate(strides):
        noise = np.zeros((1, 64, 9))
        noise[:, ::stride, column] = 1
        assert np.abs(np.concatenate(decode(decoder, level1, noise), axis=-1) - silent).max() > 1e-3
        unseen = np.zeros((1, 64, 9))
        unseen[..., column] = 1 - noise[..., column]
        assert (np.concatenate(decode(decoder, level1, unseen), axis=-1) == silent).all()


def test_phasor_head_gives_points_on_the_unit_circle():
    config = load_config("debug", {"codec": {"phase": "phasor"}})
    network = build_level1_decoder(config)
    randomise([network])  # by its own initialisers a bin may lie next to zero, where its phase has no length
    _, phase = decode(network, np.random.default_rng(1).standard_normal((1, 64, 8)))
    assert phase.shape == (1, 64, 130)
    np.testing.assert_allclose(phase[..., :65] ** 2 + phase[..., 65:] ** 2, 1, atol=1e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"spectral": {"hop_length": 30}}, "hop_length must be a multiple of 4"),
        ({"codec": {"frames_per_latent": 8}}, "frames_per_latent must be 16"),
        ({"codec": {"decoder_frames": 40}}, "decoder_frames must be a multiple of 16"),
    ],
)
def test_sizes_that_the_graph_cannot_have_are_refused(overrides, message):
    for build in (build_level1_encoder, build_level1_decoder):
        with pytest.raises(UserError, match=message):
            build(load_config("debug", overrides))
