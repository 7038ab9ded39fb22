"""Register measured projections against reprojections: a shift each, and how far to trust it.

Two stages. `correlate` captures: the weighted, normalised cross-correlation, whose peak does not
feel the edge of a mask or of the image. `gauss_newton` refines: a least-squares step on the image
difference, taken only where it lowers that difference.

Sign: the answer is how far ``measured`` is displaced from ``reprojected``, positive towards
larger index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .filtering import to_border
from .shifting import shift_stack

__all__ = ["Registration", "correlate", "gauss_newton"]

Stack = NDArray[np.float32]
Array = NDArray[np.float64]

_CHUNK_BYTES = 64 * 2**20
_ZOOM = 10  # how much finer one zoom of the correlation is than the one before
_LEAST_OVERLAP = 0.4  # of the largest: a smaller overlap correlates by chance


@dataclass(frozen=True, eq=False)
class Registration:
    """What a registration found.

    Attributes
    ----------
    shifts : (n, 2) array
        Row and column, pixels.
    peak : (n,) array
        Weighted correlation coefficient at the shift, -1 to 1.
    standard_error : (n, 2) array
        From the curvature and the remaining difference, pixels; NaN where unknown.
    """

    shifts: Array
    peak: Array
    standard_error: Array


def correlate(
    measured: Stack,
    reprojected: Stack,
    weights: Stack,
    *,
    upsampling: int = 1,
    normalization: Literal["phase"] | None = None,
    workers: int | None = None,
) -> Registration:
    """Return the shifts at the peaks of the weighted, normalised cross-correlation.

    For every shift the correlation coefficient is taken over the pixels that both images have,
    with the measured image's weights (Padfield 2012, doi 10.1109/TIP.2011.2181402, with weights
    for masks). The peak is then resolved by evaluating the same sums between the pixels, from
    their spectra (Guizar-Sicairos et al. 2008, doi 10.1364/OL.33.000156).

    Parameters
    ----------
    measured, reprojected : (n, n_rows, n_columns) array of float32
    weights : (n, n_rows, n_columns) array of float32
        Of the measured images, 0 to 1.
    upsampling : int
        Shifts are multiples of ``1 / upsampling`` pixels.
    normalization : {None, "phase"}
        ``"phase"`` whitens the cross-power spectrum, which fails on smooth or noisy images.
    workers : int, optional
        Number of threads.

    Returns
    -------
    Registration
        ``standard_error`` is NaN. An image without contrast gets the shift NaN and the peak -1.
    """
    n = len(measured)
    shifts, peak = np.full((n, 2), np.nan), np.full(n, -1.0)
    size = _padded(measured.shape)
    for part in _chunks(n, 12 * 8 * size[0] * size[1]):
        sums = _Sums(measured[part], reprojected[part], weights[part], size, normalization, workers)
        shifts[part], peak[part] = sums.best(upsampling)
    return Registration(shifts, peak, np.full((n, 2), np.nan))


class _Sums:
    """The sums of one chunk, over the overlap at every shift, and their spectra."""

    def __init__(
        self,
        measured: Stack,
        reprojected: Stack,
        weights: Stack,
        size: tuple[int, int],
        normalization: str | None,
        workers: int | None,
    ) -> None:
        self.size = size
        self.phase = normalization == "phase"
        total = np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1e-6)
        measured = measured - (weights * measured).sum(axis=(1, 2), keepdims=True) / total
        reprojected = to_border(reprojected)  # so that it can be evaluated between the pixels
        weighted = weights * measured

        def forward(images: Stack) -> NDArray[np.complex64]:
            spectrum: NDArray[np.complex64] = scipy.fft.rfft2(images, size, workers=workers)
            return spectrum

        def inverse(spectra: NDArray[np.complex64]) -> Stack:
            images: Stack = scipy.fft.irfft2(spectra, size, workers=workers)
            return images

        frame = np.conj(forward(np.ones((1, *measured.shape[1:]), np.float32)))
        of_weights, of_weighted = forward(weights), forward(weighted)
        conjugate = np.conj(forward(reprojected))
        self.overlap = np.maximum(inverse(of_weights * frame), 1e-3)
        self.measured_sum = inverse(of_weighted * frame)
        squares = inverse(forward(weighted * measured) * frame)
        self.measured_variance = np.maximum(squares - self.measured_sum**2 / self.overlap, 0)
        # Spectra of the sums that change quickly with the shift.
        self.cross = of_weighted * conjugate
        self.sum = of_weights * conjugate
        self.squares = of_weights * np.conj(forward(reprojected**2))
        if self.phase:
            magnitude = np.abs(self.cross)
            floor = 1e-6 * magnitude.max(axis=(1, 2), keepdims=True) + np.float32(1e-30)
            self.cross = self.cross / np.maximum(magnitude, floor)
        self.grids = [inverse(s) for s in (self.cross, self.sum, self.squares)]

    def best(self, upsampling: int) -> tuple[Array, Array]:
        """Return the shifts and the correlation coefficients at the peaks."""
        score = self._score(self.grids, (self.overlap, self.measured_sum, self.measured_variance))
        allowed = self.overlap > _LEAST_OVERLAP * self.overlap.max(axis=(1, 2), keepdims=True)
        score = np.where(allowed & np.isfinite(score), score, -np.inf)
        n = len(score)
        flat = score.reshape(n, -1)
        at = flat.argmax(axis=1)
        peak = flat[np.arange(n), at].astype(np.float64)
        index = np.column_stack(np.unravel_index(at, self.size))
        half = np.array(self.size) / 2
        shifts = np.where(index < half, index, index - np.array(self.size)).astype(np.float64)
        found = np.isfinite(peak)
        local = [
            field[np.arange(n), index[:, 0], index[:, 1]][:, None, None]
            for field in (self.overlap, self.measured_sum, self.measured_variance)
        ]
        step = 1.0
        while step * upsampling > 1 + 1e-9:
            finer = max(step / _ZOOM, 1 / upsampling)
            shifts, refined = self._zoom(shifts, step / 2, finer, local)
            peak = np.where(found, refined, peak)
            step = finer
        shifts[~found] = np.nan
        return shifts, np.where(found, np.clip(peak, -1, 1), -1.0)

    def _score(self, fields: Sequence[Stack], around: Sequence[Stack]) -> Stack:
        """Return the weighted correlation coefficient (or the whitened peak) at some shifts."""
        cross, total, squares = fields
        overlap, measured_sum, measured_variance = around
        if self.phase:
            return cross
        variance = np.maximum(squares - total**2 / overlap, 0) * measured_variance
        largest = variance.max(axis=(1, 2), keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            coefficient = (cross - measured_sum * total / overlap) / np.sqrt(variance)
        score: Stack = np.where(variance > 1e-4 * largest, coefficient, -np.inf)
        return score

    def _zoom(
        self, around: Array, reach: float, step: float, local: list[Stack]
    ) -> tuple[Array, Array]:
        """Return the best shift on a grid of ``step`` within ``reach`` of each, and its score."""
        count = int(np.ceil(reach / step - 1e-9))
        offsets = np.arange(-count, count + 1) * step
        origin = np.round(around / step) * step
        rows = origin[:, 0, None] + offsets
        columns = origin[:, 1, None] + offsets
        row_frequency = np.fft.fftfreq(self.size[0])
        column_frequency = np.fft.rfftfreq(self.size[1])
        left = np.exp(2j * np.pi * rows[:, :, None] * row_frequency).astype(np.complex64)
        right = np.exp(2j * np.pi * column_frequency[:, None] * columns[:, None, :])
        twice = np.full(len(column_frequency), 2.0)
        twice[0] = 1.0
        if self.size[1] % 2 == 0:
            twice[-1] = 1.0
        right = (right * twice[:, None] / (self.size[0] * self.size[1])).astype(np.complex64)
        grids = [((left @ s) @ right).real for s in (self.cross, self.sum, self.squares)]
        score = self._score(grids, local)
        flat = score.reshape(len(score), -1)
        at = flat.argmax(axis=1)
        i, j = np.unravel_index(at, score.shape[1:])
        each = np.arange(len(score))
        return np.column_stack([rows[each, i], columns[each, j]]), flat[each, at]


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
    for part in _chunks(n, 12 * 4 * n_rows * n_columns):
        solved = _solve(measured[part], reprojected[part], weights[part], response, workers)
        step, error[part], peak[part] = solved
        length = np.maximum(np.hypot(*step.T)[:, None], 1e-12)
        step = step * np.minimum(1, largest_step / length)
        before = _difference(measured[part], reprojected[part], weights[part])
        moved = shift_stack(reprojected[part], np.nan_to_num(step), workers=workers)
        after = _difference(measured[part], moved, weights[part])
        better = np.isfinite(step).all(axis=1) & (after < before)
        shifts[part] = np.where(better[:, None], step, 0.0)
    return Registration(shifts, peak, error)


def _solve(
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
    return step, error, _coefficient(measured, reprojected, weights)


def _coefficient(measured: Stack, reprojected: Stack, weights: Stack) -> Array:
    """Return the weighted correlation coefficient of each pair."""
    total = np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1e-6)
    a = measured - (weights * measured).sum(axis=(1, 2), keepdims=True) / total
    b = reprojected - (weights * reprojected).sum(axis=(1, 2), keepdims=True) / total
    cross = np.einsum("nij,nij,nij->n", weights, a, b)
    power = np.einsum("nij,nij,nij->n", weights, a, a) * np.einsum("nij,nij,nij->n", weights, b, b)
    coefficient: Array = np.where(power > 0, cross / np.sqrt(np.maximum(power, 1e-30)), -1.0)
    return coefficient


def _difference(measured: Stack, reprojected: Stack, weights: Stack) -> Array:
    """Return the weighted sum of squares of the difference of each pair."""
    difference = measured - reprojected
    total: Array = np.einsum("nij,nij,nij->n", weights, difference, difference).astype(np.float64)
    return total


def _padded(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the size at which a correlation of the two images does not wrap round."""
    rows, columns = (int(scipy.fft.next_fast_len(2 * n - 1, real=True)) for n in shape[1:])
    return rows, columns


def _chunks(n: int, bytes_each: int) -> Iterator[slice]:
    step = max(1, _CHUNK_BYTES // bytes_each)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
