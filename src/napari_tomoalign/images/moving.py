"""Rows of a stack of any size, aligned: no more is read than they depend on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .filtering import fill_ignored
from .shifting import SplineStack, move_both, places_of
from .source import Source, blocks_of

__all__ = ["move_rows", "rows_under"]

_SPLINE_HALO = 20
"""Rows around those that pixels come from, which spline coefficients depend on: the filter falls
to 0.268 from row to row, so that many leave 4e-12 of a step, far below single precision."""


def move_rows(
    source: Source,
    weights: Source | None,
    shifts: NDArray[np.float64],
    rows: slice,
    *,
    turning: tuple[NDArray[np.float64], tuple[float, float]] | None = None,
    workers: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.uint8]]:
    """Return some rows of a stack aligned by cubic splines.

    Parameters
    ----------
    source : Source
        ``(n_angles, n_rows, n_columns)``, read by blocks of images.
    weights : Source, optional
        Of that shape, 0 (ignore) to 1. What is ignored follows from its surroundings first.
    shifts : (n_angles, 2) array
        How far each image is displaced, (row, column), pixels.
    rows : slice
        Of the aligned images.
    turning : (n_angles,) array and (float, float), optional
        By how much each image is turned, from the rows' direction towards larger columns, radians,
        and about which row and column: turned back as well, in the same interpolation.
    workers : int, optional
        Number of threads.

    Returns
    -------
    images, weights : (n_angles, n_wanted, n_columns) arrays
        Edge values, of weight 0, where an image does not reach.
    """
    n, n_rows, n_columns = source.shape
    first, last, _ = rows.indices(n_rows)
    turns, pivot = (np.zeros(n), (0.0, 0.0)) if turning is None else turning
    places = places_of(shifts, turns, pivot)
    images = np.empty((n, last - first, n_columns), np.float32)
    left = np.empty(images.shape, np.uint8 if weights is None else np.float32)
    for start, stop in blocks_of((n, last - first + 2 * _SPLINE_HALO, n_columns)):
        part = slice(start, stop)
        around = rows_under(places[part], rows, (n_rows, n_columns), _SPLINE_HALO)
        block = np.asarray(source.read(part, around), np.float32)
        known = None
        if weights is not None:
            known = np.asarray(weights.read(part, around), np.float32)
            block = fill_ignored(block, known)
        wanted = slice(first - around.start, last - around.start)
        within = None
        if turning is not None:
            within = places[part].copy()  # the same, with rows counted from the block's first
            within[:, :, 2] += within[:, :, 0] * around.start
            within[:, 0, 2] -= around.start
        images[part], left[part] = move_both(
            SplineStack(block), known, -shifts[part], within, rows=wanted, workers=workers
        )
    return images, left


def rows_under(
    places: NDArray[np.float64], rows: slice, shape: tuple[int, int], halo: int
) -> slice:
    """Return which rows of images moved ones depend on; those of the same index among them.

    Parameters
    ----------
    places : (n_angles, 2, 3) array
        See `shifting.places_of`.
    rows : slice
        Of the moved images.
    shape : (n_rows, n_columns)
        Of an image.
    halo : int
        Rows beyond those that pixels come from.
    """
    first, last, _ = rows.indices(shape[0])
    corners = np.array([[r, c, 1] for r in (first, last - 1) for c in (0, shape[1] - 1)])
    come_from = places[:, 0] @ corners.T
    low = min(first, int(np.floor(come_from.min()))) - halo
    high = max(last, int(np.ceil(come_from.max())) + 1) + halo
    return slice(max(low, 0), min(high, shape[0]))
