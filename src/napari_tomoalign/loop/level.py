"""A scan at one binning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack
from ..geometry import ScanGeometry
from ..geometry.scan_geometry import binned_position
from ..images.binning import bin_stack, bin_weighted
from ..images.moving import rows_under
from ..images.shifting import SplineStack, fetch_weights, places_of, shift_weights
from ..start.prepare import Start
from ..start.run import Run
from .poses import Poses

__all__ = ["Level", "choose_levels", "level_of", "levels_of", "row_binning"]

_SMALLEST = 32  # pixels: a binned image keeps at least these many columns


_TAPS = 2  # rows on either side that a cubic spline is made of
_FEWEST_ROWS = 16  # rows are not binned below this


def choose_levels(n_columns: int) -> tuple[int, ...]:
    """Return the binnings, coarse to fine, that suit images of so many columns."""
    levels = [1]
    while n_columns // (2 * levels[0]) >= _SMALLEST and levels[0] < 8:
        levels.insert(0, 2 * levels[0])
    return tuple(levels)


def row_binning(n_rows: int, binning: int) -> int:
    """Return by how much rows are binned where columns are binned by so much.

    As much, or less where few would be left: for a vertical axis the size of a pixel along it is
    free.
    """
    return min(binning, max(1, n_rows // _FEWEST_ROWS))


@dataclass(frozen=True, eq=False)
class Level:
    """A scan at one binning: what the loop needs to move, reconstruct and register.

    Attributes
    ----------
    binning : int
        Of the columns.
    pixel : (2,) array
        Rows and columns of the full image that one pixel covers.
    """

    binning: int
    pixel: NDArray[np.float64]
    spline: SplineStack
    weights: Stack | None
    geometry: ScanGeometry

    @classmethod
    def of(
        cls,
        projections: Stack,
        weights: Stack | None,
        geometry: ScanGeometry,
        binning: int,
    ) -> Level:
        """Bin a scan, its rows by `row_binning` where slices are independent."""
        rows = binning
        if geometry.has_vertical_axis:
            rows = row_binning(geometry.n_rows, binning)
        if weights is None:
            binned, binned_weights = bin_stack(projections, rows, binning), None
        else:
            binned, binned_weights = bin_weighted(projections, weights, rows, binning)
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
        shape = self.geometry.projections_shape
        if poses.turns is not None:
            places = self._places(poses)
            return (
                self.spline.fetched(places, rows=rows, workers=workers),
                fetch_weights(self.weights, places, shape, rows=rows, workers=workers),
            )
        back = -poses.shifts / self.pixel
        return (
            self.spline.moved(back, rows=rows, workers=workers),
            shift_weights(self.weights, back, shape, rows=rows, workers=workers),
        )

    def rows_under(self, poses: Poses, rows: slice) -> slice:
        """Return which rows of the splines' coefficients moved ones depend on."""
        shape = self.geometry.n_rows, self.geometry.n_columns
        return rows_under(self._places(poses), rows, shape, _TAPS)

    def _places(self, poses: Poses) -> NDArray[np.float64]:
        geometry = self.placed(poses)
        pivot, pixel = (geometry.row_center, geometry.center), (self.pixel[0], self.pixel[1])
        turns = np.zeros(geometry.n_angles) if poses.turns is None else poses.turns
        return places_of(poses.shifts / self.pixel, turns, pivot, pixel)


def levels_of(run: Run) -> tuple[int, ...]:
    """Return the binnings, coarse to fine, that suit a run where the caller names none.

    Where slices are not independent rows are binned as columns are, and enough must be left.
    """
    levels = choose_levels(run.geometry.n_columns)
    if run.independent_slices:
        return levels
    most = max(1, run.geometry.n_rows // _FEWEST_ROWS)
    return tuple(binning for binning in levels if binning <= most)


def level_of(start: Start, binning: int, geometry: ScanGeometry) -> Level:
    """Return the scan at a binning; the geometry is that of the full images, with the grid."""
    return Level.of(start.projections, start.weights, geometry, binning)
