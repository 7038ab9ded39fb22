"""Stacks and volumes of any size to a file: HDF5, TIFF or MRC by its suffix.

In all of them the values lie one behind another, so they are written piece by piece in any order.
In HDF5, chunks would make a program that wants an image, or a row of all images, read what it does
not want: as it is, an image is one run and a row of each a run of its own, as long as a page of the
disk or longer from 1024 columns on.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis
from .atomic import atomic_path, require_room
from .flat_target import FlatTarget
from .outputs import CREATOR, check_outputs
from .units import METRES

__all__ = ["Piece", "Progress", "StackInfo", "StackOutput", "holds_center", "stack_outputs"]

PathLike = str | os.PathLike[str]
Piece = tuple[tuple[slice, ...], NDArray[np.generic]]
"""Where values belong, a slice for each of the first axes, and the values."""
Progress = Callable[[str, int, int], object]
"""Gets the name of a file, how many of its bytes are written, and how many there are."""
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


@dataclass(frozen=True, eq=False)
class StackOutput:
    """A stack or a volume of any size that is to be written.

    Attributes
    ----------
    path : path
        ``.h5`` (Data Exchange layout), ``.tif`` or ``.mrc``. Beside the last two a ``.tlt`` file
        is written with the angles.
    shape : tuple of int
        Of the whole.
    info : StackInfo
        What is written beside the values.
    pieces : callable
        Makes the values, piece by piece, in any order; together they are the whole.

    Raises
    ------
    ValueError
        An unknown suffix, or channels in a format that has none.
    """

    path: Path
    shape: tuple[int, ...]
    info: StackInfo
    pieces: Callable[[], Iterable[Piece]]

    def __post_init__(self) -> None:
        """Refuse a format that is none, or cannot hold it."""
        suffix, known = self._suffix, (*_HDF5, *_TIFF, *_MRC)
        if suffix not in known:
            raise ValueError(
                f"{self.path}: unknown suffix {suffix!r}; known are {', '.join(known)}"
            )
        if len(self.shape) == 4 and suffix not in _HDF5:
            raise ValueError(
                f"{self.path}: several channels fit into HDF5 only; take the suffix .h5"
            )

    @property
    def _suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def n_bytes(self) -> int:
        """Of the values."""
        return 4 * math.prod(self.shape)

    @property
    def is_there(self) -> bool:
        """Whether it is there with its angles, and says that it was made of the same as this."""
        files = (self.path, *self._beside)
        return all(file.is_file() for file in files) and _mark_in(self.path) == self._mark

    @property
    def _beside(self) -> tuple[Path, ...]:
        return stack_outputs(self.path)[1:] if self.info.angles is not None else ()

    @property
    def _mark(self) -> str:
        """Sixteen digits by which is known again what a file was made of."""
        values = {**self.info.attributes(), "shape": self.shape}
        if self.info.angles is not None:
            values["angles"] = self.info.angles.tolist()
        text = json.dumps(values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def write(self, *, overwrite: bool = False, progress: Progress | None = None) -> Path:
        """Write it, whole or not at all.

        Parameters
        ----------
        overwrite : bool
            Replace a file that is there.
        progress : callable, optional
            Gets the name of the file, how many bytes are written and how many there are.

        Raises
        ------
        FileExistsError
            There is a file, and ``overwrite`` is off.
        DiskFull
            There is no room; where the file system can promise it, before the first piece is made.
        """
        check_outputs([self.path, *self._beside], overwrite=overwrite)
        with atomic_path(self.path, overwrite=overwrite) as aside:
            require_room(self.path, self.n_bytes)
            if self._suffix in _MRC:
                _write_mrc(aside, self, progress)
            else:
                lay_out = _lay_out_hdf5 if self._suffix in _HDF5 else _lay_out_tiff
                self._fill(lay_out(aside, self.shape, self.info, self._mark), progress)
        for file in self._beside:
            assert self.info.angles is not None
            with atomic_path(file, overwrite=overwrite) as aside:
                np.savetxt(aside, np.rad2deg(self.info.angles), fmt="%.6f")
        return self.path

    def _fill(
        self,
        target: FlatTarget,
        progress: Progress | None,
        look: Callable[[NDArray[np.float32]], object] = lambda values: None,
    ) -> None:
        """Take the room and write every piece; each is looked at on the way."""
        target.reserve()
        done = 0
        for cuts, piece in self.pieces():
            values = np.ascontiguousarray(piece, np.float32)
            target.write(values, *cuts)
            look(values)
            done += values.nbytes
            if progress is not None:
                progress(self.path.name, done, self.n_bytes)


def _lay_out_hdf5(path: Path, shape: tuple[int, ...], info: StackInfo, mark: str) -> FlatTarget:
    """Write all but the values, and return where they belong.

    The library itself writes none of them: where a disk fills up under it, it can neither close
    the file nor end in peace.
    """
    import h5py

    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        file.attrs["creator"] = CREATOR
        file.attrs["made_of"] = mark
        file["implements"] = "exchange"
        name = "/exchange/data" if info.angles is not None else "/reconstruction/volume"
        dataset = file.create_dataset(name, shape=shape, dtype="<f4", dcpl=layout)
        dataset.attrs.update(info.attributes())
        if info.angles is not None:
            dataset.attrs["axes"] = "theta:y:x" + (":channel" if len(shape) == 4 else "")
            dataset.attrs["description"] = "line integrals"
            file["/exchange/theta"] = np.rad2deg(info.angles)
            file["/exchange/theta"].attrs["units"] = "degrees"
        return FlatTarget(path, dataset.id.get_offset(), shape, np.dtype("<f4"))


def _lay_out_tiff(path: Path, shape: tuple[int, ...], info: StackInfo, mark: str) -> FlatTarget:
    """Write all but the values, and return where they belong."""
    import tifffile

    tifffile.imwrite(
        path,
        shape=shape,
        dtype="<f4",
        byteorder="<",
        photometric="minisblack",
        description=json.dumps({CREATOR: {**info.attributes(), "made_of": mark}}),
        metadata=None,
        bigtiff=4 * math.prod(shape) > 2**31,
    )
    with tifffile.TiffFile(path) as file:
        return FlatTarget(path, file.pages[0].dataoffsets[0], shape, np.dtype("<f4"))


def _write_mrc(path: Path, output: StackOutput, progress: Progress | None) -> None:
    import mrcfile
    from mrcfile.dtypes import HEADER_DTYPE

    shape, info = output.shape, output.info
    with mrcfile.new(path, data=np.zeros((1, 1, 1), dtype=np.float32), overwrite=True) as file:
        done = f"aligned by {CREATOR}: {info.aligned_with}"
        file.add_label(done[:80] if info.aligned_with else f"written by {CREATOR}")
        file.add_label(f"made of {output._mark}")
    metres = METRES.get(info.pixel_unit)
    angstrom = 1.0 if info.pixel_size is None or metres is None else info.pixel_size * metres * 1e10
    found = []

    def look(values: NDArray[np.float32]) -> None:
        wide = values.astype(np.float64)
        found.append((wide.min(), wide.max(), wide.sum(), (wide**2).sum()))

    target = FlatTarget(path, HEADER_DTYPE.itemsize, shape, np.dtype("<f4"))
    output._fill(target, progress, look)
    lows, highs, totals, squares = np.transpose(found)
    with path.open("r+b") as raw:
        header = np.frombuffer(raw.read(HEADER_DTYPE.itemsize), dtype=HEADER_DTYPE)[0].copy()
        header["nz"], header["ny"], header["nx"] = shape
        header["mz"], header["my"], header["mx"] = shape
        header["cella"] = tuple(angstrom * size for size in reversed(shape))
        header["dmin"], header["dmax"] = lows.min(), highs.max()
        mean = totals.sum() / math.prod(shape)
        header["dmean"] = mean
        header["rms"] = np.sqrt(max(0.0, squares.sum() / math.prod(shape) - mean**2))
        raw.seek(0)
        raw.write(header.tobytes())


def _mark_in(path: Path) -> str | None:
    """Return what a file says it was made of; None where it does not."""
    suffix = path.suffix.lower()
    try:
        if suffix in _HDF5:
            import h5py

            with h5py.File(path) as file:
                return str(file.attrs.get("made_of", ""))
        if suffix in _TIFF:
            import tifffile

            with tifffile.TiffFile(path) as tif:
                said = json.loads(getattr(tif.pages[0], "description", ""))
                return str(said[CREATOR].get("made_of"))
        import mrcfile

        with mrcfile.open(path, header_only=True, permissive=True) as mrc:
            labels = [label.decode("ascii", "replace") for label in mrc.header.label.tolist()]
        return next((label[8:].strip() for label in labels if label.startswith("made of ")), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged, or another's
        return None
