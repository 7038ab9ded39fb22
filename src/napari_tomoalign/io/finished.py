"""The folder of a finished run: what was found, the images, and the scan that they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import turn_volume
from .channels import scan_for_alignment
from .errors import ScanFileError
from .reading import read_scan
from .scan import Scan
from .settings import SETTINGS, read_settings, reading_options
from .shifts.contents import ShiftsFile
from .shifts.record import read_shifts
from .stacks.output import SUFFIXES, holds_center, read_volume

__all__ = ["FinishedRun", "read_finished"]

_OF_ANGLES = ("angles_path", "first_last", "angles_from_start", "angles_from_names")


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What ``napari-tomoalign align SCAN -o DIR`` wrote.

    Attributes
    ----------
    folder : Path
        Where it lies.
    shifts : ShiftsFile
        What was found.
    settings : mapping
        Of the command line; empty where they are not there.
    aligned : (n_angles, n_rows, n_columns) array of float32
        The rotation axis vertical; the first channel where there are several.
    center : float
        Column of the axis in ``aligned``: some formats have it in the middle, whatever column the
        shifts belong to.
    volume : (n_slices, n_y, n_x) array of float32
        About a vertical axis; at full size, or at the binning that the run ended on.
    """

    folder: Path
    shifts: ShiftsFile
    settings: Mapping[str, Any]
    aligned: NDArray[np.float32]
    center: float
    volume: NDArray[np.float32]

    def read_scan(self) -> Scan | None:
        """Read the scan again as the run read it; None where it is not there any more."""
        file = self.shifts.source.get("file", "")
        if not file or not Path(file).exists():
            return None
        reading: dict[str, Any] = {
            **reading_options(self.settings),
            **{"angles": self.shifts.angles, "angle_unit": "radians"},
            "rotation_axis": self.shifts.rotation_axis,
        }
        if self.settings.get("transmission") and not self.shifts.parameters.get("transmission"):
            reading["transmission"] = True  # the reader took the logarithm
        channel: Any = self.settings.get("channel")
        try:
            scan = read_scan(file, **{k: v for k, v in reading.items() if k not in _OF_ANGLES})
            return scan_for_alignment(scan, int(channel) if str(channel).isdecimal() else channel)
        except (OSError, ValueError):
            return None


def read_finished(folder: Path) -> FinishedRun:
    """Read a finished run.

    Raises
    ------
    FileNotFoundError
        None lies there.
    ScanFileError
        A file of the run is damaged.
    """
    if not (folder / "shifts.h5").is_file():
        raise FileNotFoundError(
            f"no finished run in {folder}: expected the files shifts.h5, aligned and "
            "reconstruction that 'napari-tomoalign align SCAN -o DIR' writes"
        )
    shifts = read_shifts(folder / "shifts.h5")
    path = _one_of(folder, "aligned")
    stack = read_scan(
        path,
        rotation_axis=shifts.rotation_axis,
        angles=shifts.angles,
        angle_unit="radians",
        background=None,
        transmission=False,
    ).projections
    stack = stack if stack.ndim == 3 else stack[..., 0]
    settings = folder / SETTINGS
    return FinishedRun(
        folder=folder,
        shifts=shifts,
        settings=read_settings(settings) if settings.is_file() else {},
        aligned=np.asarray(stack, dtype=np.float32),
        center=shifts.center if holds_center(path) else (stack.shape[2] - 1) / 2,
        volume=turn_volume(_read_volume(_one_of(folder, "reconstruction")), shifts.rotation_axis),
    )


def _one_of(folder: Path, name: str) -> Path:
    """Return the file of this name, whatever its format."""
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").exists():
            return folder / f"{name}{suffix}"
    raise FileNotFoundError(
        f"{folder} has shifts.h5 but no {name}{' or '.join(SUFFIXES)}: run 'napari-tomoalign "
        "align' on the scan again, with --overwrite"
    )


def _read_volume(path: Path) -> NDArray[np.float32]:
    try:
        return read_volume(path)
    except (OSError, KeyError, ValueError) as error:
        raise ScanFileError(
            f"{path} cannot be read as a reconstruction ({error}): run 'napari-tomoalign align' "
            "again, with --overwrite"
        ) from error
