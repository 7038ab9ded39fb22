"""From a file, whatever it is, to a scan."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._counting import how_many
from ..geometry import RotationAxis, turn_projections
from ..images.source import blocks_of
from .angle_choice import angles_of, one_each, own_angles
from .angles import AngleUnit
from .channels import joined_channels
from .errors import ScanFileError, reading
from .formats import data_exchange, emd, hdf5, hyperspy, mrc, mumott, nxtomo, tiff
from .formats import numpy as numpy_files
from .formats import zarr as zarr_files
from .formats.foreign import advice
from .lazy import LazyProjections
from .limits import require_memory
from .planning import planned
from .preparation import Counts, Preparation
from .raw import RawScan, ReadOptions, sensible
from .scan import Scan
from .selection import (
    Rows,
    channel_names,
    checked_axis,
    checked_binning,
    checked_rows,
    cut_words,
    picked_channels,
)

__all__ = ["SCAN_SUFFIXES", "can_read", "load", "read_scan"]

PathLike = str | os.PathLike[str]

_AT_ONCE = 32
"""Bytes a pixel of a frame while it is prepared: as stored, as float32, masks, and what is made on
the way."""

# In the order in which they are asked. A new format is one module and one entry here.
_READERS: tuple[ModuleType, ...] = (
    data_exchange,
    hyperspy,
    emd,
    nxtomo,
    mumott,
    hdf5,
    tiff,
    numpy_files,
    zarr_files,
    mrc,
)

SCAN_SUFFIXES: tuple[str, ...] = tuple(
    suffix for reader in _READERS for suffix in getattr(reader, "SUFFIXES", ())
)  # some read what has the suffix of another one


def can_read(path: PathLike) -> bool:
    """Tell whether some reader recognises the file by its content; cheap."""
    path = Path(path)
    return path.exists() and _reader_of(path, _head(path)) is not None


def read_scan(
    path: PathLike | Sequence[PathLike],
    *,
    angles: PathLike | ArrayLike | None = None,
    angle_unit: AngleUnit | None = None,
    first_last: tuple[float, float] | None = None,
    angles_from_start: bool = False,
    angles_from_names: bool = False,
    data: str | None = None,
    angles_path: str | None = None,
    flats: str | None = None,
    darks: str | None = None,
    keys: str | None = None,
    angle_axis: int | None = None,
    rotation_axis: RotationAxis | None = None,
    binning: int = 1,
    rows: Rows = None,
    channels: Sequence[int | str] | None = None,
    background: float | str | None = "auto",
    inflate: bool = False,
    normalise: bool = True,
    transmission: bool | None = None,
    lazy: bool = False,
) -> Scan:
    """Read a scan; the format is recognised by the content.

    Parameters
    ----------
    path : path or sequence of paths
        Several files are the channels of one scan.
    angles : path or (n_angles,) array, optional
        A file of angles (``.rawtlt``, ``.tlt``, ``.mdoc``, text, CSV, ``.npy``), or radians.
        Default: those of the file, or of a file beside it.
    angle_unit : {"degrees", "radians"}, optional
        Of the angles, whatever the file says. None: of an array radians, of a file what it says,
        else recognised.
    first_last : (float, float), optional
        In degrees: the angles go evenly from the first to the last, both included.
    angles_from_start : bool
        Where a scan was stopped and there are more angles than projections, the first angles are
        those of the projections.
    angles_from_names : bool
        The angles, in degrees, stand in the names of the images of a folder.
    data, angles_path : str, optional
        Datasets of projections and angles inside an HDF5, zarr or npz file.
    flats, darks, keys : str, optional
        Datasets of flat and dark fields inside an HDF5 file; or of the keys that say of each frame
        what it is: 0 projection, 1 flat, 2 dark.
    angle_axis : int, optional
        Axis of the dataset along which the angles lie. None: the first one, or the only one that
        is as long as there are angles.
    rotation_axis : {"vertical", "horizontal"}, optional
        Direction of the axis in the image as measured. None: what the file says, else vertical.
    binning : int
        Average this many pixels along each side.
    rows : (start, stop) or slice, optional
        Detector rows to read, of the image with its axis vertical, before binning.
    channels : sequence of int or str, optional
        Channels of a 4-D stack to keep.
    background : float, "auto" or None
        Subtracted. ``"auto"``: the mode at the image borders, where the data are counts without
        flat fields, or far below 0. None: nothing.
    inflate : bool
        Read even what is more than a thousand times larger in memory than in the file.
    normalise : bool
        Divide by flat fields where the file has them.
    transmission : bool, optional
        Take ``-log``. None: where flat fields were divided by.
    lazy : bool
        Only open; projections are read when indexed (see `load`).

    Returns
    -------
    Scan
        Line integrals in float32, the axis vertical; weights where pixels are bad.

    Raises
    ------
    FileNotFoundError
        There is nothing at the path.
    ScanFileError
        The file is not what it claims, or lacks something.

    Warns
    -----
    UserWarning
        Evenly spread angles were asked for, but images are missing in between.

    Examples
    --------
    The sample scan, from the folder of the project: opened, and read when it is asked for.

    >>> from napari_tomoalign.io import load, read_scan
    >>> scan = read_scan("sample_data/scan.h5", rows=(10, 50), lazy=True)
    >>> scan.projections.shape  # projection, row, column
    (60, 40, 64)
    >>> scan.preparation[0]
    'divided by the flat field, dark field removed'
    >>> load(scan).projections.dtype
    dtype('float32')
    """
    named = _one_way(angles=angles, first_last=first_last, angles_from_names=angles_from_names)
    own = None if angles is None else own_angles(angles, angle_unit)
    options = ReadOptions(
        data=data,
        angles_path=angles_path,
        flats=flats,
        darks=darks,
        keys=keys,
        n_angles=None if own is None else len(own[0]),
        angles_known=named,
        angle_unit=angle_unit,
        angle_axis=angle_axis,
        inflate=inflate,
    )
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not paths:
        raise ValueError("no file was given; give the path of a scan")
    raw = _opened([Path(one) for one in paths], options)
    found, words = angles_of(raw, own, first_last, angles_from_names, paths[0])
    found, words = one_each(found, words, raw, angles_from_start, paths[0])
    axis, rotations = _seen_from(raw, rotation_axis, named, paths[0])
    preparation, lines = planned(raw, normalise, transmission, background)
    projections = _projections(raw, preparation, axis, binning, rows, channels)
    scan = Scan(
        projections=projections,  # type: ignore[arg-type]  # behaves as an array
        angles=found,
        pixel_size=None if raw.pixel_size is None else raw.pixel_size * binning,
        pixel_unit=raw.pixel_unit,
        rotation_axis=axis,
        channels=channel_names(raw, projections.channels),
        source={
            "file": ", ".join(str(one) for one in paths),
            **raw.source,
            "angles": words,
        },
        preparation=(*raw.notes, *_lost_words(raw), *lines, *cut_words(projections, rows)),
        remarks=(*_order_words(raw), *_lost_words(raw), *raw.notes, *_advice_in(lines)),
        initial_shifts=_turned_shifts(raw.initial_shifts, axis, binning),
        true_shifts=_turned_shifts(raw.true_shifts, axis, binning),
        rotations=rotations,
    )
    return scan if lazy else load(scan)


def _one_way(**ways: Any) -> bool:
    """Say whether angles are given in one of the ways; refuse several."""
    named = [name for name, value in ways.items() if value is not None and value is not False]
    if len(named) > 1:
        raise ValueError(f"both {' and '.join(named)} were given; give one of them")
    return bool(named)


def _seen_from(
    raw: RawScan, asked: RotationAxis | None, angles_given: bool, path: PathLike
) -> tuple[RotationAxis, NDArray[np.float64] | None]:
    """Return the direction of the axis, and the file's rotations where they count."""
    axis = checked_axis(asked or raw.rotation_axis or "vertical")
    rotations = None if angles_given else raw.rotations
    if rotations is not None and axis != raw.rotation_axis:
        raise ValueError(
            f"{path} holds a rotation for each projection, of images whose rows lie as "
            f"rotation_axis={raw.rotation_axis!r} says, got {axis!r}: leave rotation_axis out"
        )
    return axis, rotations


def _projections(
    raw: RawScan,
    preparation: Preparation,
    axis: RotationAxis,
    binning: int,
    rows: Rows,
    channels: Sequence[int | str] | None,
) -> LazyProjections:
    """Return the projections as they are asked for, to be read when they are indexed."""
    projections = LazyProjections(
        raw.stack,
        preparation,
        axis,
        binning=checked_binning(binning),
        rows=checked_rows(rows, raw.stack.shape[1 if axis == "vertical" else 2]),
        channels=picked_channels(channels, raw),
    )
    if 0 in projections.shape[:3]:
        raise ValueError(
            f"binning {binning} leaves nothing of images of {raw.stack.shape[1:3]} pixels; take a "
            "smaller one"
        )
    return projections


def load(scan: Scan) -> Scan:
    """Read and prepare a scan that was only opened, chunk by chunk.

    Parameters
    ----------
    scan : Scan
        As `read_scan` gives it with ``lazy=True``; any other is returned as it is.

    Returns
    -------
    Scan
        Projections in memory, float32; weights where pixels are bad; ``preparation`` with counts.
    """
    lazy: Any = scan.projections
    if not isinstance(lazy, LazyProjections):
        return scan
    counts = Counts()
    require_memory(lazy.nbytes, scan.source.get("file", "the scan"))
    projections = np.empty(lazy.shape, dtype=np.float32)
    weights: NDArray[np.float32] | None = None
    for start, stop in blocks_of(lazy.shape):
        values, share = lazy.prepared(slice(start, stop), counts=counts)
        projections[start:stop] = values
        if share is not None:
            weights = np.ones(lazy.shape[:3], np.float32) if weights is None else weights
            weights[start:stop] = share if share.ndim == 3 else share.min(axis=-1)
    return replace(
        scan,
        projections=projections,
        weights=weights,
        preparation=(*scan.preparation, *counts.words()),
    )


def _head(path: Path) -> bytes:
    if path.is_dir():
        return b""
    with path.open("rb") as file:
        return file.read(1024)


def _reader_of(path: Path, head: bytes) -> ModuleType | None:
    return next((reader for reader in _READERS if reader.can_read(path, head)), None)


def _opened(paths: list[Path], options: ReadOptions) -> RawScan:
    """Return what is in one file, or in several that are the channels of one scan."""
    raws = [_read_raw(path, options) for path in paths]
    for raw, path in zip(raws, paths, strict=True):  # as many as are worked on at once
        require_memory(_AT_ONCE * math.prod(raw.stack.shape[1:]), path)
    return raws[0] if len(raws) == 1 else joined_channels(raws, paths)


def _read_raw(path: Path, options: ReadOptions) -> RawScan:
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder at {path}")
    head = _head(path)
    if not head and path.is_file():
        raise ScanFileError(f"{path} is empty (0 bytes); copy it again from where it came")
    with reading(path):
        reader = _reader_of(path, head)
    if reader is None:
        raise ScanFileError(
            (_folder_advice(path) if path.is_dir() else advice(str(path), head))
            or f"{path} is of no format known here, by its content; known are Data Exchange, NeXus "
            "and other HDF5, HyperSpy, EMD, MRC, TIFF (a stack or a folder), .npy, .npz and zarr"
        )
    with reading(path):
        raw: RawScan = reader.read(path, options)
    return sensible(raw)


def _folder_advice(path: Path) -> str | None:
    """Return what a folder is that is no scan and what to give in its place, where it is clear."""
    if (path / "shifts.h5").is_file():
        return (
            f"{path} is the folder of a run and holds what came of it; give the scan that was "
            "aligned"
        )
    scans = [one.name for one in sorted(path.iterdir()) if one.is_file() and can_read(one)]
    if not scans:
        return None
    return (
        f"{path} is no scan itself; {len(scans)} of its files may be: {', '.join(scans[:5])}"
        f"{' ...' if len(scans) > 5 else ''}; give one of them, or align each (--each)"
    )


def _lost_words(raw: RawScan) -> tuple[str, ...]:
    """Name the frames that are not in the file."""
    lost = np.flatnonzero(raw.stack.lost)
    if not lost.size:
        return ()
    runs = np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1)
    named = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:20])
    return (f"{how_many(lost.size, 'frame')} never written, or not whole: {named}; weight 0",)


def _advice_in(lines: Sequence[str]) -> tuple[str, ...]:
    """Return what was planned that the user may want otherwise."""
    return tuple(line for line in lines if "give " in line)


def _order_words(raw: RawScan) -> tuple[str, ...]:
    order = raw.stack.order
    return (f"the file has its axes in the order {order}, and was read so",) if order else ()


def _turned_shifts(
    shifts: NDArray[np.float64] | None, axis: RotationAxis, binning: int
) -> NDArray[np.float64] | None:
    return None if shifts is None else np.array(turn_projections(shifts, axis)) / binning
