"""Data Exchange, the HDF5 layout of synchrotron tomography."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..angles import in_radians
from ..hdf5_file import Hdf5Dataset, Hdf5File, number_of
from ..raw import RawScan, ReadOptions, stack_of
from ..units import METRES
from . import hdf5

__all__ = ["can_read", "read"]

_DATA, _THETA = "/exchange/data", "/exchange/theta"
_START, _STEP = (f"/process/acquisition/rotation/rotation_{name}" for name in ("start", "step"))
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

    Angles are ``theta``, else ``rotation_start`` and ``rotation_step``. The layout has them in
    degrees, whatever their range, unless an attribute says otherwise.

    Raises
    ------
    ScanFileError
        Shapes that do not fit.
    """
    options.refuse_unused(path, "data", "angles_path", "flats", "darks")
    with Hdf5File(path, options.inflate) as file:
        dataset = file.dataset(options.data or _DATA)
        source = {"data": dataset.described}
        notes: tuple[str, ...] = ()
        angles = None
        theta = options.angles_path or (_THETA if file.has(_THETA) else None)
        if theta is not None and not options.angles_known:
            angles, source["angles"] = hdf5.read_angles_at(file, theta, options, "degrees")
            notes = _doubt(file.dataset(theta), angles, options)
        stack = stack_of(
            dataset.store,
            n_angles=options.n_angles if angles is None else len(angles),
            where=dataset.where,
            angle_axis=options.angle_axis,
        )
        if theta is None and not options.angles_known:
            angles = _evenly(file, stack.shape[0], source)
        flats, darks = (
            given or (name if file.optional(name) else None)
            for given, name in (
                (options.flats, "/exchange/data_white"),
                (options.darks, "/exchange/data_dark"),
            )
        )
        fields = hdf5.fields_of(file, stack, flats, darks)
        size, unit = _pixel_size(file, dataset, source)
        aligned = dataset.text("aligned_with")
        if aligned:
            source["aligned"] = aligned
        true_shifts = file.optional("/simulation/shifts")
        return RawScan(
            stack,
            angles=angles,
            white=fields.white,
            dark=fields.dark,
            pixel_size=size,
            pixel_unit=unit,
            channels=_channels(file, dataset, stack.shape),
            source={**source, **fields.source},
            true_shifts=None if true_shifts is None else true_shifts.values(),
            rotation_axis=dataset.text("rotation_axis"),
            notes=notes,
        )


def _doubt(
    theta: Hdf5Dataset, angles: NDArray[np.float64], options: ReadOptions
) -> tuple[str, ...]:
    """Say it where angles that state no unit would make a better scan as radians."""
    stated = options.angle_unit or theta.text("units")
    values = np.rad2deg(angles)
    if stated or not 3 < np.ptp(values) < 6.6:  # degrees that are half a turn to one in radians
        return ()
    return (
        f"{theta.name} goes from {values.min():.4g} to {values.max():.4g} and states no unit: "
        "taken as degrees, as Data Exchange has them; if they are radians, say "
        "angle_unit='radians' (--angle-unit radians)",
    )


def _evenly(file: Hdf5File, count: int, source: dict[str, str]) -> NDArray[np.float64] | None:
    start, step = file.optional(_START), file.optional(_STEP)
    if start is None or step is None:
        return None
    first, by = (float(np.ravel(one.values())[0]) for one in (start, step))
    angles, source["angles"] = in_radians(
        first + by * np.arange(count), "degrees", f"{_START}, {_STEP}"
    )
    return angles


def _channels(file: Hdf5File, dataset: Hdf5Dataset, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the channels: our own attribute, or a fluorescence scan's elements."""
    said = dataset.text("channels")
    if said:
        return tuple(said.split(";"))
    elements = file.optional("/exchange/elements")
    if elements is None or len(shape) != 4 or len(elements.shape) != 1:
        return ()
    return tuple(
        name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        for name in elements.values().tolist()
    )


def _pixel_size(
    file: Hdf5File, dataset: Hdf5Dataset, source: dict[str, str]
) -> tuple[float | None, str]:
    own = number_of(dataset.item, "pixel_size")
    if own is not None:
        source["pixel_size"] = f"attribute of {dataset.name}"
        return own, dataset.text("pixel_unit") or ""
    for name in _PIXEL_SIZES:
        found = file.optional(name)
        value = found.number() if found is not None and found.shape in ((), (1,)) else None
        if found is not None and value:
            unit = (found.text("units") or "").strip()
            source["pixel_size"] = name
            return (value * METRES[unit] * 1e9, "nm") if unit in METRES else (value, unit)
    return None, ""
