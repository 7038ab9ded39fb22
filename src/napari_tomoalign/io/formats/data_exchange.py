"""Data Exchange, the HDF5 layout of synchrotron tomography."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..angles import in_radians
from ..raw import RawScan, ReadOptions
from ..units import METRES
from . import hdf5

__all__ = ["can_read", "read"]

_DATA, _THETA = "/exchange/data", "/exchange/theta"
_PIXEL_SIZES = (
    "/measurement/instrument/detector/pixel_size",
    "/measurement/instrument/detector/x_pixel_size",
    "/measurement/instrument/detection_system/objective/resolution",
)


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 with ``/exchange/data``."""
    return hdf5.has(path, head, _DATA)


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read projections, angles, flat and dark fields of a Data Exchange file.

    The unit of ``theta`` is what its attribute says, else recognised.

    Raises
    ------
    ScanFileError
        Shapes that do not fit.
    """
    with hdf5.open_hdf5(path) as file:
        dataset = hdf5.dataset_at(file, options.data or _DATA, path)
        source = {"data": hdf5.described(dataset)}
        angles = None
        theta = options.angles_path or (_THETA if _THETA in file else None)
        if theta is not None and not options.angles_known:
            values = hdf5.dataset_at(file, theta, path)
            angles, source["angles"] = in_radians(
                values[()], options.angle_unit or hdf5.text_attribute(values, "units"), values.name
            )
        stack = hdf5.stack_at(path, dataset, n_angles=None if angles is None else len(angles))
        fields: dict[str, NDArray[np.float32]] = {}
        for kind, name in (("white", "/exchange/data_white"), ("dark", "/exchange/data_dark")):
            if name in file and file[name].shape and 0 not in file[name].shape:
                fields[kind] = hdf5.mean_field(file[name], stack.shape[1:3], path)
                source["flats" if kind == "white" else "darks"] = hdf5.described(file[name])
        size, unit = _pixel_size(file, dataset, source)
        aligned = hdf5.text_attribute(dataset, "aligned_with")
        if aligned:
            source["aligned"] = aligned
        axis = hdf5.text_attribute(dataset, "rotation_axis")
        true_shifts = file["/simulation/shifts"][()] if "/simulation/shifts" in file else None
        channels = hdf5.text_attribute(dataset, "channels")
    return RawScan(
        stack,
        angles=angles,
        white=fields.get("white"),
        dark=fields.get("dark"),
        pixel_size=size,
        pixel_unit=unit,
        channels=tuple(channels.split(";")) if channels else (),
        source=source,
        true_shifts=true_shifts,
        rotation_axis=axis,
    )


def _pixel_size(file: Any, dataset: Any, source: dict[str, str]) -> tuple[float | None, str]:
    if "pixel_size" in dataset.attrs:
        source["pixel_size"] = f"attribute of {dataset.name}"
        return float(dataset.attrs["pixel_size"]), hdf5.text_attribute(dataset, "pixel_unit") or ""
    for name in _PIXEL_SIZES:
        if name in file and np.size(file[name]) == 1:
            value = float(np.ravel(file[name][()])[0])
            unit = (hdf5.text_attribute(file[name], "units") or "").strip()
            if np.isfinite(value) and value > 0:
                source["pixel_size"] = name
                return (value * METRES[unit] * 1e9, "nm") if unit in METRES else (value, unit)
    return None, ""
