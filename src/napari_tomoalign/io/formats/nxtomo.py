"""NeXus NXtomo: projections, flat and dark fields in one stack, told apart by ``image_key``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..angles import in_radians
from ..errors import ScanFileError
from ..raw import RawScan, ReadOptions
from ..shifts.other_programs import from_nxtomo
from ..units import METRES
from . import hdf5

__all__ = ["can_read", "read"]

_PROJECTION, _FLAT, _DARK = 0, 1, 2


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 with an entry of NXtomo."""
    if not head.startswith(hdf5.MAGIC):
        return False
    try:
        with hdf5.open_hdf5(path) as file:
            return _entry(file) is not None
    except ScanFileError:
        return False


def _entry(file: Any) -> str | None:
    for name in file:
        entry = file.get(name)
        if hasattr(entry, "keys") and "instrument/detector/image_key" in entry:
            return f"/{name}"
    return None


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the projections of an NXtomo entry, with the fields and translations beside them.

    Raises
    ------
    ScanFileError
        Something that an NXtomo must have is missing, or shapes do not fit.
    """
    with hdf5.open_hdf5(path) as file:
        entry = _entry(file)
        detector, sample = f"{entry}/instrument/detector", f"{entry}/sample"
        dataset = hdf5.dataset_at(file, options.data or f"{detector}/data", path)
        keys = np.asarray(hdf5.dataset_at(file, f"{detector}/image_key", path)[()]).ravel()
        if len(keys) != dataset.shape[0]:
            raise ScanFileError(
                f"{path}: image_key has {len(keys)} entries for {dataset.shape[0]} frames; there "
                "must be one for each"
            )
        frames = {key: np.flatnonzero(keys == key) for key in (_PROJECTION, _FLAT, _DARK)}
        projections = frames[_PROJECTION]
        if not projections.size:
            raise ScanFileError(f"{path}: no frame has image_key 0, so there are no projections")
        source = {"data": f"{hdf5.described(dataset)}, {len(projections)} of them projections"}
        angles = None
        if not options.angles_known:
            name = options.angles_path or f"{sample}/rotation_angle"
            theta = hdf5.dataset_at(file, name, path)
            values = _per_frame(theta[()], len(keys), theta.name, path)[projections]
            angles, source["angles"] = in_radians(
                values, options.angle_unit or hdf5.text_attribute(theta, "units"), theta.name
            )
        stack = hdf5.stack_at(path, dataset, n_angles=None, frames=projections)
        fields: dict[str, NDArray[np.float32]] = {}
        for key, kind, words in ((_FLAT, "white", "flats"), (_DARK, "dark", "darks")):
            if frames[key].size:
                fields[kind] = hdf5.mean_field(dataset, stack.shape[1:3], path, frames[key])
                source[words] = f"{frames[key].size} frames with image_key {key}"
        pixel = _length(file, f"{detector}/x_pixel_size")
        if pixel is not None:
            source["pixel_size"] = f"{detector}/x_pixel_size"
        shifts = _translations(file, sample, pixel, len(keys), path, source)
    others = len(keys) - sum(indices.size for indices in frames.values())
    return RawScan(
        stack,
        angles=angles,
        white=fields.get("white"),
        dark=fields.get("dark"),
        pixel_size=None if pixel is None else pixel * 1e9,
        pixel_unit="" if pixel is None else "nm",
        source=source,
        initial_shifts=None if shifts is None else shifts[projections],
        notes=(f"{others} frames with another image_key were left out",) if others else (),
    )


def _per_frame(values: Any, count: int, name: str, path: Path) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if len(array) != count:
        raise ScanFileError(
            f"{path}: {name} has {len(array)} entries for {count} frames; there must be one for "
            "each"
        )
    return array


def _length(file: Any, name: str) -> float | None:
    """Return a length in metres, or None."""
    dataset = file.get(name)
    if dataset is None:
        return None
    value = float(np.ravel(dataset[()])[0])
    unit = hdf5.text_attribute(dataset, "units") or "m"
    return value * METRES[unit] if unit in METRES and value > 0 else None


def _translations(
    file: Any, sample: str, pixel: float | None, count: int, path: Path, source: dict[str, str]
) -> NDArray[np.float64] | None:
    """Return the shifts that the translations of the sample cause, relative to their median."""
    found = []
    for name in (f"{sample}/x_translation", f"{sample}/y_translation"):
        dataset = file.get(name)
        unit = "m" if dataset is None else hdf5.text_attribute(dataset, "units") or "m"
        if dataset is None or np.size(dataset) != count or unit not in METRES:
            found.append(np.zeros(count))
            continue
        values = _per_frame(dataset[()], count, name, path) * METRES[unit]
        found.append(values - np.median(values))
    if not np.any(found):
        return None
    if pixel is None:
        source["translations"] = (
            f"{sample}/x_translation, y_translation: of no use without a pixel size"
        )
        return None
    shifts = from_nxtomo(found[0], found[1], pixel)
    source["translations"] = (
        f"{sample}/x_translation, y_translation: up to {np.abs(shifts).max():.3g} px from their "
        "median, fit for initial shifts"
    )
    return shifts
