"""Scans, aligned stacks and volumes that are in memory to files."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import RotationAxis, turn_projections, turn_volume
from .atomic import atomic_path, require_room
from .outputs import CREATOR
from .scan import Scan
from .stacks.content import Content, Pieces, StackInfo
from .stacks.output import StackOutput, holds_center

__all__ = ["write_aligned", "write_scan", "write_volume"]

PathLike = str | os.PathLike[str]


def write_aligned(
    path: PathLike,
    stack: NDArray[np.generic],
    scan: Scan,
    *,
    aligned_with: str,
    center: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an aligned stack; its metadata say that it is aligned, and with what.

    Parameters
    ----------
    path : path
        ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``.
    stack : (n_angles, n_rows, n_columns[, n_channels]) array
        The rotation axis vertical; turned back for a scan whose axis is horizontal.
    scan : Scan
        What it was made from.
    aligned_with : str
        With which shifts, and how.
    center : float, optional
        Column of the rotation axis in ``stack``, default the middle.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError, DiskFull, ValueError
        See `StackOutput`; or an axis that is not in the middle, in a format that cannot say so.
    """
    middle = (stack.shape[2] - 1) / 2
    if center is not None and center != middle and not holds_center(path):
        raise ValueError(
            f"{path}: the axis is at column {center:g} and not in the middle, {middle:g}, which "
            "TIFF and MRC cannot say; write HDF5, or apply the shifts to the scan with apply_shifts"
        )
    turned = turn_projections(stack, scan.rotation_axis)
    info = StackInfo(
        angles=scan.angles,
        pixel_size=scan.pixel_size,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=aligned_with,
        channels=scan.channels,
        extra={} if center is None else {"rotation_center": center},
    )
    return _whole(path, turned, info).write(overwrite=overwrite)


def _whole(path: PathLike, values: NDArray[np.generic], info: StackInfo) -> StackOutput:
    """Return what is in memory already as it is to be written."""
    return StackOutput(Path(path), Content(values.shape, info, Pieces.whole(values)))


def write_volume(
    path: PathLike,
    volume: NDArray[np.generic],
    scan: Scan,
    *,
    aligned_with: str = "",
    binning: int = 1,
    overwrite: bool = False,
) -> Path:
    """Write a reconstruction, in the axes of the image as measured.

    Parameters
    ----------
    path : path
        ``.h5``, ``.zarr``, ``.tif`` or ``.mrc``.
    volume : (n_slices, n_y, n_x) array
        About a vertical axis.
    scan : Scan
        What it was made from.
    aligned_with : str
        With which shifts.
    binning : int
        Of the volume against the scan.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError, DiskFull, ValueError
        See `StackOutput`.
    """
    turned = turn_volume(volume, scan.rotation_axis)
    info = StackInfo(
        pixel_size=None if scan.pixel_size is None else scan.pixel_size * binning,
        pixel_unit=scan.pixel_unit,
        rotation_axis=scan.rotation_axis,
        aligned_with=aligned_with,
        extra={"binning": binning},
    )
    return _whole(path, turned, info).write(overwrite=overwrite)


def write_scan(
    path: PathLike,
    projections: NDArray[np.generic],
    angles: ArrayLike,
    *,
    white: NDArray[np.generic] | None = None,
    dark: NDArray[np.generic] | None = None,
    pixel_size: float | None = None,
    pixel_unit: str = "",
    true_shifts: NDArray[np.float64] | None = None,
    rotation_axis: RotationAxis = "vertical",
    overwrite: bool = False,
) -> Path:
    """Write a scan as a beamline does, in the Data Exchange layout, ``theta`` in degrees.

    Parameters
    ----------
    path : path
        Such as ``scan.h5``.
    projections : (n_angles, n_rows, n_columns[, n_channels]) array
        As measured: counts, or line integrals where there is no ``white``. Its type is kept.
    angles : (n_angles,) array
        Radians.
    white, dark : (n, n_rows, n_columns) array, optional
        Flat and dark fields.
    pixel_size, pixel_unit : float, str
        Edge of a pixel.
    true_shifts : (n_angles, 2) array, optional
        Of a simulated scan, in the axes of ``projections``.
    rotation_axis : {"vertical", "horizontal"}
        In ``projections``.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError, DiskFull
        See `StackOutput`.
    ValueError
        A pixel size that is no length.
    """
    import h5py

    if pixel_size is not None and not 0 < pixel_size < math.inf:
        raise ValueError(f"pixel_size must be a length above 0, or None; got {pixel_size}")
    info = StackInfo(pixel_size=pixel_size, pixel_unit=pixel_unit, rotation_axis=rotation_axis)
    with atomic_path(path, overwrite=overwrite) as aside:
        require_room(Path(path), projections.nbytes)
        with h5py.File(aside, "w") as file:
            file.attrs["creator"] = CREATOR
            file["implements"] = "exchange"
            exchange = file.create_group("exchange")
            options: dict[str, Any] = {"compression": "gzip", "shuffle": True}
            data = exchange.create_dataset("data", data=projections, **options)
            data.attrs.update(info.attributes())
            data.attrs["axes"] = "theta:y:x" + (":channel" if projections.ndim == 4 else "")
            data.attrs["units"] = "counts" if white is not None else "line integrals"
            theta = exchange.create_dataset("theta", data=np.rad2deg(np.asarray(angles)))
            theta.attrs["units"] = "degrees"
            for name, frames in (("data_white", white), ("data_dark", dark)):
                if frames is not None:
                    dataset = exchange.create_dataset(name, data=frames, **options)
                    dataset.attrs["units"] = "counts"
            if true_shifts is not None:
                shifts = file.create_dataset("simulation/shifts", data=true_shifts)
                shifts.attrs["meaning"] = (
                    "true (row, column) displacement of each image in pixels, positive towards "
                    "larger index"
                )
    return Path(path)
