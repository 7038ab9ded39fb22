"""What projections cannot tell: the position of the object.

Moving the object by ``d = (z, y, x)`` moves projection ``i`` by ``P_i d``, where the rows of
``P_i`` are the `ScanGeometry.directions` of its detector. About a vertical axis that is a constant
in the rows and ``a cos(angle) + b sin(angle)`` in the columns. Shifts are meaningful only modulo
these; a constant in the columns is the position of the axis and is not among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scan_geometry import directions_of

__all__ = ["alignment_error", "axis_part", "gauge_part", "remove_gauge"]

_Array = NDArray[np.float64]


def gauge_part(
    shifts: ArrayLike,
    views: ArrayLike,
    weights: ArrayLike | None = None,
    ridge: float = 1e-3,
) -> _Array:
    """Return the part of the shifts that a displaced object would cause.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        Row and column shifts, pixels.
    views : (n_angles,) or (n_angles, 2, 3) array
        Angles about a vertical axis, radians; or the directions of any geometry.
    weights : (n_angles,) array, optional
        How much each projection counts in the least squares.
    ridge : float
        How much a motion along the beam, which a projection does not see, counts against one that
        it sees. In a narrow wedge cosine, sine and a constant are nearly collinear; the ridge keeps
        the fit from trading large amplitudes for noise.

    Returns
    -------
    (n_angles, 2) array of float64
        Subtract it from ``shifts`` to remove the gauge.
    """
    directions = directions_of(views)
    fit = _fit(np.asarray(shifts, dtype=np.float64), directions, weights, ridge)
    return directions @ fit[:3]


def axis_part(
    shifts: ArrayLike,
    views: ArrayLike,
    weights: ArrayLike | None = None,
    ridge: float = 1e-3,
) -> float:
    """Return the constant in the columns beside what a displaced object would cause.

    Fitted together with the object's position: over half a turn the mean of the columns holds
    much of a sine, and would take the axis with the object.

    Parameters
    ----------
    shifts, views, weights, ridge
        As for `gauge_part`.

    Returns
    -------
    float
        Pixels by which the axis lies further along the columns.
    """
    fit = _fit(
        np.asarray(shifts, dtype=np.float64), directions_of(views), weights, ridge, constant=True
    )
    return float(fit[3])


def _fit(
    shifts: _Array,
    directions: _Array,
    weights: ArrayLike | None,
    ridge: float,
    *,
    constant: bool = False,
) -> _Array:
    """Fit the object's position (z, y, x), and a constant in the columns if wanted.

    Weights count, or all alike where none is given or none is above 0.
    """
    weight = np.ones(len(shifts)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not np.any(weight > 0):
        weight = np.ones(len(shifts))
    design = directions
    if constant:
        design = np.concatenate([design, np.tile([[0.0], [1.0]], (len(shifts), 1, 1))], axis=2)
    weighted = weight[:, None, None] * design
    normal = np.einsum("nki,nkj->ij", weighted, design)
    rays = np.cross(directions[:, 0], directions[:, 1])
    normal[:3, :3] += ridge * np.einsum("n,ni,nj->ij", weight, rays, rays)
    right = np.einsum("nki,nk->i", weighted, shifts)
    return np.asarray(np.linalg.lstsq(normal, right, rcond=None)[0])


def remove_gauge(
    shifts: ArrayLike, views: ArrayLike, weights: ArrayLike | None = None, ridge: float = 0.0
) -> _Array:
    """Return the shifts without their gauge part (see `gauge_part`)."""
    return np.asarray(shifts, dtype=np.float64) - gauge_part(shifts, views, weights, ridge)


def alignment_error(
    shifts: ArrayLike, true_shifts: ArrayLike, views: ArrayLike, subset: ArrayLike | None = None
) -> float:
    """Return the RMS distance between found and true shifts, modulo the gauge.

    Parameters
    ----------
    shifts, true_shifts : (n_angles, 2) array
        Pixels.
    views : (n_angles,) or (n_angles, 2, 3) array
        Angles about a vertical axis, radians; or the directions of any geometry.
    subset : array of bool or int, optional
        The projections that are scored.

    Returns
    -------
    float
        ``sqrt(mean(row_error**2 + column_error**2))`` in pixels.
    """
    difference = np.asarray(shifts, dtype=np.float64) - np.asarray(true_shifts, dtype=np.float64)
    directions = directions_of(views)
    if subset is not None:
        index = np.asarray(subset)
        difference, directions = difference[index], directions[index]
    return float(np.sqrt(np.mean(np.sum(remove_gauge(difference, directions) ** 2, axis=1))))
