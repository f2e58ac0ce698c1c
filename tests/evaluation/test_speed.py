import json
import subprocess
import sys

import numpy as np
import pytest

from musika.checks import UserError
from musika.evaluation import speed

FIGURES = {
    "subject": "toy",
    "machine": {
        "processor": "P",
        "cores": 2,
        "system": "S",
        "load_before": 0.1,
        "backend": "tensorflow",
        "versions": {"python": "3", "keras": "3", "tensorflow": "2"},
    },
    "precision": "float32",
    "render_seconds": 240.0,
    "render": {"median": 300.0, "p95": 280.0, "seconds": 0.8},
    "plain": {"median": 60.0, "p95": 59.0, "seconds": 1.0},
    "times_plain": 5.0,
    "first_second": 0.05,
    "encode": {"median": 100.0, "p95": 90.0, "seconds": 0.6},
    "process_one_minute": {"seconds": 5.0, "times_real_time": 12.0, "peak_memory_mib": 900.0},
    "training_step": {"seconds": 0.2, "batch_size": 32},
}


def test_warm_figures_are_measured(debug_preset):
    render = speed.render_speed(debug_preset, seconds=0.5, repeats=2)
    assert 0 < render["p95"] <= render["median"]
    assert speed.encode_speed(debug_preset, seconds=0.5, repeats=1)["median"] > 0
    assert 0 < speed.first_second(debug_preset, repeats=1) < 60


@pytest.mark.slow
def test_training_steps_are_measured(debug_preset):
    before = debug_preset.hash
    assert speed.training_step(debug_preset) > 0
    assert debug_preset.hash == before


@pytest.mark.slow
def test_a_fresh_process_is_measured(debug_preset_folder):
    whole = speed.cold_start(str(debug_preset_folder), 0.5, "float32")
    assert whole["seconds"] > 0.5 and whole["times_real_time"] > 0
    assert 100 < whole["peak_memory_mib"] < 4000


def test_a_config_stands_for_random_weights_and_other_names_are_refused():
    assert speed.load_subject("debug", "float32").name == "debug"
    with pytest.raises(UserError, match=r"neither a preset nor a config 'based'.*base, compact"):
        speed.load_subject("based")


def test_the_verb_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    from musika.cli.main import main

    monkeypatch.setattr(speed, "measure", lambda *arguments, **more: FIGURES)
    assert main(["bench", "debug", "--json", str(tmp_path / "figures.json")]) == 0
    printed = capsys.readouterr().out
    assert "on P, 2 cores" in printed
    assert "300.0 times real time (median), 280.0 (p95)" in printed
    assert "60.0: this is 5.00 times as fast" in printed
    assert "peak memory 900 MiB" in printed
    assert "0.200 s at batch 32" in printed
    assert json.loads((tmp_path / "figures.json").read_text()) == FIGURES


def test_bad_arguments_of_the_verb(capsys):
    from musika.cli.main import main

    assert main(["bench", "debug", "--repeats", "0"]) == 2
    assert "repeats must be a whole number from 1" in capsys.readouterr().err


def test_a_small_process_of_a_large_one_has_little_memory():
    held = np.ones(60_000_000, np.float32)  # 240 MB
    code = "from musika.evaluation.speed import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, theirs = speed.peak_memory(), int(done.stdout)
    assert ours > held.nbytes
    assert 5e6 < theirs < 0.6 * ours
