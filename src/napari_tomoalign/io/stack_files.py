"""Stacks and volumes of any size to a file: HDF5, TIFF or MRC by its suffix."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis
from .atomic import atomic_path, refuse_existing, require_room
from .outputs import CREATOR
from .units import METRES

__all__ = ["StackInfo", "holds_center", "stack_outputs", "write_stack"]

PathLike = str | os.PathLike[str]
_HDF5 = (".h5", ".hdf5", ".hdf", ".nxs")
_TIFF = (".tif", ".tiff")
_MRC = (".mrc", ".ali", ".st", ".rec")


@dataclass(frozen=True, eq=False)
class StackInfo:
    """What is written beside the values of a stack or a volume.

    Attributes
    ----------
    angles : (n_angles,) array, optional
        Radians; None for a volume.
    pixel_size : float, optional
        In ``pixel_unit``.
    pixel_unit : str
        Such as ``"nm"``.
    rotation_axis : {"vertical", "horizontal"}
        Of the image as measured.
    aligned_with : str
        With which shifts, and how; empty where the stack is not aligned.
    channels : tuple of str
        Names.
    extra : mapping of str to object
        More attributes, plain values.
    """

    angles: NDArray[np.float64] | None = None
    pixel_size: float | None = None
    pixel_unit: str = ""
    rotation_axis: RotationAxis = "vertical"
    aligned_with: str = ""
    channels: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """Return all but the angles as plain values, for a file's metadata."""
        values: dict[str, Any] = {"rotation_axis": self.rotation_axis, **self.extra}
        if self.pixel_size is not None:
            values |= {"pixel_size": self.pixel_size, "pixel_unit": self.pixel_unit}
        if self.aligned_with:
            values["aligned_with"] = self.aligned_with
        if self.channels:
            values["channels"] = ";".join(self.channels)
        return values


def stack_outputs(path: PathLike) -> tuple[Path, ...]:
    """Return the files that a stack with angles is written to: beside TIFF and MRC, a ``.tlt``."""
    path = Path(path)
    return (path,) if path.suffix.lower() in _HDF5 else (path, path.with_suffix(".tlt"))


def holds_center(path: PathLike) -> bool:
    """Tell whether a stack's format, by its suffix, can say where the rotation axis is."""
    return Path(path).suffix.lower() in _HDF5


def write_stack(
    path: PathLike,
    blocks: Iterable[NDArray[np.generic]],
    shape: tuple[int, ...],
    info: StackInfo,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a stack of any size, block by block, as it lies in the blocks.

    Parameters
    ----------
    path : path
        ``.h5`` (Data Exchange layout), ``.tif`` or ``.mrc``. Beside the last two a ``.tlt`` file
        is written with the angles.
    blocks : iterable of arrays
        Along the first axis, in their order.
    shape : tuple of int
        Of the whole.
    info : StackInfo
        What is written beside the values.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    ValueError
        An unknown suffix, or channels in a format that has none.
    FileExistsError
        There is a file, and ``overwrite`` is off.
    DiskFull
        There is no room.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    known = (*_HDF5, *_TIFF, *_MRC)
    if suffix not in known:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; known are {', '.join(known)}")
    if len(shape) == 4 and suffix not in _HDF5:
        raise ValueError(f"{path}: several channels fit into HDF5 only; take the suffix .h5")
    beside = stack_outputs(path)[1:] if info.angles is not None else ()
    for file in beside:
        refuse_existing(file, overwrite=overwrite)
    with atomic_path(path, overwrite=overwrite) as aside:
        require_room(path, 4 * int(np.prod(shape)))
        if suffix in _HDF5:
            _write_hdf5(aside, blocks, shape, info)
        elif suffix in _TIFF:
            _write_tiff(aside, blocks, shape, info)
        else:
            _write_mrc(aside, blocks, shape, info)
    if info.angles is not None:
        for file in beside:
            with atomic_path(file, overwrite=overwrite) as aside:
                np.savetxt(aside, np.rad2deg(info.angles), fmt="%.6f")
    return path


def _write_hdf5(
    path: Path, blocks: Iterable[NDArray[np.generic]], shape: tuple[int, ...], info: StackInfo
) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["creator"] = CREATOR
        file["implements"] = "exchange"
        name = "/exchange/data" if info.angles is not None else "/reconstruction/volume"
        dataset = file.create_dataset(name, shape=shape, dtype=np.float32)
        start = 0
        for block in blocks:
            dataset[start : start + len(block)] = block
            start += len(block)
        dataset.attrs.update(info.attributes())
        if info.angles is not None:
            dataset.attrs["axes"] = "theta:y:x" + (":channel" if len(shape) == 4 else "")
            dataset.attrs["description"] = "line integrals"
            file["/exchange/theta"] = np.rad2deg(info.angles)
            file["/exchange/theta"].attrs["units"] = "degrees"


def _write_tiff(
    path: Path, blocks: Iterable[NDArray[np.generic]], shape: tuple[int, ...], info: StackInfo
) -> None:
    import tifffile

    def images() -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            for image in block:
                yield np.ascontiguousarray(image, dtype=np.float32)

    tifffile.imwrite(
        path,
        images(),
        shape=shape,
        dtype=np.float32,
        photometric="minisblack",
        description=json.dumps({CREATOR: info.attributes()}),
        metadata=None,
        bigtiff=4 * int(np.prod(shape)) > 2**31,
    )


def _write_mrc(
    path: Path, blocks: Iterable[NDArray[np.generic]], shape: tuple[int, ...], info: StackInfo
) -> None:
    import mrcfile
    from mrcfile.dtypes import HEADER_DTYPE

    with mrcfile.new(path, data=np.zeros((1, 1, 1), dtype=np.float32), overwrite=True) as file:
        done = f"aligned by {CREATOR}: {info.aligned_with}"
        file.add_label(done[:80] if info.aligned_with else f"written by {CREATOR}")
    metres = METRES.get(info.pixel_unit)
    angstrom = 1.0 if info.pixel_size is None or metres is None else info.pixel_size * metres * 1e10
    # written block by block and not mapped into memory: there, a full disk ends the whole program
    with path.open("r+b") as raw:
        header = np.frombuffer(raw.read(HEADER_DTYPE.itemsize), dtype=HEADER_DTYPE)[0].copy()
        sums = []
        for block in blocks:
            values = np.ascontiguousarray(block, dtype=np.float32)
            raw.write(values.data)
            wide = values.astype(np.float64)
            sums.append((wide.min(), wide.max(), wide.sum(), (wide**2).sum()))
        lows, highs, totals, squares = np.transpose(sums)
        header["nz"], header["ny"], header["nx"] = shape
        header["mz"], header["my"], header["mx"] = shape
        header["cella"] = tuple(angstrom * size for size in reversed(shape))
        header["dmin"], header["dmax"] = lows.min(), highs.max()
        mean = totals.sum() / np.prod(shape)
        header["dmean"] = mean
        header["rms"] = np.sqrt(max(0.0, squares.sum() / np.prod(shape) - mean**2))
        raw.seek(0)
        raw.write(header.tobytes())
