"""Zarr: an array or a group in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...images.source import ArraySource
from ..angle_files import angles_beside, read_angles
from ..angles import in_radians
from ..errors import ScanFileError
from ..outputs import CREATOR
from ..raw import RawScan, ReadOptions, named_axes, stack_of
from ..units import METRES

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".zarr",)
_MARKS = ("zarr.json", ".zarray", ".zgroup")
_ANGLES = ("angles", "theta")


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the folder is a zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def _open(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ScanFileError(
            f"{path} is zarr, and reading that needs the zarr package, which is not installed "
            "here: pip install 'napari-tomoalign[zarr]'"
        ) from error
    try:
        return zarr.open(str(path), mode="r")
    except Exception as error:  # stores and codecs have no exception in common
        raise ScanFileError(f"{path} cannot be opened as zarr: {error}") from error


def read(path: Path, options: ReadOptions) -> RawScan:
    """Open a zarr array, or the arrays of a group.

    In a group, the projections are the array that ``data`` names, else the finest level that
    OME-NGFF metadata name, else the only array with 3 or 4 dimensions, else ``"0"``. The angles
    are the array ``angles`` or ``theta``, or an attribute of that name, in degrees or radians.

    Raises
    ------
    ScanFileError
        zarr is not installed, or it cannot be told which array holds the projections.
    """
    opened = _open(path)
    options.refuse_unused(path, *(() if hasattr(opened, "shape") else ("data", "angles_path")))
    source: dict[str, str] = {}
    angles = None
    ngff = _Ngff.of(opened)
    if hasattr(opened, "shape"):
        array, name = opened, ""
    else:
        name = ngff.name if ngff and not options.data else _stack_name(opened, path, options)
        array = opened[name]
        ngff = ngff if ngff and name == ngff.name and len(ngff.axes) == array.ndim else None
    if not options.angles_known:
        angles = _find_angles(opened, path, options, source)

    source["data"] = f"{path.name}/{name}, {' x '.join(map(str, array.shape))}, {array.dtype}"
    count = options.n_angles if angles is None else len(angles)
    where = f"{path}/{name}"
    known = ngff is not None and options.angle_axis is None
    stack = stack_of(
        ArraySource(array),
        n_angles=count,
        where=where,
        angle_axis=options.angle_axis,
        axes=named_axes(ngff.letters, array.shape, where) if ngff and known else None,
    )
    size, unit = ngff.pixel(stack.axes[2]) if ngff else (None, "")
    if size is not None:
        source["pixel_size"] = "OME-NGFF metadata"
    said = opened.attrs.get(CREATOR, {})  # what this program writes
    if "pixel_size" in said:
        size, unit = float(said["pixel_size"]), str(said["pixel_unit"])
        source["pixel_size"] = f"attribute {CREATOR}"
    if "aligned_with" in said:
        source["aligned"] = str(said["aligned_with"])
    return RawScan(
        stack,
        angles=angles,
        pixel_size=size,
        pixel_unit=unit,
        channels=tuple(filter(None, str(said.get("channels", "")).split(";"))),
        source=source,
        rotation_axis=said.get("rotation_axis"),
    )


@dataclass(frozen=True)
class _Ngff:
    """What OME-NGFF metadata say of the finest level.

    Attributes
    ----------
    name : str
        Of its array.
    axes : tuple of mapping
        ``name`` and ``unit`` of each axis.
    scale : tuple of float
        Along each axis; empty where it is not said.
    """

    name: str
    axes: tuple[dict[str, str], ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, opened: Any) -> _Ngff | None:
        """Return the metadata of a group, in the place of version 0.4 or of 0.5."""
        said = dict(opened.attrs)
        scales = said.get("ome", said).get("multiscales") or [{}]
        axes, levels = scales[0].get("axes"), scales[0].get("datasets")
        if not axes or not levels or not all(isinstance(axis, dict) for axis in axes):
            return None
        changes = levels[0].get("coordinateTransformations", ())
        scale = next((one["scale"] for one in changes if one.get("type") == "scale"), ())
        return cls(str(levels[0]["path"]).strip("/"), tuple(axes), tuple(map(float, scale)))

    @property
    def letters(self) -> str:
        """One letter an axis."""
        return "".join(axis["name"][:1].upper() for axis in self.axes)

    def pixel(self, axis: int) -> tuple[float | None, str]:
        """Return the edge of a pixel along an axis, in nm."""
        unit = self.axes[axis].get("unit", "")
        if axis >= len(self.scale) or unit not in METRES:
            return None, ""
        return self.scale[axis] * METRES[unit] * 1e9, "nm"


def _stack_name(group: Any, path: Path, options: ReadOptions) -> str:
    arrays = dict(_arrays_in(group))
    stacks = [name for name, array in arrays.items() if len(array.shape) in (3, 4)]
    wanted = (options.data or "").strip("/")
    if wanted in arrays:
        return wanted
    if options.data is None and "0" in stacks:
        return "0"
    if options.data is None and len(stacks) == 1:
        return stacks[0]
    inside = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no arrays"
    raise ScanFileError(
        f"{path}: cannot tell which array holds the projections; in it are {inside}. Name it, for "
        f"example data={(stacks or ['projections'])[0]!r} (--data)"
    )


def _arrays_in(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, array in group.arrays():
        yield prefix + name, array
    for name, below in group.groups():
        yield from _arrays_in(below, f"{prefix}{name}/")


def _is_array(item: Any) -> bool:
    return hasattr(item, "shape")


def _find_angles(
    opened: Any, path: Path, options: ReadOptions, source: dict[str, str]
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    named = options.angles_path
    is_group = not _is_array(opened)
    if named is not None:
        if not is_group or named not in opened:
            raise ScanFileError(f"{path} has no array {named!r} of angles")
        angles, source["angles"] = in_radians(opened[named][...], options.angle_unit, named)
        return angles
    for name in _ANGLES:
        if is_group and name in opened:
            unit = options.angle_unit or opened[name].attrs.get("units")
            angles, source["angles"] = in_radians(opened[name][...], unit, name)
            return angles
        if name in opened.attrs:
            angles, source["angles"] = in_radians(
                opened.attrs[name], options.angle_unit, f"attribute {name}"
            )
            return angles
    beside = angles_beside(path)
    if beside is None:
        return None
    angles, source["angles"] = read_angles(beside, options.angle_unit)
    return angles
