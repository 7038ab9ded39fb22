"""The first three steps of an iteration: move the data, reconstruct, reproject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..geometry import ScanGeometry
from ..start.run import Run
from .level import Level, enlarge
from .slabs import Slab, Sums, compare, in_order, slabs_of
from .truncation import Truncation

__all__ = ["Coarser", "Evaluation", "Model", "evaluate"]

Coarser = tuple[Stack, ScanGeometry]  # the volume in which the coarser level ended


@dataclass(frozen=True, eq=False)
class Model:
    """The reconstruction at some shifts, what it was made of and what it predicts.

    Attributes
    ----------
    measured, weights, reprojected : (n_angles, n_rows, n_columns) array of float32
        The data moved by minus the shifts, the weights moved alike, and the reprojections.
    volume : (n_rows, volume_width, volume_width) array of float32
    geometry : ScanGeometry
        Of the level, with the centre that was used.
    sums : Sums
        Over the pixels of these images.
    """

    measured: Stack
    weights: NDArray[Any]
    volume: Stack
    reprojected: Stack
    geometry: ScanGeometry
    sums: Sums

    def backgrounds(self, trusted: NDArray[np.bool_]) -> Array:
        """Return, of each frame, the sum of squares of a background that the others do not have.

        It is the plane, an offset and two slopes, that fits the difference best, which neither an
        object nor a shift brings about. What the trusted frames have in common is the
        reconstruction's: filtered back projection clipped at 0 lifts all reprojections alike.
        """
        n_rows, n_columns = self.geometry.n_rows, self.geometry.n_columns
        down, right = np.meshgrid(
            np.linspace(-1, 1, n_rows), np.linspace(-1, 1, n_columns), indexing="ij"
        )
        design = np.stack([np.ones_like(down), down, right]).reshape(3, -1)
        planes, normals = np.empty((len(self.measured), 3)), np.empty((len(self.measured), 3, 3))
        for i, weight in enumerate(self.weights):
            difference = (weight * (self.measured[i] - self.reprojected[i])).ravel()
            normals[i] = (design * weight.ravel()) @ design.T
            planes[i] = np.linalg.lstsq(normals[i], design @ difference, rcond=None)[0]
        planes -= np.median(planes[trusted], axis=0)
        squares: Array = np.einsum("ni,nij,nj->n", planes, normals, planes)
        return squares


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is evaluated, slab by slab.

    Attributes
    ----------
    shifts : (n_angles, 2) array
        Pixels of the full images.
    center : float
        Column of the full images.
    trusted : (n_angles,) array of bool
        Frames that take part in the reconstruction.
    coarser : (volume, geometry) or None
        Where a reconstruction starts: every one of a level at the same place, nothing, or the
        volume in which the coarser level ended. One that started from the last iteration's would
        have the last shifts in its memory and hold the loop back.
    """

    run: Run
    level: Level
    truncation: Truncation
    shifts: Array
    center: float
    trusted: NDArray[np.bool_]
    coarser: Coarser | None

    def __call__(self, slab: Slab) -> Model:
        """Move the original data, reconstruct from trusted frames, reproject, compare."""
        run, level, around = self.run, self.level, slab.around
        measured, weights = level.moved(self.shifts, run.parameters.workers, around)
        whole = level.centred(self.center)
        geometry = whole.rows_of(around)
        initial = None
        if self.coarser is not None and run.can_start_from_volume:
            initial = enlarge(*self.coarser, whole, around)
        given = measured, weights, geometry
        if not self.trusted.all():
            part = geometry.subset(self.trusted)
            given = measured[self.trusted], weights[self.trusted], part
        volume = _reconstruct(run, self.truncation, *given, initial)
        reprojected = np.asarray(run.backend.operator(geometry)(volume), np.float32)
        window = level.window(run.parameters.projection_cropping, run.geometry)
        sums = compare(
            measured,
            weights,
            reprojected,
            volume,
            slab,
            window,
            whole.n_rows,
            run.parameters.workers,
        )
        if slab.around == slab.rows:
            return Model(measured, weights, volume, reprojected, whole, sums)
        inner = slab.inner
        return Model(
            measured[:, inner], weights[:, inner], volume[inner], reprojected[:, inner], whole, sums
        )


def evaluate(
    run: Run,
    level: Level,
    truncation: Truncation,
    shifts: Array,
    center: float,
    trusted: NDArray[np.bool_],
    coarser: Coarser | None = None,
    *,
    height: int | None = None,
    executor: Executor | None = None,
) -> Model:
    """Evaluate the model at some shifts, in slabs of ``height`` rows (see `Evaluation`)."""
    task = Evaluation(run, level, truncation, shifts, center, trusted, coarser)
    slabs = slabs_of(level.geometry.n_rows, height)
    parts = in_order(task, slabs, executor)
    return next(parts) if len(slabs) == 1 else _joined(parts, slabs)


def _joined(parts: Iterable[Model], slabs: Sequence[Slab]) -> Model:
    """Return the model of whole images from those of slabs, as they come."""
    whole: Model | None = None
    for part, slab in zip(parts, slabs, strict=True):
        if whole is None:
            n_rows = slabs[-1].rows.stop
            images = [
                np.empty((len(stack), n_rows, stack.shape[2]), stack.dtype)
                for stack in (part.measured, part.weights, part.reprojected)
            ]
            volume = np.empty((n_rows, *part.volume.shape[1:]), np.float32)
            measured, weights, reprojected = images
            whole = Model(measured, weights, volume, reprojected, part.geometry, part.sums)
        else:
            whole = replace(whole, sums=whole.sums + part.sums)
        whole.measured[:, slab.rows] = part.measured
        whole.weights[:, slab.rows] = part.weights
        whole.reprojected[:, slab.rows] = part.reprojected
        whole.volume[slab.rows] = part.volume
    assert whole is not None  # images have at least one row
    return whole


def _reconstruct(
    run: Run,
    truncation: Truncation,
    measured: Stack,
    weights: NDArray[Any],
    geometry: ScanGeometry,
    initial: Stack | None,
) -> Stack:
    """Reconstruct, each part of the rows on the grid that it needs."""
    if callable(run.algorithm):
        volume = np.asarray(run.algorithm(measured, geometry, **run.options), np.float32)
    else:
        volume = np.zeros(geometry.volume_shape, np.float32)
        parts = truncation.parts(run, measured, weights, geometry, started=initial is not None)
        for rows, width, options in parts:
            images, weight = measured[:, rows], weights[:, rows]
            part = geometry.with_changes(n_rows=images.shape[1], volume_width=width)
            margin = (geometry.volume_width - width) // 2
            within = slice(margin, margin + width)
            begin = None if initial is None else initial[rows, within, within]
            volume[rows, within, within] = _ask_backend(run, images, weight, part, begin, options)
    if volume.shape != geometry.volume_shape:
        raise ValueError(
            f"the reconstruction has shape {volume.shape}, expected (slice, y, x) = "
            f"{geometry.volume_shape}: see reconstruction_pipeline"
        )
    if not np.isfinite(volume.sum(dtype=np.float64)):
        raise ValueError(
            "the reconstruction holds NaN or infinite values: another algorithm, or other "
            "reconstruction_pipeline_kwargs (fewer iterations, weaker regularisation), may help"
        )
    return volume


def _ask_backend(
    run: Run,
    measured: Stack,
    weights: NDArray[Any],
    geometry: ScanGeometry,
    initial: Stack | None,
    options: dict[str, Any],
) -> Stack:
    algorithm = str(run.algorithm)
    volume = run.backend.reconstruct(
        measured,
        geometry,
        algorithm=algorithm,
        weights=weights if run.backend.accepts_weights(algorithm) else None,
        initial=initial,
        **options,
    )
    return np.asarray(volume, np.float32)
