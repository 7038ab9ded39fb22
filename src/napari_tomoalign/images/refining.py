"""Refine: a least-squares step on the image difference, taken only where it lowers that difference.

Sign: the answer is how far ``measured`` is displaced from ``reprojected``, positive towards
larger index.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .._typing import Array, Stack
from ._pairs import Registration, chunks, coefficient, squared_difference
from .shifting import SplineStack

__all__ = ["gauss_newton", "solve"]

_LONG_STEP = 0.1  # pixels: a step that changes an image more than interpolating it does


def gauss_newton(
    measured: Stack,
    reprojected: Stack,
    weights: Stack,
    *,
    response: Stack | None = None,
    largest_step: float = 1.0,
    workers: int | None = None,
) -> Registration:
    """Return one guarded Gauss-Newton step on the filtered image difference.

    ``measured(x) = gain * reprojected(x - shift) + offset`` is linearised at no shift, unit gain
    and no offset; gain and offset are solved for as well, so that neither is mistaken for a shift.
    A step that does not lower the weighted difference is not taken: its shift is 0.

    Parameters
    ----------
    measured, reprojected, weights : (n, n_rows, n_columns) array of float32
    response : (n_rows, n_columns // 2 + 1) array of float32, optional
        Frequency response of the filter that difference and gradient go through.
    largest_step : float
        Pixels; a longer step (Euclidean) is scaled down to this length.
    workers : int, optional
        Number of threads.

    Returns
    -------
    Registration
        ``standard_error`` is that of the least squares, from the difference that remains.
    """
    n, n_rows, n_columns = measured.shape
    shifts, peak = np.zeros((n, 2)), np.full(n, -1.0)
    error = np.full((n, 2), np.nan)
    for part in chunks(n, 12 * 4 * n_rows * n_columns):
        solved = solve(measured[part], reprojected[part], weights[part], response, workers)
        step, error[part], peak[part] = solved
        length = np.maximum(np.hypot(*step.T)[:, None], 1e-12)
        step = step * np.minimum(1, largest_step / length)
        better = _lowers(step, measured[part], reprojected[part], weights[part], workers)
        shifts[part] = np.where(better[:, None], step, 0.0)
    return Registration(shifts, peak, error)


def _lowers(
    step: Array, measured: Stack, reprojected: Stack, weights: Stack, workers: int | None
) -> NDArray[np.bool_]:
    """Return whether a step lowers the weighted sum of squares of the difference.

    Interpolating smooths the reprojection a little, which changes the difference as well. So a
    step is compared with the opposite one, which is smoothed alike, and only a long one with none.
    """
    finite = np.isfinite(step).all(axis=1)
    spline = SplineStack(reprojected)
    sums = [
        squared_difference(
            measured, spline.moved(sign * np.nan_to_num(step), workers=workers), weights
        )
        for sign in (1, -1)
    ]
    none = squared_difference(measured, reprojected, weights)
    long = np.hypot(*np.nan_to_num(step).T) > _LONG_STEP
    lower: NDArray[np.bool_] = finite & (sums[0] < sums[1]) & ~(long & (sums[0] > none))
    return lower


def solve(
    measured: Stack,
    reprojected: Stack,
    weights: Stack,
    response: Stack | None,
    workers: int | None,
) -> tuple[Array, Array, Array]:
    """Return the steps, their standard errors and the correlation coefficients of one chunk."""
    n, n_rows, n_columns = measured.shape
    down = 2j * np.pi * np.fft.fftfreq(n_rows)[:, None]
    along = 2j * np.pi * np.fft.rfftfreq(n_columns)[None, :]
    if n_rows % 2 == 0:
        down[n_rows // 2] = 0
    if n_columns % 2 == 0:
        along[:, -1] = 0
    flat = np.ones((n_rows, n_columns // 2 + 1), np.float32) if response is None else response

    def filtered(images: Stack, *factors: NDArray[np.generic]) -> list[Stack]:
        spectra = scipy.fft.rfft2(images, workers=workers) * flat
        return [
            scipy.fft.irfft2(
                (spectra * f).astype(np.complex64), (n_rows, n_columns), workers=workers
            )
            for f in factors
        ]

    one = np.ones((1, 1), np.float32)
    difference = filtered(weights * (measured - reprojected), one)[0].reshape(n, -1)
    slopes = filtered(reprojected, down, along, one)
    design = np.stack([*(weights * s for s in slopes), weights], axis=1).reshape(n, 4, -1)
    normal = np.matmul(design, design.transpose(0, 2, 1)).astype(np.float64)
    right = np.matmul(design, difference[:, :, None])[..., 0].astype(np.float64)
    step, error = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    trace = np.trace(normal[:, :2, :2], axis1=1, axis2=2)
    fit = np.isfinite(normal).all(axis=(1, 2)) & (trace > 1e-12 * max(trace.max(), 1e-30))
    scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-30))
    scaled = normal / (scale[:, :, None] * scale[:, None, :]) + 1e-6 * np.eye(4)
    inverse = np.linalg.inv(scaled[fit]) / (scale[fit][:, :, None] * scale[fit][:, None, :])
    solution = np.einsum("nij,nj->ni", inverse, right[fit])
    step[fit] = -solution[:, :2]
    remaining = np.sum(difference[fit].astype(np.float64) ** 2, axis=1)
    remaining -= np.einsum("ni,ni->n", solution, right[fit])
    freedom = np.maximum(np.sum(weights[fit] > 0, axis=(1, 2)) - 4, 1)
    variance = np.maximum(remaining, 0) / freedom
    error[fit] = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)[:, :2] * variance[:, None])
    error[error > max(n_rows, n_columns)] = np.nan  # a direction in which nothing can be seen
    return step, error, coefficient(measured, reprojected, weights)
