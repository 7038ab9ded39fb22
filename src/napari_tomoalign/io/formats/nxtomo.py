"""NeXus: projections, flat and dark fields in one stack, told apart by ``image_key``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..conventions import from_nxtomo
from ..errors import ScanFileError
from ..hdf5_file import Hdf5Dataset, Hdf5File, is_hdf5
from ..raw import RawScan, ReadOptions
from ..units import METRES
from . import hdf5

__all__ = ["can_read", "read"]

_KEYS = ("image_key_control", "image_key")
"""Names of the keys, the better first: only the control has -1 for alignment frames."""


@dataclass(frozen=True)
class _Detector:
    """A group with frames and their keys, and where the angles and translations are."""

    name: str
    keys: str
    entry: str

    @property
    def data(self) -> str:
        return f"{self.name}/data"

    @property
    def sample(self) -> str:
        return f"{self.entry}/sample"


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 with frames that have an ``image_key``."""
    if not is_hdf5(head):
        return False
    try:
        with Hdf5File(path) as file:
            return bool(_detectors(file))
    except ScanFileError:
        return False


def _detectors(file: Hdf5File) -> list[_Detector]:
    """Return the detectors, at any depth and of any name, each once."""
    found: dict[str, _Detector] = {}
    for dataset in file.walk():
        group, _, last = dataset.name.rpartition("/")
        data = file.find(f"{group}/data") if last in _KEYS else None
        if not isinstance(data, Hdf5Dataset) or len(data.shape) < 3:
            continue
        keys = next(f"{group}/{name}" for name in _KEYS if file.has(f"{group}/{name}"))
        place = f"{data.path}:{data.item.name}"  # a group of links to it shows the same frames
        if place not in found or "instrument" not in found[place].name:
            found[place] = _Detector(group, keys, _entry_of(file, group))
    return list(found.values())


def _entry_of(file: Hdf5File, group: str) -> str:
    """Return the nearest group above that has a sample."""
    above = group
    while above:
        above = above.rpartition("/")[0]
        if file.has(f"{above}/sample"):
            return above
    return group.rpartition("/")[0]


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the projections of an entry, with the fields and translations beside them.

    Raises
    ------
    ScanFileError
        Something that an NXtomo must have is missing, shapes do not fit, or there are several
        entries and none was chosen.
    """
    with Hdf5File(path, options.inflate) as file:
        detector = _chosen(file, options)
        if detector is None:
            return hdf5.read(path, options)
        dataset = file.dataset(options.data or detector.data)
        keys = file.dataset(options.keys or detector.keys)
        source = {"data": dataset.described}
        angles = None
        if not options.angles_known:
            name = options.angles_path or _angles_name(file, detector)
            angles, source["angles"] = hdf5.read_angles_at(file, name, options)
        scan = hdf5.split_by_keys(dataset, keys, angles, options, source)
        source = dict(scan.source)
        fields = hdf5.fields_of(file, scan.stack, options.flats, options.darks)
        pixel = _length(file, f"{detector.name}/x_pixel_size")
        if pixel is not None:
            source["pixel_size"] = f"{detector.name}/x_pixel_size"
        shifts = _translations(file, detector.sample, pixel, keys.shape[0], source)
    projections = scan.stack.frames
    return replace(
        scan,
        white=scan.white if fields.white is None else fields.white,
        dark=scan.dark if fields.dark is None else fields.dark,
        pixel_size=None if pixel is None else pixel * 1e9,
        pixel_unit="" if pixel is None else "nm",
        source={**source, **fields.source},
        initial_shifts=None if shifts is None else shifts[projections],
    )


def _chosen(file: Hdf5File, options: ReadOptions) -> _Detector | None:
    """Return the detector that is meant, or None where the data named are no detector's."""
    detectors = _detectors(file)
    if options.data is None:
        if len(detectors) > 1:
            names = "; ".join(one.data for one in detectors)
            raise ScanFileError(
                f"{file.path} holds {len(detectors)} scans: {names}. Choose one, for example "
                f"data={detectors[0].data!r} (--data {detectors[0].data}); its keys and angles "
                "come with it"
            )
        return detectors[0]
    named = file.dataset(options.data)
    for one in detectors:
        own = file.dataset(one.data)
        if (own.path, own.item.name) == (named.path, named.item.name):
            return one
    inside = [one for one in detectors if options.data.startswith(f"{one.entry}/")]
    fitting = [one for one in inside if file.dataset(one.keys).shape[0] in named.shape]
    return fitting[0] if len(fitting) == 1 else None


def _angles_name(file: Hdf5File, detector: _Detector) -> str:
    names = (f"{detector.sample}/rotation_angle", f"{detector.name}/rotation_angle")
    return next((name for name in names if file.has(name)), names[0])


def _length(file: Hdf5File, name: str) -> float | None:
    """Return a length in metres, or None."""
    dataset = file.optional(name)
    value = None if dataset is None else dataset.number()
    if dataset is None or value is None:
        return None
    unit = dataset.text("units") or "m"
    return value * METRES[unit] if unit in METRES else None


def _translations(
    file: Hdf5File, sample: str, pixel: float | None, count: int, source: dict[str, str]
) -> NDArray[np.float64] | None:
    """Return the shifts that the translations of the sample cause, relative to their median."""
    found = []
    for name in (f"{sample}/x_translation", f"{sample}/y_translation"):
        dataset = file.optional(name)
        unit = "m" if dataset is None else dataset.text("units") or "m"
        if dataset is None or dataset.shape != (count,) or unit not in METRES:
            found.append(np.zeros(count))
            continue
        values = np.asarray(dataset.values(), dtype=np.float64) * METRES[unit]
        known = np.isfinite(values)
        found.append(values - (np.median(values[known]) if known.any() else 0.0))
    if not np.any(found):
        return None
    if pixel is None or not 0 < pixel < np.inf:
        source["translations"] = (
            f"{sample}/x_translation, y_translation: of no use without a pixel size"
        )
        return None
    shifts = from_nxtomo(found[0], found[1], pixel)
    largest = np.abs(shifts[np.isfinite(shifts)]).max(initial=0.0)
    source["translations"] = (
        f"{sample}/x_translation, y_translation: up to {largest:.3g} px from their median, fit for "
        "initial shifts"
    )
    return shifts
