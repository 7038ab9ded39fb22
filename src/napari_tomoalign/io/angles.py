"""Projection angles, with the unit recognised and stated."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ScanFileError

__all__ = ["AngleUnit", "in_radians", "spread_angles"]

AngleUnit = Literal["degrees", "radians"]

# Angles within one turn, in radians, are below this; larger ones can only be degrees.
_LARGEST_RADIANS = 2 * np.pi * 1.01

# Two turns. Beyond them lies an encoder that counts on, or a scan of many turns: for a projection
# a whole turn is nothing, and elsewhere larger numbers are taken for degrees given as radians.
_MOST_DEGREES = 720


def in_radians(values: ArrayLike, unit: str | None, where: str) -> tuple[NDArray[np.float64], str]:
    """Return angles in radians, and in words what they were taken for.

    Whole turns are taken off angles beyond two of them.

    Parameters
    ----------
    values : (n_angles,) array
        In ``unit``.
    unit : str, optional
        As a file states it ("deg", "degree", "degrees", "rad", "radian", "radians"). None or
        anything else: values beyond one turn in radians are degrees, others are radians.
    where : str
        Where they come from, for the words and for messages.

    Raises
    ------
    ScanFileError
        Not a list of finite numbers.
    """
    if np.iscomplexobj(values):
        raise ScanFileError(f"{where}: angles must be real numbers, got complex ones")
    try:
        angles = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ScanFileError(f"{where}: angles must be numbers, got {values!r}") from error
    angles = np.atleast_1d(angles.squeeze())
    if angles.ndim != 1 or angles.size == 0:
        raise ScanFileError(
            f"{where}: angles must be a list with one angle for each projection, got an array of "
            f"shape {np.shape(values)}"
        )
    wrong = np.flatnonzero(~np.isfinite(angles))
    if wrong.size:
        raise ScanFileError(
            f"{where}: {wrong.size} of {angles.size} angles are not finite, the first at index "
            f"{wrong[0]}; correct them, or give the angles of your own"
        )
    stated = (unit or "").strip().lower()
    if stated.startswith("deg") or stated == "°":
        degrees, how = True, "degrees"
    elif stated.startswith("rad"):
        degrees, how = False, "radians"
    else:
        degrees = bool(np.max(np.abs(angles)) > _LARGEST_RADIANS)
        how = f"no unit stated, recognised as {'degrees' if degrees else 'radians'} by their range"
    words = f"{where} ({how}, {angles.min():.6g} to {angles.max():.6g})"
    if degrees and np.max(np.abs(angles)) > _MOST_DEGREES:
        angles = angles - 360 * np.floor(angles.min() / 360)
        if angles.max() > _MOST_DEGREES:
            angles = np.mod(angles, 360)
        words += f", less whole turns: {angles.min():.6g} to {angles.max():.6g}"
    return (np.deg2rad(angles) if degrees else angles.copy()), words


def spread_angles(first_last: tuple[float, float], count: int) -> tuple[NDArray[np.float64], str]:
    """Return ``count`` angles in radians, evenly from the first to the last, given in degrees."""
    first, last = (float(value) for value in first_last)
    if not (np.isfinite(first) and np.isfinite(last)):
        raise ValueError(f"first_last must be two finite angles in degrees, got {first_last}")
    words = f"evenly from {first:g} to {last:g} degrees, {count} angles, both ends included"
    return np.deg2rad(np.linspace(first, last, count)), words
