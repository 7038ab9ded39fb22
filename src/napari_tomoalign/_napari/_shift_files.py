"""Shifts from and to files, in the pixels of a scan; without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..io import ShiftsFile, export_shifts, shifts_for, write_shifts
from ..results import AlignmentState
from ._request import ScanSource

__all__ = ["Loaded", "read_for", "write_state"]

_OWN = (".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class Loaded:
    """Shifts from a file, in pixels of the scan, its axis vertical."""

    shifts: NDArray[np.float64]
    center: float | None
    path: Path


def write_state(path: Path, state: AlignmentState, source: ScanSource | None) -> Path:
    """Write the shifts of a state.

    Parameters
    ----------
    path : Path
        Its suffix says the format; none stands for ``.h5``. A file that is there is replaced.
    state : AlignmentState
        Its images are not looked at.
    source : ScanSource, optional
        The scan that the shifts belong to.

    Raises
    ------
    OSError
        The file cannot be written.
    ValueError
        A suffix that no format has.
    """
    scan = None if source is None else source.load()
    path = path if path.suffix else path.with_suffix(".h5")
    if path.suffix.lower() in _OWN:
        return write_shifts(path, state, scan, overwrite=True)
    return export_shifts(ShiftsFile.of(state, scan), path, overwrite=True)


def read_for(path: Path, source: ScanSource) -> Loaded:
    """Read shifts and bring them to the pixels of a scan.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or belongs to another scan.
    """
    file = shifts_for(path, source.load())
    return Loaded(file.shifts, file.center, path)
