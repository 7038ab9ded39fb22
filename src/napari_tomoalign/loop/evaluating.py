"""The first three steps of an iteration: move the data, reconstruct, reproject."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._executors import in_order, is_elsewhere
from .._typing import Array, Stack
from ..backends.slab import SlabBackend, SlabDone, SlabKept, SlabSums, SlabWork
from ..backends.volumes import check_mass, check_volume
from ..geometry import ScanGeometry
from ..images.filtering import counted_pixels
from ..images.refining import COMPARED_HALO, NormalEquations
from ..images.scratch import rows_in_place
from ..images.shifting import SplineStack
from ..images.source import FlatSource
from ..start.run import Run
from .bands import Bands
from .level import Level
from .model import Model, joined, without_halo
from .poses import Poses
from .reconstructing import check_projections, reconstruct
from .refinement import derivatives_of
from .slabs import BLURRED_MARGIN, Slab, Sums, compare, slab_of, slabs_of
from .truncation import Truncation

__all__ = ["Evaluation", "evaluate"]

_SHARED_HEIGHT = 64  # rows of a slab for a worker: those around it make half as many again


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is evaluated, slab by slab.

    Every reconstruction starts from nothing. One that started from an earlier volume would have
    that one's shifts, or its coarse pixels, in its memory.

    Attributes
    ----------
    poses : Poses
    trusted : (n_angles,) array of bool
        Frames that take part in the reconstruction.
    blur : float, optional
        See `refinement.derivatives_of`.
    asked, room : bool
        Of an engine that evaluates slabs by itself (see `SlabWork`).
    """

    run: Run
    level: Level
    truncation: Truncation
    poses: Poses
    trusted: NDArray[np.bool_]
    blur: float | None = None
    asked: bool = False
    room: bool = False

    def __call__(self, slab: Slab) -> Model:
        """Move the original data, reconstruct from trusted frames, reproject, compare."""
        if self.engine is not None:
            return self._from(self.engine.evaluate(self._work(slab)), slab)
        run, level, around = self.run, self.level, slab.around
        measured, weights = level.moved(self.poses, run.parameters.workers, around)
        whole = level.placed(self.poses)
        geometry = whole.rows_of(around)
        volume, reprojected = self.predicted(measured, weights, geometry)
        sums = self._compared(measured, weights, reprojected, volume, slab)
        made = Model(measured, weights, volume, reprojected, whole, sums, self.poses)
        return without_halo(made, slab)

    def predicted(
        self, measured: Stack, weights: NDArray[Any], geometry: ScanGeometry
    ) -> tuple[Stack, Stack]:
        """Return the reconstruction of the trusted ones of some images, and all reprojections."""
        given = measured, weights, geometry
        if not self.trusted.all():
            part = geometry.subset(self.trusted)
            given = measured[self.trusted], weights[self.trusted], part
        backend = self.run.backend
        volume = reconstruct(self.run, self.truncation, *given)
        found = backend.operator(geometry)(volume)
        return volume, check_projections(found, geometry, backend.name)

    def _compared(
        self,
        measured: Stack,
        weights: NDArray[Any],
        reprojected: Stack,
        volume: Stack,
        slab: Slab,
    ) -> Sums:
        run, level = self.run, self.level
        window = level.window(run.parameters.projection_cropping, run.geometry)
        n_rows, workers = level.geometry.n_rows, run.parameters.workers
        names, geometry = run.parameters.unknowns, level.placed(self.poses).rows_of(slab.around)
        seen = geometry, volume, level.pixel, slab.inner
        more = derivatives_of(names, run.backend, *seen, self.blur)
        images = measured, weights, reprojected, volume
        return compare(*images, slab, window, n_rows, workers, more)

    @property
    def engine(self) -> SlabBackend | None:
        """The backend, where it can evaluate a whole slab by itself."""
        backend, algorithm = self.run.backend, self.run.algorithm
        if callable(algorithm) or not isinstance(backend, SlabBackend):
            return None
        if self.level.bands is not None:
            return None  # rows are read here
        if self.poses.turns is not None or self.run.parameters.unknowns:
            return None  # it displaces images, and neither turns nor derives them
        return backend if self._options is not None else None

    @property
    def _options(self) -> dict[str, Any] | None:
        return self.truncation.options_of_all(self.run)

    def _work(self, slab: Slab) -> SlabWork:
        """Return a slab as an engine is asked for it."""
        level, whole = self.level, self.level.placed(self.poses)
        window = level.window(self.run.parameters.projection_cropping, self.run.geometry)
        shape = whole.projections_shape[1:]
        rows, columns = (slice(*part.indices(n)[:2]) for part, n in zip(window, shape, strict=True))
        return SlabWork(
            coefficients=level.spline.coefficients,
            weights=level.weights,
            back=-self.poses.shifts / level.pixel,
            around=slab.around,
            inner=slab.inner,
            geometry=whole.rows_of(slab.around),
            trusted=self.trusted,
            algorithm=str(self.run.algorithm),
            options=self._options or {},
            window=(rows, columns),
            counted=counted_pixels(shape, window, BLURRED_MARGIN)[slab.around],
            asked=self.asked,
            room=self.room,
        )

    def _from(self, done: SlabDone | SlabKept, slab: Slab) -> Model:
        """Return what an engine made of a slab as the model of its rows."""
        whole = self.level.placed(self.poses)
        if not isinstance(done, SlabDone):
            check_mass(float(done.sums.volume[0]))
            return Model.of_kept((done,), whole, _sums_of(done.sums), self.poses)
        check_volume(done.volume, self.level.geometry.rows_of(slab.around))
        images = done.measured, done.weights, done.reprojected
        sums = (
            self._compared(*images, done.volume, slab) if done.sums is None else _sums_of(done.sums)
        )
        weights = done.weights if self.level.weights is not None else done.weights.astype(np.uint8)
        seen = done.measured, weights, done.volume, done.reprojected
        made = Model(*seen, whole, sums, self.poses)
        return without_halo(made, slab)


def _sums_of(found: SlabSums) -> Sums:
    """Return an engine's sums as the loop has them."""
    return Sums(
        NormalEquations(found.normal, found.right, found.squares, found.count),
        found.difference,
        found.power,
        found.pixels,
        found.moments,
        found.volume,
    )


def evaluate(
    run: Run,
    level: Level,
    truncation: Truncation,
    poses: Poses,
    trusted: NDArray[np.bool_],
    *,
    height: int | None = None,
    blur: float | None = None,
) -> Model:
    """Evaluate the model at some poses, in slabs of ``height`` rows (see `Evaluation`).

    Where slices are not independent, all rows are one slab. The run's executor has slabs of a
    height that does not depend on how many workers it has, so neither do the sums. An engine
    that evaluates slabs by itself says how high they may be where nobody else does; where its
    memory does not hold one all the same, they are halved.
    """
    task, executor = Evaluation(run, level, truncation, poses, trusted, blur), run.executor
    n_rows, engine = level.geometry.n_rows, task.engine
    if level.bands is not None:
        return _in_bands(task, level.bands)
    if not poses.frame.has_vertical_axis:
        return _in_slabs(task, slabs_of(n_rows), None)
    if executor is not None and height is None:
        height = _SHARED_HEIGHT
    if engine is None or height is not None:
        work = _elsewhere(task) if executor is not None and is_elsewhere(executor) else task
        return _in_slabs(work, slabs_of(n_rows, height), executor)
    fits = engine.slab_height(level.geometry)
    height = -(-n_rows // engine.n_devices)
    if height < n_rows or fits < n_rows:
        height = max(1, min(height, fits - 2 * COMPARED_HALO))
    with ThreadPoolExecutor(engine.n_devices) as devices:
        while True:
            slabs = slabs_of(n_rows, height)
            room = len(slabs) <= engine.n_devices
            try:
                return _in_slabs(replace(task, asked=True, room=room), slabs, devices)
            except MemoryError:
                if height == 1:
                    raise
                height //= 2


@dataclass(frozen=True, eq=False)
class _Elsewhere:
    """An evaluation for a process of its own, which reads the rows of the level that it needs.

    Attributes
    ----------
    task : Evaluation
        Without images.
    coefficients, weights : FlatSource
        Where the level's images lie.
    threads : int
        One, unless the caller says how many: there is a process for every core as a rule.
    """

    task: Evaluation
    coefficients: FlatSource
    weights: FlatSource | None
    threads: int

    def __call__(self, slab: Slab) -> Model:
        """Read and evaluate a slab."""
        from ..images._threads import threads

        level = self.task.level
        rows = level.rows_under(self.task.poses, slab.around)
        spline = SplineStack.of(rows_in_place(self.coefficients, rows))
        weights = None if self.weights is None else rows_in_place(self.weights, rows)
        with threads(self.threads):
            read = replace(level, spline=spline, weights=weights)
            return replace(self.task, level=read)(slab)


def _elsewhere(task: Evaluation) -> _Elsewhere:
    """Return an evaluation as it is sent to a worker: kilobytes, the images in files."""
    run, level = task.run, task.level
    scratch = run.scratch
    assert scratch is not None  # a run with workers is iterated with it
    coefficients = scratch.store(level.spline.coefficients)
    weights = None if level.weights is None else scratch.store(level.weights)
    none = np.zeros((0, 0, 0), np.float32)
    bare = replace(level, spline=SplineStack.of(none), weights=None)
    sent = replace(task, run=run.for_workers(), level=bare)
    return _Elsewhere(sent, coefficients, weights, run.parameters.workers or 1)


def _in_slabs(
    task: Callable[[Slab], Model], slabs: tuple[Slab, ...], executor: Executor | None
) -> Model:
    parts = in_order(task, slabs, executor)
    return next(parts) if len(slabs) == 1 else joined(parts, slabs)


def _in_bands(task: Evaluation, bands: Bands) -> Model:
    """Return the model of some of the slabs, with the sums over all.

    Where a slab ends whose neighbour is not there, pixels have no weight: what looks across rows
    would take the next slab for it.
    """
    n_rows = task.level.geometry.n_rows
    kept: list[Model] = []
    slabs: list[slice] = []
    total: Sums | None = None
    for k, rows in enumerate(bands.rows):
        part = task(slab_of(rows, n_rows))
        total = part.sums if total is None else total + part.sums
        if k in bands.kept:
            kept.append(part)
            slabs.append(rows)
        del part
    assert total is not None  # there is one slab at least
    measured, weights, reprojected = (
        np.concatenate([getattr(m, name) for m in kept], axis=1)
        for name in ("measured", "weights", "reprojected")
    )
    counted = _beside(np.concatenate([np.arange(s.start, s.stop) for s in slabs]), n_rows)
    detail = np.concatenate([_detail(m.reprojected) for m in kept], axis=1)
    left = detail[:, counted].sum(axis=1) / np.maximum(detail.sum(axis=1), 1e-30)
    weights[:, ~counted] = 0
    shown = reduce(add, [m.sums for m in kept])
    told, all_of = (
        np.stack([sums.equations.normal[:, k, k] for k in (0, 1)], axis=1)
        for sums in (shown, total)
    )
    seen = told / np.maximum(all_of, 1e-30) * left
    volume = np.concatenate([m.volume for m in kept])
    return Model(measured, weights, volume, reprojected, kept[0].geometry, total, task.poses, seen)


def _detail(images: Stack) -> Array:
    """Return how much images change along rows and along columns, in each row: (2, n_rows)."""
    down, along = np.diff(images, axis=1, append=images[:, -1:]), np.diff(images, axis=2)
    return np.stack([np.sum(c**2, axis=(0, 2), dtype=np.float64) for c in (down, along)])


def _beside(rows: NDArray[np.intp], n_rows: int) -> NDArray[np.bool_]:
    """Return which of some rows have all around them that are needed, or are at a border."""
    there = np.zeros(n_rows + 2 * COMPARED_HALO, bool)
    there[:COMPARED_HALO] = there[-COMPARED_HALO:] = there[rows + COMPARED_HALO] = True
    around = np.lib.stride_tricks.sliding_window_view(there, 2 * COMPARED_HALO + 1)
    return np.asarray(np.all(around, axis=1))[rows]
