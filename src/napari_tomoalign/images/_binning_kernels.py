"""The inner loop of `binning`: numba, sums in float64, each value touched once.

On one thread: frames are binned while others are looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._compiling import compiled
from ._rounding import FAST

__all__ = ["bin_frame"]


@compiled(fastmath=FAST)
def bin_frame(frame: Any, rows: int, columns: int, out: Any) -> None:
    """Write into ``out`` (height, width, n_channels) the means over blocks of a frame's pixels."""
    height, width, n_channels = out.shape
    line = np.empty(width * columns * n_channels)
    values = frame.reshape(frame.shape[0], -1)
    for r in range(height):
        line[:] = 0
        for i in range(r * rows, (r + 1) * rows):
            for c in range(line.size):
                line[c] += values[i, c]
        for c in range(width):
            for k in range(n_channels):
                total = 0.0
                for j in range(c * columns, (c + 1) * columns):
                    total += line[j * n_channels + k]
                out[r, c, k] = total / (rows * columns)
