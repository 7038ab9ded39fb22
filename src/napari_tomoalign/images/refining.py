"""Refine: a least-squares step on the image difference, from sums that add up over rows.

``measured(x) = gain * reprojected(x - shift) + offset`` is linearised at no shift, unit gain and
no offset; gain and offset are solved for as well, so that neither is mistaken for a shift. All that
is needed of the images are sums over pixels, `NormalEquations`; those of slabs of rows, each with
``SLOPE_HALO`` rows around it, add up to those of the whole images.

Sign: the answer is how far ``measured`` is displaced from ``reprojected``, positive towards
larger index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from .._typing import Array, Stack
from ._pairs import Peaks, squared_difference
from .filtering import SMOOTHING_HALO
from .shifting import SplineStack

__all__ = [
    "COMPARED_HALO",
    "LONG_STEP",
    "SLOPE_HALO",
    "NormalEquations",
    "guarded",
    "slopes",
    "step_change",
]

SLOPE_HALO = 12
"""Rows around a slab that its slopes depend on: the spline's filter has the pole ``sqrt(3) - 2``,
and what lies further away counts by less than ``0.268**12``, 1e-7."""

COMPARED_HALO = SMOOTHING_HALO + SLOPE_HALO
"""Rows around a slab that its comparison depends on: the slopes are those of a smoothed image."""

LONG_STEP = 0.1  # pixels: a step that changes an image more than interpolating it does
_LONGEST_STEP = 1.0  # pixels: the finest detail of a template, beyond which slopes foretell nothing
# Of what slopes foretell of a long step, at least: of a wave that it moves by 0.6 of half a period,
# beyond which slopes hardly tell where it lies, half comes true (``sin(x) / x``).
_AS_FORETOLD = 0.5
_SINGULAR = 1e-6  # of the scaled normal matrix: float32 images are known no better than that
_NOTHING = 1e-12  # of the largest image's squared slopes: one below it shows nothing


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Sums over the pixels of each pair of images: all that a least-squares step needs.

    The unknowns are one for each derivative image, then gain and offset: ``k`` in all.

    Attributes
    ----------
    normal : (n, k, k) array of float64
        Weighted products of the derivative images, the reprojection and a constant.
    right : (n, k) array of float64
        Their weighted products with the difference, measured minus reprojected.
    squares : (n,) array of float64
        Weighted squares of the difference.
    count : (n,) array of float64
        Pixels of a weight above 0.
    """

    normal: Array
    right: Array
    squares: Array
    count: Array

    @classmethod
    def of(
        cls,
        measured: Stack,
        reprojected: Stack,
        weights: NDArray[Any],
        derivatives: Sequence[Stack],
    ) -> NormalEquations:
        """Sum up over the pixels of some images.

        Parameters
        ----------
        measured, reprojected, weights : (n, n_rows, n_columns) array
        derivatives : sequence of (n, n_rows, n_columns) array
            How the reprojection changes with each unknown.
        """
        from ._sum_kernels import add_up

        columns = np.stack([*derivatives, reprojected])
        n, k = len(measured), len(columns) + 1
        normal, right, rest = np.zeros((n, k, k)), np.zeros((n, k)), np.zeros((n, 2))
        add_up(columns, measured - reprojected, weights, normal, right, rest)
        return cls(normal, right, rest[:, 0], rest[:, 1])

    def __add__(self, other: NormalEquations) -> NormalEquations:
        """Add the sums over other rows of the same images."""
        return NormalEquations(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )

    def __getitem__(self, which: Any) -> NormalEquations:
        """Return the sums of some of the images."""
        return NormalEquations(*(getattr(self, f.name)[which] for f in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[NormalEquations]) -> NormalEquations:
        """Return the sums of several groups of images, one group after the other."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def solve(self) -> tuple[Array, Array]:
        """Return the unknowns (n, k) but gain and offset, and their standard errors.

        NaN where an image shows nothing; an error is NaN where nothing tells its unknown.
        """
        n, k = self.right.shape
        found, error = np.full((2, n, k - 2), np.nan)
        trace = np.trace(self.normal[:, : k - 2, : k - 2], axis1=1, axis2=2)
        fit = np.isfinite(self.normal).all(axis=(1, 2))
        fit &= trace > _NOTHING * max(trace.max(initial=0.0), 1e-30)
        normal, right = self.normal[fit], self.right[fit]
        scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-30))
        both = scale[:, :, None] * scale[:, None, :]
        inverse = np.linalg.inv(normal / both + _SINGULAR * np.eye(k)) / both
        solution = np.einsum("nij,nj->ni", inverse, right)
        found[fit] = solution[:, : k - 2]
        remaining = self.squares[fit] - np.einsum("ni,ni->n", solution, right)
        variance = np.maximum(remaining, 0) / np.maximum(self.count[fit] - k, 1)
        spread = np.diagonal(inverse, axis1=1, axis2=2)[:, : k - 2]
        error[fit] = np.sqrt(spread * variance[:, None])
        return found, error

    def coefficient(self) -> Array:
        """Return the weighted correlation coefficient of each pair, -1 where there is none."""
        total, mean, power = self.normal[:, -1, -1], self.normal[:, -1, -2], self.normal[:, -2, -2]
        measured = self.right[:, -1] + mean  # the sum of the measured image, and so on
        cross = self.right[:, -2] + power
        squares = self.squares + 2 * cross - power
        total = np.maximum(total, 1e-6)
        variance = (power - mean**2 / total) * (squares - measured**2 / total)
        covariance = cross - measured * mean / total
        known = variance > _NOTHING * np.abs(power * squares)
        coefficient = np.where(known, covariance / np.sqrt(np.where(known, variance, 1.0)), -1.0)
        return np.clip(coefficient, -1.0, 1.0)


def slopes(images: Stack, axis: int) -> Stack:
    """Return the slope of each image along an axis, that of its cubic spline (Unser 1999)."""
    if images.shape[axis] == 1:
        return np.zeros_like(images)
    coefficients = np.empty(images.shape, np.float32)
    scipy.ndimage.spline_filter1d(images, 3, axis=axis, mode="mirror", output=coefficients)
    slope = np.zeros_like(coefficients)
    low, high = np.moveaxis(slope, axis, 0), np.moveaxis(coefficients, axis, 0)
    np.subtract(high[2:], high[:-2], out=low[1:-1])
    slope *= np.float32(0.5)
    return slope


def guarded(
    equations: NormalEquations,
    change: Callable[[NDArray[np.intp], Array], Array],
) -> Peaks:
    """Return the steps along rows and columns; 0 where a long one does not hold what it promises.

    A short step lowers the difference with the gain and the offset that are found with it. At unit
    gain alone it may raise it where a border cuts the object: its slope is no longer orthogonal to
    the object itself.

    Parameters
    ----------
    equations : NormalEquations
        Their derivative images are the slopes along rows and columns.
    change : callable
        Indices of pairs and a step of each, (n, 2), to what the difference is after it less what it
        is after the opposite one (see `step_change`), in the unit of the equations: asked where
        steps are so long that sums at no shift cannot say.
    """
    step = np.nan_to_num(-equations.solve()[0][:, :2])
    length = np.hypot(*step.T)
    step *= np.minimum(1, _LONGEST_STEP / np.maximum(length, 1e-12))[:, None]
    long = np.flatnonzero(np.hypot(*step.T) > LONG_STEP)
    if len(long):
        # To first order it falls along a step by as much as it rises along the opposite one.
        slope = np.einsum("ni,ni->n", equations.right[long, :2], step[long])
        foretold = 4 * np.minimum(slope, 0)
        step[long[~(change(long, step[long]) < _AS_FORETOLD * foretold)]] = 0.0
    return Peaks(step, equations.coefficient())


def step_change(
    step: Array,
    measured: Stack,
    reprojected: Stack,
    weights: NDArray[Any],
    *,
    workers: int | None = None,
) -> float:
    """Return the weighted squares of one image's difference after a step less after the opposite.

    Less the opposite, not less what it is without: a reconstruction of few angles follows part of
    an image's noise, which any step, and interpolating by itself, takes away from the image's own.
    Against none, frames of noisy scans stayed where they were.

    Parameters
    ----------
    step : (2,) array
        Along rows and columns, pixels.
    measured, reprojected, weights : (1, n_rows, n_columns) array
    workers : int, optional
        Number of threads.
    """
    spline = SplineStack(reprojected)
    ahead, back = (
        squared_difference(measured, spline.moved(way[None], workers=workers), weights)[0]
        for way in (step, -step)
    )
    return float(ahead - back)
