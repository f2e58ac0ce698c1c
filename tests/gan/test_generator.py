"""The generator and the latent critic against a NumPy oracle, their sizes, and their independence of neighbours."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from musika.checks import UserError
from musika.config import Config, load_config
from musika.gan.critic import build_critic
from musika.gan.generator import build_generator
from musika.gan.layers import AdaptiveNorm, shuffle_to_time

TOY = {"codec": {"latent_channels": 3}, "generator": {"base_channels": 2, "coordinate_channels": 5}}


def toy_config(name: str, **generator: object) -> Config:
    return load_config(name, {**TOY, "generator": {**TOY["generator"], **generator}})


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    random = np.random.default_rng(seed)
    for variable in model.weights:
        scale = 1.0 / np.sqrt(np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 0.3
        variable.assign(scale * random.standard_normal(variable.shape))
    return model


def convolve(x: np.ndarray, layer: keras.layers.Layer, stride: int = 1) -> np.ndarray:
    """TensorFlow's "same" convolution of one item `(steps, channels)`."""
    kernel = to_numpy(layer.kernel)
    steps, width = len(x), len(kernel)
    outputs = -(-steps // stride)
    pad = max(0, (outputs - 1) * stride + width - steps)
    padded = np.pad(x, ((pad // 2, pad - pad // 2), (0, 0)))
    result = np.stack([np.einsum("kc,kco->o", padded[i * stride : i * stride + width], kernel) for i in range(outputs)])
    return result + (to_numpy(layer.bias) if layer.use_bias else 0)


def convolve_up(x: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Each step adds its kernel to four outputs; one is cut off at each end."""
    kernel = to_numpy(layer.kernel)  # (4, out, in)
    result = np.zeros((2 * len(x) + 2, kernel.shape[1]))
    for step, values in enumerate(x):
        result[2 * step : 2 * step + 4] += kernel @ values
    return result[1:-1] + to_numpy(layer.bias)


def generator_oracle(model: keras.Model, coordinates: np.ndarray, noise: np.ndarray, small: bool) -> np.ndarray:
    conditions = [coordinates]
    while len(conditions[-1]) > 2:
        conditions.append(conditions[-1].reshape(-1, 2, coordinates.shape[1]).mean(axis=1))
    column = iter(range(10))

    def finish(x: np.ndarray, name: str, condition: np.ndarray) -> np.ndarray:
        x = x + to_numpy(model.get_layer(f"{name}_noise").gain) * noise[:: len(noise) // len(x), next(column), None]
        adain = model.get_layer(f"{name}_adain")
        x = x / (x.std(axis=0) + 1e-5) * (condition @ to_numpy(adain.scale_kernel) + to_numpy(adain.scale_bias))
        if adain.shift:
            x = x + condition @ to_numpy(adain.shift_kernel) + to_numpy(adain.shift_bias)
        return x / (1 + np.exp(-x))

    dense = model.get_layer("start_dense")
    x = conditions[-1].reshape(-1) @ to_numpy(dense.kernel) + to_numpy(dense.bias)
    x = finish(x.reshape(4, -1), "start", conditions[-2])
    for stage in range(4):
        condition = conditions[4 - stage]
        first, second = f"unit{2 * stage}", f"unit{2 * stage + 1}"
        flat = small and stage == 0
        shuffled = np.empty((2 * len(x), x.shape[1] // 2))
        shuffled[0::2], shuffled[1::2] = x[:, 0::2], x[:, 1::2]
        branch = (convolve if flat else convolve_up)(x, model.get_layer(f"{first}_conv"))
        branch = np.sqrt(0.5) * finish(branch, first, condition)
        branch = np.sqrt(0.5) * finish(convolve(branch, model.get_layer(f"{second}_conv")), second, condition)
        x = branch + convolve(x if flat else shuffled, model.get_layer(f"shortcut{stage + 1}"))
    x = finish(convolve_up(x, model.get_layer("unit8_conv")), "unit8", coordinates)
    return convolve(x, model.get_layer("output"))


def critic_oracle(model: keras.Model, latents: np.ndarray, blocks: int) -> float:
    def leaky(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, 0.2 * x)

    x = leaky(convolve(latents, model.get_layer("input"), stride=2))
    names = [layer.name for layer in model.layers]
    for i in range(blocks):
        inside = np.sqrt(0.5) * leaky(convolve(x, model.get_layer(f"block{i}_inside")))
        outside = np.sqrt(0.5) * leaky(convolve(inside, model.get_layer(f"block{i}_outside"), stride=2))
        x = x.reshape(-1, 2, x.shape[1]).mean(axis=1)
        if f"block{i}_shortcut" in names:
            x = convolve(x, model.get_layer(f"block{i}_shortcut"))
        x = outside + x
    x = leaky(convolve(x, model.get_layer("last"))).reshape(-1)
    dense = model.get_layer("judgement")
    return (x @ to_numpy(dense.kernel) + to_numpy(dense.bias)).item()


@pytest.mark.parametrize(
    ("name", "generator", "critic"), [("base", 15_499_530, 20_786_689), ("small", None, None), ("compact", None, None)]
)
def test_builds_at_full_size_with_the_published_counts(name, generator, critic):
    config = load_config(name)
    built, judge = build_generator(config), build_critic(config)
    assert built.noise_layers == 10 + 2 * config.generator.refine_blocks
    assert judge.noise_layers == 0
    assert built.output_shape == (None, config.generator.patch_latents, 2 * config.codec.latent_channels)
    assert judge.input_shape == (None, config.generator.window_latents, 2 * config.codec.latent_channels)
    if generator:
        assert (built.count_params(), judge.count_params()) == (generator, critic)


@pytest.mark.parametrize(("name", "shift"), [("base", False), ("small", False), ("small", True)])
def test_generator_equals_the_oracle(name, shift):
    config = toy_config(name, adain_shift=shift)
    model = randomised(build_generator(config))
    random = np.random.default_rng(1)
    coordinates = random.standard_normal((2, config.generator.patch_latents, 10)).astype(np.float32)
    noise = random.standard_normal((2, config.generator.patch_latents, 10)).astype(np.float32)
    received = to_numpy(model([coordinates, noise]))
    for item in range(2):
        expected = generator_oracle(model, coordinates[item].astype(float), noise[item].astype(float), name == "small")
        np.testing.assert_allclose(received[item], expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("name", "blocks"), [("base", 5), ("small", 4)])
def test_critic_equals_the_oracle(name, blocks):
    config = toy_config(name)
    model = randomised(build_critic(config))
    latents = np.random.default_rng(1).standard_normal((2, config.generator.window_latents, 6)).astype(np.float32)
    received = to_numpy(model(latents))
    expected = [[critic_oracle(model, item.astype(float), blocks)] for item in latents]
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_shift_starts_with_scales_around_one():
    keras.utils.set_random_seed(0)
    condition = np.random.default_rng(0).standard_normal((64, 16, 32)).astype(np.float32)
    features = np.random.default_rng(1).standard_normal((64, 16, 24)).astype(np.float32)
    layer = AdaptiveNorm(shift=True)
    layer(features, condition)
    scale = to_numpy(keras.ops.matmul(condition, layer.scale_kernel) + layer.scale_bias)
    assert 0.9 < scale.mean() < 1.1
    assert 0.5 < scale.std() < 1.5


def test_adaptive_norm_has_a_finite_gradient_where_a_channel_is_constant():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's gradients")
    layer = AdaptiveNorm()
    features = tf.zeros((1, 4, 2))
    with tf.GradientTape() as tape:
        tape.watch(features)
        total = tf.reduce_sum(layer(features, tf.ones((1, 4, 3))))
    assert np.isfinite(tape.gradient(total, features)).all()


def test_shuffle_moves_channel_pairs_into_time():
    features = np.arange(12.0).reshape(1, 2, 6)
    received = to_numpy(shuffle_to_time(keras.ops.convert_to_tensor(features)))
    assert received[0].tolist() == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]]


def test_a_low_precision_copy_gives_about_the_same_latents():
    config = toy_config("small")
    exact = randomised(build_generator(config))
    coarse = build_generator(config, dtype="mixed_bfloat16")
    coarse.set_weights(exact.get_weights())
    inputs = [np.random.default_rng(2).standard_normal((1, 64, 10)).astype(np.float32) for _ in range(2)]
    first, second = (to_numpy(model(inputs)) for model in (exact, coarse))
    assert second.dtype == np.float32
    assert 0 < np.abs(first - second).max() < 0.1 * np.abs(first).max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"patch_latents": 96}, "patch_latents must be a multiple of 64"), ({"base_channels": 3}, "must be even")],
)
def test_sizes_that_do_not_fit_are_refused(settings, message):
    for build in (build_generator, build_critic):
        with pytest.raises(UserError, match=message):
            build(toy_config("base", **settings))
