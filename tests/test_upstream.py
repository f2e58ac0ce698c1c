"""Importing published weights: the fixture, other sizes, and every way a file can be wrong. Parity: test_parity.py."""

import itertools
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from musika.checks import UserError
from musika.keras2_files import read_layers
from musika.upstream import import_published

FIXTURE = Path(__file__).parent / "fixtures" / "upstream"
FILES = ("enc.h5", "enc2.h5", "dec.h5", "dec2.h5", "gen_ema.h5", "gen.h5", "critic.h5")


class Writer:
    """Writes files in the published format, with random arrays or (for large sizes) zeros."""

    def __init__(self, folder, hop=8, latents=3, base=2, small=False, first_number=5, zeros=False):
        self.folder, self.hop, self.latents, self.base, self.small = folder, hop, latents, base, small
        self.random = None if zeros else np.random.default_rng(0)
        self.first_number = first_number
        self.counts: dict[str, int] = {}

    def array(self, *shape):
        if self.random is None:
            return np.zeros(shape, np.float32)
        return (self.random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[:-1])))).astype(np.float32)

    def automatic(self, root):
        number = self.counts.get(root, self.first_number)
        self.counts[root] = number + 1
        return root if number == 0 else f"{root}_{number}"

    def kernel(self, *shape, name=None, bias=None):
        arrays = {"kernel": self.array(*shape)}
        if bias is not False:
            arrays["bias"] = self.array(shape[-1] if bias is None else bias)
        return (name or self.automatic("conv2d"), arrays)

    def up(self, outputs, inputs, name=None):
        return self.kernel(1, 4, outputs, inputs, name=name or self.automatic("conv2d_transpose"), bias=outputs)

    def noise(self, name=None):
        return (name or self.automatic("add_noise"), {"noise_weight": self.array(1)})

    def write(self, name, layers):
        with h5py.File(self.folder / name, "w") as file:
            layers = [("input_1", {}), *layers, ("tf.cast", {})]
            file.attrs["layer_names"] = [layer.encode() for layer, _ in layers]
            for layer, arrays in layers:
                group = file.create_group(layer)
                names = [f"model/{layer}/{array}:0" for array in arrays]
                group.attrs["weight_names"] = np.array([text.encode() for text in names], dtype="S")
                for text, values in zip(names, arrays.values(), strict=True):
                    group[text] = values

    def codec(self):
        h, bins, kernel = self.hop, 2 * self.hop + 1, self.kernel
        widths = [bins, *[4 * h] * 5, h // 4]
        self.write("enc.h5", [kernel(1, 1, a, b) for a, b in itertools.pairwise(widths)])
        sizes = [(3, h // 4, h), (3, h, 3 * h // 2), (3, 3 * h // 2, 3 * h // 2), (3, 3 * h // 2, 2 * h)]
        sizes += [(3, 2 * h, 2 * h), (3, 2 * h, 3 * h), (1, 3 * h, 3 * h)]
        last = kernel(1, 1, 3 * h, self.latents, name="cbottle")
        self.write("enc2.h5", [*(kernel(1, *size) for size in sizes), last])
        down = [kernel(1, 3, a, b) for a, b in ((h // 4, 3 * h), (3 * h, 3 * h), (3 * h, 2 * h), (2 * h, h))]
        self.automatic("conv2d")  # the unconnected pair leaves gaps in the numbers
        noise = [self.noise() for _ in down]
        self.automatic("add_noise"), self.automatic("add_noise"), self.automatic("conv2d_transpose")
        ups = [self.up(*pair) for pair in ((2 * h, h), (3 * h, 2 * h), (3 * h, 3 * h), (3 * h, 2 * h), (3 * h, 3 * h))]
        noise += [self.noise() for _ in ups]
        heads = [kernel(1, 1, 3 * h, bins), kernel(1, 1, 3 * h, bins)]
        order = [*down, *noise[:4], ups[0], ups[1], ups[3], *noise[4:], ups[2], ups[4], *heads]  # branches interleave
        self.write("dec.h5", order)
        layers = [kernel(1, 3, self.latents, 3 * h), self.noise(), self.up(5 * h // 2, 3 * h), self.noise()]
        layers += [kernel(1, 3, 5 * h // 2, 5 * h // 2), self.noise(), self.up(2 * h, 5 * h // 2), self.noise()]
        layers += [kernel(1, 3, 2 * h, 2 * h), self.noise(), self.up(3 * h // 2, 2 * h), self.noise()]
        layers += [self.up(h, 3 * h // 2), self.noise(), kernel(1, 1, h, h // 4, name="cout")]
        self.write("dec2.h5", layers)

    def generator(self, name="gen_ema.h5"):
        c, condition, kernel = self.base, 2 * self.latents, self.kernel
        layers = [
            kernel(2 * condition, 28 * c, name="00d"),
            self.noise("00n"),
            kernel(1, 1, condition, 7 * c, name="00ai"),
        ]
        width = 7
        for unit in range(9):
            wide = (6, 6, 5, 5, 4, 4, 3, 3, 2)[unit]
            mark = f"{unit}_small" if self.small and unit < 2 else str(unit)
            if unit % 2 == 0 and mark == str(unit):
                layers.append(self.up(wide * c, width * c, name=f"{mark}c"))
            else:
                layers.append(kernel(1, 4 if mark == str(unit) else 1, width * c, wide * c, name=f"{mark}c"))
            layers += [self.noise(f"{mark}r"), kernel(1, 1, condition, wide * c, name=f"{mark}ai")]
            if unit % 2 == 1:
                first = self.small and unit == 1
                inputs = (wide + 1) * c if first else (wide + 1) * c // 2
                name_ = "res1c_small" if first else f"res{unit // 2 + 1}c"
                layers.append(kernel(1, 1, inputs, wide * c, name=name_))
            width = wide
        self.write(name, [*layers, kernel(1, 4, 2 * c, condition, name="9c")])

    def critic(self):
        c, kernel, width = self.base, self.kernel, 3
        layers = [kernel(1, 4, 2 * self.latents, 3 * c, name="1c")]
        for index, wide in enumerate((4, 5, 6, 7) if self.small else (4, 5, 6, 7, 7)):
            layers.append(kernel(1, 1 if index == 4 else 4, width * c, width * c, name=f"{index + 2}c0"))
            layers.append(kernel(1, 4, width * c, wide * c, name=f"{index + 2}c1"))
            if wide != width:
                layers.append(kernel(1, 1, width * c, wide * c, name=f"{index + 2}c3", bias=False))
            width = wide
        layers += [kernel(1, 3, 7 * c, 7 * c, name="7c"), kernel(28 * c, 1, name="7d")]
        self.write("critic.h5", layers)

    def all(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.codec()
        self.generator()
        self.generator("gen.h5")
        self.critic()
        return self.folder


def edit(path, change):
    """Rewrite a file with ``change(layers)`` applied to its (name, arrays) pairs."""
    writer = Writer(path.parent)
    layers = change(dict(read_layers(path)))
    writer.write(path.name, list(layers.items()))


@pytest.fixture(scope="module")
def published():
    return import_published(FIXTURE)


@pytest.fixture
def toy(tmp_path):
    return Writer(tmp_path / "toy").all()


def test_sizes_of_the_fixture_are_inferred(published):
    config = published.config
    assert (config.spectral.hop_length, config.spectral.fft_length) == (32, 128)
    assert (config.codec.latent_channels, config.codec.level1_channels, config.codec.architecture) == (
        16,
        8,
        "published",
    )
    assert (config.generator.base_channels, config.generator.coordinate_channels) == (8, 16)
    assert (config.generator.small, config.generator.patch_latents) == (False, 128)


def test_noise_scalars_arrive_in_order(published):
    with h5py.File(FIXTURE / "dec.h5") as file:
        numbers = {int(name.split("_")[-1]) if name != "add_noise" else 0: name for name in file if "noise" in name}
        expected = [file[numbers[number]][f"{numbers[number]}/noise_weight:0"][0] for number in sorted(numbers)]
    units = ("down0", "down1", "down2", "down3", "up2", "up1", "up0", "phase1", "phase0")
    model = published.codec["level1_decoder"]
    assert [float(model.get_layer(f"{name}_noise").gain[0]) for name in units] == expected
    assert 0 not in expected


def test_live_generator_differs_from_the_averaged_one(published):
    pairs = zip(published.generator.weights, published.live_generator.weights, strict=True)
    assert any((to_numpy(first) != to_numpy(second)).any() for first, second in pairs)


@pytest.mark.parametrize("small", [False, True])
def test_other_sizes_and_other_numbers(tmp_path, small):
    hop, latents, base, first_number = (8, 3, 2, 0) if small else (16, 5, 4, 97)
    folder = Writer(tmp_path, hop, latents, base, small, first_number).all()
    published = import_published(folder)
    config = published.config
    assert config.spectral.hop_length == hop
    assert config.codec.latent_channels == config.generator.coordinate_channels == latents
    assert config.generator.base_channels == base
    assert config.generator.small == small
    assert config.generator.window_latents == (128 if small else 256)
    assert config.generator.anchor_spacing == (192 if small else 384)
    with h5py.File(folder / "enc2.h5") as file:
        layer = "conv2d_6" if first_number == 0 else f"conv2d_{first_number + 6}"
        first = file[layer][f"model/{layer}/kernel:0"][0]
    assert (to_numpy(published.codec["level2_encoder"].get_layer("unit0_conv").kernel) == first).all()


def test_full_size_has_the_published_counts(tmp_path):
    published = import_published(Writer(tmp_path, 256, 64, 128, zeros=True).all())
    counts = {name: model.count_params() for name, model in published.codec.items()}
    assert counts == {
        "level1_encoder": 4_790_336,
        "level2_encoder": 3_984_960,
        "level1_decoder": 12_673_291,
        "level2_decoder": 6_639_303,
    }
    assert published.generator.count_params() == 15_499_530
    assert published.critic.count_params() == 20_786_689


def test_autoencoder_and_generator_may_lie_in_two_folders(toy, tmp_path):
    other = tmp_path / "generator"
    other.mkdir()
    shutil.move(toy / "gen_ema.h5", other)
    (toy / "critic.h5").unlink()
    (toy / "gen.h5").unlink()
    published = import_published(toy, other)
    assert published.sources["gen_ema.h5"] == other / "gen_ema.h5"
    assert published.critic is None
    assert published.live_generator is None
    (other / "gen_ema.h5").unlink()
    assert import_published(toy, codec_only=True).generator is None


@pytest.mark.parametrize("name", FILES[:5])
def test_a_missing_file_is_named(toy, name):
    (toy / name).unlink()
    with pytest.raises(UserError, match=f"Missing in .*: {name}"):
        import_published(toy)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="There is no folder .*nowhere"):
        import_published(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_file_is_named(toy, name, share):
    content = (toy / name).read_bytes()
    (toy / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=f"{name} is truncated, damaged"):
        import_published(toy)


def test_corrupt_bytes_give_an_error_or_a_whole_import(toy):
    content = (toy / "enc.h5").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(content)
        for place in random.integers(0, len(content), 20):
            broken[place] = random.integers(256)
        (toy / "enc.h5").write_bytes(bytes(broken))
        try:
            read_layers(toy / "enc.h5")
        except UserError as error:
            assert "enc.h5" in str(error)


def test_a_file_that_is_no_keras_file_is_refused(toy):
    with h5py.File(toy / "enc.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(UserError, match="enc.h5 is not a weights file of Keras 2"):
        import_published(toy)


@pytest.mark.parametrize(
    ("name", "layer"), [("gen_ema.h5", "4c"), ("critic.h5", "7d"), ("gen.h5", "res3c"), ("gen_ema.h5", "00ai")]
)
def test_a_missing_layer_of_the_gan_is_named(toy, name, layer):
    edit(toy / name, lambda layers: {key: value for key, value in layers.items() if key != layer})
    with pytest.raises(UserError, match=f"{name}: layer '{layer}'"):
        import_published(toy)


@pytest.mark.parametrize(
    ("name", "root", "kind"),
    [
        ("enc.h5", "conv2d_", "6 convolution"),
        ("dec.h5", "conv2d_transpose_", "5 transposed convolution"),
        ("dec.h5", "add_noise_", "9 noise"),
        ("dec2.h5", "cout", "4 convolution"),
        ("enc2.h5", "cbottle", "8 convolution"),
    ],
)
def test_a_missing_layer_of_the_codec_is_counted(toy, name, root, kind):
    def change(layers):
        dropped = next(key for key in layers if key.startswith(root))
        return {key: value for key, value in layers.items() if key != dropped}

    edit(toy / name, change)
    with pytest.raises(UserError, match=f"{name} must hold {kind} layers. Received: "):
        import_published(toy)


@pytest.mark.parametrize(("name", "extra"), [("gen_ema.h5", "8x"), ("critic.h5", "8c0")])
def test_an_extra_layer_of_the_gan_is_named(toy, name, extra):
    edit(toy / name, lambda layers: {**layers, extra: {"kernel": np.zeros((1, 1, 2, 2), np.float32)}})
    with pytest.raises(UserError, match=f"{name}: these arrays have no place in the .*: {extra}/kernel"):
        import_published(toy)


@pytest.mark.parametrize("name", ["enc.h5", "enc2.h5", "dec.h5", "dec2.h5"])
def test_an_extra_layer_of_the_codec_is_counted(toy, name):
    edit(toy / name, lambda layers: {**layers, "conv2d_77": {"kernel": np.zeros((1, 1, 2, 2)), "bias": np.zeros(2)}})
    with pytest.raises(UserError, match=f"{name} must hold .* convolution layers. Received: .*conv2d_77"):
        import_published(toy)


def test_an_array_that_no_layer_lists_is_named(toy):
    with h5py.File(toy / "dec.h5", "a") as file:
        file["stowaway/array"] = np.zeros(3, np.float32)
    with pytest.raises(UserError, match="dec.h5: no layer lists these arrays: /stowaway/array"):
        import_published(toy)


@pytest.mark.parametrize("name", ["enc.h5", "dec2.h5", "gen_ema.h5"])
def test_an_array_of_the_wrong_shape_is_named(toy, name):
    layers = list(read_layers(toy / name))
    chosen = layers[3]

    def change(layers):
        array = next(iter(layers[chosen]))
        values = layers[chosen][array]
        return {**layers, chosen: {**layers[chosen], array: np.concatenate([values, values], axis=0)}}

    edit(toy / name, change)
    with pytest.raises(UserError, match=rf"{name}: array .* of layer '{chosen}' must have the shape"):
        import_published(toy)


def test_a_missing_or_additional_array_in_a_layer_is_named(toy):
    edit(toy / "enc.h5", lambda layers: {**layers, "conv2d_7": {"kernel": layers["conv2d_7"]["kernel"]}})
    with pytest.raises(UserError, match="enc.h5: layer 'conv2d_7' must hold the arrays kernel, bias. Received: kernel"):
        import_published(toy)
    Writer(toy).all()
    edit(toy / "critic.h5", lambda layers: {**layers, "3c3": {**layers["3c3"], "bias": np.zeros(10)}})
    with pytest.raises(UserError, match="critic.h5: layer '3c3' must hold the arrays kernel. Received: kernel, bias"):
        import_published(toy)


def test_values_that_are_not_finite_are_refused(toy):
    edit(toy / "gen_ema.h5", lambda layers: {**layers, "00n": {"noise_weight": np.array([np.nan])}})
    with pytest.raises(UserError, match="gen_ema.h5: array .*noise_weight.* not finite"):
        import_published(toy)


@pytest.mark.parametrize(
    ("first", "second"),
    [("enc.h5", "dec.h5"), ("enc2.h5", "enc.h5"), ("dec.h5", "dec2.h5"), ("gen_ema.h5", "critic.h5")],
)
def test_swapped_files_are_noticed(toy, first, second):
    (toy / first).rename(toy / "aside")
    (toy / second).rename(toy / first)
    (toy / "aside").rename(toy / second)
    with pytest.raises(UserError, match=f"({first}|{second})"):
        import_published(toy)


def test_codec_and_generator_of_different_sizes_are_refused(toy, tmp_path):
    other = Writer(tmp_path / "other", latents=4)
    other.all()
    with pytest.raises(UserError, match="gen_ema.h5 makes latents of 8 channels, the codec decodes 6"):
        import_published(toy, tmp_path / "other")


def test_a_critic_of_the_other_variant_is_refused(toy):
    Writer(toy, small=True).critic()
    with pytest.raises(UserError, match="critic.h5: layer '6c0' is missing"):
        import_published(toy)
