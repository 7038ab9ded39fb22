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
from ..angle_files import angles_beside, read_angles, tilt_axis_angle
from ..angles import in_radians
from ..errors import ScanFileError, reading
from ..raw import RawScan, ReadOptions, stack_of

__all__ = ["SUFFIXES", "can_read", "read"]

SUFFIXES = (".mrc", ".mrcs", ".ali", ".st", ".preali")
_HEADER = 1024  # bytes, as MRC2014 has it
_MODES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
_IMOD_STAMP, _IMOD_SIGNED = 1146047817, 1
"""In IMOD's part of the header: its mark, and the flag of mode 0 with signed bytes."""
_FEI_RECORD = 128  # bytes of extended header for an image, as FEI writes it
_SERIAL_EM = {1: 2, 2: 6, 4: 4, 8: 2, 16: 2, 32: 4}
"""Bytes of what each flag says that a record of SerialEM's extended header has; the first is the
tilt in hundredths of a degree."""
_LEAST_TILT = 0.01
"""Degrees: an extended header whose numbers differ by less holds no tilt series."""
_NEARLY = 10.0
"""Degrees from the vertical or the horizontal up to which a tilt axis is called so: the axes of
microscopes are within a few degrees after the camera's turn was taken out, else anywhere."""


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

    size = path.stat().st_size
    with path.open("rb") as raw:
        extended = raw.read(_HEADER)[92:96]
    if all(int.from_bytes(extended, order) > size for order in ("little", "big")):
        raise ScanFileError(
            f"{path} is truncated or damaged: its extended header alone is larger than the file; "
            "copy it again from where it came"
        )
    with warnings.catch_warnings():
        # old headers lack the magic word and the machine stamp
        warnings.simplefilter("ignore", RuntimeWarning)
        with reading(path), mrcfile.open(path, permissive=True, header_only=True) as file:
            yield file


def read(path: Path, options: ReadOptions) -> RawScan:
    """Read the header of an MRC tilt series, and the angles beside it.

    Raises
    ------
    ScanFileError
        The file is shorter than its header says, or holds no series of images.
    """
    options.refuse_unused(path)
    with _opened(path) as file:
        header = file.header
        extended = file.extended_header.tobytes()
        tilts, said, pixel = _extended(file, extended)
        voxel = float(file.voxel_size.x)
        labels = b"\n".join(header.label.tolist()).decode("latin-1")
    store = _store(path, header)
    shape = store.shape
    if shape[0] == 1:
        raise ScanFileError(f"{path} holds one image of shape {shape}, expected a series of them")
    source = {"data": f"{path.name}, {shape[0]} images of {shape[1]} x {shape[2]}, {store.dtype}"}
    angles, size = None, None
    beside = angles_beside(path)
    if beside is not None and not options.angles_known:
        angles, source["angles"] = read_angles(beside, options.angle_unit)
    elif tilts is not None:
        angles, source["angles"] = in_radians(tilts, "degrees", said)
    if pixel is not None and 0 < pixel < 1e-3:
        size, source["pixel_size"] = pixel * 1e9, "FEI extended header, metres"
    elif voxel not in (0.0, 1.0):  # what programs write that do not know it
        size, source["pixel_size"] = voxel / 10, "MRC header, angstrom"
    aligned = re.search(r"aligned by napari-tomoalign: ([^\0\n]*)", labels)
    if aligned:
        source["aligned"] = aligned[1].strip()
    axis, notes = _axis(path, labels)
    return RawScan(
        stack_of(
            store,
            n_angles=options.n_angles if angles is None else len(angles),
            where=str(path),
            angle_axis=options.angle_axis,
        ),
        angles=angles,
        pixel_size=size,
        pixel_unit="" if size is None else "nm",
        source=source,
        rotation_axis=axis,
        notes=notes,
    )


def _store(path: Path, header: Any) -> FlatSource:
    """Return where the images lie.

    Raises
    ------
    ScanFileError
        A mode that is not known, or a file that is shorter than the header says.
    """
    mode = int(header.mode)
    if mode not in _MODES:
        raise ScanFileError(f"{path} has MRC mode {mode}, expected one of {sorted(_MODES)}")
    kind = np.dtype(_MODES[mode]).newbyteorder(header.mode.dtype.byteorder)
    if mode == 0 and _unsigned(header):
        kind = np.dtype("u1")
    shape = tuple(int(header[name]) for name in ("nz", "ny", "nx"))
    offset = _HEADER + max(0, int(header.nsymbt))
    if min(shape) < 1:
        raise ScanFileError(f"{path} is damaged: its header promises images of shape {shape}")
    expected = offset + shape[0] * shape[1] * shape[2] * kind.itemsize
    if expected > path.stat().st_size:
        raise ScanFileError(
            f"{path} is truncated or damaged: its header promises {shape[0]} images of "
            f"{shape[1]} x {shape[2]} (mode {mode}), {expected} bytes, but it has "
            f"{path.stat().st_size}; copy it again from where it came"
        )
    return FlatSource(path, offset, shape, kind)


def _unsigned(header: Any) -> bool:
    """Tell whether bytes are unsigned: IMOD's flags say it, or a largest value above 127 does."""
    order = header.nx.dtype.byteorder
    stamp, flags = np.frombuffer(header.tobytes()[152:160], dtype=f"{order}i4")
    if stamp == _IMOD_STAMP:
        return not flags & _IMOD_SIGNED
    return 127 < float(header.dmax) <= 255


def _extended(file: Any, raw: bytes) -> tuple[NDArray[np.float64] | None, str, float | None]:
    """Return the tilts in degrees of an extended header, who wrote it, and the pixel in metres.

    Sources: the MRC2014 format and its extensions, https://www.ccpem.ac.uk/mrc-format/mrc2014/,
    and https://bio3d.colorado.edu/imod/doc/mrc_format.txt for SerialEM's and Agard's.
    """
    header, count = file.header, int(file.header.nz)
    kind = bytes(header.exttyp).rstrip(b"\0 ")
    order = header.nx.dtype.byteorder
    tilts, said, pixel = None, "", None
    if kind in (b"FEI1", b"FEI2"):
        records = file.indexed_extended_header
        if records is not None and len(records) >= count:
            tilts, said = records["Alpha tilt"], "FEI extended header"
            pixel = float(records["Pixel size X"][0])
    elif b"Fei" in bytes(header.label[0]) and raw and len(raw) % _FEI_RECORD == 0:
        table = np.frombuffer(raw, dtype=f"{order}f4").reshape(-1, _FEI_RECORD // 4)
        tilts, said, pixel = table[:, 0], "FEI extended header", float(table[0, 11])
    elif raw and kind in (b"SERI", b"AGAR", b"IMOD", b""):
        tilts, said = _records(header, raw, kind)
    if tilts is None or len(tilts) < count:
        return None, "", pixel
    tilts = np.asarray(tilts[:count], dtype=np.float64)
    sound = np.all(np.abs(tilts) <= 360) and np.ptp(tilts) > _LEAST_TILT  # NaN is not
    return (tilts if sound else None), said, pixel


def _records(header: Any, raw: bytes, kind: bytes) -> tuple[NDArray[Any] | None, str]:
    """Return the tilts of records in the manner of SerialEM, else of Agard's and IMOD's numbers."""
    order = header.nx.dtype.byteorder
    first, second = np.frombuffer(header.tobytes()[128:132], dtype=f"{order}i2").astype(int)
    flagged = sum(size for flag, size in _SERIAL_EM.items() if second & flag)
    if kind != b"AGAR" and second & 1 and first == flagged and second < 64:
        table = np.frombuffer(raw[: len(raw) // first * first], dtype=f"{order}i2")
        return table.reshape(-1, first // 2)[:, 0] / 100, "SerialEM extended header"
    size = first + second
    if kind == b"SERI" or first < 0 or second < 1 or size * 4 > len(raw):
        return None, ""
    table = np.frombuffer(raw[: len(raw) // (4 * size) * 4 * size], dtype=f"{order}f4")
    return table.reshape(-1, size)[:, first], "extended header of real numbers"


def _axis(path: Path, labels: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the direction of the tilt axis where the file or its ``.mdoc`` states its angle."""
    if path.suffix.lower() == ".ali":  # IMOD's: turned already, and the label copied along
        return None, ()
    angle, where = tilt_axis_angle(labels), "the labels"
    for beside in (path.with_name(path.name + ".mdoc"), path.with_suffix(".mdoc")):
        if angle is None and beside.is_file():
            with beside.open(encoding="latin-1") as file:
                angle, where = tilt_axis_angle(file.read(_HEADER)), beside.name
    if angle is None:
        return None, ()
    from_vertical = (angle + 90) % 180 - 90
    off = min(abs(from_vertical), 90 - abs(from_vertical))
    axis = "horizontal" if abs(from_vertical) > 45 else "vertical"
    said = f"{where} state a tilt axis at {angle:g} degrees from the vertical: "
    if off <= _NEARLY:
        rest = f", and {off:.2g} degrees of turn within the image remain" if off > 0.05 else ""
        return axis, (f"{said}taken as {axis}{rest}",)
    return axis, (
        f"{said}it lies {off:.3g} degrees off the {axis}, which is taken; turn the images by that "
        "before they are aligned, or the result is blurred",
    )
