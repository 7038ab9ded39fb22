"""TomoPy's ray tracing as an operator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ..base import Frames, Operator
from .sinograms import grid_offset

__all__ = ["LOCK", "Rays", "edge_center", "row_blocks"]

Array = NDArray[np.float32]

LOCK = threading.Lock()
"""TomoPy keeps module globals and an environment variable during a call: one at a time."""

_ROWS = 32  # enough that tracing a ray costs little, few enough to stay in the cache
_TILTED = 1.5  # voxels that a ray crosses over the grid: with fewer, it sees one line of voxels


class Rays(Operator):
    """The projector under ``tomopy.project``, and its transpose, called in threads.

    ``tomopy.project`` itself starts processes on every call, which is unsafe below a graphical
    interface. The transpose is TomoPy's fbp without a filter: the same rays, the same lengths.

    A ray along the grid sees one line of voxels, wherever it passes through them, so an image
    between two lines would be displaced by up to half a pixel. There, rays through the middles of
    the voxels are traced, and interpolated.

    Parameters
    ----------
    geometry : ScanGeometry
    workers : int
        Number of threads.
    """

    def __init__(self, geometry: ScanGeometry, workers: int) -> None:
        self.domain_shape, self.range_shape = geometry.volume_shape, geometry.projections_shape
        self._geometry, self._workers = geometry, workers
        self._offset = grid_offset(geometry)
        cross = np.abs(geometry.rays[:, 1:]).min(axis=1)
        self._along = (cross * geometry.volume_width < _TILTED) & (abs(self._offset) > 1e-3)

    def project(self, volume: Array) -> Array:
        """Project a volume at every angle."""
        from tomopy.util import extern

        out = np.empty(self.range_shape, np.float32)
        along, share = self._along, np.float32(abs(self._offset))

        def trace(block: Array, angles: NDArray[np.float64], center: float, width: int) -> Array:
            images = np.zeros((len(block), len(angles), width), np.float32)
            centers = np.full(len(block), edge_center(center, width), np.float32)
            extern.c_project(block, centers, images, angles.astype(np.float32))
            return images.swapaxes(0, 1)

        def work(rows: slice) -> None:
            block = np.ascontiguousarray(volume[rows], np.float32)
            center, width = self._geometry.center, self._geometry.n_columns
            angles = self._geometry.angles
            out[~along, rows] = trace(block, angles[~along], center, width)
            if along.any():
                wide = trace(block, angles[along], center + self._offset + 1, width + 2)
                out[along, rows] = wide[..., 1:-1] * (1 - share) + wide[..., self._beside] * share

        self._in_threads(work)
        return out

    def back_project(self, images: Array) -> Array:
        """Back-project the images of every angle."""
        from tomopy.util import extern

        out = np.zeros(self.domain_shape, np.float32)
        along, share = self._along, np.float32(abs(self._offset))

        def trace(images: Array, block: Array, angles: NDArray[np.float64], center: float) -> None:
            sinograms = np.ascontiguousarray(images.swapaxes(0, 1))
            centers = np.full(len(block), edge_center(center, images.shape[2]), np.float32)
            no_filter: dict[str, Any] = {
                "num_gridx": self._geometry.volume_width,
                "num_gridy": self._geometry.volume_width,
                "filter_name": "none",
                "filter_par": np.zeros(2, np.float32),
            }
            extern.c_fbp(sinograms, centers, block, angles.astype(np.float32), **no_filter)

        def work(rows: slice) -> None:
            center, angles = self._geometry.center, self._geometry.angles
            trace(images[~along, rows], out[rows], angles[~along], center)
            if along.any():
                part = images[along, rows]
                wide = np.pad(part * (1 - share), ((0, 0), (0, 0), (1, 1)))
                wide[..., self._beside] += part * share
                trace(wide, out[rows], angles[along], center + self._offset + 1)

        self._in_threads(work)
        return out

    def subset(self, frames: Frames) -> Rays:
        """Return the operator of some of the projections."""
        part = self._geometry.subset(frames)
        return Rays(part, self._workers)

    @property
    def _beside(self) -> slice:
        """The neighbours, of two columns more, between which and the others an image lies."""
        return slice(2, None) if self._offset > 0 else slice(None, -2)

    def _in_threads(self, work: Callable[[slice], None]) -> None:
        n_rows = self._geometry.n_rows
        with LOCK, ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(work, row_blocks(n_rows, min(_ROWS, -(-n_rows // self._workers)))))


def edge_center(center: float, n_columns: int) -> float:
    """Return a centre counted from the edge of the first pixel, as TomoPy's ray tracing does.

    TomoPy moves its rays by 0.01 px where they would hit the voxels' corners, that is where the
    rays' fractional position is below 0.01: there the nearest position that it leaves alone.
    """
    center += 0.5
    position = (n_columns - 1) / 2 - center
    fraction = position - np.floor(position)
    if fraction < 0.0101:
        center += fraction + 0.001 if fraction < 0.0045 else fraction - 0.0101
    return float(center)


def row_blocks(n_rows: int, size: int) -> Iterator[slice]:
    """Yield the rows in blocks of a size."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
