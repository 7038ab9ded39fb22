"""The inner loops of `precision`: numba, sums in float64, threads over images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from ._compiling import compiled

__all__ = ["cross", "scatter"]


@compiled()
def _columns(image: Any, r: int, c: int, out: Any) -> None:
    """Write how a pixel answers to a shift in rows and in columns, to gain and to offset.

    Slopes are differences of fourth order; beyond the border the edge value stands.
    """
    n_rows, n_columns = image.shape
    up, down = image[max(r - 1, 0), c], image[min(r + 1, n_rows - 1), c]
    far_up, far_down = image[max(r - 2, 0), c], image[min(r + 2, n_rows - 1), c]
    out[0] = -(8 * (down - up) - (far_down - far_up)) / 12
    left, right = image[r, max(c - 1, 0)], image[r, min(c + 1, n_columns - 1)]
    far_left, far_right = image[r, max(c - 2, 0)], image[r, min(c + 2, n_columns - 1)]
    out[1] = -(8 * (right - left) - (far_right - far_left)) / 12
    out[2] = image[r, c]
    out[3] = 1.0


@compiled(parallel=True)
def cross(measured: Any, template: Any, model: Any, weights: Any) -> Any:
    """Return the sums of template's columns times the model's, and times the difference."""
    n, n_rows, n_columns = measured.shape
    out = np.zeros((n, 4, 5))
    for a in prange(n):
        d, j = np.empty(4), np.empty(4)
        for r in range(n_rows):
            for c in range(n_columns):
                w = weights[a, r, c]
                if w == 0:
                    continue
                _columns(template[a], r, c, d)
                _columns(model[a], r, c, j)
                difference = measured[a, r, c] - model[a, r, c]
                for i in range(4):
                    for k in range(4):
                        out[a, i, k] += w * d[i] * j[k]
                    out[a, i, 4] += w * d[i] * difference
    return out


@compiled(parallel=True)
def scatter(
    measured: Any, template: Any, model: Any, weights: Any, solution: Any, block: int
) -> Any:
    """Return outer products of the template's columns: alone, with the difference, over blocks.

    With the difference they are taken pixel by pixel; over blocks, of its sums.
    """
    n, n_rows, n_columns = measured.shape
    out = np.zeros((n, 3, 4, 4))
    for a in prange(n):
        d, j = np.empty(4), np.empty(4)
        across = (n_columns + block - 1) // block
        sums = np.zeros((across, 4))
        for r in range(n_rows):
            for c in range(n_columns):
                w = weights[a, r, c]
                if w == 0:
                    continue
                _columns(template[a], r, c, d)
                _columns(model[a], r, c, j)
                e = measured[a, r, c] - model[a, r, c]
                for i in range(4):
                    e -= solution[a, i] * j[i]
                for i in range(4):
                    sums[c // block, i] += w * d[i] * e
                    for k in range(4):
                        out[a, 0, i, k] += w * w * d[i] * d[k]
                        out[a, 1, i, k] += w * w * e * e * d[i] * d[k]
            if (r + 1) % block == 0 or r == n_rows - 1:
                for b in range(across):
                    for i in range(4):
                        for k in range(4):
                            out[a, 2, i, k] += sums[b, i] * sums[b, k]
                sums[:] = 0
    return out
