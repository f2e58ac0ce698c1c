"""Training of the codec at toy size: every phase, resuming, rolling back."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import soundfile
from keras import ops
from scipy.ndimage import uniform_filter1d

from musika.audio.spectral import analyse
from musika.autoencoder.codec import Codec
from musika.checks import UserError
from musika.config import load_config
from musika.data.audio_pool import AudioPool, open_pool, parse_corpus
from musika.presets import load_preset
from musika.training import codec_plan, codec_saves, codec_training, finetune_codec
from musika.training.codec_match import measure_match
from musika.training.codec_phase import NETWORKS, PHASES, CodecPhase, make_batch
from musika.training.codec_start import take_over_networks
from musika.training.run import Run, read_json

COMPACT = {
    "spectral": {"hop_length": 64, "fft_length": 256},
    "codec": {
        "latent_channels": 8,
        "level1_channels": 16,
        "compact": {
            "level1_hidden": 8,
            "trunk": 8,
            "head": 8,
            "level2_frame": 4,
            "level2_hidden": 8,
            "phase_recurrence": 16,
            "phase_tracking": 24,
            "phase_steps_width": 8,
            "phase_steps_head": 8,
            "phase_width": 8,
        },
    },
    "codec_training": {"component_patches": 100, "save_every": 2},
}
TOY_PHASE = {"steps": 4, "crops": 2, "crop_latents": 12}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for index in range(3):
        time = np.arange(44100)[:, None] / 44100
        audio = 0.2 * np.sin(6.28 * time * rng.uniform(200, 900, 2)) + 0.05 * rng.standard_normal((44100, 2))
        soundfile.write(folder / f"{index}.wav", audio, 44100)
    return folder


def run_phases(config, data, out, **options):
    trainer, state = codec_training.start_codec_run(config, str(data), out, say=lambda text: None, **options)
    return trainer, state


def weights_of(trainer, name):
    return [np.array(item) for item in trainer.networks[name].get_weights()]


def changed(trainer, before, name):
    return any(not np.array_equal(a, b) for a, b in zip(weights_of(trainer, name), before[name], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("phase", [name for name in PHASES if name not in ("level1_low_phase", "level1_phase_steps")])
def test_each_phase_trains_what_it_should_on_the_published_graph(phase, data, tmp_path):
    trainer, _ = run_phases(load_config("debug"), data, tmp_path / "run")
    before = {name: weights_of(trainer, name) for name in NETWORKS}
    assert trainer.train_phase(phase)
    trained = {name for name in NETWORKS if changed(trainer, before, name)}
    assert trained == set(PHASES[phase].trains)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["low_phase", "phase_steps"])
def test_parts_of_the_phase_are_trained_alone(part, data, tmp_path):
    phase = {**TOY_PHASE, "steps": 2, "phase_steps": 1.0}
    config = load_config(
        "compact", {**COMPACT, "codec_training": {**COMPACT["codec_training"], f"level1_{part}": phase}}
    )
    trainer, _ = run_phases(config, data, tmp_path / "run")
    before = {item.path: np.array(item) for item in trainer.networks["level1_decoder"].variables}
    others = {name: weights_of(trainer, name) for name in NETWORKS if name != "level1_decoder"}
    assert trainer.train_phase(f"level1_{part}")
    now = trainer.networks["level1_decoder"].variables
    moved = [item.path for item in now if not np.array_equal(np.array(item), before[item.path])]
    own = {item.path for item in getattr(trainer.networks["level1_decoder"], part).variables}
    assert moved and set(moved) <= own
    assert not any(changed(trainer, others, name) for name in others)


def test_a_codec_without_the_recurrence_has_no_low_phase_to_train():
    config = load_config("debug", {"codec_training": {"level1_low_phase": {"steps": 2}}})
    with pytest.raises(UserError, match="level1_low_phase would train nothing.*low_phase. Set its steps to 0"):
        CodecPhase(codec_training.build_networks(config), config, "level1_low_phase")


def small_codec(**widths):
    compact = {**COMPACT["codec"]["compact"], **widths}
    return load_config("compact", {**COMPACT, "codec": {**COMPACT["codec"], "compact": compact}})


def test_a_run_starts_from_another_codec_and_says_what_is_new(data, tmp_path):
    old = small_codec(head=12, phase_recurrence=0, phase_tracking=0)
    first = codec_training.train_codec(
        dataclasses.replace(old, codec_training=dataclasses.replace(old.codec_training, order=())),
        str(data),
        tmp_path / "first",
        say=lambda text: None,
        progress=False,
    )
    said = []
    trainer, state = codec_training.start_codec_run(
        small_codec(), str(data), tmp_path / "second", say=said.append, start=tmp_path / "first"
    )
    source = load_preset(first)
    assert Codec(trainer.config, trainer.networks).hash == source.codec.hash
    assert "level1_encoder: taken over." in said
    assert "level1_decoder: new are head, low_phase, magnitude, phase, phase_steps; the rest is taken over." in said
    ours, theirs = (networks["level1_decoder"] for networks in (trainer.networks, source.codec.networks))
    np.testing.assert_array_equal(np.array(ours.first.kernel), np.array(theirs.first.kernel))
    np.testing.assert_array_equal(np.array(ours.magnitude.bias), np.array(theirs.magnitude.bias))
    assert trainer.run.settings["from"] == str(first) and state["step"] == 0


def test_a_recurrence_is_added_to_a_codec_that_had_none():
    old, new = (
        codec_training.build_networks(small_codec(**widths))
        for widths in ({"phase_recurrence": 0, "phase_tracking": 0}, {})
    )
    said = []
    take_over_networks(new, old, said.append)
    assert "level1_decoder: new are low_phase, phase_steps; the rest is taken over." in said
    level1 = np.random.default_rng(0).standard_normal((1, 16, 16)).astype(np.float32)
    parts = [[np.asarray(item) for item in networks["level1_decoder"](level1)] for networks in (old, new)]
    np.testing.assert_array_equal(parts[0][0], parts[1][0])
    bins, low = 129, 16
    for half in (0, bins):  # cosines, then sines
        upper = slice(half + low, half + bins)
        np.testing.assert_allclose(parts[0][1][..., upper], parts[1][1][..., upper], atol=1e-6)


def test_a_codec_of_other_sizes_is_no_start(data):
    networks = codec_training.build_networks(small_codec())
    other = load_config("compact", {**COMPACT, "codec": {**COMPACT["codec"], "level1_channels": 8}})
    with pytest.raises(UserError, match="level1 encoder has other sizes.*level1_channels.*without --from"):
        take_over_networks(networks, codec_training.build_networks(other))


@pytest.mark.slow
def test_a_resumed_phase_takes_the_same_steps(data, tmp_path):
    phase = {**TOY_PHASE, "waveform": 1.0, "phasor": 1.0, "adversarial": 0.1, "adversarial_from": 0.25}
    config = load_config("compact", {**COMPACT, "codec_training": {**COMPACT["codec_training"], "level1_phase": phase}})
    whole, _ = run_phases(config, data, tmp_path / "whole")
    whole.train_phase("level1_phase")

    class Stop(Exception):
        pass

    def stop(name, step):
        if step == 3:
            raise Stop

    cut, _ = run_phases(config, data, tmp_path / "cut")
    with pytest.raises(Stop):
        cut.train_phase("level1_phase", on_save=stop)
    again, state = run_phases(config, data, tmp_path / "cut", resume=True)
    assert (state["phase"], state["step"]) == ("level1_phase", 3)
    again.train_phase("level1_phase", state["step"], resume=True)
    for name in NETWORKS:
        for a, b in zip(weights_of(whole, name), weights_of(again, name), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_training_lowers_the_loss_of_what_it_sees(data, tmp_path):
    phase = {"steps": 60, "crops": 4, "crop_latents": 4, "learning_rate": 3e-3}
    config = load_config("debug", {"codec_training": {"save_every": 60, "level1_magnitude": phase}})
    trainer, _ = run_phases(config, data, tmp_path / "run")
    probe = CodecPhase(trainer.networks, config, "level1_magnitude")
    batches = [
        {key: ops.convert_to_tensor(value) for key, value in make_batch(probe, trainer.pool, step, 99).items()}
        for step in range(4)
    ]

    def loss():
        return np.mean([float(probe.losses_of(batch)[0][0]) for batch in batches])

    before = loss()
    trainer.train_phase("level1_magnitude")
    assert loss() < 0.8 * before


def test_a_batch_depends_on_seed_and_step_only(data, tmp_path):
    config = load_config("debug")
    trainer, _ = run_phases(config, data, tmp_path / "run")
    phase = CodecPhase(trainer.networks, config, "level2_signal")
    first, again, other = (make_batch(phase, trainer.pool, step, 0) for step in (5, 5, 6))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["audio"], other["audio"])


def test_a_diverged_phase_goes_back_with_half_the_rate(data, tmp_path):
    config = load_config("debug")
    trainer, _ = run_phases(config, data, tmp_path / "run")
    phase = CodecPhase(trainer.networks, config, "level2_latent")
    phase.optimizers()
    variable = trainer.networks["level2_decoder"].trainable_variables[0]
    saved = np.array(variable)
    variable.assign(saved * np.nan)
    assert trainer._roll_back(phase, "level2_latent") == 0
    np.testing.assert_array_equal(np.array(variable), saved)
    assert trainer.rate_factor == 0.5


@pytest.mark.slow
def test_a_phase_that_diverges_at_once_begins_with_new_optimisers(data, tmp_path):
    trainer, _ = run_phases(load_config("debug"), data, tmp_path / "run")
    draw, begun = trainer.batches, []

    def batches(phase, step):
        begun.append(step)
        spoilt = np.float32(np.nan if len(begun) == 1 else 1.0)
        return (({**batch, "audio": batch["audio"] * spoilt},) for (batch,) in draw(phase, step))

    trainer.batches = batches
    assert trainer.train_phase("level2_latent")
    assert begun == [0, 0] and trainer.rate_factor == 0.5
    assert codec_training.all_finite(trainer.networks)


def test_learning_rate_warms_up_and_falls():
    rates = [codec_training.phase_learning_rate(step, 2000, 1.0) for step in (0, 149, 1000, 2000)]
    assert rates[0] < 0.02 and rates[1] > 0.95 and 0.4 < rates[2] < 0.6 and rates[3] == pytest.approx(0.02)


@pytest.fixture
def pretended(monkeypatch):
    """Steps that count but do not learn, and saves without sound: what is left of a training is what it plans."""
    small = {name: keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]) for name in NETWORKS}
    interrupt, options, rows = [], [], []

    def note(step, values):
        rows.append((step, min(values).replace("both_harmonic_survival", "")))

    def fit(phase, batches, steps_per_epoch, callbacks, **others):
        options.append(others)
        phase.stop_training = False
        for step in range(steps_per_epoch):
            if [phase.name, step] in interrupt:
                os.kill(os.getpid(), signal.SIGINT)
            for callback in callbacks:
                callback.on_train_batch_begin(step)
                callback.on_train_batch_end(step, {"loss": 0.0})
            if phase.stop_training:
                break
        for callback in callbacks:
            callback.on_train_end()

    scores = ("both_log_spectral_distance_db", "both_spectral_convergence", "both_harmonic_survival")
    monkeypatch.setattr(codec_training, "build_networks", lambda config: small)
    monkeypatch.setattr(CodecPhase, "fit", fit)
    monkeypatch.setattr(codec_saves, "clip_samples", lambda config: 1000)
    monkeypatch.setattr(codec_saves, "measure_clips", lambda *given, **named: [dict.fromkeys(scores, 0.0)])
    monkeypatch.setattr(codec_saves, "save_preset", lambda *given, **named: None)
    monkeypatch.setattr(codec_saves.CodecSaves, "_examples", lambda *given: None)
    monkeypatch.setattr(codec_saves, "ScalarWriter", lambda folder: SimpleNamespace(write=note))
    return SimpleNamespace(interrupt=interrupt, options=options, rows=rows)


PLAN = {"codec_training": {"order": ["level1_magnitude", "level2_latent"]}}


def state_of(out):
    state = read_json(out / "last" / "state.json")
    return state["phase"], state["step"]


def test_scores_stand_at_the_total_step_and_a_run_goes_on_with_more_steps(data, tmp_path, pretended):
    train = functools.partial(codec_training.train_codec, say=lambda text: None, progress=False)
    train(load_config("debug", PLAN), str(data), tmp_path / "run")
    phases = [(2, "level1_magnitude/loss"), (2, "held_out/"), (4, "level2_latent/loss"), (4, "held_out/")]
    assert pretended.rows == [(0, "held_out/"), *phases]
    assert all(options["shuffle"] is False for options in pretended.options)
    pretended.rows.clear()
    train(load_config("debug"), "", tmp_path / "run", resume=True, steps=5)
    assert [step for step, name in pretended.rows if name == "held_out/"] == [4, 6, 7]
    assert {step for step, name in pretended.rows if name == "level2_latent/loss"} == {7}
    assert state_of(tmp_path / "run") == ("level2_latent", 5)
    training = Run.open(tmp_path / "run").config.codec_training
    assert (training.level1_magnitude.steps, training.level2_latent.steps) == (2, 5)


def test_an_interrupt_is_a_wish_to_save_and_stop(data, tmp_path, pretended):
    said, before = [], signal.getsignal(signal.SIGINT)
    pretended.interrupt.append(["level1_magnitude", 1])
    config = load_config("debug", {"codec_training": {**PLAN["codec_training"], "save_every": 10}})
    codec_training.train_codec(config, str(data), tmp_path / "run", say=said.append, progress=False, steps=6)
    assert said[-1] == "stopped in phase level1_magnitude; go on with --resume."
    assert state_of(tmp_path / "run") == ("level1_magnitude", 2)
    assert signal.getsignal(signal.SIGINT) == before
    pretended.interrupt.clear()
    codec_training.train_codec(config, "", tmp_path / "run", resume=True, say=said.append, progress=False)
    assert state_of(tmp_path / "run") == ("level2_latent", 6)


def test_who_tunes_decoders_does_not_go_on_after_an_interrupt(monkeypatch, tmp_path, debug_preset):
    def train(*given, stop, **named):
        stop.wanted = True
        return tmp_path

    monkeypatch.setattr(finetune_codec, "train_codec", train)
    (tmp_path / "manifest.json").write_text(json.dumps({"audio": str(tmp_path)}))
    said = []
    with pytest.raises(KeyboardInterrupt):
        finetune_codec.tune_decoders(tmp_path, debug_preset, tmp_path / "run", say=said.append)
    assert said[-1] == "decoders: stopped; the same command goes on."


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"save_every": 0}, "codec_training.save_every must be a whole number from 1"),
        ({"held_out": 1.0}, "codec_training.held_out must be a number from 0 to 0.9"),
        ({"gain_low_db": 7.0}, "codec_training.gain_high_db must be a number from 7"),
        ({"level1_phase": {"crops": 0}}, "codec_training.level1_phase.crops must be a whole number from 1"),
        ({"level1_phase": {"learning_rate": 0.0}}, "level1_phase.learning_rate must be a number greater than 0"),
        ({"level1_phase": {"through_level2": 2.0}}, "level1_phase.through_level2 must be a number from 0 to 1"),
        ({"level1_phase": {"phasor": -1.0}}, "level1_phase.phasor must be a number from 0"),
        ({"level1_phase": {"crop_latents": 6}}, "level1_phase.crop_latents must be a multiple of 4.*latents=6"),
        ({"level2_latent": {"latent": 0.0}}, "level2_latent would learn nothing.*Set latent above 0, or its steps"),
        ({"order": ["level3"]}, "there is no phase 'level3'; allowed are level1_magnitude"),
    ],
)
def test_settings_that_no_training_can_have_are_refused_before_it_begins(training, message, tmp_path):
    with pytest.raises(UserError, match=message):
        codec_training.train_codec(load_config("debug", {"codec_training": training}), "", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["base", "compact", "techno", "piano", "compact_steps", "piano_polish", "debug"])
def test_the_settings_of_what_ships_are_allowed(name):
    codec_plan.check_settings(load_config(name))


def test_a_run_goes_on_only_with_what_it_was_begun_with(tmp_path):
    out, config = tmp_path / "run", load_config("debug", {"codec_training": {"level1_phase": {"steps": 9}}})
    Run.create(out, config, {"kind": "codec", "data": "corpus:techno", "from": None})
    codec_plan.check_resumed(out, None, None, None)
    codec_plan.check_resumed(out, "debug", "corpus:techno:60", None)  # only steps differ, and how it is spelt
    for given, message in (
        (("compact", None, None), "--config compact differs from the config .* Leave --config out"),
        ((None, str(tmp_path), None), "is trained on corpus:techno, not on .* Leave --data out"),
        ((None, None, "techno"), "was begun from no other codec, not from techno. Leave --from out"),
    ):
        with pytest.raises(UserError, match=message):
            codec_plan.check_resumed(out, *given)


def test_unknown_phases_and_networks_are_refused(tmp_path, data):
    config = load_config("debug")
    with pytest.raises(UserError, match="no phase 'level3'.*level1_magnitude"):
        codec_training.remaining_phases(config, {"phase": "", "step": 0}, "level3")
    odd = load_config("debug", {"codec_training": {"level2_latent": {"trains": ["level9"]}}})
    with pytest.raises(UserError, match="unknown network 'level9'"):
        CodecPhase(codec_training.build_networks(odd), odd, "level2_latent")


def test_remaining_phases_go_on_where_the_run_stands():
    config = load_config("base")
    rest = codec_training.remaining_phases(config, {"phase": "level1_phase", "step": 7})
    assert rest == [("level1_phase", 7), ("level2_latent", 0), ("level2_signal", 0)]


def test_corpus_sources_are_read_and_refused():
    assert parse_corpus("corpus:techno") == (["techno"], 60.0)
    assert parse_corpus("corpus:techno@breaks:5") == (["techno@breaks"], 5.0)
    assert parse_corpus("some/folder") is None
    with pytest.raises(UserError, match="no practice corpus 'jazz'"):
        parse_corpus("corpus:techno+jazz")
    with pytest.raises(UserError, match="minutes of corpus"):
        parse_corpus("corpus:techno:-3")


def test_a_source_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match="no file or folder .*nowhere"):
        open_pool(str(tmp_path / "nowhere"), tmp_path / "cache", 44100, 0.1, 0)


def test_a_folder_without_audio_is_an_error(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "notes.txt").write_text("la")
    with pytest.raises(UserError, match="no usable audio|no audio"):
        open_pool(str(tmp_path / "music"), tmp_path / "cache", 44100, 0.1, 0)


def test_bad_files_are_named_and_the_rest_is_used(tmp_path, data):
    import shutil

    folder = tmp_path / "music"
    shutil.copytree(data, folder)
    (folder / "broken.wav").write_bytes(b"RIFF")
    said = []
    pool = open_pool(str(folder), tmp_path / "cache", 44100, 0.3, 0, said.append)
    assert len(pool.train) + len(pool.held_out) == 3
    assert any("broken.wav" in line for line in said)


def test_crops_come_from_training_tracks_at_the_given_gain():
    tracks = [np.full((1000, 2), 16384, np.int16), np.full((1000, 2), 16384, np.int16)]
    pool = AudioPool(tracks, 0.5, 0)
    crops = pool.crops(8, 100, np.random.default_rng(0), -6.0206, -6.0206)
    np.testing.assert_allclose(np.abs(crops), 0.25, rtol=1e-3)
    assert len(pool.train) == len(pool.held_out) == 1
    assert AudioPool(tracks, 0.9, 0, 500).seconds == 2.0  # of two tracks one is left to train on


@pytest.mark.slow
def test_both_backends_take_the_same_steps():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")
    phase = {**TOY_PHASE, "waveform": 1.0, "phasor": 1.0, "adversarial": 0.1, "through_level2": 0.5}
    overrides = {**COMPACT, "codec_training": {"level1_phase": {**phase, "learning_rate": 1e-3}}}
    root = Path(__file__).resolve().parents[2]
    losses = {}
    for backend in ("tensorflow", "torch"):
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(root)}
        probe = [sys.executable, str(Path(__file__).with_name("codec_probe.py")), json.dumps(overrides)]
        printed = subprocess.run(probe, env=environment, capture_output=True, text=True, check=True).stdout
        losses[backend] = json.loads(printed.splitlines()[-1])
    for ours, theirs in zip(losses["tensorflow"], losses["torch"], strict=True):
        assert ours == pytest.approx(theirs, rel=2e-4)


def test_the_flux_at_borders_counts_by_its_weight(data, tmp_path):
    short = {**TOY_PHASE, "crops": 1, "crop_latents": 4}
    overrides = {**COMPACT, "codec_training": {**COMPACT["codec_training"], "level1_phase": short}}
    overrides["spectral"] = {"hop_length": 256, "fft_length": 1024}
    trainer, _ = run_phases(load_config("compact", overrides), data, tmp_path / "run", phase="level1_phase")

    def losses(border):
        settings = dataclasses.replace(trainer.config.codec_training.level1_phase, border=border, waveform=0.0)
        training = dataclasses.replace(trainer.config.codec_training, level1_phase=settings)
        phase = CodecPhase(
            trainer.networks, dataclasses.replace(trainer.config, codec_training=training), "level1_phase"
        )
        total, terms = phase.losses_of(make_batch(phase, trainer.pool, 1, 0))
        return float(total[0]), {name: float(value) for name, value in terms.items()}

    without, terms = losses(0.0)
    assert "border" not in terms
    total, terms = losses(7.0)
    assert terms["border"] >= 0.0
    assert total == pytest.approx(without + 7.0 * terms["border"], rel=1e-4)


def test_a_codec_that_goes_on_with_other_music_raises_its_ceiling_where_that_is_louder(data, tmp_path):
    config = load_config("compact", COMPACT)
    (first, _), (second, _) = (run_phases(config, data, tmp_path / name) for name in ("first", "second"))
    ceiling = first.networks["level1_decoder"].ceiling
    needed = second.networks["level1_decoder"].limit().copy()
    known = needed.copy()
    known[:60] -= 1.0
    known[100:] += 0.1
    ceiling.assign(known)
    second.take_over(first.networks)
    np.testing.assert_allclose(second.networks["level1_decoder"].limit(), np.maximum(known, needed), atol=1e-5)


def test_decoded_sound_is_as_wide_and_as_loud_as_its_music_and_one_channel_twice_stays_one(data, tmp_path):
    trainer, _ = run_phases(load_config("compact", COMPACT), data, tmp_path / "run")
    match = trainer.networks["level1_decoder"].match
    codec = Codec(trainer.config, trainer.networks)
    music = (4000 * np.random.default_rng(0).standard_normal((44_100, 2))).astype(np.int16)
    sound = music / np.float32(32768)
    latents = codec.encode(sound)

    def heard():
        """The power of the side by that of the middle, 1 in the music, and by how many dB bins are too quiet."""
        decoded = codec.decode(latents, samples=len(sound))
        middle, side = (np.square(decoded @ np.array([0.5, sign * 0.5])).sum() for sign in (1, -1))
        spectra = (analyse(part, trainer.config.spectral) for part in (sound, decoded))
        powers = (uniform_filter1d(np.square(np.abs(part)).mean(axis=(0, 1)), 25)[12:-12] for part in spectra)
        return side / middle, 10 * np.subtract(*map(np.log10, powers))

    match.assign(0 * ops.convert_to_numpy(match))
    narrow, before = heard()
    assert narrow < 0.02  # decoded alone they come out alike
    assert before.mean() > 3.0  # phases that are not trained cancel each other, and logarithms of noise are low
    measure_match(trainer.networks, trainer.config, [music])
    wide, after = heard()
    assert 0.25 < wide < 1.2
    assert (after < before - 3.0)[before > 6.0].mean() > 0.9
    assert np.abs(after).mean() < 0.5 * np.abs(before).mean()
    measure_match(trainer.networks, trainer.config, [np.repeat(music[:, :1], 2, axis=1)])
    assert not ops.convert_to_numpy(match)[1:].any()
