"""First estimates of shifts and centre, before any reconstruction, from centres of mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry.gauge import remove_gauge
from ..geometry.scan_geometry import directions_of
from .survey import Survey

__all__ = ["Estimate", "estimate_shifts", "mass_noise"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Shifts (n_angles, 2) in pixels and the centre, a column, from centres of mass."""

    shifts: Array
    center: float


def mass_noise(survey: Survey, used: NDArray[np.bool_]) -> float:
    """Return the standard error, in pixels, of a centre of mass."""
    n_rows, n_columns = survey.shape[1:]
    mass = float(np.median(survey.mass[used].sum(axis=1)))
    rows = np.arange(n_rows) - (n_rows - 1) / 2
    columns = np.arange(n_columns) - (n_columns - 1) / 2
    spread = np.sqrt(max(n_columns * np.sum(rows**2), n_rows * np.sum(columns**2)))
    return float(survey.noise_of(used) * spread / max(mass, 1e-30))


def estimate_shifts(
    survey: Survey, angles: Array, used: NDArray[np.bool_], center: float | None
) -> Estimate:
    """Estimate shifts, and the centre where it is not given, from centres of mass.

    The mass's row stays where it is, its column follows ``center + a cos + b sin``; what departs
    is the shift (Helgason and Ludwig's moment conditions of order 1). Valid only where every
    projection holds the whole object.

    Parameters
    ----------
    survey : Survey
        Of line integrals, background at 0.
    angles : (n_angles,) array
        Radians.
    used : (n_angles,) array of bool
        Frames that count; the others get the shift 0.
    center : float or None
        Column of the axis, if it is known.
    """
    n_rows, n_columns = survey.shape[1:]
    mass = np.maximum(survey.mass.sum(axis=1), 1e-30)
    rows = survey.mass @ np.arange(n_rows) / mass
    columns = survey.moment.sum(axis=1) / mass
    position = directions_of(angles)[:, 1, 1:]  # of the object's middle in its slice
    design = np.column_stack([position, np.ones(len(angles))])
    known = 0.0 if center is None else center
    if center is not None:
        design = design[:, :2]
    normal = design[used].T @ design[used]
    ridge = 1e-3 * np.diag([len(angles)] * 2 + [0] * (design.shape[1] - 2))
    fit = np.linalg.solve(normal + ridge, design[used].T @ (columns[used] - known))
    found = float(fit[2]) if center is None else center
    found = float(np.clip(found, 0, n_columns - 1))
    shifts = np.zeros((len(angles), 2))
    shifts[used, 0] = rows[used] - rows[used].mean()
    shifts[used, 1] = (columns - found - design[:, :2] @ fit[:2])[used]
    shifts[used] = remove_gauge(shifts[used], angles[used], ridge=1e-3)
    return Estimate(shifts, found)
