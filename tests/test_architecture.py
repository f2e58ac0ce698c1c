"""The house's rules: which way imports point, what stays light, that examples in docstrings hold."""

import ast
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "musika"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE.rglob("*.py") if path.stem != "__init__"
)
# A room may import the rooms listed after it, at the top of its modules.
BELOW = {
    "audio": set(),
    "gan": set(),
    "corpus": set(),
    "autoencoder": {"audio"},
    "data": {"audio", "autoencoder", "corpus", "gan"},
    "evaluation": {"audio", "autoencoder", "data", "gan"},
    "training": {"audio", "autoencoder", "data", "evaluation", "gan"},
    "app": {"audio", "gan"},
}


def top_level_imports(path):
    """Modules of the package imported when this one is imported (not inside functions or for type checks)."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("musika.")}


@pytest.mark.parametrize("room", list(BELOW))
def test_imports_point_one_way(room):
    for path in (PACKAGE / room).rglob("*.py"):
        rooms = {name.split(".")[1] for name in top_level_imports(path)} & set(BELOW)
        assert rooms <= BELOW[room] | {room}, f"{path.name} imports {rooms - BELOW[room] - {room}}"


def test_the_command_line_is_imported_by_nothing():
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "cli" and path.stem != "__main__":
            assert not any(name.startswith("musika.cli") for name in top_level_imports(path)), path


@pytest.mark.parametrize("command", ["import musika", "import musika.cli.main as m; m.main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_needed(command):
    probe = (
        "import sys\ntry:\n    " + command + "\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'librosa', 'gradio', 'scipy', 'matplotlib', 'torch'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    if name.endswith("__main__"):
        pytest.skip("runs the command line")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_no_file_is_loaded_in_a_way_that_can_run_code():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert "allow_pickle=True" not in text and "import pickle" not in text and "yaml.load(" not in text, path
