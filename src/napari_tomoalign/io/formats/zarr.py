"""Zarr: an array or a group in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...images.source import ArraySource
from ..angles import angles_beside, in_radians, read_angles
from ..errors import ScanFileError
from ..raw import RawScan, ReadOptions, stack_of

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

    In a group, the projections are the array that ``data`` names, else the only one with 3 or 4
    dimensions, else ``"0"``, the finest level of a pyramid. The angles are the array ``angles``
    or ``theta``, or an attribute of that name, in degrees or radians.

    Raises
    ------
    ScanFileError
        zarr is not installed, or it cannot be told which array holds the projections.
    """
    opened = _open(path)
    source: dict[str, str] = {}
    angles = None
    if hasattr(opened, "shape"):
        array, name = opened, ""
    else:
        name = _stack_name(opened, path, options)
        array = opened[name]
    if not options.angles_known:
        angles = _find_angles(opened, path, options, source)

    source["data"] = f"{path.name}/{name}, {' x '.join(map(str, array.shape))}, {array.dtype}"
    count = options.n_angles if angles is None else len(angles)
    stack = stack_of(
        ArraySource(array),
        n_angles=count,
        where=f"{path}/{name}",
        angle_axis=options.angle_axis,
    )
    return RawScan(stack, angles=angles, source=source)


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
