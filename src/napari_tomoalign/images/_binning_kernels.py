"""The inner loop of `binning`: numba, sums in float64."""

from __future__ import annotations

from typing import Any

from ._compiling import compiled
from ._rounding import FAST

__all__ = ["means"]


@compiled(fastmath=FAST)
def means(image: Any, rows: int, columns: int, out: Any) -> None:
    """Put the means over blocks of ``rows`` x ``columns`` pixels of an image into ``out``."""
    n_rows, n_columns = out.shape
    share = 1.0 / (rows * columns)
    for r in range(n_rows):
        for c in range(n_columns):
            total = 0.0
            for i in range(r * rows, (r + 1) * rows):
                for j in range(c * columns, (c + 1) * columns):
                    total += image[i, j]
            out[r, c] = total * share
