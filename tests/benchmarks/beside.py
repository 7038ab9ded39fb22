"""CPU seconds of the built-in engine and of a default run: those of whichever package is imported.

    PYTHONPATH=src python tests/benchmarks/beside.py scans.npz 1

``speed.py --beside`` runs this for two checkouts in turn and compares. It asks for nothing that the
first release did not have, but for a back projector, which that one kept to itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import best_time

ROUNDS = 2
REPEATS = 5


def seconds(file: Path, threads: int) -> dict[str, float]:
    """Return the CPU seconds of each part, the best of several calls once all is compiled."""
    import napari_tomoalign
    from napari_tomoalign.backends import get_backend
    from napari_tomoalign.geometry import ScanGeometry

    with np.load(file) as scans:
        stacks, angles = scans["projections"], scans["angles"]
    projections = stacks[0]
    n_rows, n_columns = projections.shape[1:]
    geometry = ScanGeometry(angles, n_rows, n_columns, (n_columns - 1) / 2)
    engine = get_backend("builtin", workers=threads)

    def sirt(num_iter: int) -> np.ndarray:
        return engine.reconstruct(
            projections, geometry, algorithm="sirt", num_iter=num_iter, circle=False
        )

    def aligned(stack: np.ndarray) -> object:
        return napari_tomoalign.align(
            stack, angles, backend="builtin", workers=threads, progress=False
        )

    def took(work: Callable[[], object]) -> float:
        work()
        return best_time(work, REPEATS, time.process_time)

    volume = sirt(2)
    project, back_project = projectors(engine, geometry, threads)
    runs = [took(lambda stack=stack: aligned(stack)) for stack in stacks]
    return {
        "projection": took(lambda: project(volume)),
        "back projection": took(lambda: back_project(projections)),
        "SIRT iteration": (took(lambda: sirt(12)) - took(lambda: sirt(2))) / 10,
        **{f"default run, scan {k}": run for k, run in enumerate(runs)},
        "default run, all scans": sum(runs),
    }


def projectors(engine, geometry, threads):  # type: ignore[no-untyped-def]
    """Return projector and back projector; of the first release, as it had them."""
    if hasattr(engine, "operator"):
        A = engine.operator(geometry)
        return A, A.T
    import numba
    from napari_tomoalign.backends._builtin import _Angles

    def back_project(projections: np.ndarray) -> np.ndarray:
        numba.set_num_threads(threads)
        block = np.pad(projections.transpose(0, 2, 1), ((0, 0), (1, 1), (0, 0)))
        volume = _Angles(geometry).back_project(block)
        return np.ascontiguousarray(volume[1:-1, 1:-1].transpose(2, 0, 1))

    return lambda volume: engine.project(volume, geometry), back_project


def measured(
    checkouts: list[Path], file: Path, threads: int, rounds: int = ROUNDS
) -> list[dict[str, float]]:
    """Return the CPU seconds of each checkout, measured in turn: the best of each part."""
    best: list[dict[str, float]] = [{} for _ in checkouts]
    for _ in range(rounds):
        for checkout, known in zip(checkouts, best, strict=True):
            # Threads that spin while they wait would be counted.
            environment = {
                **os.environ,
                "PYTHONPATH": str(checkout / "src"),
                "OMP_WAIT_POLICY": "passive",
            }
            command = [sys.executable, __file__, str(file), str(threads)]
            found = json.loads(subprocess.check_output(command, env=environment))
            known.update({name: min(s, known.get(name, s)) for name, s in found.items()})
    return best


if __name__ == "__main__":
    print(json.dumps(seconds(Path(sys.argv[1]), int(sys.argv[2]))))
