"""Imports that the commands spare Keras, and nobody else."""

import subprocess
import sys

PROGRAM = """
import sys
from musika.spared import spare_imports
spare_imports()
spare_imports()
import keras
assert not {"sklearn", "pandas", "matplotlib"} & set(sys.modules)
assert keras.ops.ones(2).shape == (2,)
import sklearn, matplotlib
assert sum("Keras" in type(finder).__name__ for finder in sys.meta_path) == 1
"""


def test_keras_is_imported_without_them_and_they_afterwards():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
