"""What can be said before the loop: truncation, and first estimates of shifts and centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry.gauge import remove_gauge
from ..images.filtering import noise_level, sample

__all__ = ["Estimate", "Outline", "estimate_shifts", "look_at_outline", "rows_inside"]

_EDGE = 0.08  # of the mean absorbance: a border above this is no background
_CLEAR = 0.015  # of the object's absorbance: sides that stay below it on average are background
_WOBBLE = 0.05  # relative spread of the projected mass: more, and mass means nothing


@dataclass(frozen=True)
class Outline:
    """Whether the object lies inside every image.

    Attributes
    ----------
    sides, ends : float
        Absorbance along the left and right borders, and along the top and bottom ones, in the
        median frame, relative to the mean of all frames; less what noise may have added.
    mass_spread : float
        Standard deviation over mean of the projected mass.
    """

    sides: float
    ends: float
    mass_spread: float

    @property
    def truncated(self) -> bool:
        """The object is wider than the images."""
        return self.sides > _EDGE

    @property
    def whole(self) -> bool:
        """Every projection holds the whole object, so that its mass and centre mean something."""
        return max(self.sides, self.ends) < _EDGE and self.mass_spread < _WOBBLE


@dataclass(frozen=True, eq=False)
class Estimate:
    """Shifts (n_angles, 2) in pixels and the centre, a column, from centres of mass."""

    shifts: Array
    center: float


def look_at_outline(projections: NDArray[np.float32], used: NDArray[np.bool_]) -> Outline:
    """Measure how much of the object reaches the borders of the images.

    Parameters
    ----------
    projections : (n_angles, n_rows, n_columns) array
        Line integrals, background at 0.
    used : (n_angles,) array of bool
        Frames that count.
    """
    stack = projections[used]
    width = 2 if stack.shape[2] < 64 else stack.shape[2] // 32
    height = min(width, stack.shape[1])
    noise = 2 * noise_level(sample(projections, used)) / np.sqrt(len(stack))  # two standard errors

    def border(first: NDArray[np.float32], last: NDArray[np.float32]) -> float:
        # The median, so that frames that jitter out of the field do not speak for the others.
        means = [np.median(part.mean(axis=(1, 2))) for part in (first, last)]
        return float(max(means) - noise / np.sqrt(first[0].size))

    mass = stack.sum(axis=(1, 2), dtype=np.float64)
    mean = max(float(mass.mean()) / stack[0].size, 1e-30)
    return Outline(
        sides=border(stack[:, :, :width], stack[:, :, -width:]) / mean,
        ends=border(stack[:, :height], stack[:, -height:]) / mean,
        mass_spread=float(mass.std() / max(abs(mass.mean()), 1e-30)),
    )


def rows_inside(
    projections: NDArray[np.float32], weights: NDArray[np.generic]
) -> NDArray[np.bool_]:
    """Tell the rows whose object lies inside every image from those where it leaves it.

    Parameters
    ----------
    projections, weights : (n_angles, n_rows, n_columns) array
        Aligned line integrals, background at 0, and their weights.

    Returns
    -------
    (n_rows,) array of bool
    """
    thick = max(float(np.percentile(projections[:, ::2, ::2], 90)), 1e-30)
    inside = np.ones(projections.shape[1], bool)
    for side in (slice(None, 2), slice(-2, None)):
        weight = weights[:, :, side].astype(np.float64)
        mass = np.sum(weight * projections[:, :, side], axis=(0, 2))
        inside &= mass <= _CLEAR * thick * weight.sum(axis=(0, 2))
    return inside


def estimate_shifts(
    projections: NDArray[np.float32],
    angles: Array,
    used: NDArray[np.bool_],
    center: float | None,
) -> Estimate:
    """Estimate shifts, and the centre where it is not given, from centres of mass.

    The mass's row stays where it is, its column follows ``center + a cos + b sin``; what departs
    is the shift (Helgason and Ludwig's moment conditions of order 1). Valid only where every
    projection holds the whole object.

    Parameters
    ----------
    projections : (n_angles, n_rows, n_columns) array
        Line integrals, background at 0.
    angles : (n_angles,) array
        Radians.
    used : (n_angles,) array of bool
        Frames that count; the others get the shift 0.
    center : float or None
        Column of the axis, if it is known.
    """
    n_rows, n_columns = projections.shape[1:]
    mass = np.maximum(projections.sum(axis=(1, 2), dtype=np.float64), 1e-30)
    rows = projections.sum(axis=2, dtype=np.float64) @ np.arange(n_rows) / mass
    columns = projections.sum(axis=1, dtype=np.float64) @ np.arange(n_columns) / mass
    design = np.column_stack([np.cos(angles), np.sin(angles), np.ones(len(angles))])
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
