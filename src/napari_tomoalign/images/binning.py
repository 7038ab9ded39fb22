"""The one binning: means over blocks of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack

__all__ = ["bin_stack"]


def bin_stack(stack: NDArray[np.generic], rows: int, columns: int) -> Stack:
    """Return the means over blocks of ``rows`` x ``columns`` pixels; a remainder is cut off."""
    if rows == columns == 1:
        return np.asarray(stack, np.float32)
    n, height, width = stack.shape
    height, width = height // rows, width // columns
    out = np.empty((n, height, width), np.float32)
    for i in range(n):  # one image at a time: no second stack in memory
        blocks = stack[i, : height * rows, : width * columns]
        blocks.reshape(height, rows, width, columns).mean(axis=(1, 3), dtype=np.float32, out=out[i])
    return out
