"""From a shifts file and a scan to an aligned stack on disk, chunk by chunk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import turn_projections
from ..images.applying import Order, check_order, common_view, move
from ..images.source import as_source, blocks_of
from .outputs import check_outputs
from .reading import read_scan
from .scan import Scan
from .shifts.contents import ShiftsFile
from .shifts.hashing import digest_of
from .shifts.record import note_applied, read_shifts
from .stack_files import StackInfo, stack_outputs, write_stack

__all__ = ["apply_shifts"]

PathLike = str | os.PathLike[str]


def apply_shifts(
    shifts: ShiftsFile | PathLike,
    scan: Scan | PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    order: Order = 3,
    crop: bool = False,
    overwrite: bool = False,
    check: bool = True,
    **reading: Any,
) -> Path:
    """Align a scan of any size with shifts that were found before, in one interpolation.

    Parameters
    ----------
    shifts : ShiftsFile or path
        What was found, on this scan, another channel or another binning of it.
    scan : Scan, path or sequence of paths
        What to align.
    out : path
        ``.h5``, ``.tif`` or ``.mrc``. Its metadata say that it is aligned, and with what.
    order : {3, "fourier"}
        Cubic spline, or Fourier shift with guarded edges.
    crop : bool
        Cut to the field of view that all images cover.
    overwrite : bool
        Replace a file that is there.
    check : bool
        Compare the data with the hash in the shifts file, which reads the scan once more.
    **reading
        Options of `read_scan`. The rotation axis is the shifts file's where none is given.

    Returns
    -------
    Path
        ``out``. A shifts file that was given by its path notes it.

    Raises
    ------
    ValueError
        The scan says that it is aligned already; or it does not fit the shifts.
    FileExistsError
        There is a file, and ``overwrite`` is off.
    DiskFull
        There is no room.

    Warns
    -----
    UserWarning
        The data are not those that the shifts were found on.
    """
    check_order(order)
    read = [one for one in (shifts, scan) if isinstance(one, (str, os.PathLike))]
    if not isinstance(scan, (Scan, str, os.PathLike)):
        read += scan
    check_outputs(stack_outputs(out), inputs=read, overwrite=overwrite)
    found = shifts if isinstance(shifts, ShiftsFile) else read_shifts(shifts)
    if not isinstance(scan, Scan):
        reading.setdefault("rotation_axis", found.rotation_axis)
        scan = read_scan(scan, lazy=True, **reading)
    if "aligned" in scan.source:
        raise ValueError(
            f"{scan.source.get('file', 'the scan')} is aligned already "
            f"({scan.source['aligned']}); applying shifts twice would spoil it: apply them to the "
            "original scan"
        )
    fitted = found.for_scan(scan, check=check)
    shape = scan.projections.shape
    view = (slice(0, shape[1]), slice(0, shape[2]))
    if crop:
        view = common_view(fitted.shifts, shape[1:3])
    rows, columns = (cut.stop - cut.start for cut in view)
    turned = (rows, columns) if scan.rotation_axis == "vertical" else (columns, rows)
    info = StackInfo(
        angles=scan.angles,
        pixel_size=scan.pixel_size,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=_with_what(fitted, order),
        channels=scan.channels,
        extra={"rotation_center": fitted.center - view[1].start},
    )
    blocks = _blocks(scan, fitted.shifts, order, view)
    path = write_stack(out, blocks, (shape[0], *turned, *shape[3:]), info, overwrite=overwrite)
    if not isinstance(shifts, ShiftsFile):
        with suppress(PermissionError):  # shifts on a disk that can only be read
            note_applied(found, path)
    return path


def _with_what(found: ShiftsFile, order: Order) -> str:
    how = "cubic spline" if order == 3 else "Fourier"
    name = found.path.name if found.path is not None else "shifts"
    return f"{name} {digest_of(found.measured_shifts)}, {how}"


def _blocks(
    scan: Scan, shifts: NDArray[np.float64], order: Order, view: tuple[slice, slice]
) -> Iterator[NDArray[np.float32]]:
    source = as_source(scan.projections)
    for start, stop in blocks_of(scan.projections.shape):
        moved = move(source.read(slice(start, stop)), shifts[start:stop], order=order)
        yield turn_projections(moved[:, *view], scan.rotation_axis)
