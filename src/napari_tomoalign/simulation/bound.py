"""The smallest error that any alignment of a simulated scan can have."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bodies import project_bodies, sub_pixels
from .simulated_scan import SimulatedScan

__all__ = ["axis_bound", "axis_derivative", "cramer_rao_bound", "shift_derivatives"]

_STEP = 1e-3  # radians: of finite differences, a thirtieth of a pixel at the border of 64


@overload
def cramer_rao_bound(
    scan: SimulatedScan,
    noise_sigma: float | None = None,
    weights: ArrayLike | None = None,
    subset: ArrayLike | None = None,
    *,
    per_projection: Literal[False] = False,
) -> float: ...


@overload
def cramer_rao_bound(
    scan: SimulatedScan,
    noise_sigma: float | None = None,
    weights: ArrayLike | None = None,
    subset: ArrayLike | None = None,
    *,
    per_projection: Literal[True],
) -> NDArray[np.float64]: ...


def cramer_rao_bound(
    scan: SimulatedScan,
    noise_sigma: float | None = None,
    weights: ArrayLike | None = None,
    subset: ArrayLike | None = None,
    *,
    per_projection: bool = False,
) -> float | NDArray[np.float64]:
    """Return the smallest error that an unbiased estimate of the shifts can have.

    The object is taken as known, the noise as independent and Gaussian. The derivative of a
    pixel's mean with respect to a shift is the difference of the line integrals along two of its
    edges, so it is exact, however sharp the object.

    Parameters
    ----------
    scan : SimulatedScan
        Object, shifts and geometry.
    noise_sigma : float, optional
        Standard deviation of the noise. Default: the scan's own, for photons that of each pixel.
    weights : (n_angles, n_rows, n_columns) array, optional
        0: the pixel tells nothing. Default: the scan's own.
    subset : array of bool or int, optional
        Projections that count. Default: those that are neither blank nor a duplicate.
    per_projection : bool
        Give the standard errors of each projection instead of one number.

    Returns
    -------
    float or (n_chosen, 2) array of float64
        ``sqrt(mean(row_variance + column_variance))``; or standard errors (row, column), pixels.
    """
    chosen = np.arange(len(scan.angles))[scan.sound if subset is None else np.asarray(subset)]
    by_row, by_column = shift_derivatives(scan, chosen)
    precision = _precision(scan, chosen, noise_sigma, weights)
    if np.isinf(precision).any():
        return np.zeros((len(chosen), 2)) if per_projection else 0.0
    rows = np.sum(precision * by_row**2, axis=(1, 2))
    columns = np.sum(precision * by_column**2, axis=(1, 2))
    mixed = np.sum(precision * by_row * by_column, axis=(1, 2))
    determinant = rows * columns - mixed**2
    variances = np.stack([columns, rows], axis=1) / determinant[:, None]
    if per_projection:
        errors: NDArray[np.float64] = np.sqrt(variances)
        return errors
    return float(np.sqrt(np.mean(variances.sum(axis=1))))


def axis_bound(scan: SimulatedScan, name: Literal["axis_angle", "axis_tilt"]) -> float:
    """Return the smallest error that an unbiased estimate of the axis' turn or lean can have.

    As `cramer_rao_bound`, together with all shifts, which are not known either. The object is: of
    one that is not, less is known, ``tests/benchmarks/axis_bound.py``.

    Parameters
    ----------
    scan : SimulatedScan
        Of an axis, not of ``rotations``.
    name : {"axis_angle", "axis_tilt"}
        Which of them.

    Returns
    -------
    float
        Standard error, radians.
    """
    chosen = np.flatnonzero(scan.sound)
    precision = _precision(scan, chosen, None, None)
    if np.isinf(precision).any():
        return 0.0
    free = axis_derivative(scan, name)[chosen]
    moves = np.stack(shift_derivatives(scan, chosen), axis=1)
    normal = np.einsum("nkij,nij,nlij->nkl", moves, precision, moves)
    right = np.einsum("nkij,nij,nij->nk", moves, precision, free)
    known = np.einsum("nij,nij,nij->", free, precision, free)
    known -= np.einsum("nk,nkl,nl->", right, np.linalg.inv(normal), right)
    return float(known**-0.5)


def axis_derivative(scan: SimulatedScan, name: str) -> NDArray[np.float64]:
    """Return the images' derivatives with respect to the axis' turn or lean, per radian."""
    value, points = getattr(scan.geometry, name), sub_pixels(scan.oversampling)
    shape = scan.projections.shape[1:]
    ends = [
        project_bodies(
            scan.bodies,
            scan.geometry.with_changes(**{name: value + step}).directions,
            scan.shifts,
            shape,
            scan.center,
            row_samples=points,
            column_samples=points,
        )
        for step in (_STEP, -_STEP)
    ]
    change: NDArray[np.float64] = (ends[0] - ends[1]) / (2 * _STEP)
    return change


def _precision(
    scan: SimulatedScan,
    chosen: NDArray[np.intp],
    noise_sigma: float | None,
    weights: ArrayLike | None,
) -> NDArray[np.float64]:
    """Return the inverse variance of each pixel, infinite where there is no noise."""
    images = scan.clean[chosen].astype(np.float64)
    if noise_sigma is None and scan.photons is not None:
        precision = scan.photons * np.exp(-images)
    else:
        sigma = scan.noise_sigma if noise_sigma is None else noise_sigma
        precision = np.full(images.shape, np.inf if sigma == 0 else sigma**-2)
    usable = scan.weights if weights is None else np.asarray(weights)
    if usable is not None:
        precision[~(usable[chosen] > 0)] = 0.0
    return precision


def shift_derivatives(
    scan: SimulatedScan, chosen: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the images' derivatives with respect to the row and the column shift."""
    n_rows, n_columns = scan.projections.shape[1:]
    views, points = scan.geometry.directions[chosen], sub_pixels(2 * scan.oversampling)
    # With a row (column) more, the middle of the image lies half a pixel further.
    half = np.array([0.5, 0.0])
    rows = project_bodies(
        scan.bodies,
        views,
        scan.shifts[chosen] - half,
        (n_rows + 1, n_columns),
        scan.center,
        row_samples=-0.5,
        column_samples=points,
    )
    columns = project_bodies(
        scan.bodies,
        views,
        scan.shifts[chosen],
        (n_rows, n_columns + 1),
        scan.center,
        row_samples=points,
        column_samples=-0.5,
    )
    return -np.diff(rows, axis=1), -np.diff(columns, axis=2)
