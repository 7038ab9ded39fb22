"""Write and read the shifts file, whole or not at all, and note in it what became of it."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

from ...results import AlignmentResult, AlignmentState
from ..atomic import atomic_path, refuse_existing
from ..errors import DiskFull
from ..scan import Scan
from .contents import ShiftsFile
from .hashing import data_hash
from .layout import from_hdf5, to_hdf5

__all__ = ["Checkpoint", "note_applied", "read_shifts", "write_shifts"]


def write_shifts(
    path: str | os.PathLike[str],
    result: AlignmentResult | AlignmentState,
    scan: Scan | None = None,
    *,
    applied: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a shifts file, whole or not at all.

    Parameters
    ----------
    path : path
        Such as ``shifts.h5``.
    result : AlignmentResult or AlignmentState
        What the alignment found, or where it stands.
    scan : Scan, optional
        The scan that was aligned, for where it came from, its pixel size and the hash of its
        data. None: the shifts are taken to have been found with a vertical axis.
    applied : str
        Where the shifts were applied, in words.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError
        There is a file, and ``overwrite`` is off.
    DiskFull
        There is no room; what was there before is untouched.
    """
    hashed = "" if scan is None else data_hash(scan.projections)
    return _write(Path(path), _contents(result, scan, hashed, applied), overwrite=overwrite)


def read_shifts(path: str | os.PathLike[str]) -> ShiftsFile:
    """Read a shifts file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ScanFileError
        It is no shifts file, or a damaged one.
    """
    return ShiftsFile(**from_hdf5(Path(path)))


def note_applied(shifts: ShiftsFile, out: Path) -> None:
    """Note in the shifts file itself that its shifts were applied, and where the result is."""
    if shifts.path is None or out.name in shifts.applied.split("; "):
        return
    applied = "; ".join(filter(None, (shifts.applied, out.name)))
    _write(shifts.path, replace(shifts, applied=applied), overwrite=True)


class Checkpoint:
    """Writes the shifts file after each iteration, so that a killed run loses at most one.

    Parameters
    ----------
    path : path
        The shifts file.
    scan : Scan, optional
        What is aligned; its hash is computed once.
    overwrite : bool
        Replace a file that is there at the beginning.

    Raises
    ------
    FileExistsError
        There is a file, and ``overwrite`` is off.
    """

    def __init__(
        self, path: str | os.PathLike[str], scan: Scan | None = None, *, overwrite: bool = False
    ) -> None:
        self.path = Path(path)
        refuse_existing(self.path, overwrite=overwrite)
        self._scan = scan
        self._hash = "" if scan is None else data_hash(scan.projections)
        self._saved = 0

    def __call__(self, state: AlignmentState) -> None:
        """Write where the loop stands; fit to be the ``callback`` of `align`."""
        try:
            _write(self.path, _contents(state, self._scan, self._hash, ""), overwrite=True)
        except DiskFull as error:
            saved = f"its state after iteration {self._saved}" if self._saved else "nothing"
            raise DiskFull(
                error.errno, f"{error.strerror}. Saved in {self.path}: {saved}"
            ) from error
        self._saved = state.iteration


def _write(path: Path, contents: ShiftsFile, *, overwrite: bool) -> Path:
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_bytes(to_hdf5(contents))
    return path


def _contents(
    result: AlignmentResult | AlignmentState, scan: Scan | None, hashed: str, applied: str
) -> ShiftsFile:
    record = result.history[-1]
    if isinstance(result, AlignmentResult):
        angles, n_rows, n_columns = result.angles, *result.projections.shape[1:3]
        versions, diagnosis = dict(result.versions), tuple(result.diagnosis)
    else:
        geometry = result.geometry
        angles, n_rows, n_columns = geometry.angles, geometry.n_rows, geometry.n_columns
        versions, diagnosis = _versions(), ()
    n_rows, n_columns = n_rows * result.binning, n_columns * result.binning
    if scan is not None:
        n_rows, n_columns = scan.projections.shape[1:3]
    return ShiftsFile(
        shifts=result.shifts,
        angles=angles,
        center=result.center,
        n_rows=n_rows,
        n_columns=n_columns,
        confidence=record.confidence,
        standard_error=record.standard_error,
        pixel_size=None if scan is None else scan.pixel_size,
        pixel_unit="" if scan is None else scan.pixel_unit,
        rotation_axis="vertical" if scan is None else scan.rotation_axis,
        history=tuple(result.history),
        generator_state=result.generator_state,
        parameters=result.parameters.to_dict(),
        backend=result.backend,
        versions=versions,
        converged=result.converged,
        message=result.message,
        diagnosis=diagnosis,
        data_hash=hashed,
        source={} if scan is None else dict(scan.source),
        preparation=() if scan is None else tuple(scan.preparation),
        applied=applied,
    )


def _versions() -> dict[str, str]:
    from ... import __version__

    return {"napari-tomoalign": __version__, "python": platform.python_version()}
