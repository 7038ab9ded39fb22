"""The projector for rays in any direction: a leaning or turned axis, two axes, laminography.

Slices are not independent here, so there are no blocks of rows; part of a volume is projected by
the operator of a slab, `ScanGeometry.rows_of`, with the rows around it that `ScanGeometry.halo`
says.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ...images._threads import threads
from ..base import Frames
from ..rays import rays_of
from . import space_kernels
from .operators import FusedOperator

__all__ = ["SpaceOperator"]

Array = NDArray[np.float32]


class SpaceOperator(FusedOperator):
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
        self._plan, self._along = _plan(geometry)
        self.workers = workers
        line = np.arange(geometry.volume_width) - geometry.volume_axis
        self.disc = (line[:, None] ** 2 + line**2 <= radius**2).astype(np.float32)

    def project(self, volume: Array) -> Array:
        """Return ``A x``."""
        n_angles, n_rows, n_columns = self.range_shape
        images = np.empty((n_angles, n_columns, n_rows), np.float32)
        with threads(self.workers):
            for along, frames in self._stepping():
                planes = space_kernels.planes_of(np.ascontiguousarray(volume), self.disc, along)
                space_kernels.project(planes, self._plan, frames, images)
        return np.ascontiguousarray(images.transpose(0, 2, 1))

    def back_project(self, images: Array) -> Array:
        """Return ``A^T y``."""
        n_z, n_y, n_x = self.domain_shape
        sizes = (n_z, n_y, n_x), (n_y, n_x, n_z), (n_x, n_y, n_z)
        volume = np.zeros(self.domain_shape, np.float32)
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
        with threads(self.workers):
            for along, frames in self._stepping():
                planes = space_kernels.back_project(images, self._plan, frames, *sizes[along])
                space_kernels.add_planes(volume, planes, self.disc, along)
        return volume

    def subset(self, frames: Frames) -> SpaceOperator:
        """Return the operator of some of the projections."""
        part = copy.copy(self)
        part._plan, part._along = self._plan[frames], self._along[frames]
        part.range_shape = (len(part._plan), *self.range_shape[1:])
        return part

    def _stepping(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield each axis that rays step along, and the projections that are theirs."""
        for along in range(3):
            frames = np.flatnonzero(self._along == along)
            if len(frames):
                yield along, frames


def _plan(geometry: ScanGeometry) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return what the kernels need to know of each projection, and the axis that it steps along.

    See `space_kernels.PLAN`; the axes are 0, 1, 2 for z, y, x.
    """
    middle = np.array([geometry.row_center, geometry.volume_axis, geometry.volume_axis])
    place = np.array([geometry.row_center, geometry.center])
    plan = np.empty((geometry.n_angles, space_kernels.PLAN))
    axes = np.empty(geometry.n_angles, np.intp)
    for k, rays in enumerate(rays_of(geometry)):
        origin = middle[rays.across] - rays.per_pixel @ place - rays.slope * middle[rays.along]
        plan[k, 0:4] = origin[0], *rays.per_pixel[0], rays.slope[0]
        plan[k, 4:8] = origin[1], *rays.per_pixel[1], rays.slope[1]
        plan[k, 8] = rays.path
        axes[k] = rays.along
    return plan, axes
