"""``align --dry-run``: what a run would read, hold, take and write."""

from __future__ import annotations

import argparse
import json
import math
import timeit
from typing import TYPE_CHECKING, Any

import numpy as np

from .._memory import in_words
from ..geometry import ScanGeometry
from ._job import Job, is_small
from ._scan import outline, tell_remarks
from ._text import print_pairs

if TYPE_CHECKING:
    from ..io.reconstruction import Method
    from ..start.run import Run

__all__ = ["say_plan"]

_EVALUATIONS = 8
"""Of a level: the runs of the README's tables take three or four iterations at most levels, and
look twice more at displaced images."""
_SMALL = (36, 32, 64)
"""Angles, rows and columns that the engine is timed on: a tenth of a second. It works on many rows
at a time, so few of them would say that it is slow."""


def say_plan(arguments: argparse.Namespace, job: Job) -> int:
    """Say what a run would do; nothing is written."""
    tell_remarks(job.scan)
    pairs = [("scan", f"{job.name}: {outline(job.scan)}")]
    pairs += [("reads", _reads(arguments, job))]
    pairs += [("preparation", step) for step in job.scan.preparation]
    pairs += [("engine", job.run.backend.name)]
    pairs += _levels(job.run)
    if job.method is not None:
        seconds = _rate(job.run, job.method) * _work(job.run.geometry)
        pairs += [("reconstruction", f"{job.method.words}, {_in_time(seconds)}")]
    pairs += [
        ("times", "from this engine's rate on a small scan, now; other work here slows them down"),
        ("would write", _writes(arguments, job)),
    ]
    if arguments.json:
        print(json.dumps({"scan": job.name, "plan": [list(pair) for pair in pairs]}), flush=True)
    else:
        print_pairs(pairs)
    return 0


def _reads(arguments: argparse.Namespace, job: Job) -> str:
    """Say how much lies in the file, and what it is read for, piece by piece."""
    from ..io.reconstruction import slab_height

    shape = job.scan.projections.shape
    passes = ["to know it again by its hash", "to look at its frames and bin them"]
    if arguments.aligned:
        passes.append("for the aligned stack")
    if job.method is not None:
        height = slab_height(job.run.geometry.upright, job.run.parameters.memory)
        passes.append(f"by {height} rows for the reconstruction")
    read = f"Read piece by piece {', '.join(passes)}"
    if len(shape) == 4 or is_small(job.scan, job.run.parameters):
        read = "Small enough to be read once and kept"
    stack: Any = getattr(job.scan.projections, "stack", None)
    stored = "" if stack is None else in_words(math.prod(stack.shape) * stack.dtype.itemsize)
    return (
        f"{job.scan.source.get('data', '')}{': ' * bool(stored)}{stored}; as it is aligned, "
        f"{' x '.join(map(str, shape))} in float32: {in_words(4 * math.prod(shape))}. {read}"
    )


def _levels(run: Run) -> list[tuple[str, str]]:
    """Say what each level holds, and how long it takes."""
    from ..start.held import finest_held, levels_of, limits, memory_at, memory_for_slabs, rows_at

    whole, parameters = run.geometry, run.parameters
    rate = _rate(run, None)
    finest, why = finest_held(run)
    limited = limits(finest, why, by_slabs=memory_for_slabs(run, finest) > 0)
    said = []
    for binning in parameters.levels or levels_of(run):
        if binning < finest:
            continue
        geometry = whole.binned(binning, rows_at(run, binning))
        seconds = _EVALUATIONS * rate * _work(geometry)
        said.append(
            (
                "levels",
                f"binned by {binning}: {' x '.join(map(str, geometry.projections_shape))}, about "
                f"{in_words(memory_at(run, binning))} of memory, {_in_time(seconds)}",
            )
        )
    if parameters.precision > 0 and len(said) > 1:
        ends = f"ends on the first that knows the shifts to {parameters.precision:g} px (RMS)"
        said.append(("levels", ends))
    said += [("levels", finding.text) for finding in limited]
    return said


def _work(geometry: ScanGeometry) -> float:
    """Return what a reconstruction's time goes with: angles times voxels."""
    return float(geometry.n_angles * geometry.n_rows * geometry.volume_width**2)


def _rate(run: Run, method: Method | None) -> float:
    """Return seconds for each unit of `_work`: in the loop with the reprojection, or in the end.

    Timed on a few rows of a small scan, the shortest of three: other work on the machine only adds.
    """
    n, rows, columns = _SMALL
    angles = run.geometry.angles[np.linspace(0, run.geometry.n_angles - 1, n).astype(int)]
    small = ScanGeometry(angles, rows, columns)
    images = np.random.default_rng(0).random(small.projections_shape, dtype=np.float32)
    engine = run.backend if method is None else method.backend

    def work() -> None:
        if method is None and not callable(run.algorithm):
            volume = engine.reconstruct(images, small, algorithm=run.algorithm, **run.options)
            engine.operator(small)(volume)
        elif method is not None:
            engine.reconstruct(images, small, algorithm=method.algorithm, **method.options)

    work()  # compiled, and in the cache
    return min(timeit.repeat(work, number=1, repeat=3)) / _work(small)


def _writes(arguments: argparse.Namespace, job: Job) -> str:
    from ..io import result_files

    shape = job.scan.projections.shape
    files = result_files(job.output, f".{arguments.format}", channels=len(shape) == 4)
    left_out = {"aligned", "angles"} if not arguments.aligned else set()
    left_out |= {"reconstruction"} if not arguments.reconstruction else set()
    sizes = {"aligned": math.prod(shape), "reconstruction": shape[1] * shape[2] ** 2}
    names = [
        file.name + (f" ({in_words(4 * sizes[name])})" if name in sizes else "")
        for name, file in files.items()
        if name not in left_out
    ]
    return f"{job.output}: {', '.join(names)}"


def _in_time(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} minutes"
