"""HyperSpy's ``.hspy``: HDF5 with the axes of the signal described beside the data.

Source: https://hyperspy.org/rosettasciio/file_specification/hspy.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..angles import in_radians
from ..hdf5_file import Hdf5Dataset, Hdf5File, number_of, text_of
from ..raw import RawScan, ReadOptions, stack_of
from ..units import METRES
from . import hdf5

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".hspy",)
_EXPERIMENTS = "/Experiments"
_TILTS = "metadata/Acquisition_instrument/TEM/Stage"


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 with ``/Experiments``."""
    return hdf5.has(path, head, _EXPERIMENTS)


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read a signal with its tilt axis, or with the tilts of its metadata.

    Raises
    ------
    ScanFileError
        Several signals, of which none was chosen.
    """
    options.refuse_unused(path, "data")
    with Hdf5File(path, options.inflate) as file:
        found = [
            one.name
            for one in file.walk(_EXPERIMENTS)
            if one.name.endswith("/data") and one.name.count("/") == 3
        ]
        name = options.data or hdf5.only_one(path, found)
        dataset = file.dataset(name)
        group = name.rpartition("/")[0]
        axes = [file.find(f"{group}/axis-{at}") for at in range(len(dataset.shape))]
        source = {"data": dataset.described}
        angles = None
        tilted = next((at for at, axis in enumerate(axes) if _is_tilt(axis)), None)
        if tilted is not None and not options.angles_known:
            angles, source["angles"] = in_radians(
                _values(axes[tilted], dataset.shape[tilted]),
                options.angle_unit or text_of(axes[tilted], "units"),
                f"axis {text_of(axes[tilted], 'name')}",
            )
        elif not options.angles_known:
            angles = _stage(file, f"{group}/{_TILTS}", dataset, source)
        navigated = [at for at, axis in enumerate(axes) if _is_navigated(axis)]
        first = tilted if tilted is not None else navigated[0] if len(navigated) == 1 else None
        stack = stack_of(
            dataset.store,
            n_angles=options.n_angles if angles is None else len(angles),
            where=dataset.where,
            angle_axis=first if options.angle_axis is None else options.angle_axis,
        )
        size, unit = _pixel(axes[stack.axes[2]])
    if size is not None:
        source["pixel_size"] = "the scale of the columns' axis"
    return RawScan(stack, angles=angles, pixel_size=size, pixel_unit=unit, source=source)


def _is_tilt(axis: Any) -> bool:
    if axis is None:
        return False
    name, unit = (str(text_of(axis, key) or "").lower() for key in ("name", "units"))
    return unit.startswith(("deg", "°", "rad")) or any(
        w in name for w in ("tilt", "angle", "theta")
    )


def _is_navigated(axis: Any) -> bool:
    return axis is not None and number_of(axis, "navigate") == 1


def _values(axis: Any, count: int) -> NDArray[np.float64]:
    """Return the values along an axis: stored one by one, or as offset and scale."""
    listed = axis.get("axis")
    if listed is not None and listed.shape == (count,):
        return np.asarray(listed[()], dtype=np.float64)
    offset, scale = number_of(axis, "offset") or 0.0, number_of(axis, "scale")
    return np.asarray(offset + (1.0 if scale is None else scale) * np.arange(count), np.float64)


def _stage(
    file: Hdf5File, name: str, dataset: Hdf5Dataset, source: dict[str, str]
) -> NDArray[np.float64] | None:
    """Return the tilts that the metadata have for the stage, where there is one for each image."""
    found = file.optional(f"{name}/tilt_alpha")
    if found is None or len(found.shape) != 1 or found.shape[0] not in dataset.shape:
        return None
    angles, source["angles"] = in_radians(found.values(), "degrees", "tilt_alpha of the stage")
    return angles


def _pixel(axis: Any) -> tuple[float | None, str]:
    scale = None if axis is None else number_of(axis, "scale")
    unit = "" if axis is None else str(text_of(axis, "units") or "")
    if scale is None or unit not in METRES:
        return None, ""
    return scale * METRES[unit] * 1e9, "nm"
