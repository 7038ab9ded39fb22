"""The one writer of aligned stacks: block by block, with the axis where the format can say it."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..geometry import turn_projections
from ..images.applying import Order, Turning, common_view, move
from ..images.shifting import places_of
from ..images.source import as_source, blocks_of
from .scan import Scan
from .shifts.contents import ShiftsFile
from .stacks.content import Content, Cuts, Pieces, StackInfo, length_of_piece
from .stacks.output import StackOutput, holds_center

__all__ = ["aligned_output"]

_AHEAD = 8  # blocks that are out at once: as many may wait for being written


def aligned_output(
    path: str | os.PathLike[str],
    scan: Scan,
    shifts: ShiftsFile,
    *,
    aligned_with: str,
    order: Order = 3,
    crop: bool = False,
    executor: Executor | None = None,
) -> StackOutput:
    """Return a scan of any size moved by minus its shifts, in one interpolation, to be written.

    HDF5 and zarr say where the rotation axis is. TIFF and MRC have no place for that, and whoever
    opens them takes it in the middle: there, the images are moved so that it is in the middle.

    Parameters
    ----------
    path : path
        ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``.
    scan : Scan
        Read block by block of images.
    shifts : ShiftsFile
        In pixels of the scan.
    aligned_with : str
        With which shifts, and how, for the metadata.
    order : {3, "fourier"}
        Of the interpolation.
    crop : bool
        Cut to the field of view that all images cover.
    executor : Executor, optional
        Moves the blocks.

    Raises
    ------
    ValueError
        No field of view in common.
    """
    placed = shifts if holds_center(path) else shifts.centred
    view = _view(scan, placed, crop, holds_center(path))
    moved = _Moved(scan, placed.shifts, order, view, placed.geometry.turning())
    info = StackInfo(
        angles=scan.angles,
        pixel_size=scan.pixel_size,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=aligned_with,
        channels=scan.channels,
        extra={"rotation_center": placed.center - moved.view[1].start},
    )
    shape = scan.projections.shape
    most = length_of_piece(next(blocks_of(shape))[1])
    blocks = tuple((slice(*ends),) for ends in blocks_of(shape, most=most))
    pieces = Pieces(blocks, moved, executor, _AHEAD)
    return StackOutput(Path(path), Content(moved.shape, info, pieces))


def _view(scan: Scan, placed: ShiftsFile, crop: bool, anywhere: bool) -> tuple[slice, slice]:
    """Return the rows and columns that are written; the middle stays where it has to."""
    n_rows, n_columns = scan.projections.shape[1:3]
    if not crop:
        return slice(0, n_rows), slice(0, n_columns)
    turning = placed.geometry.turning()
    places = None if turning is None else places_of(placed.shifts, *turning)
    rows, columns = common_view(placed.shifts, (n_rows, n_columns), places)
    if anywhere:
        return rows, columns
    edge = max(columns.start, n_columns - columns.stop)
    if 2 * edge >= n_columns:
        raise ValueError(
            f"no columns remain on both sides of the axis within the field of view that all images "
            f"cover, {columns.start} to {columns.stop - 1}; write HDF5, or do not crop"
        )
    return rows, slice(edge, n_columns - edge)


@dataclass(frozen=True, eq=False)
class _Moved:
    """A scan that is moved when it is read, in the axes of the image as measured."""

    scan: Scan
    shifts: NDArray[np.float64]
    order: Order
    view: tuple[slice, slice]
    turning: Turning | None

    @property
    def shape(self) -> tuple[int, ...]:
        rows, columns = (cut.stop - cut.start for cut in self.view)
        n_angles, *_ = shape = self.scan.projections.shape
        image = (rows, columns) if self.scan.rotation_axis == "vertical" else (columns, rows)
        return (n_angles, *image, *shape[3:])

    def __call__(self, cuts: Cuts) -> NDArray[np.float32]:
        """Read and move some images."""
        images = cuts[0]
        block = as_source(self.scan.projections).read(images)
        turning = self.turning and (self.turning[0][images], self.turning[1])
        moved = move(block, self.shifts[images], order=self.order, turning=turning)
        return turn_projections(moved[:, *self.view], self.scan.rotation_axis)
