"""The inner loops that fill bad and ignored pixels from those around them: numba."""

from __future__ import annotations

import math
from typing import Any

from ._compiling import compiled

__all__ = ["fill_near", "mean_around"]


@compiled()
def fill_near(image: Any, good: Any, offsets: Any, found: Any, farthest: Any) -> None:
    """Put the nearest good pixel's value into bad ones, where one is as near as the offsets reach.

    ``offsets`` (n, 2) are rows and columns, the nearest first: where several are as near, the first
    of them counts. ``found`` becomes True where it is good or filled, and ``farthest`` (n_rows) the
    index of the farthest offset that a pixel of the row was filled from, -1 where none was.
    """
    n_rows, n_columns = image.shape
    for r in range(n_rows):
        farthest[r] = -1
        for c in range(n_columns):
            found[r, c] = good[r, c]
            if good[r, c]:
                continue
            for k in range(len(offsets)):
                i, j = r + offsets[k, 0], c + offsets[k, 1]
                if 0 <= i < n_rows and 0 <= j < n_columns and good[i, j]:
                    image[r, c] = image[i, j]
                    found[r, c] = True
                    farthest[r] = max(farthest[r], k)
                    break


@compiled()
def mean_around(image: Any, weight: Any, places: Any, profile: Any, least: float, out: Any) -> None:
    """Write into ``out`` the weighted means around pixels; NaN where less weight is there.

    ``places`` (n, 2) are rows and columns; ``profile`` is the window along each side, its middle at
    the pixel. Beyond the border the edge pixels stand.
    """
    n_rows, n_columns = image.shape
    radius = len(profile) // 2
    for k in range(len(places)):
        share = total = 0.0
        for i in range(-radius, radius + 1):
            r = min(max(places[k, 0] + i, 0), n_rows - 1)
            for j in range(-radius, radius + 1):
                c = min(max(places[k, 1] + j, 0), n_columns - 1)
                w = profile[radius + i] * profile[radius + j] * weight[r, c]
                if w > 0:  # what an ignored pixel holds may be no number
                    share += w
                    total += w * image[r, c]
        out[k] = total / share if share > least else math.nan
