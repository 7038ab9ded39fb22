"""The images of a level that the memory does not hold: rows are read when they are evaluated.

They are read from the scan once, binned and written to a temporary file, where the rows of a slab
lie in runs: read from the scan itself, a slab costs as much as the whole where images are chunks.
"""

from __future__ import annotations

import math
import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..geometry import ScanGeometry
from ..images.binning import bin_stack, bin_weighted
from ..images.moving import move_rows
from ..images.refining import COMPARED_HALO
from ..images.source import FlatSource, blocks_of
from ..io.atomic import require_room
from ..start.held import SLAB_SHARE, row_of_slab
from ..start.prepare import Start

__all__ = ["Bands"]

_HEIGHT = 64  # rows of a slab, at most
_FEWEST = 8  # slabs at least, where rows allow: those that are kept stand for all
_KEPT = 3.0  # copies of the images that a model keeps: measured, reprojected, weights


@dataclass(frozen=True, eq=False)
class Bands:
    """Slabs of rows of a level, read when they are asked for.

    Attributes
    ----------
    images, weights : FlatSource
        ``(n_angles, n_rows, n_columns)`` of the level; None for the weights: all 1.
    folder : object
        They lie there for as long as it is held.
    rows : tuple of slice
        The slabs that are evaluated.
    kept : frozenset of int
        Those of them whose images are kept, as far as the memory holds them: they stand for all
        where images are looked at.
    """

    images: FlatSource
    weights: FlatSource | None
    folder: _Folder
    rows: tuple[slice, ...]
    kept: frozenset[int]

    @classmethod
    def of(cls, start: Start, geometry: ScanGeometry, binning: int) -> Bands:
        """Read and bin a scan; the geometry is the level's, the binning that of rows and columns.

        All slabs are evaluated: a quarter of them, those with the most detail, moved the frames by
        their own noise, and the others moved them back.
        """
        n, n_rows, n_columns = geometry.projections_shape
        weighs = start.full.weights is not None
        row = row_of_slab(geometry, weighs)
        fits = int(SLAB_SHARE * start.for_slabs / row) - 2 * COMPARED_HALO
        height = max(1, min(_HEIGHT, fits, -(-n_rows // _FEWEST)))
        slabs = [slice(first, min(first + height, n_rows)) for first in range(0, n_rows, height)]
        each = height * 4 * (_KEPT * n * n_columns + geometry.volume_width**2)
        many = max(1, int((1 - SLAB_SHARE) * start.for_slabs / each))
        rows, shown = tuple(slabs), _spread(many, len(slabs), height)
        folder = _Folder(start.folder)
        images, weights = _written(start, geometry, binning, folder.path)
        return cls(images, weights, folder, rows, shown)

    def moved(
        self,
        shifts: Array,
        turning: tuple[Array, tuple[float, float]] | None,
        rows: slice,
        workers: int | None,
    ) -> tuple[Stack, NDArray[np.generic]]:
        """Return rows of data and weights moved by minus shifts in pixels of the level."""
        return move_rows(self.images, self.weights, shifts, rows, turning=turning, workers=workers)


def _spread(many: int, n_slabs: int, height: int) -> frozenset[int]:
    """Return so many of some slabs, spread over all; low ones in runs, whose inner rows count.

    What lies within `COMPARED_HALO` of rows that are not there does not: of a run, half does.
    """
    many = min(many, n_slabs)
    n_runs = many // min(many, -(-4 * COMPARED_HALO // height))
    run = many // n_runs
    places = (np.arange(n_runs) + 0.5) * n_slabs / n_runs - run / 2
    firsts = np.clip(places.round().astype(int), 0, n_slabs - run)
    return frozenset((firsts[:, None] + np.arange(run)).ravel().tolist())


class _Folder:
    """A temporary folder, which goes with this object."""

    def __init__(self, parent: Path | None) -> None:
        self.path = Path(mkdtemp(prefix=".tomoalign-", dir=parent))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _written(
    start: Start, geometry: ScanGeometry, binning: int, folder: Path
) -> tuple[FlatSource, FlatSource | None]:
    """Read the scan once and write it binned.

    Raises
    ------
    DiskFull
        There is no room.
    """
    shape, kind = geometry.projections_shape, np.dtype(np.float32)
    images = FlatSource(folder / "images", 0, shape, kind)
    given = start.full.weights
    weights = None if given is None else FlatSource(folder / "weights", 0, shape, kind)
    require_room(images.path, (1 + (given is not None)) * kind.itemsize * math.prod(shape))
    with images.path.open("wb") as first, (folder / "weights").open("wb") as second:
        for begin, end in blocks_of(start.full.projections.shape):
            block = np.asarray(start.full.projections.read(slice(begin, end)), np.float32)
            if given is None:
                bin_stack(block, binning, binning).tofile(first)
                continue
            share = np.asarray(given.read(slice(begin, end)), np.float32)
            values, shares = bin_weighted(block, share, binning, binning)
            values.tofile(first)
            shares.tofile(second)
    return images, weights
