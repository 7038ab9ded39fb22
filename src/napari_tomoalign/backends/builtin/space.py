"""The projector for rays in any direction: a leaning or turned axis, two axes, laminography.

Slices are not independent here, so there are no blocks of rows; part of a volume is projected by
the operator of a slab, `ScanGeometry.rows_of`, with the rows around it that `ScanGeometry.halo`
says.
"""

from __future__ import annotations

import copy
import math

import numpy as np
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ...images._threads import threads
from ..base import Frames, Operator
from . import kernels, space_kernels

__all__ = ["SpaceOperator"]

Array = NDArray[np.float32]


class SpaceOperator(Operator):
    """The projector of any geometry: (slice, y, x) to (angle, row, column).

    Parameters
    ----------
    geometry : ScanGeometry
    workers : int
        Number of threads.
    radius : float
        Voxels: the object is 0 further from the volume's axis. Default: it may be anywhere.
    """

    def __init__(self, geometry: ScanGeometry, workers: int, radius: float = math.inf) -> None:
        self.domain_shape, self.range_shape = geometry.volume_shape, geometry.projections_shape
        self._plan, self._workers = _plan(geometry), workers
        line = np.arange(geometry.volume_width) - geometry.volume_axis
        self.disc = (line[:, None] ** 2 + line**2 <= radius**2).astype(np.float32)[None]

    def project(self, volume: Array) -> Array:
        """Return ``A x``."""
        with threads(self._workers):
            out: Array = space_kernels.project(
                np.pad(volume * self.disc, 1), self._plan, *self.range_shape[1:]
            )
        return out

    def back_project(self, images: Array) -> Array:
        """Return ``A^T y``."""
        with threads(self._workers):
            out: Array = space_kernels.back_project(
                np.ascontiguousarray(images), self._plan, *self.domain_shape
            )
        out *= self.disc
        return out

    def subset(self, frames: Frames) -> SpaceOperator:
        """Return the operator of some of the projections."""
        part = copy.copy(self)
        part._plan = self._plan[frames]
        part.range_shape = (len(part._plan), *self.range_shape[1:])
        return part

    def advance(
        self,
        step: Array,
        voxels: Array,
        point: Array,
        volume: Array,
        gain: float,
        non_negative: bool,
    ) -> tuple[Array, Array]:
        """Take a step and extrapolate, in one pass (see `Operator.advance`)."""
        with threads(self._workers):
            kernels.advance(step, voxels, point, volume, np.float32(gain), non_negative)
        return volume, point


def _plan(geometry: ScanGeometry) -> NDArray[np.float64]:
    """Return what the kernels need to know of each projection (see `space_kernels.PLAN`)."""
    middle = np.array([geometry.row_center, geometry.volume_axis, geometry.volume_axis])
    place = np.array([geometry.row_center, geometry.center])
    plan = np.empty((geometry.n_angles, space_kernels.PLAN))
    for numbers, detector, ray in zip(plan, geometry.directions, geometry.rays, strict=True):
        along = int(np.argmax(np.abs(ray)))
        across = [axis for axis in range(3) if axis != along]
        slope = ray[across] / ray[along]
        # Per row and column, at one plane: along the detector, and back along the ray.
        per_pixel = detector[:, across].T - np.outer(slope, detector[:, along])
        origin = middle[across] - per_pixel @ place - slope * middle[along]
        numbers[0:4] = origin[0], *per_pixel[0], slope[0]
        numbers[4:8] = origin[1], *per_pixel[1], slope[1]
        numbers[8:] = 1 / abs(ray[along]), along
    return plan
