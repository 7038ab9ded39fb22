"""The kernels as operators: on one device in their own layout, and on the host in everybody's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ..base import Frames, Operator
from . import kernels
from .arrays import DeviceArray
from .slabs import in_slabs

__all__ = [
    "DeviceOperator",
    "RowOperator",
    "images_from",
    "images_on",
    "slices_from",
    "volume_on",
]

Array = NDArray[np.float32]


class DeviceOperator(Operator):
    """The kernels' layout, on one device: (y, x, slice) to (angle, column, slice).

    Any number of slices may pass, and those that are alike need to pass once. Arrays are
    `DeviceArray`; the methods are those of `Operator`.

    Parameters
    ----------
    geometry : ScanGeometry
    n_slices : int
        Rows of the slab.
    radius : float
        Voxels: the object is 0 further from the axis.
    device : warp.Device
    """

    def __init__(self, geometry: ScanGeometry, n_slices: int, radius: float, device: Any) -> None:
        self._device = device
        self._center, self._n_columns = float(geometry.center), geometry.n_columns
        self._n = geometry.volume_width
        self._radius = float(min(radius, geometry.volume_width))
        self._put_angles(geometry.angles)
        self.domain_shape = (self._n, self._n, n_slices)
        self.range_shape = (geometry.n_angles, self._n_columns, n_slices)

    def _put_angles(self, angles: NDArray[np.float64]) -> None:
        self.angles = angles
        cosines, sines = np.cos(angles), np.sin(angles)
        widths = np.maximum(np.abs(cosines), np.abs(sines))
        self._cosines, self._sines, self._widths, self._ones = (
            wp.array(values, dtype=wp.float32, device=self._device)
            for values in (cosines, sines, widths, np.ones_like(angles))
        )

    def project(self, volume: Any) -> Any:
        """Return ``A x``."""
        n_slices = volume.shape[2]
        images = DeviceArray.empty((*self.range_shape[:2], n_slices), self._device)
        wp.launch(
            kernels.project,
            (*images.shape[:2], kernels.packs(n_slices)),
            [
                volume.flat,
                self._n,
                n_slices,
                self._cosines,
                self._sines,
                self._n_columns,
                self._center,
                self._radius,
            ],
            [images.flat],
            device=self._device,
        )
        return images

    def back_project(self, images: Any) -> Any:
        """Return ``A^T y``."""
        return self._back_project(images, self._widths)

    def spread(self, images: Any) -> Any:
        """Return the back projection by plain linear interpolation."""
        return self._back_project(images, self._ones)

    def _back_project(self, images: DeviceArray, widths: Any) -> DeviceArray:
        n_slices = images.shape[2]
        volume = DeviceArray.empty((self._n, self._n, n_slices), self._device)
        wp.launch(
            kernels.back_project,
            (self._n, self._n, kernels.packs(n_slices)),
            [
                images.flat,
                self._n_columns,
                n_slices,
                self._cosines,
                self._sines,
                widths,
                self._n,
                self._center,
                self._radius,
            ],
            [volume.flat],
            device=self._device,
        )
        return volume

    def subset(self, frames: Frames) -> DeviceOperator:
        """Return the operator of some of the projections."""
        part = copy.copy(self)
        part._put_angles(self.angles[frames])
        part.range_shape = (len(part.angles), *self.range_shape[1:])
        return part

    @property
    def disc(self) -> DeviceArray:
        """Ones within the radius, in one slice."""
        line = np.arange(self._n) - (self._n - 1) / 2
        inside = line[:, None] ** 2 + line**2 <= self._radius**2
        return DeviceArray.of(inside[:, :, None], self._device)

    def ray_sums(self) -> Any:
        """Return ``A`` of the disc, one slice for all."""
        return self.project(self.disc)

    def voxel_sums(self, weights: Any = None) -> Any:
        """Return ``A^T`` of the weights; of ones, one slice for all."""
        if weights is None:
            ones = np.ones((*self.range_shape[:2], 1), np.float32)
            weights = DeviceArray.of(ones, self._device)
        return self.back_project(weights)


class RowOperator(Operator):
    """The projector on the host, in everybody's layout: (slice, y, x) to (angle, row, column).

    Parameters
    ----------
    geometry : ScanGeometry
    devices : sequence of warp.Device
        They share the rows.
    """

    def __init__(self, geometry: ScanGeometry, devices: Sequence[Any]) -> None:
        self.domain_shape, self.range_shape = geometry.volume_shape, geometry.projections_shape
        self._geometry, self._devices = geometry, devices

    def project(self, volume: Array) -> Array:
        """Project a volume, slab by slab."""
        out = np.empty(self.range_shape, np.float32)

        def work(rows: slice, device: Any) -> None:
            slices = volume_on(device, volume[rows])
            images = self._on(slices.shape[2], device).project(slices)
            out[:, rows] = images_from(images)

        in_slabs(self._geometry, self._devices, 1, work)
        return out

    def back_project(self, images: Array) -> Array:
        """Back-project images, slab by slab."""
        return self._each_slab(images, DeviceOperator.back_project)

    def spread(self, images: Array) -> Array:
        """Back-project filtered images, slab by slab."""
        return self._each_slab(images, DeviceOperator.spread)

    def _each_slab(self, images: Array, way: Callable[[DeviceOperator, Any], Any]) -> Array:
        out = np.empty(self.domain_shape, np.float32)

        def work(rows: slice, device: Any) -> None:
            part = images_on(device, images[:, rows])
            out[rows] = slices_from(way(self._on(part.shape[2], device), part))

        in_slabs(self._geometry, self._devices, 1, work)
        return out

    def _on(self, n_slices: int, device: Any) -> DeviceOperator:
        return DeviceOperator(self._geometry, n_slices, math.inf, device)

    def subset(self, frames: Frames) -> RowOperator:
        """Return the operator of some of the projections."""
        part = self._geometry.with_changes(angles=self._geometry.angles[frames])
        return RowOperator(part, self._devices)


def images_on(device: Any, images: NDArray[Any]) -> Any:
    """Return images (angle, row, column) on a device, in the kernels' layout."""
    return DeviceArray.of(images.transpose(0, 2, 1), device)


def volume_on(device: Any, slices: NDArray[Any]) -> Any:
    """Return slices (slice, y, x) on a device, in the kernels' layout."""
    return DeviceArray.of(slices.transpose(1, 2, 0), device)


def images_from(images: Any, rows: slice = slice(None)) -> Array:
    """Return images, or some of their rows, on the host: angle, row, column."""
    found: Array = images.host((0, 2, 1), rows)
    return found


def slices_from(volume: Any, rows: slice = slice(None)) -> Array:
    """Return a volume, or some of its slices, on the host: slice, y, x."""
    slices: Array = volume.host((2, 0, 1), rows)
    return slices
