"""The inner loop of `refining`: numba, sums in float64, threads over images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from ._compiling import compiled
from ._rounding import FAST

__all__ = ["add_up"]


@compiled(parallel=True, fastmath=FAST)
def add_up(columns: Any, difference: Any, weights: Any, normal: Any, right: Any, rest: Any) -> None:
    """Add the products of a least squares to the sums of each image.

    Of ``k`` images ``columns`` (k, n, rows, columns) and a constant, and of ``difference``: the
    normal matrix ``(n, k + 1, k + 1)``, the right-hand side ``(n, k + 1)``; and into ``rest``
    ``(n, 2)`` the squares of the difference and the number of pixels that count.
    """
    k, n, n_rows, n_columns = columns.shape
    for a in prange(n):
        line = np.empty(k + 1)
        line[k] = 1.0
        for r in range(n_rows):
            for c in range(n_columns):
                weight = np.float64(weights[a, r, c])
                if weight == 0:
                    continue
                d = np.float64(difference[a, r, c])
                for i in range(k):
                    line[i] = columns[i, a, r, c]
                for i in range(k + 1):
                    part = weight * line[i]
                    right[a, i] += part * d
                    for j in range(i + 1):
                        normal[a, i, j] += part * line[j]
                rest[a, 0] += weight * d * d
                rest[a, 1] += 1
        for i in range(k + 1):
            for j in range(i):
                normal[a, j, i] = normal[a, i, j]
