import platform
import subprocess
import sys

import pytest

FAULTS_OF_A_SECOND_TENSOR = """
import resource, threading
import numpy as np
from features.jobs.process import keep_memory

keep_memory()

def touch():
    np.empty(100 * 2**20, np.uint8)[:] = 1

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    touch()
    found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

found = []
thread = threading.Thread(target=lambda: (faults(), faults()))
thread.start()
thread.join()
print(*found)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the options are glibc's")
def test_large_memory_is_kept_for_the_next_tensor_of_any_thread():
    """100 MiB are at least 50 pages of 2 MiB; threads' own arenas would give them back, and fault them in anew."""
    ran = subprocess.run([sys.executable, "-c", FAULTS_OF_A_SECOND_TENSOR], capture_output=True, text=True, check=True)
    first, second = map(int, ran.stdout.split())
    assert first >= 50 > second


LOADED = """
import gc, sys
from features.jobs.process import OPTIONAL, import_tensorflow

before = gc.get_stats()[2]["collections"]
import_tensorflow()
print(sorted(set(OPTIONAL) & set(sys.modules)))
import pandas  # is there again afterwards
print(gc.get_stats()[2]["collections"] - before <= 2, gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


def test_tensorflow_starts_without_packages_that_keras_imports_if_they_are_there_and_without_looking_for_cycles():
    """With them, full collections were five, over ever more objects; pandas afterwards is worth one or two."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nTrue True True\n"
