"""What projections cannot tell: the position of the object.

Moving the object by ``(row, y, x)`` moves every projection by a constant in the rows and by
``a cos(angle) + b sin(angle)`` in the columns. Shifts are meaningful only
modulo these; a constant in the columns is the position of the axis and is not among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["alignment_error", "axis_part", "gauge_part", "remove_gauge"]


def gauge_part(
    shifts: ArrayLike,
    angles: ArrayLike,
    weights: ArrayLike | None = None,
    ridge: float = 1e-3,
) -> NDArray[np.float64]:
    """Return the part of the shifts that a displaced object would cause.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        Row and column shifts, pixels.
    angles : (n_angles,) array
        Radians.
    weights : (n_angles,) array, optional
        How much each projection counts in the least squares.
    ridge : float
        Relative ridge of the column fit. In a narrow wedge cosine, sine and a constant are nearly
        collinear; the ridge keeps the fit from trading large amplitudes for noise.

    Returns
    -------
    (n_angles, 2) array of float64
        Subtract it from ``shifts`` to remove the gauge.
    """
    shifts = np.asarray(shifts, dtype=np.float64)
    weight = _counted(weights, len(shifts))
    design, fit = _fit_columns(shifts[:, 1], angles, weight, ridge, constant=False)
    row = np.average(shifts[:, 0], weights=weight)
    return np.column_stack([np.full(len(shifts), row), design @ fit])


def axis_part(
    shifts: ArrayLike,
    angles: ArrayLike,
    weights: ArrayLike | None = None,
    ridge: float = 1e-3,
) -> float:
    """Return the constant in the columns beside what a displaced object would cause.

    Fitted together with the object's position: over half a turn the mean of the columns holds
    much of a sine, and would take the axis with the object.

    Parameters
    ----------
    shifts, angles, weights, ridge
        As for `gauge_part`.

    Returns
    -------
    float
        Pixels by which the axis lies further along the columns.
    """
    shifts = np.asarray(shifts, dtype=np.float64)
    weight = _counted(weights, len(shifts))
    _, fit = _fit_columns(shifts[:, 1], angles, weight, ridge, constant=True)
    return float(fit[2])


def _counted(weights: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Return the weights of the least squares: all 1 where none is given or none is above 0."""
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    return weight if np.any(weight > 0) else np.ones(n)


def _fit_columns(
    columns: NDArray[np.float64],
    angles: ArrayLike,
    weight: NDArray[np.float64],
    ridge: float,
    *,
    constant: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit cosine and sine, under the ridge, and a constant if wanted: the design and the fit."""
    angles = np.asarray(angles, dtype=np.float64)
    terms = [np.cos(angles), np.sin(angles)] + ([np.ones(len(angles))] if constant else [])
    design = np.column_stack(terms)
    normal = (design.T * weight) @ design
    normal[[0, 1], [0, 1]] += ridge * np.trace(normal[:2, :2]) / 2
    return design, np.linalg.solve(normal, (design.T * weight) @ columns)


def remove_gauge(
    shifts: ArrayLike, angles: ArrayLike, weights: ArrayLike | None = None, ridge: float = 0.0
) -> NDArray[np.float64]:
    """Return the shifts without their gauge part (see `gauge_part`)."""
    return np.asarray(shifts, dtype=np.float64) - gauge_part(shifts, angles, weights, ridge)


def alignment_error(
    shifts: ArrayLike, true_shifts: ArrayLike, angles: ArrayLike, subset: ArrayLike | None = None
) -> float:
    """Return the RMS distance between found and true shifts, modulo the gauge.

    Parameters
    ----------
    shifts, true_shifts : (n_angles, 2) array
        Pixels.
    angles : (n_angles,) array
        Radians.
    subset : array of bool or int, optional
        The projections that are scored.

    Returns
    -------
    float
        ``sqrt(mean(row_error**2 + column_error**2))`` in pixels.
    """
    difference = np.asarray(shifts, dtype=np.float64) - np.asarray(true_shifts, dtype=np.float64)
    angles = np.asarray(angles, dtype=np.float64)
    if subset is not None:
        index = np.asarray(subset)
        difference, angles = difference[index], angles[index]
    return float(np.sqrt(np.mean(np.sum(remove_gauge(difference, angles) ** 2, axis=1))))
