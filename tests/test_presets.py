import json
import os
import shutil
import subprocess
import sys
import warnings

import h5py
import keras
import numpy as np
import pytest

import musika
from musika.checks import UserError
from musika.presets import load_preset, preset_names, random_preset, save_preset
from musika.weights import load_weights, save_weights


def _save(folder, preset, **more):
    return save_preset(folder, preset.config, preset.codec, preset.generator, measure_precision=False, **more)


def test_a_saved_preset_sounds_the_same(debug_preset, debug_preset_folder):
    loaded = musika.load(debug_preset_folder, precision="float32")
    assert loaded.name == "toy"
    assert loaded.config == debug_preset.config
    assert loaded.hash == debug_preset.hash
    assert np.array_equal(loaded.piece(seed=2).render(0, 0.5), debug_preset.piece(seed=2).render(0, 0.5))


def test_half_precision_keeps_equal_arrays_once(tmp_path):
    def network(seed):
        model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(200, name="wide")])
        model.set_weights([np.random.default_rng(seed).standard_normal(item.shape) for item in model.get_weights()])
        return model

    sizes = []
    for name, seeds in {"equal": (0, 0), "different": (0, 1)}.items():
        networks = {f"network{index}": network(seed) for index, seed in enumerate(seeds)}
        path = save_weights(networks, tmp_path / f"{name}.weights.h5", "float16")
        sizes.append(path.stat().st_size)
        again = {key: network(9) for key in networks}
        load_weights(again, path)
        for key, model in again.items():
            for loaded, saved in zip(model.get_weights(), networks[key].get_weights(), strict=True):
                np.testing.assert_allclose(loaded, saved, rtol=1e-3)
    assert sizes[1] - sizes[0] > 0.9 * 2 * 100 * 200


def test_half_precision_is_smaller_and_keeps_the_hash(debug_preset, debug_preset_folder, tmp_path):
    folder = _save(tmp_path / "half", debug_preset, weights_dtype="float16")
    size = {path: (path / "codec.weights.h5").stat().st_size for path in (folder, debug_preset_folder)}
    assert size[folder] < 0.75 * size[debug_preset_folder]
    loaded = load_preset(folder)
    assert loaded.codec.hash == debug_preset.codec.hash
    assert {str(weight.dtype) for weight in loaded.generator.weights} == {"float32"}


def test_statistics_are_applied(debug_preset, tmp_path):
    channels = 2 * debug_preset.config.codec.latent_channels
    mean, std = np.linspace(-1, 1, channels), np.linspace(1, 2, channels)
    loaded = load_preset(_save(tmp_path / "normal", debug_preset, statistics=(mean, std)))
    plain = debug_preset.piece(seed=1).latents(0, 10)
    expected = plain * std.astype(np.float32) + mean.astype(np.float32)
    assert np.array_equal(loaded.piece(seed=1).latents(0, 10), expected)


def test_a_codec_can_be_shared(debug_preset, debug_preset_folder, tmp_path):
    folder = _save(tmp_path / "second", debug_preset, shared_codec=debug_preset_folder)
    assert not (folder / "codec.weights.h5").exists()
    assert load_preset(folder).codec.hash == debug_preset.codec.hash


def test_a_shared_codec_that_was_replaced_is_refused(debug_preset, debug_config, tmp_path):
    shared = _save(tmp_path / "first", debug_preset)
    folder = _save(tmp_path / "second", debug_preset, shared_codec=shared)
    _save(shared, random_preset(debug_config, seed=9))
    with pytest.raises(UserError, match="was made with codec"):
        load_preset(folder)


def test_networks_may_be_given_for_a_codec_and_a_generator_may_lack(debug_preset, tmp_path):
    folder = save_preset(tmp_path / "run" / "preset", debug_preset.config, debug_preset.codec.networks, card="# Toy\n")
    assert (folder / "MODEL_CARD.md").read_text() == "# Toy\n"
    loaded = load_preset(tmp_path / "run")
    assert loaded.generator is None
    assert loaded.codec.hash == debug_preset.codec.hash


def test_saving_again_replaces_the_preset_and_leaves_nothing_aside(debug_preset, tmp_path):
    _save(tmp_path / "toy", debug_preset, card="old")
    _save(tmp_path / "toy", debug_preset)
    assert not (tmp_path / "toy" / "MODEL_CARD.md").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_saving_does_not_replace_other_things(debug_preset, tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.wav").touch()
    with pytest.raises(UserError, match="is not a preset"):
        _save(tmp_path / "music", debug_preset)


def test_no_pickle_in_a_preset(debug_preset_folder):
    with h5py.File(debug_preset_folder / "generator.weights.h5") as file:
        kinds = set()
        file.visititems(lambda name, item: kinds.add(item.dtype.kind) if isinstance(item, h5py.Dataset) else None)
    assert kinds == {"f"}


def test_an_unknown_preset_names_those_there_are(tmp_path):
    with pytest.raises(UserError, match=r"there is no preset 'tecno'.*came with"):
        load_preset("tecno")
    with pytest.raises(UserError, match="holds no preset"):
        load_preset(tmp_path)
    assert preset_names() == sorted(preset_names())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "codec.weights.h5").unlink(), "no weights file"),
        (lambda folder: os.truncate(folder / "codec.weights.h5", 3000), "damaged"),
        (lambda folder: (folder / "generator.weights.h5").write_bytes(b"version https://git-lfs"), "damaged"),
        (lambda folder: (folder / "statistics.npz").write_bytes(b"PK\x03\x04 nothing"), "no statistics of a preset"),
        (lambda folder: np.savez(folder / "statistics.npz", mean=np.zeros(4)), "must hold mean and std"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text('{"colour": 3}'), "unknown key 'colour'"),
        (lambda folder: (folder / "metadata.json").write_text('{"format": 99}'), "Install a newer musika"),
    ],
)
def test_damage_is_named(debug_preset_folder, tmp_path, damage, message):
    folder = shutil.copytree(debug_preset_folder, tmp_path / "toy")
    damage(folder)
    with pytest.raises(UserError, match=message):
        load_preset(folder)


def test_weights_of_another_size_are_refused(debug_preset_folder, tmp_path):
    folder = shutil.copytree(debug_preset_folder, tmp_path / "toy")
    config = json.loads((folder / "config.json").read_text())
    config["generator"]["base_channels"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="does not fit"):
        load_preset(folder)


class Nested(keras.layers.Layer):
    """A layer that may have others in a list of lists, of which Keras only warns where a file lacks them."""

    def __init__(self, deep):
        super().__init__(name="nested")
        self.rows = [[keras.layers.Dense(3)]] if deep else []

    def call(self, values):
        for row in self.rows:
            for layer in row:
                values = layer(values)
        return values


def test_weights_that_a_file_lacks_are_not_left_as_they_were(tmp_path):
    flat, deep = (keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), Nested(deep)]) for deep in (False, True))
    path = save_weights({"a": flat}, tmp_path / "flat.weights.h5")
    with pytest.raises(UserError, match="does not fit the networks"):
        load_weights({"a": deep}, path)


def test_a_warning_of_another_thread_is_no_error_while_weights_are_loaded(tmp_path, monkeypatch):
    def load(self, path):
        warnings.warn("a glyph is missing", UserWarning, stacklevel=2)

    (tmp_path / "a.weights.h5").touch()
    monkeypatch.setattr("musika.weights._Group.load_weights", load)
    before = list(warnings.filters)
    load_weights({}, tmp_path / "a.weights.h5")
    assert warnings.filters == before


def test_importing_musika_is_cheap():
    code = (
        "import sys, musika; assert musika.__version__; musika.UserError;"
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'librosa') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_public_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = musika.lod
    assert "load" in dir(musika)
