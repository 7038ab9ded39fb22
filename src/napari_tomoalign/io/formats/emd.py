"""EMD, two HDF5 layouts of electron microscopy: Berkeley's (NCEM, tomviz) and Velox's.

Sources: https://emdatasets.com/format/ for the first; the second has no public description, and is
read as HyperSpy and ncempy do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..angles import in_radians
from ..errors import ScanFileError
from ..hdf5_file import Hdf5Dataset, Hdf5File, is_hdf5, number_of
from ..raw import RawScan, ReadOptions, stack_of
from ..units import METRES
from . import hdf5

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".emd",)
_VELOX = "/Data/Image"


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the file is HDF5 with a group that says that it is EMD's, or Velox's images."""
    if not is_hdf5(head):
        return False
    try:
        with Hdf5File(path) as file:
            return file.has(_VELOX) or bool(_berkeley(file))
    except ScanFileError:
        return False


def _berkeley(file: Hdf5File) -> list[str]:
    """Return the names of the data of all groups that are marked as EMD's."""
    return [
        one.name
        for one in file.walk()
        if one.name.endswith("/data")
        and len(one.shape) >= 3
        and number_of(one.item.parent, "emd_group_type") == 1
    ]


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the images, and the angles that stand beside them.

    Raises
    ------
    ScanFileError
        Several data sets, of which none was chosen.
    """
    options.refuse_unused(path, "data")
    with Hdf5File(path, options.inflate) as file:
        if not file.has(_VELOX):
            name = options.data or hdf5.only_one(path, _berkeley(file))
            return _read_berkeley(file, file.dataset(name), options)
        found = [one.name for one in file.walk(_VELOX) if one.name.endswith("/Data")]
        return _read_velox(file, file.dataset(options.data or hdf5.only_one(path, found)), options)


def _read_berkeley(file: Hdf5File, dataset: Hdf5Dataset, options: ReadOptions) -> RawScan:
    group = dataset.name.rpartition("/")[0]
    dims = [file.optional(f"{group}/dim{at + 1}") for at in range(len(dataset.shape))]
    names = ["" if dim is None else (dim.text("name") or "").lower() for dim in dims]
    units = [_plain("" if dim is None else dim.text("units") or "") for dim in dims]
    source = {"data": dataset.described}
    tilted = next(
        (
            at
            for at, (name, unit) in enumerate(zip(names, units, strict=True))
            if unit.startswith(("deg", "rad")) or any(w in name for w in ("angle", "tilt", "theta"))
        ),
        None,
    )
    angles = None
    dim = None if tilted is None else dims[tilted]
    if dim is not None and tilted is not None and not options.angles_known:
        unit = options.angle_unit or units[tilted]
        angles, source["angles"] = in_radians(dim.values(), unit, dim.name)
    axes = None
    if tilted is not None and {"x", "y"} <= set(names) and len(names) == 3:
        axes = (tilted, names.index("y"), names.index("x"))
    stack = stack_of(
        dataset.store,
        n_angles=options.n_angles if angles is None else len(angles),
        where=dataset.where,
        angle_axis=tilted if axes is None and options.angle_axis is None else options.angle_axis,
        axes=axes,
    )
    columns = dims[stack.axes[2]]
    size = None
    unit = units[stack.axes[2]]
    if columns is not None and columns.shape[0] > 1 and unit in METRES:
        first, second = columns.values()[:2]
        size = abs(float(second) - float(first)) * METRES[unit] * 1e9 or None
    # tomviz turns about its x; in files of others nothing is said
    axis = "horizontal" if axes is not None and group.endswith("/tomography") else None
    return RawScan(
        stack,
        angles=angles,
        pixel_size=size,
        pixel_unit="" if size is None else "nm",
        source=source,
        rotation_axis=axis,
        notes=() if axis is None else ("the tilt axis is horizontal, as tomviz has it",),
    )


def _plain(unit: str) -> str:
    """Return a unit without the brackets and underscores of EMD: ``[n_m]`` is nm."""
    return unit.strip("[]").replace("_", "")


def _read_velox(file: Hdf5File, dataset: Hdf5Dataset, options: ReadOptions) -> RawScan:
    """Read images that lie as (row, column, image), each with a text of metadata."""
    source = {"data": dataset.described}
    stack = stack_of(
        dataset.store,
        n_angles=dataset.shape[-1],
        where=dataset.where,
        axes=(2, 0, 1) if len(dataset.shape) == 3 else None,
        angle_axis=options.angle_axis,
    )
    texts = file.optional(f"{dataset.name.rpartition('/')[0]}/Metadata")
    said = [] if texts is None else _metadata(texts, stack.shape[0])
    angles = None
    tilts = [_deep(one, "Stage", "AlphaTilt") for one in said]
    tilted = bool(tilts) and None not in tilts and np.ptp(np.array(tilts, float)) > 0
    if tilted and not options.angles_known:
        angles, source["angles"] = in_radians(
            np.array(tilts, float), "radians", "AlphaTilt of the images' metadata"
        )
    width = _deep(said[0], "BinaryResult", "PixelSize", "width") if said else None
    size = None if width is None or not 0 < float(width) < 1 else float(width) * 1e9
    return RawScan(
        stack,
        angles=angles,
        pixel_size=size,
        pixel_unit="" if size is None else "nm",
        source=source,
    )


def _metadata(texts: Hdf5Dataset, count: int) -> list[Any]:
    """Return the metadata of each image; a column of bytes is one text."""
    if len(texts.shape) != 2 or texts.shape[1] != count:
        return []
    columns = np.asarray(texts.values(), dtype=np.uint8).T
    try:
        return [json.loads(column.tobytes().split(b"\0")[0]) for column in columns]
    except ValueError:
        return []


def _deep(item: Any, *keys: str) -> Any:
    for key in keys:
        item = item.get(key) if isinstance(item, dict) else None
    return item
