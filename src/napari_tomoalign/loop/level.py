"""A scan at one binning, and volumes passed from a coarse level to a finer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack
from ..geometry import ScanGeometry
from ..geometry.scan_geometry import binned_position
from ..images.binning import bin_stack, bin_weighted
from ..images.shifting import SplineStack, shift_weights
from ..start.prepare import Start

__all__ = ["Level", "choose_levels", "enlarge", "level_of"]

_SMALLEST = 32  # pixels: a binned image keeps at least these many columns


_FEWEST_ROWS = 16  # rows are not binned below this


def choose_levels(n_columns: int) -> tuple[int, ...]:
    """Return the binnings, coarse to fine, that suit images of so many columns."""
    levels = [1]
    while n_columns // (2 * levels[0]) >= _SMALLEST and levels[0] < 8:
        levels.insert(0, 2 * levels[0])
    return tuple(levels)


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
        """Bin a scan.

        Rows are binned as the columns are, or less where few would be left: for a vertical axis
        the size of a pixel along it is free.
        """
        rows = min(binning, max(1, geometry.n_rows // _FEWEST_ROWS))
        if weights is None:
            binned, binned_weights = bin_stack(projections, rows, binning), None
        else:
            binned, binned_weights = bin_weighted(projections, weights, rows, binning)
        coarse = geometry.binned(binning, rows)
        pixel = np.array([rows, binning], dtype=np.float64)
        return cls(binning, pixel, SplineStack(binned), binned_weights, coarse)

    def centred(self, center: float) -> ScanGeometry:
        """Return the geometry with the axis at a column of the full image."""
        return self.geometry.with_changes(center=binned_position(center, self.binning))

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
        shifts: NDArray[np.float64],
        workers: int | None,
        rows: slice = slice(None),
    ) -> tuple[Stack, NDArray[Any]]:
        """Return rows of data and weights moved by minus the shifts (pixels of the full image)."""
        back = -shifts / self.pixel
        shape = self.geometry.projections_shape
        return (
            self.spline.moved(back, rows=rows, workers=workers),
            shift_weights(self.weights, back, shape, rows=rows, workers=workers),
        )


def level_of(start: Start, binning: int, geometry: ScanGeometry) -> Level:
    """Return the scan at a binning; the geometry is that of the full images, with the grid."""
    return Level.of(start.projections, start.weights, geometry, binning)


def enlarge(volume: Stack, coarse: ScanGeometry, fine: ScanGeometry, which: slice) -> Stack:
    """Return slices of a coarser level's volume on a finer level's grid, axis on axis, linearly.

    Values are divided by the ratio of the columns, so that line integrals stay.

    Parameters
    ----------
    volume : (n_rows, n, n) array of float32
        At the coarse level.
    coarse, fine : ScanGeometry
        Of the two levels.
    which : slice
        The slices of the finer level that are wanted.
    """
    factor = max(1, round(fine.n_columns / coarse.n_columns))
    rows = max(1, round(fine.n_rows / coarse.n_rows))
    width = fine.volume_width
    across = (np.arange(width) - fine.volume_axis) / factor + coarse.volume_axis
    low, weight = _neighbours(across, coarse.volume_width)
    spread = np.zeros((width, coarse.volume_width), np.float32)
    spread[np.arange(width), low] = 1 - weight
    spread[np.arange(width), np.minimum(low + 1, coarse.volume_width - 1)] += weight
    wanted = np.arange(fine.n_rows)[which]
    low, weight = _neighbours((wanted + 0.5) / rows - 0.5, coarse.n_rows)
    lowest = low[0]
    needed = volume[lowest : low[-1] + 2]
    slices = np.matmul(np.matmul(spread, needed), spread.T / np.float32(factor))
    larger = np.empty((len(wanted), width, width), np.float32)
    for i, (below, share) in enumerate(zip(low - lowest, weight, strict=True)):
        above = min(below + 1, len(slices) - 1)
        np.multiply(slices[below], 1 - share, out=larger[i])
        larger[i] += share * slices[above]
    return larger


def _neighbours(
    positions: NDArray[np.float64], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the lower neighbour on a line of n points, and the weight of the next one."""
    inside = np.clip(positions, 0, n - 1)
    low = inside.astype(np.intp)
    return low, (inside - low).astype(np.float32)
