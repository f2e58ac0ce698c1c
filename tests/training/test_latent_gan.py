import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from toy_gan import toy_batches, toy_config, toy_gan, toy_latents, weights_of

from musika.checks import UserError
from musika.data.crops import LatentCrops, swap_sides
from musika.gan.conditioning import ControlTrack, encode_controls
from musika.settings import ControlConfig
from musika.training.batches import GanBatches, draw_cutouts
from musika.training.gan_networks import build_gan, precision_of
from musika.training.generator_training import check_settings
from musika.training.latent_gan import LatentGan, join_patches, split_windows
from musika.training.run import save_state

ROOT = Path(__file__).parents[2]


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def one_step(gan, batches, step=0):
    return {name: float(value) for name, value in gan.train_step((batches.batch(step),)).items()}


def scores_of(gan, batch):
    """The critic's scores of a batch's real and generated windows, outside of a training step."""
    patches = gan.generator([split_windows(batch["coordinates"]), split_windows(batch["noise"])])
    fake = numbers(join_patches(patches)) + batch.get("fake_noise", 0.0)
    return numbers(gan.critic(batch["real"]))[:, 0], numbers(gan.critic(fake))[:, 0]


def test_cutting_and_joining_are_inverse():
    windows = np.random.default_rng(0).standard_normal((3, 8, 2)).astype("float32")
    patches = numbers(split_windows(windows))
    np.testing.assert_array_equal(patches, np.concatenate([windows[:, :4], windows[:, 4:]]))
    np.testing.assert_array_equal(numbers(join_patches(patches)), windows)


def test_the_losses_of_a_step_are_those_by_hand():
    batches, gan = toy_gan(toy_config(penalty_max=3.0))
    batch = batches.batch(0)
    real, fake = scores_of(gan, batch)
    logs = one_step(gan, batches)
    hinge = (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()) / 2
    assert logs["critic_loss"] == pytest.approx(hinge + 3.0 * logs["penalty"], rel=1e-5)
    assert logs["generator_loss"] == pytest.approx(-fake.mean(), rel=1e-5)
    assert logs["real_score"] == pytest.approx(real.mean(), rel=1e-5)
    assert logs["penalty"] > 0


def test_the_penalty_is_the_squared_slope_by_finite_differences():
    batches, gan = toy_gan(toy_config())
    real = batches.batch(0)["real"][:1]
    slope = np.empty(real.size)
    step = 0.01
    for start in range(0, real.size, 128):
        rows = np.arange(start, min(start + 128, real.size))
        moved = np.repeat(real.reshape(1, -1), 2 * len(rows), axis=0)
        moved[np.arange(len(rows)), rows] += step
        moved[len(rows) + np.arange(len(rows)), rows] -= step
        scores = numbers(gan.critic(moved.reshape(-1, *real.shape[1:])))[:, 0]
        slope[rows] = (scores[: len(rows)] - scores[len(rows) :]) / (2 * step)
    _, logs, _ = gan._real_gradients(keras.ops.convert_to_tensor(real), None, penalised=True)
    assert float(logs["penalty"]) == pytest.approx(np.square(slope).sum(), rel=0.01)


def test_both_networks_move_and_the_average_follows_by_its_formula():
    batches, gan = toy_gan(toy_config())
    before = weights_of(gan)
    one_step(gan, batches)
    after = weights_of(gan)
    # Noise layers and biases included: every kernel of both networks has a gradient.
    for name in before:
        if name.startswith(("generator", "critic")) and "optimizer" not in name and before[name].ndim > 1:
            assert not np.array_equal(before[name], after[name]), name
    for index in range(len(gan.average.weights)):  # the first decay is one half
        middle = (before[f"generator{index}"] + after[f"generator{index}"]) / 2
        np.testing.assert_allclose(after[f"average{index}"], middle, rtol=1e-5, atol=1e-7)
    assert gan.steps_done == 1


def test_the_two_patches_of_a_window_are_made_apart():
    batches, gan = toy_gan(toy_config())
    inputs = batches.inputs(0, 2)
    half = inputs["coordinates"].shape[1] // 2
    first = numbers(gan([inputs["coordinates"], inputs["noise"]]))
    inputs["coordinates"][:, half:] = 0.0
    second = numbers(gan([inputs["coordinates"], inputs["noise"]]))
    np.testing.assert_array_equal(first[:, :half], second[:, :half])
    assert not np.array_equal(first[:, half:], second[:, half:])


def test_a_penalty_at_every_other_step_has_twice_the_weight():
    config = toy_config(penalty_every=2, penalty_max=3.0)
    batches, gan = toy_gan(config)
    losses = []
    for step in range(3):
        real, fake = scores_of(gan, batches.batch(step))
        factor = float(gan.penalty_factor.value)
        logs = one_step(gan, batches, step)
        hinge = (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()) / 2
        losses.append(logs["critic_loss"])
        assert logs["critic_loss"] == pytest.approx(hinge + 6.0 * factor * logs["penalty"], rel=1e-4)
        assert (logs["penalty"] > 0) == (step % 2 == 0)


def test_the_penalty_factor_falls_while_the_critic_is_unsure():
    batches, gan = toy_gan(toy_config(penalty_step=0.25, penalty_certainty=1.0))
    assert one_step(gan, batches)["penalty_factor"] == pytest.approx(0.75)


def test_a_batch_is_a_function_of_seed_and_step():
    first, again, other = toy_config(seed=3), toy_config(seed=3), toy_config(seed=4)
    batch = toy_batches(first).batch(5)
    for name, value in toy_batches(again).batch(5).items():
        np.testing.assert_array_equal(batch[name], value)
    for different in (
        toy_batches(other).batch(5),
        toy_batches(first).batch(6),
        toy_batches(first).batch(5, restarts=1),
    ):
        for name, value in different.items():
            assert not np.array_equal(batch[name], value), name


def test_the_parts_of_a_batch_have_the_shapes_that_a_step_expects():
    shapes = {name: value.shape for name, value in toy_batches(toy_config()).batch(0).items()}
    assert shapes == {"real": (2, 64, 8), "coordinates": (2, 64, 8), "noise": (2, 64, 10), "fake_noise": (2, 64, 8)}
    assert "fake_noise" not in toy_batches(toy_config(instance_noise=0.0)).batch(0)


def test_real_windows_are_crops_half_of_them_swapped():
    config = toy_config(instance_noise=0.0, batch_size=64)
    latents, swapped = toy_latents(), 0
    rows = {row.tobytes(): index for index, row in enumerate(latents)}
    for window in toy_batches(config).batch(0)["real"]:
        if window[0].tobytes() not in rows:
            window, swapped = np.ascontiguousarray(swap_sides(window)), swapped + 1
        start = rows[window[0].tobytes()]
        np.testing.assert_array_equal(window, latents[start : start + 64])
    assert 16 < swapped < 48


def test_bfloat16_is_chosen_by_the_setting_and_changes_no_other_one():
    assert precision_of(toy_config(mixed_precision="on").generator_training) == "mixed_bfloat16"
    assert precision_of(toy_config(mixed_precision="off").generator_training) == "float32"
    with pytest.raises(UserError, match="auto, on or off"):
        precision_of(toy_config(mixed_precision="half").generator_training)
    _, single = toy_gan(toy_config(mixed_precision="off"))
    batches, gan = toy_gan(toy_config(mixed_precision="on"))
    for name, network in gan.networks.items():
        network.set_weights(single.networks[name].get_weights())
    assert gan.generator.layers[-3].compute_dtype == "bfloat16"
    assert gan.average.layers[-3].compute_dtype == "float32"
    latents = gan._windows(gan.generator, *(batches.batch(0)[name] for name in ("coordinates", "noise")))
    rounded = keras.ops.cast(keras.ops.cast(latents, "bfloat16"), "float32")
    assert float(keras.ops.mean(keras.ops.abs(latents - rounded))) > 0  # what comes out is not
    for name, optimizer in gan.optimizers.items():
        settings, others = optimizer.get_config(), single.optimizers[name].get_config()
        assert (settings["beta_1"], settings["beta_2"]) == (others["beta_1"], others["beta_2"]) == (0.5, 0.999)
    logs, expected = one_step(gan, batches), one_step(single, batches)
    assert logs["critic_loss"] == pytest.approx(expected["critic_loss"], rel=0.05)


@pytest.mark.parametrize(
    ("name", "value"), [("batch_size", 0), ("learning_rate", 0.0), ("ema", 1.5), ("penalty_every", 0), ("seed", -1)]
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"{name}.*Received"):
        check_settings(toy_config(**{name: value}).generator_training)


SCRIPT = """
import json, sys
import keras, numpy
from musika.training.batches import BatchStream
from musika.training.run import load_state
from toy_gan import toy_config, toy_gan
batches, gan = toy_gan(toy_config(8, penalty_every=2))
load_state(sys.argv[1], gan.networks, gan.optimizers)
gan.set_learning_rate(1e-6)
logs_of_steps, moments = [], []
class Record(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        logs_of_steps.append({name: float(value) for name, value in logs.items()})
        for optimizer in gan.optimizers.values():
            values = [keras.ops.convert_to_numpy(variable.value) for variable in optimizer.variables[2:]]
            moments.append([float(numpy.linalg.norm(value)) for value in values])
gan.fit(BatchStream(batches, 0), steps_per_epoch=4, shuffle=False, verbose=0, callbacks=[Record()])
print("LOGS" + json.dumps([logs_of_steps, moments]))
"""


def run_script(script, backend, *arguments):
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("LOGS")[-1])


@pytest.mark.slow
def test_both_backends_train_with_the_same_losses(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'musika[torch]'")
    _, gan = toy_gan(toy_config(8))
    for variable in gan.generator.variables:
        if variable.name == "gain":  # zero at first: the noise would not be compared
            variable.assign([1.0])
    save_state(tmp_path / "start", gan.networks, gan.optimizers, {})
    logs, moments = run_script(SCRIPT, "tensorflow", str(tmp_path / "start"))
    other_logs, other_moments = run_script(SCRIPT, "torch", str(tmp_path / "start"))
    assert len(logs) == len(other_logs) == 4
    for name in ("critic_loss", "real_score", "penalty"):
        assert other_logs[0][name] == pytest.approx(logs[0][name], rel=5e-6), name
    # Scores reach 5 here. AdaIN divides by deviations over as few as four steps; where one is near zero, single precision
    # loses digits: at toy width the scores of generated windows are 1e-4 away from those in double precision.
    for one, other in zip(logs, other_logs, strict=True):
        for name, value in one.items():
            assert other[name] == pytest.approx(value, rel=2e-5, abs=2e-4), name
    for one, other in zip(moments, other_moments, strict=True):  # of Adam: what the gradients have been so far
        np.testing.assert_allclose(other, one, rtol=1e-2, atol=1e-5)


@pytest.mark.slow
def test_the_parts_that_know_gradients_pass_their_tests_on_torch():
    pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'musika[torch]'")
    names = ("autodiff", "penalty", "ema", "adversarial", "moments", "rises", "joints", "levels", "spectral_critic")
    files = [f"tests/training/test_{name}.py" for name in names]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


DISTRIBUTED = """
import json
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
from musika.training.batches import BatchStream
from musika.training.gan_networks import build_gan
from musika.training.levels import BandLevels
from musika.training.rises import LevelChanges
from musika.training.spectral_critic import LatentSpectrogram
from toy_gan import toy_batches, toy_config, toy_latents
runs = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        joints = np.random.default_rng(3).standard_normal((2, 8, 4)).astype("float32")
        changes = LevelChanges(joints, np.zeros(4, "float32"), 2)
        bands = LatentSpectrogram(np.random.default_rng(4).standard_normal((8, 4 * 96)).astype("float32"), np.zeros(4 * 96, "float32"))
        weights = dict.fromkeys(("moments", "joint_matching", "rise_matching", "level_matching", "spectral_critic"), 0.5)
        config = toy_config(**weights, critic_joints=2, spectral_penalty_every=1)
        loudness = BandLevels(np.eye(8, dtype="float32"), np.zeros(8, "float32"), np.eye(8, dtype="float32"))
        measured = dict(joints=joints, level_changes=changes, spectrogram=bands, band_levels=loudness)
        gan = build_gan(config, music=[toy_latents()], **measured)
    batches = toy_batches(toy_config())
    kept = []
    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append({name: float(value) for name, value in logs.items()})
    gan.fit(BatchStream(batches, 0), steps_per_epoch=3, shuffle=False, verbose=0, callbacks=[Record()])
    runs.append(kept)
print("LOGS" + json.dumps(runs))
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute needs the TensorFlow backend")
def test_two_copies_train_like_one():
    alone, together = run_script(DISTRIBUTED, "tensorflow")
    assert {"joint_matching", "level_matching", "moments", "rise_matching", "real_spectral_score"} <= set(alone[-1])
    # At first the running means are those of the music: 0 away.
    assert alone[-1]["joint_matching"] > 0 and alone[-1]["rise_matching"] > 0
    for one, other in zip(alone, together, strict=True):
        for name, value in one.items():
            assert other[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def controlled_gan(**training):
    """A toy GAN told a tempo, and batches whose real windows have one."""
    config = toy_config(**training)
    tempo = ControlConfig("tempo", low=90, high=160, clock=True, drop=0.5)
    config = dataclasses.replace(config, generator=dataclasses.replace(config.generator, controls=(tempo,)))
    conditions = np.random.default_rng(5).standard_normal((300, 16)).astype("float32")
    crops = LatentCrops([toy_latents()], config.generator.window_latents, conditions=[conditions])
    gan = build_gan(config)
    gan.run_eagerly = True
    return GanBatches(crops, config, gan.generator.noise_layers), gan


def test_real_and_generated_windows_are_told_the_same_and_some_are_told_nothing():
    batches, _ = controlled_gan(batch_size=64)
    batch = batches.batch(0)
    assert batch["conditions"].shape == (64, 64, 16)
    np.testing.assert_array_equal(batch["coordinates"][:, :, 8:], batch["conditions"])
    told = batch["conditions"].any(axis=(1, 2))
    assert 20 < told.sum() < 44
    assert batches.inputs(0, 3)["coordinates"][:, :, 8:].any(axis=(1, 2)).all()  # the scores are of controlled music


def test_generator_and_critic_learn_from_what_they_are_told():
    batches, gan = controlled_gan(penalty_every=2, batch_size=8)
    before = {name: network.get_weights() for name, network in gan.networks.items()}
    one_step(gan, batches)
    kernels = {"generator": "start_adain/scale_kernel", "critic": "input/kernel"}
    for name, path in kernels.items():
        network = gan.networks[name]
        index = next(place for place, item in enumerate(network.weights) if item.path.endswith(path))
        moved = network.get_weights()[index] - before[name][index]
        assert np.abs(moved[..., 8:, :]).max() > 0, path


def test_cutout_hides_a_stretch_of_real_and_generated_windows_alike():
    masks = draw_cutouts(np.random.default_rng(0), 2000, 64, 0.5)
    assert masks.shape == (2000, 64, 1) and set(np.unique(masks)) == {0.0, 1.0}
    hidden = 64 - masks[:, :, 0].sum(axis=1)
    assert hidden.max() <= 32 and 0.4 < (hidden > 0).mean() < 0.6
    assert (np.abs(np.diff(masks[:, :, 0], axis=1)).sum(axis=1) <= 2).all()  # one stretch
    assert (draw_cutouts(np.random.default_rng(0), 8, 64, 0.0) == 1).all()
    batch = toy_batches(toy_config(cutout=0.9, instance_noise=0.0, batch_size=16)).batch(0)
    shown = (batch["real"] != 0).all(axis=2)
    assert not shown.all() and not batch["fake_mask"].all()
    np.testing.assert_array_equal(shown, batch["real_mask"][:, :, 0] == 1)
    assert "fake_mask" not in toy_batches(toy_config()).batch(0)


def test_the_critic_does_not_see_what_is_cut_out_of_generated_windows():
    batches, gan = toy_gan(toy_config(cutout=0.9, instance_noise=0.0, penalty_max=0.0))
    batch = batches.batch(0)
    patches = gan.generator([split_windows(batch["coordinates"]), split_windows(batch["noise"])])
    fake = numbers(join_patches(patches)) * batch["fake_mask"]
    expected = -numbers(gan.critic(fake)).mean()
    assert one_step(gan, batches)["generator_loss"] == pytest.approx(expected, rel=1e-4)


def test_the_critic_learns_alone_at_first():
    batches, gan = toy_gan(toy_config(critic_first=2))
    seen = [weights_of(gan)]
    for step in range(3):
        one_step(gan, batches, step)
        seen.append(weights_of(gan))
    moved = [
        any((one[key] != two[key]).any() for key in one if key.startswith("generator") and "optimizer" not in key)
        for one, two in itertools.pairwise(seen)
    ]
    assert moved == [False, False, True]
    assert any((seen[0][key] != seen[1][key]).any() for key in seen[0] if key.startswith("critic"))


def test_frozen_layers_keep_their_weights():
    config = toy_config(frozen=("critic.block0", "generator.start"))
    gan = build_gan(config)
    gan.run_eagerly = True
    before = {layer.path: layer.get_weights() for network in (gan.critic, gan.generator) for layer in network.layers}
    one_step(gan, toy_batches(config, gan.generator.noise_layers))
    for network in (gan.critic, gan.generator):
        for layer in network.layers:
            same = all((one == two).all() for one, two in zip(before[layer.path], layer.get_weights(), strict=True))
            assert same is (not layer.weights or layer.name.startswith(("block0", "start"))), layer.name
    with pytest.raises(UserError, match="frozen must name layers"):
        build_gan(toy_config(frozen=("critic.nothing",)))


def test_a_critic_is_taught_to_refuse_real_music_that_is_told_other_controls():
    batches, gan = controlled_gan(mismatch=1.0, batch_size=8)
    batch = batches.batch(0)
    real, conditions = (keras.ops.convert_to_tensor(batch[name]) for name in ("real", "conditions"))
    others = np.roll(batch["conditions"], 1, axis=0)
    scores = numbers(gan.critic([batch["real"], others]))[:, 0]
    told = others.any(axis=(1, 2))
    assert 0 < told.sum() < 8
    expected = np.maximum(0.0, 1.0 + scores[told]).mean()
    assert float(gan._mismatch_loss(real, conditions)) == pytest.approx(expected, rel=1e-4)
    assert float(gan._mismatch_loss(real, 0.0 * conditions)) == 0.0


def heard_gan(control_loss=1.0, **training):
    """`controlled_gan` with an auxiliary network, on tempo channels as they are: told ones have their flags."""
    config = toy_config(control_loss=control_loss, **training)
    tempo = ControlConfig("tempo", low=90, high=160, clock=True, drop=0.0)
    config = dataclasses.replace(config, generator=dataclasses.replace(config.generator, controls=(tempo,)))
    beats = np.arange(300) / 5.0
    conditions = encode_controls((tempo,), {"tempo": ControlTrack(np.full(300, 129.0), beats)}, 300)
    latents = toy_latents()
    latents[:, :2] = 2.0 * conditions[:, 6:8]  # the beat can be heard
    crops = LatentCrops([latents], config.generator.window_latents, conditions=[conditions])
    gan = build_gan(config, conditions=[conditions])
    return GanBatches(crops, config, gan.generator.noise_layers), gan


@pytest.mark.slow
def test_the_auxiliary_network_learns_to_hear_controls_and_the_generator_to_have_them_heard():
    batches, gan = heard_gan(control_loss=20.0, batch_size=8, learning_rate=5e-3)
    logs = [one_step(gan, batches, step) for step in range(60)]
    assert logs[0]["control_real"] > 0.9
    assert np.mean([log["control_real"] for log in logs[-5:]]) < 0.3
    assert np.mean([log["control_generated"] for log in logs[-5:]]) < 0.8


def test_the_control_loss_reaches_the_generator_by_its_weight_alone():
    batches, gan = heard_gan(penalty_max=0.0)
    first = one_step(gan, batches)
    _, same = heard_gan(penalty_max=0.0)
    without = LatentGan(same.generator, same.critic, same.average, same.settings)
    alone = one_step(without, batches)
    assert first["generator_loss"] == pytest.approx(alone["generator_loss"] + first["control_generated"], rel=1e-4)
    assert first["critic_loss"] == pytest.approx(alone["critic_loss"], rel=1e-5)
    assert "control_generated" not in alone and set(without.networks) == {"generator", "critic", "average"}
    assert set(gan.networks) == set(gan.optimizers) | {"average"} == {"generator", "critic", "average", "auxiliary"}


def test_a_control_loss_needs_controls():
    assert build_gan(toy_config(control_loss=1.0)).auxiliary is None
