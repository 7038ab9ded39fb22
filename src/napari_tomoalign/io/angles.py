"""Projection angles: from files and arrays, with the unit recognised and stated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ScanFileError

__all__ = ["AngleUnit", "angles_beside", "in_radians", "read_angles", "spread_angles"]

AngleUnit = Literal["degrees", "radians"]

# Angles within one turn, in radians, are below this; larger ones can only be degrees.
_LARGEST_RADIANS = 2 * np.pi * 1.01


def in_radians(values: ArrayLike, unit: str | None, where: str) -> tuple[NDArray[np.float64], str]:
    """Return angles in radians, and in words what they were taken for.

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
    return (np.deg2rad(angles) if degrees else angles.copy()), words


def spread_angles(first_last: tuple[float, float], count: int) -> tuple[NDArray[np.float64], str]:
    """Return ``count`` angles in radians, evenly from the first to the last, given in degrees."""
    first, last = (float(value) for value in first_last)
    if not (np.isfinite(first) and np.isfinite(last)):
        raise ValueError(f"first_last must be two finite angles in degrees, got {first_last}")
    words = f"evenly from {first:g} to {last:g} degrees, {count} angles, both ends included"
    return np.deg2rad(np.linspace(first, last, count)), words


def read_angles(path: str | Path, unit: AngleUnit | None = None) -> tuple[NDArray[np.float64], str]:
    """Read the angles of a scan from a file of their own.

    Parameters
    ----------
    path : path
        ``.rawtlt`` and ``.tlt`` (degrees, one a line), ``.mdoc`` (degrees), ``.npy``, or a text
        or CSV file with the angles in its first column.
    unit : {"degrees", "radians"}, optional
        Of text and ``.npy`` files. None: recognised by the range.

    Returns
    -------
    (n_angles,) array of float64
        Radians.
    str
        Where they come from and what unit they were taken to have.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ScanFileError
        It holds no list of angles.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of angles at {path}")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        try:
            values = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ScanFileError(f"{path} is not a NumPy file: {error}") from error
        return in_radians(values, unit, path.name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ScanFileError(
            f"{path} is not a text file of angles; expected one angle a line"
        ) from error
    if suffix == ".mdoc":
        return in_radians(_mdoc_angles(text, path), "degrees", path.name)
    stated = "degrees" if suffix in (".rawtlt", ".tlt") else unit
    return in_radians(_first_column(text, path), stated, path.name)


def angles_beside(path: Path) -> Path | None:
    """Return the file of angles that belongs to an image file by its name, or None."""
    names = [path.with_suffix(suffix) for suffix in (".tlt", ".rawtlt", ".mdoc")]
    names.append(path.with_name(path.name + ".mdoc"))
    names += [path.with_name(f"{path.stem}_angles{suffix}") for suffix in (".txt", ".csv", ".npy")]
    return next((name for name in names if name.is_file()), None)


def _mdoc_angles(text: str, path: Path) -> list[float]:
    angles = [float(value) for value in re.findall(r"^\s*TiltAngle\s*=\s*(\S+)", text, re.M)]
    if not angles:
        raise ScanFileError(f"{path} has no line 'TiltAngle = ...'; give the angles another way")
    return angles


def _first_column(text: str, path: Path) -> list[float]:
    values: list[float] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = re.split(r"[,;\s]+", line.split("#")[0].strip())
        if fields == [""]:
            continue
        try:
            values.append(float(fields[0]))
        except ValueError as error:
            if not values:  # a line of column names
                continue
            raise ScanFileError(
                f"{path}, line {number}: expected an angle, got {line.strip()[:60]!r}"
            ) from error
    if not values:
        raise ScanFileError(f"{path} holds no angles; expected one angle a line")
    return values
