"""A scan at one binning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack
from ..geometry import ScanGeometry
from ..geometry.scan_geometry import binned_position
from ..images.binning import bin_weighted
from ..images.moving import rows_under
from ..images.shifting import SplineStack, move_both, places_of
from ..start.held import row_binning
from ..start.prepare import Start
from ..start.run import Run
from .bands import Bands
from .poses import Poses

__all__ = ["Level", "level_of", "rows_binned"]

_TAPS = 2  # rows on either side that a cubic spline is made of


@dataclass(frozen=True, eq=False)
class Level:
    """A scan at one binning: what the loop needs to move, reconstruct and register.

    Attributes
    ----------
    binning : int
        Of the columns.
    pixel : (2,) array
        Rows and columns of the full image that one pixel covers.
    spline, weights : SplineStack, (n_angles, n_rows, n_columns) array or None
        Of the images; None for the weights: all 1.
    geometry : ScanGeometry
        Of the images.
    bands : Bands, optional
        What is evaluated, where the memory does not hold the images: these are empty then.
    """

    binning: int
    pixel: NDArray[np.float64]
    spline: SplineStack
    weights: Stack | None
    geometry: ScanGeometry
    bands: Bands | None = None

    @classmethod
    def of(
        cls,
        projections: Stack,
        weights: Stack | None,
        geometry: ScanGeometry,
        binning: int,
        before: tuple[int, int] = (1, 1),
    ) -> Level:
        """Bin a scan, its rows by `row_binning` where slices are independent.

        Its images are binned by ``before`` already.
        """
        rows = rows_binned(geometry, binning, before)
        more = rows // before[0], binning // before[1]
        binned, binned_weights = bin_weighted(projections, weights, *more)
        coarse = geometry.binned(binning, rows)
        pixel = np.array([rows, binning], dtype=np.float64)
        return cls(binning, pixel, SplineStack(binned), binned_weights, coarse)

    def placed(self, poses: Poses) -> ScanGeometry:
        """Return the geometry of this level's images at some poses, in their frame."""
        frame = poses.frame
        return self.geometry.with_changes(
            center=binned_position(frame.center, self.binning),
            angles=frame.angles,
            axis_angle=frame.axis_angle,
            axis_tilt=frame.axis_tilt,
            rotations=frame.rotations,
            in_plane=frame.in_plane,
        )

    def window(
        self, cropping: tuple[slice, slice] | None, full: ScanGeometry
    ) -> tuple[slice, slice]:
        """Return a window of the full image on this level."""
        if cropping is None:
            return slice(None), slice(None)
        windows = []
        for wanted, n, pixel in zip(
            cropping, (full.n_rows, full.n_columns), self.pixel, strict=True
        ):
            first, last, _ = wanted.indices(n)
            windows.append(slice(int(first // pixel), int(-(-last // pixel))))
        return windows[0], windows[1]

    def moved(
        self,
        poses: Poses,
        workers: int | None,
        rows: slice = slice(None),
    ) -> tuple[Stack, NDArray[Any]]:
        """Return rows of data and weights, moved by minus the shifts and turned to the frame."""
        if self.bands is not None:
            turning = None
            if poses.turns is not None:
                geometry = self.placed(poses)
                turning = poses.turns, (geometry.row_center, geometry.center)
            return self.bands.moved(poses.shifts / self.pixel, turning, rows, workers)
        back = -poses.shifts / self.pixel
        places = None if poses.turns is None else self._places(poses)
        return move_both(self.spline, self.weights, back, places, rows=rows, workers=workers)

    def images(self, workers: int | None) -> Stack:
        """Return the images as they are."""
        nowhere = np.zeros((self.geometry.n_angles, 2))
        return move_both(self.spline, None, nowhere, workers=workers)[0]

    def _on_detector(
        self, images: Stack, poses: Poses, workers: int | None
    ) -> tuple[Stack, NDArray[np.bool_]]:
        """Return images of the frame as the detector would see them, and where they reach."""
        places = None
        if poses.turns is not None:
            geometry, back = self.placed(poses), -poses.in_frame(poses.shifts) / self.pixel
            pivot, pixel = (geometry.row_center, geometry.center), (self.pixel[0], self.pixel[1])
            places = places_of(back, -poses.turns, pivot, pixel)
        shifts = poses.shifts / self.pixel
        there, seen = move_both(SplineStack(images), None, shifts, places, workers=workers)
        return there, seen > 0

    def missed(
        self, run: Run, images: Stack, weights: Stack | None, reprojected: Stack, poses: Poses
    ) -> Stack:
        """Return images less what is predicted of them on the detector; NaN where nothing is.

        That is so where pixels of the images, which lie on this level's grid, have no weight or are
        not registered.
        """
        there, seen = self._on_detector(reprojected, poses, run.parameters.workers)
        if weights is not None:
            seen &= weights > 0
        inside = np.zeros(images.shape[1:], bool)
        inside[self.window(run.parameters.projection_cropping, run.geometry)] = True
        seen &= inside
        return np.where(seen, images - there, np.float32(np.nan))

    def rows_under(self, poses: Poses, rows: slice) -> slice:
        """Return which rows of the splines' coefficients moved ones depend on."""
        shape = self.geometry.n_rows, self.geometry.n_columns
        return rows_under(self._places(poses), rows, shape, _TAPS)

    def _places(self, poses: Poses) -> NDArray[np.float64]:
        geometry = self.placed(poses)
        pivot, pixel = (geometry.row_center, geometry.center), (self.pixel[0], self.pixel[1])
        turns = np.zeros(geometry.n_angles) if poses.turns is None else poses.turns
        return places_of(poses.shifts / self.pixel, turns, pivot, pixel)


def rows_binned(geometry: ScanGeometry, binning: int, before: tuple[int, int]) -> int:
    """Return by how much a level bins rows, in images that are binned already."""
    if not geometry.has_vertical_axis:
        return binning
    return row_binning(geometry.n_rows, binning) // before[0] * before[0]


def level_of(start: Start, binning: int, geometry: ScanGeometry) -> Level:
    """Return the scan at a binning; the geometry is that of the full images, with the grid."""
    if binning < start.binning[1]:  # the memory does not hold it
        coarse, none = geometry.binned(binning), np.zeros((0, 0, 0), np.float32)
        bands, pixel = Bands.of(start, coarse, binning), np.full(2, float(binning))
        return Level(binning, pixel, SplineStack.of(none), None, coarse, bands)
    rows = rows_binned(geometry, binning, start.binning)
    images, weights = start.images.at((rows, binning))
    return Level.of(images, weights, geometry, binning, (rows, binning))
