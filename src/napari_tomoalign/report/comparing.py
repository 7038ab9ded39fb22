"""Reconstruct at given shifts, outside the loop: one row before and after, or a whole state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backends import Backend, BackendUnavailable, get_backend
from ..backends.volumes import volume_of
from ..geometry import ScanGeometry
from ..images.binning import bin_stack
from ..images.moving import move_rows
from ..images.source import Source, as_source, blocks_of
from ..io.finished import FinishedRun
from ..loop.level import Level, rows_binned
from ..loop.poses import Poses
from ..parameters import AlignmentParameters
from ..results import TRUSTED, AlignmentResult, AlignmentState, Measured, freeze
from ..start.held import row_binning
from ..start.levels import Gathered
from .figure import Comparison

__all__ = [
    "compare",
    "last_state",
    "row_of_contrast",
    "row_of_images",
    "slice_at",
    "with_images",
]

_TELL_ROW = 32  # images that are looked at: a scan on a disk need not be read whole for a picture


def compare(
    result: AlignmentResult,
    projections: ArrayLike,
    *,
    initial_shifts: ArrayLike | None = None,
    initial_center: float | None = None,
    row: int | None = None,
    backend: Backend | None = None,
) -> Comparison:
    """Reconstruct one slice with the shifts of the start and with those that were found.

    Only as many rows are moved as the one needs, so this is cheap for any size of scan.
    Projections of confidence 0 are left out of both.

    Parameters
    ----------
    result : AlignmentResult
        What was found.
    projections : (n_angles, n_rows, n_columns) array
        Line integrals, as they were measured; only the rows that are needed are read.
    initial_shifts : (n_angles, 2) array, optional
        Pixels. Default: none.
    initial_center : float, optional
        Column of the axis before the alignment. Default: the middle.
    row : int, optional
        Default: the one with the most contrast.
    backend : Backend, optional
        Default: the run's, by its name.
    """
    stack: Any = projections if hasattr(projections, "shape") else np.asarray(projections)
    if stack.ndim != 3:
        raise ValueError(
            f"projections must be (n_angles, n_rows, n_columns), got shape {stack.shape}; "
            "take one channel, or their mean"
        )
    n_angles, n_rows, n_columns = stack.shape
    row = row_of_contrast(result, n_rows) if row is None else row
    start = np.zeros((n_angles, 2)) if initial_shifts is None else np.asarray(initial_shifts)
    middle = (n_columns - 1) / 2 if initial_center is None else initial_center
    engine = backend or get_backend(result.backend, workers=result.parameters.workers)
    used = _used(result.confidence, 0.0)
    geometry = result.geometry.with_changes(n_rows=n_rows, n_columns=n_columns)
    sinograms, slices = [], []
    for shifts, center in ((start, middle), (result.shifts, result.center)):
        placed = geometry.with_changes(center=center)
        sinogram, slice_ = slice_at(stack, placed, shifts, row, engine, result.parameters, used)
        sinograms.append(sinogram)
        slices.append(slice_)
    return Comparison(row, (sinograms[0], sinograms[1]), (slices[0], slices[1]))


def row_of_contrast(result: AlignmentResult, n_rows: int) -> int:
    """Return the row whose slice has the most contrast."""
    contrast = result.preview.std(axis=(1, 2))
    return min(int((np.argmax(contrast) + 0.5) * n_rows / len(contrast)), n_rows - 1)


def row_of_images(projections: Any) -> int:
    """Return the row in which images have the most contrast; of many, some tell it."""
    source = _Finite(as_source(projections))
    contrast = np.zeros(source.shape[1])
    for i in range(0, source.shape[0], max(1, source.shape[0] // _TELL_ROW)):
        contrast += source.read(slice(i, i + 1))[0].std(axis=1, dtype=np.float64)
    return int(np.argmax(contrast))


def slice_at(
    stack: Any,
    geometry: ScanGeometry,
    shifts: NDArray[np.float64],
    row: int,
    backend: Backend,
    parameters: AlignmentParameters,
    used: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return one row's sinogram at given shifts, and the slice reconstructed from it.

    Where slices are not independent, it is the one that a vertical axis would give.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns) array
        Line integrals; only the rows around the one are read.
    geometry : ScanGeometry
        Of these images; turned ones are turned back.
    shifts : (n_angles, 2) array
        (row, column), pixels.
    row : int
        Of the upright images.
    backend, parameters
        What reconstructs, and how.
    used : (n_angles,) array of bool
        Projections that take part in the slice.
    """
    sinogram, _ = move_rows(
        _Finite(as_source(stack)),
        None,
        shifts,
        slice(row, row + 1),
        turning=geometry.turning(),
        workers=parameters.workers,
    )
    angles = geometry.upright.angles[used]
    one = ScanGeometry(angles, 1, geometry.n_columns, geometry.center)
    return sinogram[:, 0], _reconstruct(backend, parameters, sinogram[used], None, one)[0]


@dataclass(frozen=True, eq=False)
class _Finite:
    """A source with 0 in place of what is not finite."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def read(self, *cuts: slice) -> NDArray[np.float32]:
        values = np.array(self.source.read(*cuts), np.float32)
        values[~np.isfinite(values)] = 0
        return values


def with_images(
    state: AlignmentState,
    projections: NDArray[Any] | Source,
    weights: NDArray[np.float32] | None = None,
) -> AlignmentState:
    """Return a state with the images that belong to its shifts, at its binning.

    They are what the loop has: by the run's own algorithm, all slices at once, reprojected. What is
    written to a file, `io.reconstruction.Slices` makes at full size, a few rows at a time.

    Parameters
    ----------
    state : AlignmentState
        Its own images are not looked at.
    projections : (n_angles, n_rows, n_columns) array or source
        Line integrals, as they were measured, the rotation axis vertical. A source is read and
        binned some frames at a time.
    weights : (n_angles, n_rows, n_columns) array, optional
        0 (ignore) to 1.
    """
    record, parameters = state.record, state.parameters
    _, n_rows, n_columns = projections.shape
    full = state.measured_geometry.with_changes(n_rows=n_rows, n_columns=n_columns)
    level = _level(projections, weights, full, record.binning)
    poses = Poses(record.shifts, full, turning=True)
    measured, moved_weights = level.moved(poses, parameters.workers)
    geometry = level.placed(poses)
    engine = get_backend(state.backend, workers=parameters.workers)
    used = _used(record.confidence, TRUSTED)
    volume = _reconstruct(
        engine,
        parameters,
        measured[used],
        np.asarray(moved_weights, np.float32)[used],
        geometry.subset(used),
    )
    held = None if weights is None else as_source(weights)
    return replace(
        state,
        reconstruction=freeze(volume),
        projections=freeze(engine.operator(geometry)(volume)),
        reference=freeze(measured),
        geometry=geometry,
        measured=Measured(as_source(projections), held, sign=1),
    )


def _level(
    projections: NDArray[Any] | Source,
    weights: NDArray[np.float32] | None,
    geometry: ScanGeometry,
    binning: int,
) -> Level:
    """Return a scan at a binning; of one on a disk only a block is held at full size."""
    if isinstance(projections, np.ndarray):
        return Level.of(np.asarray(projections, np.float32), weights, geometry, binning)
    rows = rows_binned(geometry, binning, (1, 1))
    gathered = Gathered(projections.shape, (rows, binning))
    for start, stop in blocks_of(projections.shape):
        part = slice(start, stop)
        block = np.asarray(projections.read(part), np.float32)
        gathered.add(part, block, None if weights is None else weights[part])
    return Level.of(*gathered.pair, geometry, binning, (rows, binning))


def last_state(run: FinishedRun) -> AlignmentState:
    """Return the last state of a finished run from its files; reprojections are made anew."""
    file, stack, volume = run.shifts, run.aligned, run.volume
    columns = file.history[-1].binning if file.history else 1
    n_rows, n_columns = stack.shape[1:]
    whole = file.geometry.with_changes(
        n_rows=n_rows, n_columns=n_columns, volume_width=n_columns, center=run.center
    ).upright
    rows = row_binning(n_rows, columns) if whole.has_vertical_axis else columns
    if volume.shape[2] > n_columns // columns:  # written at full size
        volume = bin_stack(volume, columns, columns)
        volume = bin_stack(volume.swapaxes(0, 1), rows, 1).swapaxes(0, 1)
    stack, volume = bin_stack(stack, rows, columns), np.ascontiguousarray(volume)
    geometry = whole.binned(columns, rows).with_changes(volume_width=volume.shape[2])
    try:
        parameters = AlignmentParameters.from_dict(file.parameters)
    except (TypeError, ValueError):  # of another version
        parameters = AlignmentParameters()
    try:
        projections = get_backend(file.backend).operator(geometry)(volume)
    except (BackendUnavailable, ValueError):  # an engine that is not here
        projections = get_backend("builtin").operator(geometry)(volume)
    return AlignmentState(
        history=file.history,
        reconstruction=freeze(volume),
        projections=freeze(projections),
        reference=freeze(stack),
        geometry=geometry,
        parameters=parameters,
        backend=file.backend,
        converged=file.converged,
        finished=True,
        message=file.message,
        findings=file.findings,
        measured_geometry=file.geometry,
        generator_state=file.generator_state,
    )


def _used(confidence: NDArray[np.float64], above: float) -> NDArray[np.bool_]:
    used = confidence > above
    return used if used.any() else np.ones_like(used)


def _reconstruct(
    backend: Backend,
    parameters: AlignmentParameters,
    stack: NDArray[np.float32],
    weights: NDArray[Any] | None,
    geometry: ScanGeometry,
) -> NDArray[np.float32]:
    """Reconstruct by the run's own algorithm and options."""
    own, options = parameters.reconstruction_pipeline, parameters.reconstruction_pipeline_kwargs
    if own is None:
        own, options = backend.default_for(geometry)
    return volume_of(backend, own, options, stack, weights, geometry)
