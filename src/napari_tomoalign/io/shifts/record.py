"""Write and read the shifts file, whole or not at all, and note in it what became of it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ...results import AlignmentResult, AlignmentState
from ..atomic import atomic_path
from ..errors import DiskFull
from ..outputs import check_outputs
from ..scan import Scan
from .contents import ShiftsFile
from .hashing import HashedWhenRead, data_hash
from .layout import from_hdf5, to_hdf5

__all__ = ["Checkpoint", "note_applied", "read_shifts", "write_shifts"]


def write_shifts(
    path: str | os.PathLike[str],
    result: AlignmentResult | AlignmentState | ShiftsFile,
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
    result : AlignmentResult, AlignmentState or ShiftsFile
        What the alignment found, or where it stands.
    scan : Scan, optional
        The scan that was aligned, see `ShiftsFile.of`.
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
    found = result if isinstance(result, ShiftsFile) else ShiftsFile.of(result, scan)
    found = replace(found, applied=applied or found.applied)
    return _write(Path(path), found, overwrite=overwrite)


def read_shifts(path: str | os.PathLike[str]) -> ShiftsFile:
    """Read a shifts file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ScanFileError
        It is no shifts file, or a damaged one.
    """
    return from_hdf5(Path(path))


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
        What is aligned.
    overwrite : bool
        Replace a file that is there at the beginning.
    read : HashedWhenRead, optional
        What reads the scan's projections for the run, and knows their hash by the first state.

    Raises
    ------
    FileExistsError
        There is a file, and ``overwrite`` is off.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        scan: Scan | None = None,
        *,
        overwrite: bool = False,
        read: HashedWhenRead | None = None,
    ) -> None:
        self.path = Path(path)
        check_outputs([self.path], overwrite=overwrite, record=True)
        self._scan, self._read = scan, read
        self._saved = 0

    @cached_property
    def data_hash(self) -> str:
        """Of the scan's data, computed once; empty where there is none."""
        if self._read is not None:
            return self._read.data_hash
        return "" if self._scan is None else data_hash(self._scan.projections)

    def __call__(self, state: AlignmentState) -> None:
        """Write where the loop stands; fit to be the ``callback`` of `align`."""
        try:
            found = ShiftsFile.of(state, self._scan, hashed=self.data_hash)
            _write(self.path, found, overwrite=True)
        except DiskFull as error:
            saved = f"its state after iteration {self._saved}" if self._saved else "nothing"
            raise DiskFull(
                error.errno, f"{error.strerror}. Saved in {self.path}: {saved}"
            ) from error
        self._saved = state.iteration


def _write(path: Path, contents: ShiftsFile, *, overwrite: bool) -> Path:
    with atomic_path(path, overwrite=overwrite, record=True) as aside:
        aside.write_bytes(to_hdf5(contents))
    return path
