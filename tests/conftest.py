"""Fixtures that the whole suite shares."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Processes that compile the same ufuncs of librosa at once can mix up each other's files, and whoever loads them later
# crashes (numba issue 10128). So each worker keeps its own.
if "PYTEST_XDIST_WORKER" in os.environ:
    kept = Path(__file__).resolve().parent.parent / ".pytest_cache" / "numba" / os.environ["PYTEST_XDIST_WORKER"]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kept))

import pytest

from musika.threads import one_thread_an_operation

one_thread_an_operation()  # as the command line does, which some tests start in a process of its own


@pytest.fixture(scope="session")
def debug_config():
    from musika.config import load_config

    return load_config("debug")


@pytest.fixture(scope="session")
def debug_preset(debug_config):
    """A toy preset with seeded random weights and noise scalars that are not zero, in memory."""
    from musika.presets import random_preset

    return random_preset(debug_config, seed=1)


@pytest.fixture(scope="session")
def debug_preset_folder(debug_preset, tmp_path_factory):
    """The same preset on disk."""
    from musika.presets import save_preset

    folder = tmp_path_factory.mktemp("presets") / "toy"
    return save_preset(folder, debug_preset.config, debug_preset.codec, debug_preset.generator, measure_precision=False)


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Asserts that the command line refuses arguments by one line with a message, and leaves no file."""
    from musika.cli.main import main

    def check(arguments, message):
        monkeypatch.chdir(tmp_path)
        try:
            status = main(arguments)
        except SystemExit as leaving:
            status = leaving.code
        said = capsys.readouterr()
        assert status == 2
        assert message in said.err and said.err.count("\n") == 1 and said.out == ""
        assert list(tmp_path.iterdir()) == []

    return check


@pytest.fixture
def short_memory(monkeypatch):
    """Running means of ten batches instead of a hundred: what follows them is there in a tenth of the steps."""
    monkeypatch.setattr("musika.training.running_means.DECAY", 0.9)
