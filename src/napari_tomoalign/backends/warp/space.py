"""The kernels for rays in any direction as operators: on one device, and on the host.

Slices are not independent here, so there are no slabs: a device holds the whole volume.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ..base import Frames, Operator
from ..rays import rays_of
from . import space_kernels
from .arrays import DeviceArray, Shape
from .operators import DeviceOperator, images_from, images_on, slices_from, volume_on

__all__ = ["DeviceSpaceOperator", "SpaceOperator", "operator_of"]

Array = NDArray[np.float32]


class DeviceSpaceOperator(Operator):
    """The kernels' layout, on one device: (y, x, slice) to (angle, column, row).

    Arrays are `DeviceArray`; the methods are those of `Operator`.

    Parameters
    ----------
    geometry : ScanGeometry
    radius : float
        Voxels: the object is 0 further from the volume's axis.
    device : warp.Device
    """

    def __init__(self, geometry: ScanGeometry, radius: float, device: Any) -> None:
        self._geometry, self._device = geometry, device
        n = geometry.volume_width
        self.domain_shape: Shape = (n, n, geometry.n_rows)
        line = np.arange(n) - geometry.volume_axis
        self.disc = DeviceArray.of((line[:, None] ** 2 + line**2 <= radius**2)[:, :, None], device)
        self._put(geometry.angles, *_plan(geometry))

    def _put(
        self,
        angles: NDArray[np.float64],
        plan: NDArray[np.float64],
        along: NDArray[np.intp],
    ) -> None:
        self.angles, self._plan, self._along = angles, plan, along
        self.range_shape: Shape = (len(plan), self._geometry.n_columns, self._geometry.n_rows)
        self._there = (
            wp.array(plan.ravel(), dtype=wp.float32, device=self._device),
            wp.array(along, dtype=wp.int32, device=self._device),
        )

    def project(self, volume: Any) -> Any:
        """Return ``A x``."""
        images = DeviceArray.empty(self.range_shape, self._device)
        self._launch(space_kernels.project_space, volume * self.disc, images)
        return images

    def back_project(self, images: Any) -> Any:
        """Return ``A^T y``."""
        volume = DeviceArray.empty(self.domain_shape, self._device)
        self._launch(space_kernels.back_project_space, images, volume)
        return volume * self.disc

    def _launch(self, kernel: Any, given: DeviceArray, found: DeviceArray) -> None:
        geometry, (n_y, n_x, n_z) = self._geometry, self.domain_shape
        wp.launch(
            kernel,
            found.shape,
            [
                given.flat,
                wp.vec3i(n_z, n_y, n_x),
                wp.vec3f(geometry.row_center, geometry.volume_axis, geometry.volume_axis),
                *self._there,
                geometry.n_columns,
                geometry.n_rows,
                geometry.center,
            ],
            [found.flat],
            device=self._device,
        )

    def subset(self, frames: Frames) -> DeviceSpaceOperator:
        """Return the operator of some of the projections."""
        part = copy.copy(self)
        part._put(self.angles[frames], self._plan[frames], self._along[frames])
        return part

    def ray_sums(self) -> Any:
        """Return ``A`` of ones."""
        return self.project(self._ones(self.domain_shape))

    def voxel_sums(self, weights: Any = None) -> Any:
        """Return ``A^T`` of the weights, or of ones."""
        return self.back_project(self._ones(self.range_shape) if weights is None else weights)

    def _ones(self, shape: Shape) -> DeviceArray:
        return DeviceArray.of(np.ones(shape, np.float32), self._device)


class SpaceOperator(Operator):
    """The projector on the host, in everybody's layout: (slice, y, x) to (angle, row, column).

    Parameters
    ----------
    geometry : ScanGeometry
    device : warp.Device
    """

    def __init__(self, geometry: ScanGeometry, device: Any) -> None:
        self.domain_shape, self.range_shape = geometry.volume_shape, geometry.projections_shape
        self._there = DeviceSpaceOperator(geometry, math.inf, device)
        self._device = device

    def project(self, volume: Array) -> Array:
        """Return ``A x``."""
        return images_from(self._there.project(volume_on(self._device, volume)))

    def back_project(self, images: Array) -> Array:
        """Return ``A^T y``."""
        return slices_from(self._there.back_project(images_on(self._device, images)))

    def subset(self, frames: Frames) -> SpaceOperator:
        """Return the operator of some of the projections."""
        part = copy.copy(self)
        part._there = self._there.subset(frames)
        part.range_shape = (part._there.range_shape[0], *self.range_shape[1:])
        return part


def operator_of(
    geometry: ScanGeometry, n_slices: int, radius: float, device: Any
) -> DeviceOperator | DeviceSpaceOperator:
    """Return the operator of a geometry on a device; of a slab where slices are independent."""
    if geometry.has_vertical_axis:
        return DeviceOperator(geometry, n_slices, radius, device)
    return DeviceSpaceOperator(geometry, radius, device)


def _plan(geometry: ScanGeometry) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return what the kernels need to know of each projection, and the axis that it steps along.

    See `space_kernels.PLAN`; the axes are 0, 1, 2 for z, y, x.
    """
    plan = np.empty((geometry.n_angles, space_kernels.PLAN))
    axes = np.empty(geometry.n_angles, np.intp)
    for k, (rays, detector) in enumerate(zip(rays_of(geometry), geometry.directions, strict=True)):
        plan[k, 0:6] = *rays.per_pixel[0], rays.slope[0], *rays.per_pixel[1], rays.slope[1]
        plan[k, 6] = rays.path
        plan[k, 7:13] = detector[:, [rays.along, *rays.across]].ravel()
        axes[k] = rays.along
    return plan, axes
