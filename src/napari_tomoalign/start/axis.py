"""How the scan was turned, as it was told: checked, and made a geometry."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import ScanGeometry
from ..parameters import AlignmentParameters

__all__ = ["Axis", "geometry_of"]

_NOT_QUITE = 1e-6  # radians: far below what can be told, far above rounding
_LARGEST_ANGLE = 4 * np.pi  # beyond two turns, radians are unlikely and degrees are likely

_LARGEST_TURN = np.pi  # radians of an image in its plane


@dataclass(frozen=True, eq=False)
class Axis:
    """How the scan was turned, as it was told (see `iterate_alignment`)."""

    angles: ArrayLike | None
    rotations: ArrayLike | None = None
    center: float | None = None
    in_plane: ArrayLike | None = None


def geometry_of(
    axis: Axis, n: int, n_rows: int, n_columns: int, settings: AlignmentParameters
) -> ScanGeometry:
    """Return the geometry that was told.

    Raises
    ------
    TypeError, ValueError
        What was expected, what came and what to do.
    """
    center = _center(axis.center, n_columns)
    in_plane = None if axis.in_plane is None else _turns(axis.in_plane, n)
    if settings.unknowns and not settings.gauss_newton:
        raise ValueError(
            f"refine names {settings.unknowns[0]!r}, which only steps of least squares find: leave "
            "gauss_newton on, or refine shifts alone"
        )
    if axis.rotations is None:
        if axis.angles is None:
            raise TypeError("angles is None and there are no rotations: give one of them")
        radians = _angles(axis.angles, n)
        tilt = settings.axis_tilt
        if "axis_tilt" in settings.unknowns and not tilt:
            tilt = _NOT_QUITE  # what is to be found is never exactly none: no slice is by itself
        return ScanGeometry(
            radians,
            n_rows,
            n_columns,
            center,
            axis_angle=settings.axis_angle,
            axis_tilt=tilt,
            in_plane=in_plane,
        )
    held = [name for name in settings.unknowns if name != "in_plane"]
    if held:
        raise ValueError(
            f"rotations hold axis and angles, so {held[0]!r} cannot be refined beside them: "
            "give angles, axis_angle and axis_tilt in their place, or refine 'in_plane'"
        )
    if axis.angles is not None:
        raise ValueError(
            "angles and rotations are both given: rotations hold the angles, so pass angles=None"
        )
    given = np.asarray(axis.rotations)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"rotations must be real numbers, got dtype {given.dtype}")
    geometry = ScanGeometry(
        n_rows=n_rows,
        n_columns=n_columns,
        center=center,
        axis_angle=settings.axis_angle,
        axis_tilt=settings.axis_tilt,
        rotations=given,
        in_plane=in_plane,
    )
    if geometry.n_angles != n:
        raise ValueError(
            f"rotations must be one for each projection, shape ({n}, 3, 3); got {given.shape}"
        )
    if np.abs(geometry.rays - geometry.rays[0]).max() < 1e-6:
        raise ValueError("all rotations see the object from the same side: a tomogram needs others")
    return geometry


def _turns(in_plane: ArrayLike, n: int) -> NDArray[np.float64]:
    turns = np.asarray(in_plane)
    if turns.dtype.kind not in "fiu":
        raise TypeError(f"in_plane must be real numbers, radians; got dtype {turns.dtype}")
    if turns.shape != (n,):
        raise ValueError(
            f"in_plane must be a turn for each projection, shape ({n},); got shape {turns.shape}"
        )
    if not (np.abs(turns) <= _LARGEST_TURN).all():
        raise ValueError(
            "in_plane must be finite and within half a turn, radians; the largest is "
            f"{np.abs(turns).max():g}: pass np.deg2rad(in_plane) if these are degrees"
        )
    return np.asarray(turns, np.float64)


def _angles(angles: ArrayLike, n: int) -> NDArray[np.float64]:
    if np.iscomplexobj(angles):
        raise TypeError(f"angles must be real numbers, radians; got complex ones: {angles!r:.60}")
    try:
        radians = np.array(np.ma.filled(angles, np.nan), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"angles must be numbers in radians, got {angles!r:.60}") from error
    if radians.shape != (n,):
        raise ValueError(
            f"angles must be one for each projection, shape ({n},); got shape {radians.shape}"
        )
    if not np.isfinite(radians).all():
        bad = np.flatnonzero(~np.isfinite(radians))
        raise ValueError(
            f"{len(bad)} of {n} angles are not finite (the first at index {bad[0]}): leave those "
            "projections out"
        )
    if np.abs(radians).max() > _LARGEST_ANGLE:
        raise ValueError(
            f"angles must be radians; they reach {np.abs(radians).max():g}, which looks like "
            "degrees: pass np.deg2rad(angles)"
        )
    if np.ptp(radians) < 1e-6:
        raise ValueError(
            f"all angles are the same ({radians[0]:g} rad): a tomogram needs different ones"
        )
    return radians


def _center(center: float | None, n_columns: int) -> float:
    if center is None:
        return (n_columns - 1) / 2
    if isinstance(center, bool) or not isinstance(center, numbers.Real):
        raise TypeError(f"center must be a column, a number of pixels; got {center!r}")
    if not 0 <= float(center) <= n_columns - 1:
        raise ValueError(
            f"center must lie inside the image, 0 to {n_columns - 1}; got {float(center):g}"
        )
    return float(center)
