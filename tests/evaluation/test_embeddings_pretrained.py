"""CLAP and EnCodec against stand-ins for `transformers` and `torch` that note how they are called."""

import contextlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation.embeddings import load_embedding


class Tensor:
    """As much of a tensor as is needed."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.values

    def mean(self, dim):
        return Tensor(self.values.mean(axis=dim))


class Network:
    """A pretrained network; what it is loaded with and given is noted on the class."""

    calls: list
    missing: tuple = ()
    fusion = False
    wrapped = False

    @classmethod
    def from_pretrained(cls, model, **options):
        if model == "nobody/nothing":
            raise OSError("no such\nmodel")
        cls.calls.append(("load", model, options))
        network = cls()
        return (network, {"missing_keys": set(cls.missing)}) if options.get("output_loading_info") else network

    def eval(self):
        return self

    def state_dict(self):
        return {"b": Tensor(np.ones(3, np.float32)), "a": Tensor(np.zeros((2, 2), np.float32))}


class ClapModel(Network):
    @property
    def config(self):
        return SimpleNamespace(audio_config=SimpleNamespace(enable_fusion=self.fusion), projection_dim=4)

    def get_audio_features(self, input_features, is_longer):
        self.calls.append(("embed", input_features.shape, is_longer))
        made = Tensor(np.stack([input_features.mean(axis=1)] * 4, axis=1))
        return SimpleNamespace(pooler_output=made) if self.wrapped else made


class ClapFeatureExtractor(Network):
    sampling_rate, nb_max_samples = 48000, 480000

    def __call__(self, audio, sampling_rate, return_tensors):
        self.calls.append(("extract", [part.shape for part in audio], sampling_rate, return_tensors))
        return {"input_features": np.stack(audio)[:, :100], "is_longer": [[False]] * len(audio)}


class EncodecModel(Network):
    config = SimpleNamespace(sampling_rate=48000, audio_channels=2, hidden_size=2, normalize=True)

    def encoder(self, audio):
        self.calls.append(("encode", audio.values.shape, audio.values.dtype))
        return Tensor(audio.values.reshape(len(audio.values), 2, 150, 320).mean(axis=-1))


@pytest.fixture
def calls(monkeypatch):
    transformers, torch = ModuleType("transformers"), ModuleType("torch")
    noted: list = []
    for kind in (ClapModel, ClapFeatureExtractor, EncodecModel):
        monkeypatch.setattr(kind, "calls", noted, raising=False)
        setattr(transformers, kind.__name__, kind)
    torch.inference_mode, torch.from_numpy = contextlib.nullcontext, Tensor
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    monkeypatch.setitem(sys.modules, "torch", torch)
    return noted


def audio(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((round(48000 * seconds), 2))).astype(np.float32)


@pytest.mark.parametrize("wrapped", [False, True])
def test_clap_gets_windows_of_ten_seconds_of_48_khz_mono(calls, monkeypatch, wrapped):
    monkeypatch.setattr(ClapModel, "wrapped", wrapped)
    embedding = load_embedding("clap", hop=2.0)
    whole = audio(15.0)
    got = embedding.embed([whole[:5000], whole[5000:]])
    assert calls == [
        ("load", "laion/larger_clap_music", {"use_safetensors": True, "output_loading_info": True}),
        ("load", "laion/larger_clap_music", {}),
        ("extract", [(480000,)] * 3, 48000, "pt"),
        ("embed", (3, 100), [[False]] * 3),
    ]
    expected = [whole[start : start + 100].mean() for start in (0, 96000, 192000)]
    np.testing.assert_allclose(got, np.stack([expected] * 4, axis=1), atol=1e-7)
    assert (embedding.sample_rate, embedding.channels, embedding.dimension) == (48000, 1, 4)
    assert (embedding.window_seconds, embedding.hop_seconds) == (10.0, 2.0)
    assert len(embedding.weights_hash) == 64 and embedding.settings["model"] == "laion/larger_clap_music"


def test_clap_that_draws_at_random_is_refused(calls, monkeypatch):
    monkeypatch.setattr(ClapModel, "fusion", True)
    with pytest.raises(UserError, match="'laion/clap-htsat-fused' fuses parts drawn at random"):
        load_embedding("clap", model="laion/clap-htsat-fused")


def test_encodec_gets_levelled_seconds_of_48_khz_stereo_and_gives_the_mean_latent(calls):
    embedding = load_embedding("encodec")
    whole = audio(2.0, seed=1)
    got = embedding.embed([whole])
    assert calls[0] == ("load", "facebook/encodec_48khz", {"use_safetensors": True, "output_loading_info": True})
    assert calls[1:] == [("encode", (3, 2, 48000), np.float32)]
    for row, start in zip(got, (0, 24000, 48000), strict=True):
        second = whole[start : start + 48000]
        np.testing.assert_allclose(row, second.mean(axis=0) / second.mean(axis=1).std(), atol=1e-4)
    assert (embedding.sample_rate, embedding.channels, embedding.dimension) == (48000, 2, 2)
    np.testing.assert_allclose(embedding.embed([0.5 * whole]), got, atol=1e-5)


@pytest.mark.parametrize("name", ["clap", "encodec"])
def test_a_missing_package_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=rf"'{name}' needs the package transformers.* pip install musika\[{name}\]"):
        load_embedding(name)


@pytest.mark.parametrize("name", ["clap", "encodec"])
def test_a_model_that_is_not_there_is_one_line(name, calls):
    with pytest.raises(UserError, match=r"'nobody/nothing' cannot be loaded \(no such model\)"):
        load_embedding(name, model="nobody/nothing")


def test_a_model_that_lacks_weights_is_refused(calls, monkeypatch):
    monkeypatch.setattr(EncodecModel, "missing", ("encoder.0", "decoder.1"))
    with pytest.raises(UserError, match=r"is not a pretrained EncodecModel: it lacks 2 weights, the first decoder\.1"):
        load_embedding("encodec")


def test_a_hop_longer_than_the_window_is_refused(calls):
    with pytest.raises(UserError, match="hop must be a number from 0.1 to 10"):
        load_embedding("clap", hop=11)


def test_the_hash_follows_the_weights(calls, monkeypatch):
    first = load_embedding("encodec").weights_hash
    assert load_embedding("encodec", hop=1.0).weights_hash == first
    monkeypatch.setattr(EncodecModel, "state_dict", lambda self: {"a": Tensor(np.ones((2, 2), np.float32))})
    assert load_embedding("encodec").weights_hash != first
