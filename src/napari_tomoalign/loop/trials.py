"""Which other axis or angles explain a scan that those told do not: tried, on coarse images.

Each is run for a few iterations from nothing, as the scan itself, and what the reprojections miss
beside the noise is compared. The built-in engine reconstructs, whichever the run's is: another may
prepare itself for each geometry at length, or know measurements of the scan itself only.

A mirror image cannot be told apart, nor can angles that are uniform and reversed: the object is
then mirrored, and the shifts are right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from .._typing import Array, Stack
from ..backends import get_backend
from ..findings import Finding
from ..geometry import ScanGeometry
from ..images.binning import bin_stack
from ..start.lines import Lines
from ..start.prepare import Start
from ..start.run import Run

__all__ = ["TRIAL_ITERATIONS", "explained_by"]

TRIAL_ITERATIONS = 6  # as many as bring a coarse level to rest, mostly

_COLUMNS = 24  # pixels: enough for a residual, and a trial takes a fraction of a second
_BETTER = 0.5  # of the power that is missed as told: less is no chance
_SOME = 1e-4  # of the data's power: less is no misfit; all of it and more is no alignment
_FEWEST_ROWS = 8  # as many make an axis along the columns worth a trial


def explained_by(run: Run, start: Start) -> Finding | None:
    """Return what explains the scan much better than what was told; None: nothing does."""
    if callable(run.algorithm):
        return None  # a caller's own reconstruction may know the full images only
    if not run.geometry.has_vertical_axis:
        return None  # what else may be meant has too many forms
    coarse = _coarse(run, start)
    told = _missed(coarse)
    if not _SOME < told < 1:
        return None
    best: tuple[float, Finding | None] = (_BETTER * told, None)
    for words, change, other in _others(coarse):
        missed = _missed(other)
        if missed < best[0]:
            better = f"the images fit much better with {words}"
            best = missed, Finding("geometry", better, change)
    return best[1]


def _coarse(run: Run, start: Start) -> Run:
    """Return a run of the binned scan that does not rest before it is stopped."""
    _, n_rows, n_columns = start.projections.shape
    binning = max(1, n_columns // _COLUMNS)
    rows = min(binning, max(1, n_rows // _COLUMNS))
    images = bin_stack(start.projections, rows, binning)
    engine = get_backend("builtin", workers=run.parameters.workers)
    algorithm, options = engine.default_for(run.geometry)

    def reconstruct(stack: Stack, geometry: ScanGeometry, **options: Any) -> Stack:
        # As a function, it is run on the grid of the images: no wider one, no weak modes.
        return engine.reconstruct(stack, geometry, algorithm=algorithm, **options)

    return replace(
        run,
        backend=engine,
        algorithm=reconstruct,
        options=dict(options),
        lines=Lines.of(images),
        geometry=run.geometry.with_changes(
            n_rows=images.shape[1],
            n_columns=images.shape[2],
            center=(images.shape[2] - 1) / 2,
            volume_width=images.shape[2],
        ),
        center_known=False,
        initial_shifts=None,
        resume=None,
        parameters=replace(
            run.parameters,
            levels=(1,),
            maxiter=TRIAL_ITERATIONS + 1,
            shift_tolerance=1e-9,
            projection_cropping=None,
        ),
    )


def _others(coarse: Run) -> Iterator[tuple[str, dict[str, Any], Run]]:
    """Yield what else may be meant, in words and as parameters, and the run of it."""
    angles = coarse.geometry.angles
    if min(coarse.lines.shape[1:]) >= _FEWEST_ROWS:
        turned = np.ascontiguousarray(coarse.lines.read().transpose(0, 2, 1))
        geometry = coarse.geometry.with_changes(
            n_rows=turned.shape[1],
            n_columns=turned.shape[2],
            center=(turned.shape[2] - 1) / 2,
            volume_width=turned.shape[2],
        )
        yield (
            "a rotation axis across the one that was told: read the scan with "
            'rotation_axis="horizontal", or "vertical" where it was read as horizontal',
            {"rotation_axis": "horizontal"},
            replace(coarse, lines=Lines.of(turned), geometry=geometry),
        )
    for words, other in _other_angles(angles):
        yield words, {}, replace(coarse, geometry=coarse.geometry.with_changes(angles=other))


def _other_angles(angles: Array) -> Iterator[tuple[str, Array]]:
    """Yield angles that may be meant."""
    rising = np.sort(angles)
    if not (np.array_equal(rising, angles) or np.array_equal(rising[::-1], angles)):
        yield "the same angles in rising order: check which projection has which", rising
    yield "half of the angles told: check their range and unit", angles / 2
    yield "twice the angles told: check their range and unit", angles * 2
    if not np.allclose(np.diff(angles, 2), 0, atol=1e-6):
        yield "the angles in reversed order: check which projection has which", angles[::-1].copy()


def _missed(run: Run) -> float:
    """Return the power that the reprojections miss of the data, over all frames."""
    (state,) = deque(islice(run, TRIAL_ITERATIONS), maxlen=1)
    return state.record.residual**2
