import subprocess
import sys

import pytest

PROBE = """
import resource, sys
import numpy as np
from musika.autoencoder.memory import keep_freed_memory
assert keep_freed_memory() is True
def work():
    for _ in range(20):
        np.ones(4_000_000, np.float32)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="concerns glibc")
def test_freed_memory_is_used_again_without_new_pages():
    import platform

    if platform.libc_ver()[0] != "glibc":
        pytest.skip("concerns glibc")
    found = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 100  # without it thousands: the pages of every array are new
