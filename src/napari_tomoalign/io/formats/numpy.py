"""Arrays that NumPy saved: ``.npy`` and ``.npz``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.source import source_of_array
from ..angle_files import angles_beside, read_angles
from ..angles import in_radians
from ..errors import ScanFileError
from ..limits import refuse_inflated, require_memory
from ..raw import RawScan, ReadOptions, stack_of

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".npy", ".npz")
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_ANGLES = ("angles", "theta")


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the first bytes are NumPy's."""
    return head.startswith(_NPY) or (head.startswith(_ZIP) and b".npy" in head)


def read(path: Path, options: ReadOptions) -> RawScan:
    """Map an ``.npy`` file, or read the arrays of an ``.npz`` file.

    Raises
    ------
    ScanFileError
        The file is truncated, or it cannot be told which array holds the projections.
    """
    source: dict[str, str] = {}
    angles: NDArray[np.float64] | None = None
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY)) == _NPY:
                options.refuse_unused(path)
                array, name = np.load(path, mmap_mode="r", allow_pickle=False), path.name
            else:
                options.refuse_unused(path, "data", "angles_path")
                file.seek(0)
                with np.load(file, allow_pickle=False) as members:
                    array, name, angles = _members(members, path, options, source)
    except ScanFileError:
        raise
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ScanFileError(
            f"{path} cannot be read as a NumPy file: {error}; it seems to be truncated, or to hold "
            "Python objects"
        ) from error
    beside = angles_beside(path)
    if angles is None and beside is not None and not options.angles_known:
        angles, source["angles"] = read_angles(beside, options.angle_unit)
    source["data"] = f"{name}, {' x '.join(map(str, array.shape))}, {array.dtype}"
    count = options.n_angles if angles is None else len(angles)
    stack = stack_of(
        source_of_array(array), n_angles=count, where=str(path), angle_axis=options.angle_axis
    )
    return RawScan(stack, angles=angles, source=source)


def _members(
    file: Any, path: Path, options: ReadOptions, source: dict[str, str]
) -> tuple[NDArray[Any], str, NDArray[np.float64] | None]:
    """Return the projections of an ``.npz`` file, their name, and the angles."""
    arrays = {}
    for info in file.zip.infolist():
        what = f"{path}: {info.filename}"
        refuse_inflated(info.file_size, info.compress_size, what, inflate=options.inflate)
    require_memory(sum(info.file_size for info in file.zip.infolist()), path)
    for name in file.files:
        try:
            arrays[name] = file[name]
        except Exception as error:  # zlib, zipfile and NumPy each have their own
            raise ScanFileError(f"{path}: {name} cannot be read: {error}") from error
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    stacks = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    wanted = options.data or (stacks[0] if len(stacks) == 1 else None)
    if wanted is None and "projections" in stacks:
        wanted = "projections"
    if wanted is None or wanted not in arrays:
        raise ScanFileError(
            f"{path}: cannot tell which array holds the projections; in it are {shapes}. Name it, "
            f"for example data={(stacks or ['projections'])[0]!r} (--data)"
        )
    named = options.angles_path or next((name for name in _ANGLES if name in arrays), None)
    if named is None or options.angles_known:
        return arrays[wanted], wanted, None
    if named not in arrays:
        raise ScanFileError(f"{path} has no array {named!r}; in it are {shapes}")
    angles, source["angles"] = in_radians(arrays[named], options.angle_unit, named)
    return arrays[wanted], wanted, angles
