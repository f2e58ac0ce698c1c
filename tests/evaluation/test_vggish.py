import io
import urllib.error
import urllib.request

import keras
import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation.embeddings import load_embedding, vggish, vggish_weights
from musika.evaluation.embeddings.vggish import LogMelFrontEnd, build_vggish
from musika.resources import file_hash

RATE = 16000
# Names and shapes of the arrays in the published checkpoint.
LAYOUT = {
    "vggish/conv1/weights": (3, 3, 1, 64),
    "vggish/conv1/biases": (64,),
    "vggish/conv2/weights": (3, 3, 64, 128),
    "vggish/conv2/biases": (128,),
    "vggish/conv3/conv3_1/weights": (3, 3, 128, 256),
    "vggish/conv3/conv3_1/biases": (256,),
    "vggish/conv3/conv3_2/weights": (3, 3, 256, 256),
    "vggish/conv3/conv3_2/biases": (256,),
    "vggish/conv4/conv4_1/weights": (3, 3, 256, 512),
    "vggish/conv4/conv4_1/biases": (512,),
    "vggish/conv4/conv4_2/weights": (3, 3, 512, 512),
    "vggish/conv4/conv4_2/biases": (512,),
    "vggish/fc1/fc1_1/weights": (12288, 4096),
    "vggish/fc1/fc1_1/biases": (4096,),
    "vggish/fc1/fc1_2/weights": (4096, 4096),
    "vggish/fc1/fc1_2/biases": (4096,),
    "vggish/fc2/weights": (4096, 128),
    "vggish/fc2/biases": (128,),
}


def reference_log_mel(audio):
    """The front end as its description says, one frame and one band at a time."""
    edges = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    mel = 1127 * np.log(1 + np.arange(257) * (8000 / 256) / 700)
    rows = []
    for start in range(0, len(audio) - 400 + 1, 160):
        frame = audio[start : start + 400] * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400))
        magnitude = np.abs(np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512) @ frame)
        row = []
        for low, centre, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
            total = 0.0
            for bin_mel, value in zip(mel[1:], magnitude[1:], strict=True):
                if low < bin_mel <= centre:
                    total += value * (bin_mel - low) / (centre - low)
                elif centre < bin_mel < high:
                    total += value * (high - bin_mel) / (high - centre)
            row.append(np.log(total + 0.01))
        rows.append(row)
    return np.array(rows)


def write_checkpoint(path, arrays):
    """Write arrays as the published file has them: one file, version 1."""
    import tensorflow as tf

    tf.raw_ops.Save(filename=str(path), tensor_names=list(arrays), data=list(arrays.values()))
    return path


def tiny_network():
    """A network of the same input and output, for tests of what is around it."""
    keras.utils.set_random_seed(0)
    patches = keras.Input((96, 64))
    return keras.Model(patches, keras.layers.Dense(128, name="fc2")(keras.layers.GlobalAveragePooling1D()(patches)))


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(vggish, "build_vggish", lambda activation="none": tiny_network())
    rng = np.random.default_rng(0)
    arrays = {
        "vggish/fc2/weights": rng.standard_normal((64, 128)).astype(np.float32),
        "vggish/fc2/biases": rng.standard_normal(128).astype(np.float32),
    }
    return write_checkpoint(tmp_path / "tiny.ckpt", arrays), arrays


@pytest.fixture(scope="module")
def network():
    return build_vggish()


def test_names_shapes_and_parameters_are_the_published_ones(network):
    ours = {
        vggish_weights.checkpoint_name(layer.name, kind): tuple(variable.shape)
        for layer in network.layers
        for variable, kind in zip(layer.weights, ("weights", "biases"), strict=False)
    }
    assert ours == LAYOUT
    assert network.count_params() == 72_141_184
    assert network.input_shape == (None, 96, 64) and network.output_shape == (None, 128)


def test_the_graph_is_that_of_the_paper(network):
    kinds = [type(layer).__name__ for layer in network.layers if layer.weights or "pool" in layer.name]
    stages = ["Conv2D", "MaxPooling2D"] * 2 + ["Conv2D", "Conv2D", "MaxPooling2D"] * 2
    assert kinds == stages + ["Dense"] * 3
    active = [layer.name for layer in network.layers if layer.weights and layer.activation is keras.activations.relu]
    assert active == [layer.name for layer in network.layers if layer.weights and layer.name != "fc2"]
    assert network.get_layer("fc2").activation is keras.activations.linear
    assert network.get_layer("pool4").output.shape == (None, 6, 4, 512)


def test_an_unknown_activation_is_refused():
    with pytest.raises(UserError, match="activation must be one of none, relu"):
        build_vggish("tanh")


def test_the_front_end_agrees_with_a_plain_reference():
    audio = 0.3 * np.random.default_rng(1).standard_normal(RATE + 50)
    expected = reference_log_mel(audio)[:96]
    (patches,) = LogMelFrontEnd().patches(iter([audio[:, None]]), 96)
    assert patches.shape == (1, 96, 64) and patches.dtype == np.float32
    np.testing.assert_allclose(patches[0], expected, atol=1e-5)


def test_silence_is_the_log_of_the_offset():
    (patches,) = LogMelFrontEnd().patches(iter([np.zeros((15600, 1))]), 96)
    np.testing.assert_allclose(patches, np.log(0.01), rtol=1e-6)
    assert not list(LogMelFrontEnd().patches(iter([np.zeros((15599, 1))]), 96))


def test_the_embedding_streams_and_takes_its_weights_from_the_file(tiny):
    path, arrays = tiny
    embedding = load_embedding("vggish", weights=path, hop=0.48)
    audio = (0.2 * np.random.default_rng(2).standard_normal((20 * RATE, 2))).astype(np.float32)
    whole = embedding.embed([audio])
    assert whole.shape == (1 + (20 * RATE - 15600) // 7680, 128) and whole.dtype == np.float32
    for size in (777, 16000, 100_001):
        pieces = [audio[start : start + size] for start in range(0, len(audio), size)]
        np.testing.assert_array_equal(embedding.embed(pieces), whole)
    levels = reference_log_mel(audio[:15600].mean(axis=1)).mean(axis=0)
    expected = levels @ arrays["vggish/fc2/weights"] + arrays["vggish/fc2/biases"]
    np.testing.assert_allclose(whole[0], expected, rtol=1e-3, atol=1e-3)
    assert (embedding.sample_rate, embedding.channels, embedding.dimension) == (16000, 1, 128)
    assert embedding.settings["official_weights"] is False and len(embedding.weights_hash) == 64


@pytest.mark.parametrize("hop", [0.0, 1.0, "long"])
def test_an_impossible_hop_is_refused(hop):
    with pytest.raises(UserError, match=r"hop must be a number from 0.01 to 0.96"):
        load_embedding("vggish", hop=hop)


def test_official_weights_are_kept_and_found_again(tiny, monkeypatch):
    path, _ = tiny
    monkeypatch.setattr(vggish_weights, "OFFICIAL_SHA256", file_hash(path))
    first = load_embedding("vggish", weights=path)
    assert vggish_weights.kept_weights().is_file()
    path.unlink()
    again = load_embedding("vggish")
    audio = [0.1 * np.random.default_rng(3).standard_normal((2 * RATE, 1))]
    np.testing.assert_array_equal(again.embed(audio), first.embed(audio))
    assert again.weights_hash == first.weights_hash


class Response(io.BytesIO):
    """What the network answers."""

    def __init__(self, content):
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content))}


def test_weights_are_downloaded_once_and_checked(tiny, monkeypatch):
    content = tiny[0].read_bytes()
    asked = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: asked.append(url) or Response(content))
    with pytest.raises(UserError, match="is not the official one: its SHA-256 must be 0962b1914e3e0539"):
        load_embedding("vggish")
    assert not list(vggish_weights.kept_weights().parent.iterdir())
    monkeypatch.setattr(vggish_weights, "OFFICIAL_SHA256", file_hash(tiny[0]))
    load_embedding("vggish")
    load_embedding("vggish")
    assert asked == ["https://storage.googleapis.com/audioset/vggish_model.ckpt"] * 2
    assert [path.name for path in vggish_weights.kept_weights().parent.iterdir()] == [
        vggish_weights.kept_weights().name
    ]


def test_without_a_network_one_line_says_what_to_do(tiny, monkeypatch):
    def fail(url, timeout):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(UserError) as error:
        load_embedding("vggish")
    assert "no route to host" in str(error.value) and "--weights FILE" in str(error.value)
    assert vggish_weights.URL in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change,message",
    [
        (
            lambda arrays: arrays.pop("vggish/fc2/biases"),
            r"vggish/fc2/biases must have the shape \[128\]. Received: nothing",
        ),
        (lambda arrays: arrays.update({"vggish/fc2/biases": np.zeros(7, np.float32)}), r"Received: \[7\]"),
        (lambda arrays: arrays["vggish/fc2/biases"].fill(np.nan), "vggish/fc2/biases holds NaN"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tiny, tmp_path, change, message):
    arrays = dict(tiny[1])
    change(arrays)
    with pytest.raises(UserError, match=message):
        load_embedding("vggish", weights=write_checkpoint(tmp_path / "other.ckpt", arrays))


def test_a_file_that_is_no_checkpoint_is_refused(tiny, tmp_path):
    (tmp_path / "junk.ckpt").write_bytes(b"junk" * 99)
    with pytest.raises(
        UserError, match=r"junk.ckpt is not a TensorFlow checkpoint .* Give vggish_model.ckpt from https"
    ):
        load_embedding("vggish", weights=tmp_path / "junk.ckpt")
    with pytest.raises(UserError, match="there is no weights file"):
        load_embedding("vggish", weights=tmp_path / "missing.ckpt")


@pytest.mark.slow
def test_the_whole_network_loads_from_a_file_in_the_published_layout(tmp_path, monkeypatch):
    """288 MB; the result is that of the same arrays put through plain TensorFlow operations."""
    import tensorflow as tf

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(5)
    arrays = {}
    for name, shape in LAYOUT.items():
        scale = np.sqrt(2.0 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
        arrays[name] = scale * rng.standard_normal(shape, dtype=np.float32)
    path = write_checkpoint(
        tmp_path / "vggish_model.ckpt", {name: values.astype(np.float32) for name, values in arrays.items()}
    )
    audio = (0.2 * rng.standard_normal((2 * RATE, 1))).astype(np.float32)
    got = load_embedding("vggish", weights=path).embed([audio])

    x = np.stack([reference_log_mel(audio[start : start + 15600, 0]) for start in (0, 15360)])[..., None]
    x = tf.constant(x, tf.float32)

    def convolve(x, name):
        kernel, bias = (arrays[f"vggish/{name}/{kind}"] for kind in ("weights", "biases"))
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)

    for names in (["conv1"], ["conv2"], ["conv3/conv3_1", "conv3/conv3_2"], ["conv4/conv4_1", "conv4/conv4_2"]):
        for name in names:
            x = convolve(x, name)
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
    x = x.numpy().reshape(2, -1)
    for name in ("fc1/fc1_1", "fc1/fc1_2"):
        x = np.maximum(x @ arrays[f"vggish/{name}/weights"] + arrays[f"vggish/{name}/biases"], 0.0)
    expected = x @ arrays["vggish/fc2/weights"] + arrays["vggish/fc2/biases"]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
