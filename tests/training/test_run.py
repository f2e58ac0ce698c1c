import os
import signal

import keras
import numpy as np
import pytest
from toy_gan import toy_config, toy_gan, weights_of

from musika.checks import UserError
from musika.config import Config
from musika.training.callbacks import StopRequest, learning_rate_at
from musika.training.generator_trainer import GeneratorTrainer, Progress
from musika.training.run import Run, all_finite, load_state, read_json, save_state, write_json


class QuietSaves:
    """Stands for what a training shows; keeps what it is told."""

    def __init__(self):
        self.lines, self.shown, self.written = [], [], []

    def say(self, line):
        self.lines.append(line)

    def show(self, step, losses, seconds_per_step):
        self.shown.append((step, losses))

    def write(self, step, seconds):
        self.written.append(step)


def toy_trainer(folder, resume=False, **training):
    config = toy_config(**training)
    batches, gan = toy_gan(config)
    run = Run.open(folder) if resume else Run.create(folder, config, {"kind": "generator"})
    if resume:
        run.config = config
    trainer = GeneratorTrainer(run, gan, batches, QuietSaves())
    if resume:
        trainer.resume()
    return trainer


def small_network():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_a_save_gives_back_weights_optimiser_and_state(tmp_path):
    model, optimizer = small_network()
    optimizer.apply([np.ones(v.shape, np.float32) for v in model.trainable_variables], model.trainable_variables)
    save_state(tmp_path / "save", {"net": model}, {"net": optimizer}, {"step": 1})
    other, other_optimizer = small_network()
    state = load_state(tmp_path / "save", {"net": other}, {"net": other_optimizer})
    assert state == {"step": 1}
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(optimizer.variables, other_optimizer.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one.value), keras.ops.convert_to_numpy(two.value))


def test_nothing_in_a_save_is_pickled(tmp_path):
    model, optimizer = small_network()
    folder = save_state(tmp_path / "save", {"net": model}, {"net": optimizer}, {})
    assert sorted(path.name for path in folder.iterdir()) == ["net.optimizer.npz", "net.weights.h5", "state.json"]
    with np.load(folder / "net.optimizer.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_a_save_that_fails_leaves_the_older_one(tmp_path, monkeypatch):
    model, _ = small_network()
    save_state(tmp_path / "save", {"net": model}, {}, {"step": 1})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("musika.training.run.write_json", full)
    with pytest.raises(UserError, match="No space left"):
        save_state(tmp_path / "save", {"net": model}, {}, {"step": 2})
    assert read_json(tmp_path / "save" / "state.json") == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["save"]


def test_a_save_of_other_sizes_is_refused(tmp_path):
    model, optimizer = small_network()
    save_state(tmp_path / "save", {"net": model}, {"net": optimizer}, {})
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), keras.layers.Dense(1)])
    other_optimizer = keras.optimizers.Adam(0.1)
    other_optimizer.build(other.trainable_variables)
    with pytest.raises(UserError, match=r"net\.weights\.h5"):
        load_state(tmp_path / "save", {"net": other}, {})
    with pytest.raises(UserError, match=r"net\.optimizer\.npz"):
        load_state(tmp_path / "save", {}, {"net": other_optimizer})


def test_an_incomplete_save_is_refused(tmp_path):
    model, optimizer = small_network()
    save_state(tmp_path / "save", {"net": model}, {}, {})
    with pytest.raises(UserError, match="not complete"):
        load_state(tmp_path / "save", {}, {"net": optimizer})
    (tmp_path / "save" / "state.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        load_state(tmp_path / "save", {}, {})


def test_a_damaged_optimiser_is_refused(tmp_path):
    model, optimizer = small_network()
    folder = save_state(tmp_path / "save", {"net": model}, {"net": optimizer}, {})
    whole = (folder / "net.optimizer.npz").read_bytes()
    (folder / "net.optimizer.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"net\.optimizer\.npz: no optimiser's state, or damaged.*Use another save"):
        load_state(folder, {}, {"net": optimizer})


def test_a_run_keeps_the_newest_save_and_the_one_before(tmp_path):
    run = Run.create(tmp_path / "run", Config(), {"kind": "codec"})
    assert run.last is None
    with pytest.raises(UserError, match="no save yet"):
        run.load({}, {})
    for step in (1, 2, 3):
        run.save({}, {}, {"step": step})
    assert run.load({}, {}) == {"step": 3}
    assert run.load({}, {}, older=True) == {"step": 2}


def test_a_stop_between_two_renames_loses_nothing(tmp_path):
    run = Run.create(tmp_path / "run", Config(), {"kind": "codec"})
    run.save({}, {}, {"step": 1})
    os.rename(run.folder / "last", run.folder / "healthy")
    assert run.load({}, {}) == {"step": 1}
    run.save({}, {}, {"step": 2})
    assert run.load({}, {}) == {"step": 2}


def test_a_run_remembers_its_config(tmp_path):
    config = toy_config(seed=11)
    Run.create(tmp_path / "run", config, {"kind": "generator", "data": "here"})
    run = Run.open(tmp_path / "run", "generator")
    assert (run.config, run.settings["data"]) == (config, "here")


def test_wrong_run_folders_are_refused_with_a_remedy(tmp_path):
    Run.create(tmp_path / "run", Config(), {"kind": "codec"})
    with pytest.raises(UserError, match="--resume"):
        Run.create(tmp_path / "run", Config(), {"kind": "codec"})
    with pytest.raises(UserError, match="not of 'generator'"):
        Run.open(tmp_path / "run", "generator")
    with pytest.raises(UserError, match="Leave --resume out"):
        Run.open(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    write_json(tmp_path / "other" / "notes.json", {})
    with pytest.raises(UserError, match="new folder"):
        Run.create(tmp_path / "other", Config(), {})


def test_weights_that_are_not_finite_are_noticed():
    model, _ = small_network()
    assert all_finite({"net": model})
    model.trainable_variables[1].assign([np.nan, 0.0])
    assert not all_finite({"net": model})


def test_the_first_signal_is_a_wish_and_the_handler_is_given_back():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert not stop.wanted
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wanted
        assert signal.getsignal(signal.SIGINT) == before
    assert signal.getsignal(signal.SIGINT) == before


def test_the_learning_rate_falls_at_the_end():
    rates = [learning_rate_at(share, 2.0, 0.5, 0.1) for share in (0.0, 0.5, 0.75, 1.0, 2.0)]
    assert rates == pytest.approx([2.0, 2.0, 1.1, 0.2, 0.2])
    assert learning_rate_at(1.0, 2.0, 1.0, 0.0) == 2.0


def test_stopping_and_going_on_gives_the_next_steps_bit_exactly(tmp_path):
    whole = toy_trainer(tmp_path / "whole", steps=4)
    assert whole.train() == "done"
    expected = weights_of(whole.gan)
    first = toy_trainer(tmp_path / "parts", steps=4)
    first.on_train_batch_end = stop_after(first, 3)
    assert first.train() == "stopped"
    second = toy_trainer(tmp_path / "parts", resume=True, steps=4)
    assert second.progress.step == 3
    assert second.train() == "done"
    equal(expected, weights_of(second.gan))
    kept = ("step", "rate_factor", "restarts", "retries", "penalty_factor")
    assert {name: getattr(whole.progress, name) for name in kept} == {
        name: getattr(second.progress, name) for name in kept
    }


def stop_after(trainer, step):
    """A callback that asks to stop after a step, as Ctrl-C does."""
    original = GeneratorTrainer.on_train_batch_end

    def hook(batch, logs=None):
        trainer._stop.wanted = trainer.progress.step + 1 >= step
        original(trainer, batch, logs)

    return hook


def test_a_resumed_run_starts_with_every_number_of_the_save(tmp_path):
    first = toy_trainer(tmp_path / "run", steps=2)
    first.train()
    expected = weights_of(first.gan)
    second = toy_trainer(tmp_path / "run", resume=True, steps=2)
    equal(expected, weights_of(second.gan))


def test_losses_that_are_not_finite_lead_back_to_the_save_at_half_the_rate(tmp_path):
    trainer = toy_trainer(tmp_path / "run", steps=4)
    original = trainer.batches.batch

    def poisoned(step, restarts=0):
        batch = original(step, restarts)
        if step == 2 and restarts == 0:
            batch["real"][:] = np.nan
        return batch

    trainer.batches.batch = poisoned
    assert trainer.train() == "done"
    assert trainer.progress.step == 4
    assert (trainer.progress.rate_factor, trainer.progress.restarts) == (0.5, 1)
    (line,) = trainer.saves.lines
    assert "Back to the save of step 2, learning rate halved to 0.0005" in line
    assert all_finite(trainer.gan.networks)
    assert float(trainer.gan.generator_optimizer.learning_rate) == pytest.approx(5e-4)


def test_a_training_that_never_recovers_ends_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("musika.training.generator_trainer.MOST_RETRIES", 2)
    trainer = toy_trainer(tmp_path / "run", steps=2)
    original = trainer.batches.batch
    trainer.batches.batch = lambda step, restarts=0: {**original(step), "real": np.full((2, 64, 8), np.nan, "f")}
    with pytest.raises(UserError, match="not finite after 2 rollbacks"):
        trainer.train()
    assert trainer.run.load({}, {})["progress"]["step"] == 0


def test_time_ends_a_training_with_a_save(tmp_path):
    trainer = toy_trainer(tmp_path / "run", steps=1000, save_every=1000)
    assert trainer.train(minutes=0.02) == "time"
    step = trainer.run.load({}, {})["progress"]["step"]
    assert 0 < step == trainer.progress.step < 1000


def test_progress_is_what_a_save_holds(tmp_path):
    trainer = toy_trainer(tmp_path / "run", steps=2, save_every=1)
    trainer.train()
    assert trainer.saves.written == [0, 1, 2]
    assert Progress(**trainer.run.load({}, {})["progress"]) == trainer.progress
    assert [step for step, _ in trainer.saves.shown] == [1, 2]
