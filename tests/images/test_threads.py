"""How kernels' threads wait, and how many there are."""

import os
import subprocess
import sys

# CPU seconds of kernels with pauses between them, of one that no thread waits in, and what is left
SCRIPT = """
import os, time
import numpy as np
from napari_tomoalign.images._threads import available_threads, threads
from napari_tomoalign.images.shifting import SplineStack
with threads(2):
    spline = SplineStack(np.zeros((2, 8, 8), np.float32))
    spline.moved(np.zeros((2, 2)))
    before = time.process_time()
    for _ in range(100):
        spline.moved(np.zeros((2, 2)))
    at_once = time.process_time() - before
    before = time.process_time()
    for _ in range(100):
        spline.moved(np.zeros((2, 2)))
        time.sleep(0.003)
    apart = time.process_time() - before
print(at_once, apart, os.environ.get("OMP_WAIT_POLICY"))
"""


def test_threads_sleep_while_they_wait():
    """Where OpenMP's threads spin, what is done between kernels costs a core."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "NUMBA_NUM_THREADS": "2"},
    )
    at_once, apart, left = done.stdout.split()
    assert float(apart) < float(at_once) + 0.1  # of 0.3 s
    assert left == "None"
