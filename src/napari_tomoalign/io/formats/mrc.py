"""MRC files of electron microscopes: ``.mrc``, ``.ali``, ``.st``, ``.rec``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...images.source import FlatSource
from ..angles import angles_beside, in_radians, read_angles
from ..errors import ScanFileError, reading
from ..raw import RawScan, ReadOptions, stack_of

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".mrc", ".mrcs", ".ali", ".st", ".preali")
_HEADER = 1024
_MODES = {0: 1, 1: 2, 2: 4, 4: 8, 6: 2, 12: 2}
_FEI_RECORD = 128


def can_read(path: Path, head: bytes) -> bool:
    """Tell whether the first bytes are an MRC header, whatever the file is called."""
    if len(head) < 216:
        return False
    return head[208:211] == b"MAP" or _plausible(head)


def _plausible(head: bytes) -> bool:
    """Tell whether an old header, without its magic word, makes sense."""
    for order in "<>":
        nx, ny, nz, mode = np.frombuffer(head[:16], dtype=f"{order}i4")
        axes = np.frombuffer(head[64:76], dtype=f"{order}i4")
        sizes_fit = all(0 < n < 2**20 for n in (nx, ny, nz))
        if sizes_fit and int(mode) in _MODES and sorted(axes) == [1, 2, 3]:
            return True
    return False


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import mrcfile

    with warnings.catch_warnings():
        # old headers lack the magic word and the machine stamp
        warnings.simplefilter("ignore", RuntimeWarning)
        with reading(path):
            file = mrcfile.mmap(path, mode="r", permissive=True)
    with file:
        yield file


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the header of an MRC tilt series, and the angles beside it.

    Raises
    ------
    ScanFileError
        The file is shorter than its header says, or holds no series of images.
    """
    with _opened(path) as file:
        if file.data is None:
            raise ScanFileError(_truncated(path, file.header))
        shape, dtype = file.data.shape, file.data.dtype
        offset = _HEADER + int(file.header.nsymbt)
        fei = _fei_records(file)
        voxel = float(file.voxel_size.x)
        labels = b" ".join(file.header.label.tolist()).decode("latin-1")
    if len(shape) != 3:
        raise ScanFileError(f"{path} holds one image of shape {shape}, expected a series of them")
    source = {"data": f"{path.name}, {shape[0]} images of {shape[1]} x {shape[2]}, {dtype}"}
    angles, size = None, None
    beside = angles_beside(path)
    if beside is not None and not options.angles_known:
        angles, source["angles"] = read_angles(beside, options.angle_unit)
    elif fei is not None and np.ptp(fei[: shape[0], 0]) > 0:
        angles, source["angles"] = in_radians(fei[: shape[0], 0], "degrees", "FEI extended header")
    if fei is not None and 0 < fei[0, 1] < 1e-3:
        size, source["pixel_size"] = float(fei[0, 1]) * 1e9, "FEI extended header, metres"
    elif voxel > 0 and voxel != 1.0:  # 1 is what programs write that do not know
        size, source["pixel_size"] = voxel / 10, "MRC header, angstrom"
    said = re.search(r"aligned by napari-tomoalign: ([^\0]*)", labels)
    if said:
        source["aligned"] = said[1].strip()
    return RawScan(
        stack_of(
            FlatSource(path, offset, shape, dtype),
            n_angles=options.n_angles if angles is None else len(angles),
            where=str(path),
            angle_axis=options.angle_axis,
        ),
        angles=angles,
        pixel_size=size,
        pixel_unit="" if size is None else "nm",
        source=source,
    )


def _truncated(path: Path, header: Any) -> str:
    expected = (
        _HEADER
        + int(header.nsymbt)
        + (int(header.nx) * int(header.ny) * int(header.nz) * _MODES.get(int(header.mode), 0))
    )
    return (
        f"{path} is truncated or damaged: its header promises {header.nz} images of {header.ny} x "
        f"{header.nx} (mode {header.mode}), {expected} bytes, but it has {path.stat().st_size}; "
        "copy it again from where it came"
    )


def _fei_records(file: Any) -> NDArray[np.float64] | None:
    """Return (tilt in degrees, pixel size in metres) of each image, where FEI wrote them."""
    if bytes(file.header.exttyp) in (b"FEI1", b"FEI2"):
        records = file.indexed_extended_header
        if records is None or not len(records):
            return None
        return np.column_stack([records["Alpha tilt"], records["Pixel size X"]]).astype(np.float64)
    raw = file.extended_header.tobytes()
    if b"Fei" in bytes(file.header.label[0]) and raw and len(raw) % _FEI_RECORD == 0:
        order = file.header.nx.dtype.byteorder
        table = np.frombuffer(raw, dtype=f"{order}f4").reshape(-1, _FEI_RECORD // 4)
        return table[:, [0, 11]].astype(np.float64)
    return None
