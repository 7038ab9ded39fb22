"""Capture: the weighted, normalised cross-correlation, whose peak no edge of a mask or image draws.

Sign: the answer is how far ``measured`` is displaced from ``reprojected``, positive towards
larger index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .._typing import Array, Stack
from ._pairs import Peaks, centred, chunks
from .filtering import edge_window, taper

__all__ = ["LEAST_OVERLAP", "correlate"]

Spectra = NDArray[np.complex64]


Score = Callable[[list[Stack]], Stack]


_ZOOM = 10  # times finer with each zoom: 11 x 11 points, two zooms to a hundredth of a pixel
LEAST_OVERLAP = 0.4
"""Of the largest: a smaller overlap correlates by chance.

With 0.6 frames that are 15 px off in 64 are lost, with 0.2 nothing is gained
(``tests/benchmarks/constants.py images.capturing.LEAST_OVERLAP 0.2,0.4,0.6 --cases jitter15``)."""

_FLAT = 1e-4
"""Of the largest product of both images' variances over an overlap: what has less is rounding.

Anything from 1e-8 to 0.1 gives the same (``tests/benchmarks/constants.py images.capturing._FLAT
1e-8,1e-4,1e-2,1e-1 --cases jitter15,masked20,truncated1.6``)."""
_LEAST_WEIGHT = 1e-3  # of an overlap, pixels: what the transforms' rounding leaves of none


def correlate(
    measured: Stack,
    reprojected: Stack,
    weights: Stack,
    *,
    upsampling: int = 1,
    between: bool = False,
    normalization: Literal["phase"] | None = None,
    workers: int | None = None,
) -> Peaks:
    """Return the shifts at the peaks of the weighted, normalised cross-correlation.

    For every shift the correlation coefficient is taken over the pixels that both images have,
    with the measured image's weights (Padfield 2012, doi 10.1109/TIP.2011.2181402, with weights
    for masks). The peak is then resolved by evaluating the same sums between the pixels, from
    their spectra (Guizar-Sicairos et al. 2008, doi 10.1364/OL.33.000156).

    `skimage.registration.phase_cross_correlation` does the same, as accurately, where every pixel
    counts and little leaves the image. With masks it finds whole pixels only, 0.4 px RMS against
    0.02 px, and it knows no weights (tests/benchmarks/registration.py); so it is used where
    phases are asked for, and this one otherwise.

    Parameters
    ----------
    measured, reprojected : (n, n_rows, n_columns) array of float32
    weights : (n, n_rows, n_columns) array of float32
        Of the measured images, 0 to 1.
    upsampling : int
        Shifts are multiples of ``1 / upsampling`` pixels ...
    between : bool
        ... or lie between them, where parabolas through the neighbours have their tops. Then what
        is found depends on the data smoothly, so that rounding does not decide between multiples.
    normalization : {None, "phase"}
        ``"phase"`` whitens the cross-power spectrum, which fails on smooth or noisy images; shifts
        are multiples of ``1 / upsampling`` then in any case.
    workers : int, optional
        Number of threads.

    Returns
    -------
    Peaks
        An image without contrast gets the shift NaN and the peak -1.
    """
    n, n_rows, n_columns = measured.shape
    shifts, peak = np.full((n, 2), np.nan), np.full(n, -1.0)
    for part in chunks(
        n, 12 * 4 * 4 * n_rows * n_columns
    ):  # a dozen float32 arrays, twice as large
        pair = (measured[part], reprojected[part], weights[part])
        coefficients = _coefficients(*pair, workers)
        if normalization == "phase":
            shifts[part], peak[part] = _of_phases(*pair, coefficients, upsampling)
            continue
        shifts[part], peak[part] = _peak(coefficients)
        spectra, score = _local_sums(*pair, shifts[part], workers)
        found = np.isfinite(shifts[part]).all(axis=1)
        step = 1.0
        while step * upsampling > 1 + 1e-9 and found.any():
            finer = max(step / _ZOOM, 1 / upsampling)
            shifts[part], refined = _zoom(
                spectra,
                score,
                np.nan_to_num(shifts[part]),
                step / 2,
                finer,
                _double(measured),
                between=between and finer * upsampling <= 1 + 1e-9,
            )
            peak[part] = np.where(found, refined, -1.0)
            step = finer
        shifts[part][~found] = np.nan
    return Peaks(shifts, np.clip(peak, -1, 1))


def _double(images: Stack) -> tuple[int, int]:
    """Return twice the images' size: there a correlation does not wrap round."""
    return 2 * images.shape[1], 2 * images.shape[2]


def _forward(images: Stack, workers: int | None) -> Spectra:
    spectra: Spectra = scipy.fft.rfft2(images, _double(images), workers=workers)
    return spectra


def _inverse(spectra: Spectra, size: tuple[int, int], workers: int | None) -> Stack:
    images: Stack = scipy.fft.irfft2(spectra, size, workers=workers)
    return images


def _coefficients(
    measured: Stack, reprojected: Stack, weights: Stack, workers: int | None
) -> Stack:
    """Return the weighted correlation coefficient over the overlap at every whole shift."""
    size = _double(measured)
    measured = centred(measured, weights)
    reprojected = reprojected - reprojected.mean(axis=(1, 2), keepdims=True)
    weighted = weights * measured
    frame = np.conj(_forward(np.ones((1, *measured.shape[1:]), np.float32), workers))
    of_weights, of_weighted = _forward(weights, workers), _forward(weighted, workers)
    conjugate = np.conj(_forward(reprojected, workers))

    def sums(spectra: Spectra) -> Stack:
        return _inverse(spectra, size, workers)

    overlap = np.maximum(sums(of_weights * frame), _LEAST_WEIGHT)
    measured_sum = sums(of_weighted * frame)
    spread = sums(_forward(weighted * measured, workers) * frame) - measured_sum**2 / overlap
    total = sums(of_weights * conjugate)
    squares = sums(of_weights * np.conj(_forward(reprojected**2, workers)))
    variance = np.maximum(squares - total**2 / overlap, 0) * np.maximum(spread, 0)
    cross = sums(of_weighted * conjugate) - measured_sum * total / overlap
    largest = variance.max(axis=(1, 2), keepdims=True)
    allowed = overlap > LEAST_OVERLAP * overlap.max(axis=(1, 2), keepdims=True)
    allowed &= (variance > _FLAT * largest) & (largest > 0)
    coefficients: Stack = np.full_like(cross, -np.inf, dtype=np.float32)
    np.divide(cross, np.sqrt(variance), out=coefficients, where=allowed)
    return coefficients


def _of_phases(
    measured: Stack, reprojected: Stack, weights: Stack, coefficients: Stack, upsampling: int
) -> tuple[Array, Array]:
    """Return the shifts by phases alone, scikit-image's, and the coefficients that are nearest."""
    from skimage.registration import phase_cross_correlation

    window = edge_window(measured.shape[1:])
    first = weights * window * centred(measured, weights)
    second = window * centred(reprojected, np.ones_like(weights))
    shifts, peak = np.full((len(measured), 2), np.nan), np.full(len(measured), -1.0)
    for i in np.flatnonzero(first.any(axis=(1, 2)) & second.any(axis=(1, 2))):
        shifts[i] = phase_cross_correlation(
            first[i], second[i], upsample_factor=upsampling, normalization="phase"
        )[0]
        row, column = np.round(shifts[i]).astype(int)
        peak[i] = max(coefficients[i, row, column], -1.0)
    return shifts, np.clip(peak, -1, 1)


def _peak(scores: Stack) -> tuple[Array, Array]:
    """Return the whole shift of the largest score and that score; NaN and -1 where none is."""
    n, size = len(scores), np.array(scores.shape[1:])
    flat = np.where(np.isfinite(scores), scores, -np.inf).reshape(n, -1)
    at = flat.argmax(axis=1)
    peak = flat[np.arange(n), at].astype(np.float64)
    index = np.column_stack(np.unravel_index(at, scores.shape[1:]))
    shifts = np.where(index < size / 2, index, index - size).astype(np.float64)
    found = np.isfinite(peak) & (flat.min(axis=1) < peak)
    shifts[~found] = np.nan
    return shifts, np.where(found, peak, -1.0)


def _local_sums(
    measured: Stack, reprojected: Stack, weights: Stack, whole: Array, workers: int | None
) -> tuple[list[Spectra], Score]:
    """Return the spectra of the sums near a whole shift, and how they make a coefficient.

    The overlap at the whole shift, tapered at its edges, stays fixed between the pixels; the
    reprojection goes on beyond its edges as in a mirror, so that it can be interpolated.
    """
    n_rows, n_columns = measured.shape[1:]
    window = np.empty_like(weights)
    for i, (down, right) in enumerate(np.nan_to_num(whole)):
        window[i] = np.outer(_overlap_taper(n_rows, down), _overlap_taper(n_columns, right))
    window *= weights
    measured = centred(measured, window)
    mirrored = np.pad(reprojected, ((0, 0), (0, n_rows), (0, n_columns)), mode="symmetric")
    mirrored -= reprojected.mean(axis=(1, 2), keepdims=True)
    conjugate = np.conj(scipy.fft.rfft2(mirrored, workers=workers))
    of_squares = np.conj(scipy.fft.rfft2(mirrored**2, workers=workers))
    of_window = _forward(window, workers)
    cross = _forward(window * measured, workers) * conjugate
    overlap = np.maximum(window.sum(axis=(1, 2)), _LEAST_WEIGHT)[:, None, None]

    def score(fields: list[Stack]) -> Stack:
        product, total, squares = fields
        variance = np.maximum(squares - total**2 / overlap, 1e-30)
        coefficient: Stack = product / (np.sqrt(variance) * np.maximum(spread, 1e-30))
        return coefficient

    spread = np.sqrt(np.einsum("nij,nij,nij->n", window, measured, measured))[:, None, None]
    return [cross, of_window * conjugate, of_window * of_squares], score


def _overlap_taper(n: int, shift: float) -> Stack:
    """Return a taper over the part of a line that two frames share at a whole shift."""
    line = np.zeros(n, np.float32)
    first, last = max(0, int(shift)), min(n, n + int(shift))
    if last > first:
        line[first:last] = taper(last - first, max(1, n // 16))  # as wide as that of all n
    return line


def _zoom(
    spectra: list[Spectra],
    score: Score,
    around: Array,
    reach: float,
    step: float,
    size: tuple[int, int],
    *,
    between: bool,
) -> tuple[Array, Array]:
    """Return the best shift on a grid of ``step`` within ``reach`` of each, and its score."""
    count = int(np.ceil(reach / step - 1e-9)) + between  # the largest has a neighbour on each side
    offsets = np.arange(-count, count + 1) * step
    origin = np.round(around / step) * step
    rows, columns = origin[:, 0, None] + offsets, origin[:, 1, None] + offsets
    down, along = np.fft.fftfreq(size[0]), np.fft.rfftfreq(size[1])
    kind: Any = (
        np.complex128 if between else np.complex64
    )  # near the top all scores are nearly alike
    left = np.exp(2j * np.pi * rows[:, :, None] * down).astype(kind)
    twice = np.where((along == 0) | (along == 0.5), 1.0, 2.0) / (size[0] * size[1])
    right = np.exp(2j * np.pi * along[:, None] * columns[:, None, :]) * twice[:, None]
    right = right.astype(kind)
    scores = score([((left @ s) @ right).real for s in spectra])
    flat = scores.reshape(len(scores), -1)
    at = flat.argmax(axis=1)
    i, j = np.unravel_index(at, scores.shape[1:])
    each = np.arange(len(scores))
    best = np.column_stack([rows[each, i], columns[each, j]])
    if between:
        best += step * np.column_stack([_top(scores[each, :, j], i), _top(scores[each, i, :], j)])
    return best, flat[each, at].astype(np.float64)


def _top(lines: Stack, at: NDArray[np.intp]) -> Array:
    """Return how far from a line's largest value the parabola through its neighbours has its top.

    Between -1/2 and 1/2; 0 at the end of a line.
    """
    inside = np.clip(at, 1, lines.shape[1] - 2)
    each = np.arange(len(lines))
    below, middle, above = (lines[each, inside + k].astype(np.float64) for k in (-1, 0, 1))
    curvature = np.maximum(2 * middle - below - above, 1e-30)
    offset: Array = np.clip((above - below) / (2 * curvature), -0.5, 0.5)
    return np.where(inside == at, offset, 0.0)
