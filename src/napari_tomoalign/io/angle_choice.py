"""Which angles are a scan's: the caller's, the file's, or a question; never invented ones."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .angle_files import read_angles
from .angles import AngleUnit, in_radians, spread_angles
from .errors import NoAngles, ScanFileError
from .raw import RawScan

__all__ = ["angles_of", "one_each", "own_angles"]

PathLike = str | os.PathLike[str]


def own_angles(
    angles: PathLike | ArrayLike, unit: AngleUnit | None
) -> tuple[NDArray[np.float64], str]:
    """Return the angles that the caller brings, as a file or as an array."""
    if isinstance(angles, (str, os.PathLike)):
        return read_angles(Path(angles), unit)
    return in_radians(angles, unit or "radians", "the caller's array")


def angles_of(
    raw: RawScan,
    own: tuple[NDArray[np.float64], str] | None,
    first_last: tuple[float, float] | None,
    from_names: bool,
    path: PathLike,
) -> tuple[NDArray[np.float64], str]:
    """Return the angles that the caller or the file has, in words where from; none are invented.

    Parameters
    ----------
    raw : RawScan
        What the reader found.
    own : (array, str), optional
        Of `own_angles`.
    first_last : (float, float), optional
        Degrees, for evenly spread angles.
    from_names : bool
        Take those in the names of a folder's images.
    path : path
        Of the scan, for messages.

    Raises
    ------
    ScanFileError
        There are none; the message says how to give them.
    """
    names = raw.names
    if own is not None:
        return own
    if first_last is not None:
        if names is not None and names.gaps:
            warnings.warn(
                f"{path}: the images {names.gaps} are missing, so evenly spread angles are those "
                "of other images from there on: put the images back, or give a file of angles",
                UserWarning,
                stacklevel=3,
            )
        return spread_angles(first_last, raw.stack.shape[0])
    if from_names:
        if names is None or not names.angles:
            raise ScanFileError(
                f"{path} has no images with angles in their names, one number with a sign or a "
                "point in each; give the angles another way"
            )
        return in_radians(names.angles, "degrees", "the names of the images")
    if raw.angles is None:
        offered = ""
        if names is not None and names.angles:
            offered = (
                f"; the names of the images have {min(names.angles):g} to {max(names.angles):g}, "
                "which are taken with angles_from_names=True (--angles-from-names)"
            )
        raise NoAngles(
            f"{path} has no angles, neither in it nor in a file beside it{offered}; give a file of "
            "them, angles=FILE (--angles FILE), or the first and the last in degrees, "
            "first_last=(0, 180) (--first-last 0 180)"
        )
    return raw.angles, raw.source.get("angles", "the file")


def one_each(
    angles: NDArray[np.float64], words: str, raw: RawScan, from_start: bool, path: PathLike
) -> tuple[NDArray[np.float64], str]:
    """Return one angle for each projection, or say what can be done."""
    count = raw.stack.shape[0]
    if len(angles) == count:
        return angles, words
    if from_start and len(angles) > count:
        return angles[:count], f"{words}, of {len(angles)} the first {count}"
    remedy = "there must be one angle for each projection"
    if len(angles) > count:
        remedy += (
            "; if the scan was stopped and these are the first ones, say angles_from_start=True "
            "(--angles-from-start)"
        )
    raise ScanFileError(
        f"{path} has {count} projections but {len(angles)} angles came from {words}; {remedy}"
    )
