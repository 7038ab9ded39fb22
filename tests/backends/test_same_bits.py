"""The same bits from any number of threads and callers, freshly compiled or not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from engines import (
    backend_of,
    blob_projections,
    each_backend,
    make_geometry,
)

from napari_tomoalign.backends import (
    get_backend,
)


@pytest.mark.parametrize("algorithm", get_backend("builtin").algorithms)
def test_any_number_of_threads_gives_the_same_bits(algorithm: str) -> None:
    geometry = make_geometry(columns=64, n_rows=33)
    images = np.random.default_rng(0).random(geometry.projections_shape, np.float32)
    engines = [get_backend("builtin", workers=workers) for workers in (1, 2)]
    volumes = [engine.reconstruct(images, geometry, algorithm=algorithm) for engine in engines]
    assert np.array_equal(*volumes)
    assert np.array_equal(*(engine.operator(geometry)(volumes[0]) for engine in engines))


PRINT_BITS = """
import hashlib, numpy as np
from napari_tomoalign.backends import get_backend
from napari_tomoalign.backends.builtin import kernels
from napari_tomoalign.geometry import ScanGeometry
geometry = ScanGeometry(np.linspace(0, np.pi, 24, endpoint=False), 24, 24, 11.5)
images = np.random.default_rng(0).random((24, 24, 24), np.float32)
engine = get_backend("builtin")
volume = engine.reconstruct(images, geometry, algorithm="sirt", num_iter=2)
print(hashlib.sha256(volume.tobytes() + engine.operator(geometry)(volume).tobytes()).hexdigest())
print(bool(kernels.project.stats.cache_misses), bool(kernels.project.stats.cache_hits))
"""


def test_kernels_just_compiled_and_from_the_cache_give_the_same_bits(tmp_path: Path) -> None:
    """Else a run that was resumed in another process would not be the run that was not stopped."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PRINT_BITS]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first.split()[1:] == ["True", "False"]
    assert second.split()[1:] == ["False", "True"]
    assert first.split()[0] == second.split()[0]


@each_backend
def test_callers_in_several_threads(name: str) -> None:
    geometry = make_geometry(n_rows=4)
    backend, measured = backend_of(name), blob_projections(geometry)

    def work() -> np.ndarray:
        volume = backend.reconstruct(measured, geometry, algorithm="sirt", num_iter=3)
        return backend.operator(geometry)(volume)

    expected, answers = work(), []
    threads = [threading.Thread(target=lambda: answers.append(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-5)
