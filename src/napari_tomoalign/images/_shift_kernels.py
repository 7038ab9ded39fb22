"""The inner loops of `shifting`: numba, float32, threads over images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from ._compiling import compiled
from ._rounding import FAST

__all__ = [
    "evaluate",
    "evaluate_turned",
    "evaluate_weights",
    "inside",
    "inside_turned",
]


@compiled()
def _tap(n: int, position: float, index: Any, weight: Any) -> None:
    """Write the indices and weights of the four coefficients for a position on a line."""
    position = min(max(position, 0.0), n - 1.0)
    low = math.floor(position)
    f = position - low
    weight[0] = (1 - f) ** 3 / 6
    weight[1] = 2 / 3 - f * f * (2 - f) / 2
    weight[2] = 2 / 3 - (1 - f) ** 2 * (1 + f) / 2
    weight[3] = f**3 / 6
    for k in range(4):
        j = abs(low - 1 + k)
        if j > n - 1:
            j = 2 * (n - 1) - j
        index[k] = max(j, 0)


@compiled()
def _taps(n: int, shift: float, index: Any, weight: Any) -> None:
    """Write, for every output position on a line, four coefficients' indices and weights."""
    for i in range(n):
        _tap(n, i - shift, index[i], weight[i])


@compiled(parallel=True, fastmath=FAST)
def evaluate(coefficients: Any, shifts: Any, first: int, last: int) -> Any:
    """Evaluate cubic splines at positions moved by minus the shifts, in rows first to last - 1."""
    n_images, n_rows, n_columns = coefficients.shape
    out = np.empty((n_images, last - first, n_columns), np.float32)
    for a in prange(n_images):
        row_index = np.empty((n_rows, 4), np.int64)
        row_weight = np.empty((n_rows, 4), np.float32)
        column_index = np.empty((n_columns, 4), np.int64)
        column_weight = np.empty((n_columns, 4), np.float32)
        _taps(n_rows, shifts[a, 0], row_index, row_weight)
        _taps(n_columns, shifts[a, 1], column_index, column_weight)
        line = np.empty(n_columns, np.float32)
        for r in range(first, last):
            i0, i1, i2, i3 = row_index[r, 0], row_index[r, 1], row_index[r, 2], row_index[r, 3]
            w0, w1, w2, w3 = row_weight[r, 0], row_weight[r, 1], row_weight[r, 2], row_weight[r, 3]
            for c in range(n_columns):
                line[c] = (
                    w0 * coefficients[a, i0, c]
                    + w1 * coefficients[a, i1, c]
                    + w2 * coefficients[a, i2, c]
                    + w3 * coefficients[a, i3, c]
                )
            for c in range(n_columns):
                out[a, r - first, c] = (
                    column_weight[c, 0] * line[column_index[c, 0]]
                    + column_weight[c, 1] * line[column_index[c, 1]]
                    + column_weight[c, 2] * line[column_index[c, 2]]
                    + column_weight[c, 3] * line[column_index[c, 3]]
                )
    return out


@compiled(parallel=True, fastmath=FAST)
def evaluate_turned(coefficients: Any, places: Any, first: int, last: int) -> Any:
    """Evaluate cubic splines where pixels come from, in rows first to last - 1.

    ``places`` (n, 2, 3): of each image the row and the column that a pixel comes from are these
    times (row, column, 1) of the pixel.
    """
    n_images, n_rows, n_columns = coefficients.shape
    out = np.empty((n_images, last - first, n_columns), np.float32)
    for a in prange(n_images):
        row_index, column_index = np.empty(4, np.int64), np.empty(4, np.int64)
        row_weight, column_weight = np.empty(4, np.float32), np.empty(4, np.float32)
        down, along = places[a, 0], places[a, 1]
        for r in range(first, last):
            for c in range(n_columns):
                _tap(n_rows, down[0] * r + down[1] * c + down[2], row_index, row_weight)
                _tap(n_columns, along[0] * r + along[1] * c + along[2], column_index, column_weight)
                total = np.float32(0)
                for i in range(4):
                    line = np.float32(0)
                    for j in range(4):
                        line += column_weight[j] * coefficients[a, row_index[i], column_index[j]]
                    total += row_weight[i] * line
                out[a, r - first, c] = total
    return out


@compiled(parallel=True)
def evaluate_weights(weights: Any, places: Any, first: int, last: int) -> Any:
    """Interpolate weights linearly, 0 outside, where pixels come from (see `evaluate_turned`)."""
    n_images, _, n_columns = weights.shape
    out = np.zeros((n_images, last - first, n_columns), np.float32)
    for a in prange(n_images):
        down, along = places[a, 0], places[a, 1]
        for r in range(first, last):
            for c in range(n_columns):
                y = down[0] * r + down[1] * c + down[2]
                x = along[0] * r + along[1] * c + along[2]
                out[a, r - first, c] = _between(weights[a], y, x)
    return out


@compiled()
def _between(weights: Any, y: float, x: float) -> Any:
    """Interpolate the weights of an image linearly, 0 outside."""
    n_rows, n_columns = weights.shape
    if y < 0 or y > n_rows - 1 or x < 0 or x > n_columns - 1:
        return np.float32(0)
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = math.ceil(y), math.ceil(x)
    f, g = np.float32(x - x0), np.float32(y - y0)
    above = (1 - f) * weights[y0, x0] + f * weights[y0, x1]
    below = (1 - f) * weights[y1, x0] + f * weights[y1, x1]
    return (1 - g) * above + g * below


@compiled(parallel=True)
def inside(shifts: Any, n_rows: int, n_columns: int, first: int, last: int) -> Any:
    """Return 1 where a moved image reaches and 0 elsewhere, in rows first to last - 1."""
    n_images = len(shifts)
    out = np.zeros((n_images, last - first, n_columns), np.uint8)
    for a in prange(n_images):
        top = min(max(0, math.ceil(shifts[a, 0])), n_rows)
        bottom = max(min(n_rows, math.floor(n_rows - 1 + shifts[a, 0]) + 1), 0)
        left = min(max(0, math.ceil(shifts[a, 1])), n_columns)
        right = max(min(n_columns, math.floor(n_columns - 1 + shifts[a, 1]) + 1), 0)
        for r in range(max(top, first), min(bottom, last)):
            for c in range(left, right):
                out[a, r - first, c] = 1
    return out


@compiled(parallel=True)
def inside_turned(places: Any, n_rows: int, n_columns: int, first: int, last: int) -> Any:
    """Return 1 where pixels come from within the image (see `evaluate_turned`), 0 elsewhere."""
    n_images = len(places)
    out = np.zeros((n_images, last - first, n_columns), np.uint8)
    for a in prange(n_images):
        down, along = places[a, 0], places[a, 1]
        for r in range(first, last):
            for c in range(n_columns):
                y = down[0] * r + down[1] * c + down[2]
                x = along[0] * r + along[1] * c + along[2]
                out[a, r - first, c] = 0 <= y <= n_rows - 1 and 0 <= x <= n_columns - 1
    return out
