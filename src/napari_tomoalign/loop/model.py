"""The first three steps of an iteration: move the data, reconstruct, reproject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..geometry import ScanGeometry
from ..start.run import Run
from .level import Level, enlarge
from .truncation import Truncation

__all__ = ["Coarser", "Model", "evaluate"]

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
    """

    measured: Stack
    weights: NDArray[Any]
    volume: Stack
    reprojected: Stack
    geometry: ScanGeometry

    def misfit(self) -> tuple[Array, Array]:
        """Return the weighted sums of squares of the difference and of the data, each frame."""
        difference = np.empty(len(self.measured))
        power = np.empty(len(self.measured))
        for i, weight in enumerate(self.weights):  # one frame at a time: no third stack
            difference[i] = np.sum(weight * (self.measured[i] - self.reprojected[i]) ** 2)
            power[i] = np.sum(weight * self.measured[i] ** 2)
        return difference, power

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


def evaluate(
    run: Run,
    level: Level,
    truncation: Truncation,
    shifts: Array,
    center: float,
    trusted: NDArray[np.bool_],
    coarser: Coarser | None = None,
) -> Model:
    """Move the original data by minus the shifts, reconstruct from trusted frames, reproject.

    Every reconstruction of a level starts at the same place: nothing, or the volume in which the
    coarser level ended. One that started from the last iteration's would have the last shifts in
    its memory and hold the loop back.
    """
    measured, weights = level.moved(shifts, run.parameters.workers)
    geometry = level.centred(center)
    initial = None
    if coarser is not None and run.can_start_from_volume:
        initial = enlarge(*coarser, geometry)
    if trusted.all():
        volume = _reconstruct(run, truncation, measured, weights, geometry, initial)
    else:
        part = geometry.subset(trusted)
        volume = _reconstruct(run, truncation, measured[trusted], weights[trusted], part, initial)
    reprojected = np.asarray(run.backend.operator(geometry)(volume), np.float32)
    return Model(measured, weights, volume, reprojected, geometry)


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
