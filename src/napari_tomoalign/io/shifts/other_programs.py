"""Files of shifts of other programs, there and back."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ...geometry import RotationAxis, ScanGeometry, turn_projections
from ..atomic import atomic_path
from ..conventions import (
    from_astra,
    from_imod,
    from_mumott,
    from_nxtomo,
    from_tomopy,
    orientations_of_astra,
    turns_of_imod,
)
from ..errors import ScanFileError, reading
from ..hdf5_file import Hdf5Dataset, Hdf5File, is_hdf5, text_of
from ..outputs import SHIFTS_FORMAT, check_outputs
from ..scan import Scan
from ..units import METRES
from .contents import ShiftsFile
from .exports import MUMOTT_ROWS, WRITERS
from .found import Found
from .record import read_shifts

__all__ = [
    "EXPORT_FORMATS",
    "export_shifts",
    "import_shifts",
    "is_own",
    "shifts_for",
]

PathLike = str | os.PathLike[str]
Shifts = NDArray[np.float64]

EXPORT_FORMATS = ("astra", "csv", "imod", "mumott", "nxtomo", "tomopy")
_BY_SUFFIX = {
    ".csv": "csv",
    ".txt": "csv",
    ".xf": "imod",
    ".nxs": "nxtomo",
    ".nx": "nxtomo",
    ".npy": "astra",
}


def export_shifts(
    shifts: ShiftsFile | PathLike,
    out: PathLike,
    *,
    format: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write shifts for another program, in the axes of the image as measured.

    They put the rotation axis in the middle of the images, where those programs have it that have
    no place for its column. TomoPy's file carries it as ``center`` beside the shifts as found.
    mumott's are along and across the axis, as its default geometry has the images. An axis that is
    turned in the images is upright after IMOD's transforms; ASTRA's and mumott's files hold any
    geometry; the others say displacements only.

    Parameters
    ----------
    shifts : ShiftsFile or path
        What was found.
    out : path
        ``.csv``; ``.xf`` (IMOD); ``.nxs`` (NXtomo); ``.npz`` (TomoPy: ``sx``, ``sy``; mumott:
        ``j_offsets``, ``k_offsets``, and the ``rotations`` that they belong to); ``.npy`` (ASTRA:
        the vectors of ``parallel3d_vec``).
    format : {"astra", "csv", "imod", "mumott", "nxtomo", "tomopy"}, optional
        None: by the suffix.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    ValueError
        An unknown format, or an NXtomo file without a pixel size in a unit of length.
    FileExistsError
        There is a file, and ``overwrite`` is off.
    """
    found = shifts if isinstance(shifts, ShiftsFile) else read_shifts(shifts)
    out = Path(out)
    write = WRITERS[_format_of(out, format, "export")]
    found = found if write is WRITERS["tomopy"] else found.centred
    check_outputs([out], inputs=[found.path] if found.path else (), overwrite=overwrite)
    with atomic_path(out, overwrite=overwrite) as aside:
        write(aside, found)
    return out


def import_shifts(
    path: PathLike,
    *,
    format: str | None = None,
    pixel_size: float | None = None,
    rotation_axis: RotationAxis = "vertical",
) -> Shifts:
    """Read shifts that another program found, or this one.

    Parameters
    ----------
    path : path
        A shifts file of this program or one of the formats of `export_shifts`; also a mumott
        data container (``.h5``).
    format : {"astra", "csv", "imod", "mumott", "nxtomo", "tomopy"}, optional
        None: by content and suffix.
    pixel_size : float, optional
        Metres; only for NXtomo, where the file itself has none.
    rotation_axis : {"vertical", "horizontal"}
        Of the image as measured.

    Returns
    -------
    (n_angles, 2) array of float64
        The rotation axis vertical, and in the middle of the images: fit for ``initial_shifts``
        with ``center=(n_columns - 1) / 2``.

    Raises
    ------
    FileNotFoundError, ScanFileError, ValueError
        The message says what was expected.

    Warns
    -----
    UserWarning
        The file says as well that images are turned or the axis leans, which shifts alone do not:
        `shifts_for` gives both.
    """
    path = Path(path)
    if is_own(path) and format is None:
        own = read_shifts(path)
        if own.rotations is not None or own.axis_tilt or own.geometry.turns.any():
            _warn_of_more(path)
        return own.centred.shifts
    found = _read(path, format, _Images(pixel_size, rotation_axis))
    if found.is_turned:
        _warn_of_more(path)
    return found.shifts


def _warn_of_more(path: Path) -> None:
    warnings.warn(
        f"{path} says how the images are turned or the axis lies as well, and the shifts mean "
        "something only together with that: take shifts_for(path, scan), which gives both",
        UserWarning,
        stacklevel=3,
    )


def _read(path: Path, format: str | None, images: _Images) -> Found:
    """Read another program's file, the rotation axis vertical."""
    reader = _READERS[_format_of(path, format, "import")]
    with reading(path):
        found = reader(path, images)
    if not np.all(np.isfinite(found.shifts)):
        raise ScanFileError(f"{path} holds shifts that are not finite; correct them")
    upright = np.ascontiguousarray(turn_projections(found.shifts, images.rotation_axis))
    return replace(found, shifts=upright)


def shifts_for(path: PathLike, scan: Scan, *, binning: int = 1, check: bool = True) -> ShiftsFile:
    """Read shifts of any format for a scan, in its pixels, together with what lies beside them.

    That is the axis' column, and how images are turned and the axis leans where the file says it:
    this program's, IMOD's, ASTRA's and mumott's (``.npz``) do.

    Parameters
    ----------
    path : path
        A shifts file of this program, or a file of `import_shifts`.
    scan : Scan
        What they are to be used on.
    binning : int
        Pixels of the images that other programs' shifts belong to which make one of the scan.
    check : bool
        See `ShiftsFile.for_scan`.

    Raises
    ------
    FileNotFoundError, ScanFileError, ValueError
        They do not fit the scan; the message says what was expected.
    """
    path = Path(path)
    if is_own(path):
        return read_shifts(path).for_scan(scan, check=check)
    metres = METRES.get(scan.pixel_unit)
    pixel = (
        None if scan.pixel_size is None or metres is None else scan.pixel_size * metres / binning
    )
    found = _read(path, None, _Images(pixel, scan.rotation_axis))
    return ShiftsFile.given(found.shifts / binning, scan, path, found.lies(scan))


def _format_of(path: Path, format: str | None, doing: str) -> str:
    suffix = path.suffix.lower()
    if format is None and suffix == ".npz":
        format = "tomopy"
        if doing == "import":
            with reading(path), path.open("rb") as raw, np.load(raw) as file:
                format = "mumott" if "j_offsets" in file else "tomopy"
    if format is None and doing == "import" and suffix in (".h5", ".hdf5"):
        format = "mumott"
    format = format or _BY_SUFFIX.get(suffix)
    if format not in EXPORT_FORMATS:
        raise ValueError(
            f"{path}: cannot tell in which format to {doing} the shifts; known are "
            f"{', '.join(EXPORT_FORMATS)}: give one of them as format"
        )
    return format


@dataclass(frozen=True)
class _Images:
    """What a file of shifts may leave open about the images: metres a pixel, and the axis."""

    pixel_size: float | None
    rotation_axis: RotationAxis


def _read_csv(path: Path, _: _Images) -> Found:
    def lines(file: TextIO) -> list[str]:
        return [line for line in file if line.strip() and not line.startswith("#")]

    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(lines(file)))
        pairs = [[float(row["shift_row"]), float(row["shift_column"])] for row in rows]
        return Found(np.array(pairs, dtype=float).reshape(-1, 2))
    except KeyError as error:
        raise ScanFileError(
            f"{path} has no column {error}; expected a header line with shift_row and "
            "shift_column (how far each image is displaced, in pixels)"
        ) from error
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise ScanFileError(f"{path} is no table of shifts: {error}") from error


def _read_astra(path: Path, images: _Images) -> Found:
    try:
        with path.open("rb") as file:
            vectors = np.load(file)  # never unpickles
        shifts = from_astra(vectors)
        if images.rotation_axis == "horizontal":  # rows and columns change places
            vectors = np.concatenate([vectors[:, :6], vectors[:, 9:], vectors[:, 6:9]], axis=1)
        return Found(shifts, orientations=orientations_of_astra(vectors))
    except ValueError as error:
        raise ScanFileError(f"{path} holds no vectors of ASTRA: {error}") from error


def _read_imod(path: Path, images: _Images) -> Found:
    try:
        lines = np.loadtxt(path, ndmin=2)
        turns = turns_of_imod(lines)
        turns = -turns if images.rotation_axis == "horizontal" else turns  # as it is written
        return Found(from_imod(lines), turns if turns.any() else None)
    except (ValueError, UnicodeDecodeError) as error:
        raise ScanFileError(f"{path} is no .xf file of shifts: {error}") from error


def _read_npz(path: Path, *names: str) -> dict[str, Any]:
    """Return what is in the file under these names, of which the first two must be there."""
    with path.open("rb") as raw, np.load(raw) as file:  # never unpickles
        if not set(names[:2]) <= set(file.files):
            raise ScanFileError(f"{path} holds no {names[0]} and {names[1]}")
        return {name: file[name] for name in names if name in file.files}


def _read_tomopy(path: Path, images: _Images) -> Found:
    found = _read_npz(path, "sx", "sy", "center", "detector_width")
    shifts = from_tomopy(found["sx"], found["sy"])
    if "center" in found and "detector_width" in found:
        across = 1 if images.rotation_axis == "vertical" else 0
        shifts[:, across] += float(found["center"]) - (float(found["detector_width"]) - 1) / 2
    return Found(shifts)


def _read_mumott(path: Path, images: _Images) -> Found:
    if path.suffix.lower() == ".npz":
        found = _read_npz(path, "j_offsets", "k_offsets", "rotation_axis_along", "rotations")
        rows: Any = str(found.get("rotation_axis_along", MUMOTT_ROWS))
        shifts = from_mumott(found["j_offsets"], found["k_offsets"], rows)
        placed = found.get("rotations")
        if placed is not None and rows == MUMOTT_ROWS:
            # They take (x, y, z) to (j, beam, k), as they are written.
            placed = ScanGeometry(rotations=placed[:, ::-1, ::-1], n_rows=1, n_columns=1).rotations
        return Found(turn_projections(shifts, images.rotation_axis), orientations=placed)
    rows = MUMOTT_ROWS
    with Hdf5File(path) as file:
        group = file.find("projections")
        if group is None or isinstance(group, Hdf5Dataset):
            raise ScanFileError(f"{path} is no mumott data container: it has no 'projections'")
        names = [f"projections/{name}" for name in sorted(group, key=int)]
        offsets = [
            [_number(file.optional(f"{name}/{offset}")) or 0.0 for name in names]
            for offset in ("j_offset", "k_offset")
        ]
        turned_about = file.optional(f"{names[0]}/inner_axis") if names else None
        if turned_about is not None and np.argmax(np.abs(turned_about.values().ravel())) == 0:
            rows = "j"  # about x, along which mumott has j
    shifts = from_mumott(offsets[0], offsets[1], rows)
    return Found(turn_projections(shifts, images.rotation_axis))


def _read_nxtomo(path: Path, images: _Images) -> Found:
    pixel_size = images.pixel_size
    with Hdf5File(path) as file:
        entry = next((key for key in file.root if file.has(f"{key}/sample")), "entry")
        pair = []
        for name in ("x_translation", "y_translation"):
            dataset = file.dataset(f"/{entry}/sample/{name}")
            pair.append(np.asarray(dataset.values(), dtype=float) * _metres(dataset))
        pixel = file.optional(f"/{entry}/instrument/detector/x_pixel_size")
        if pixel is not None:
            pixel_size = (_number(pixel) or 0.0) * _metres(pixel)
    if not pixel_size:
        raise ScanFileError(f"{path} states no x_pixel_size; give pixel_size in metres")
    return Found(from_nxtomo(pair[0], pair[1], pixel_size))


def is_own(path: Path) -> bool:
    """Tell whether a file of shifts is this program's own."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of shifts at {path}")
    with path.open("rb") as head:
        if not is_hdf5(head.read(8)):
            return False
    with Hdf5File(path) as file:
        return text_of(file.root, "format") == SHIFTS_FORMAT


def _number(dataset: Hdf5Dataset | None) -> float | None:
    return None if dataset is None else float(np.ravel(dataset.values())[0])


def _metres(dataset: Hdf5Dataset) -> float:
    """Return how many metres the unit of a dataset is."""
    unit = dataset.text("units") or "m"
    if unit not in METRES:
        raise ScanFileError(
            f"{dataset.where} has the unit {unit!r}, expected a length: {', '.join(METRES)}"
        )
    return METRES[unit]


_READERS: dict[str, Callable[[Path, _Images], Found]] = {
    "astra": _read_astra,
    "csv": _read_csv,
    "imod": _read_imod,
    "mumott": _read_mumott,
    "nxtomo": _read_nxtomo,
    "tomopy": _read_tomopy,
}
