"""Joseph's projector in three dimensions and its transpose, for rays in any direction.

A ray steps along the axis of the grid that it is closest to and interpolates linearly along the
two others (Joseph 1982, doi 10.1109/TMI.1982.4307572). In the plane of voxels with index ``i``
along that axis, the ray of the pixel ``(row, column)`` passes through ``(p, q)``, which are linear
in row, column and i: `PLAN` numbers say how, for each projection. The transpose gathers, for each
voxel, the few pixels whose rays pass within a voxel of it, with the weights that the projector
gives them, so the pair is matched to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from ...images._rounding import FAST

__all__ = ["PLAN", "back_project", "project"]

f32 = np.float32

PLAN = 14
"""Numbers for each projection: p at the origin, per row, column and plane; the same of q; rows and
columns per voxel along p and q (four); the path's length through a plane; the axis stepped along
(0, 1, 2 for z, y, x)."""


@njit(inline="always", fastmath=FAST)
def _taps(position: Any, n: Any) -> Any:
    """Return the left one of two neighbours on a line of n voxels with a margin, and the share."""
    clipped = min(max(position, -1.0), float(n)) + 1.0
    index = min(int(clipped), n)
    return index, f32(clipped - index)


@njit(parallel=True, fastmath=FAST, cache=True, nogil=True)
def project(volume: Any, plan: Any, n_rows: int, n_columns: int) -> Any:
    """Project; threads over the rows of the images.

    Parameters
    ----------
    volume : (n_z + 2, n_y + 2, n_x + 2) array of float32
        With a margin of zeros.
    plan : (n_angles, PLAN) array of float64
    n_rows, n_columns : int

    Returns
    -------
    (n_angles, n_rows, n_columns) array of float32
    """
    n_z, n_y, n_x = volume.shape[0] - 2, volume.shape[1] - 2, volume.shape[2] - 2
    out = np.empty((len(plan), n_rows, n_columns), np.float32)
    for line in prange(len(plan) * n_rows):
        a, r = line // n_rows, line % n_rows
        k = plan[a]
        along, scale = int(k[13]), f32(k[12])
        for c in range(n_columns):
            p0 = k[0] + k[1] * r + k[2] * c
            q0 = k[4] + k[5] * r + k[6] * c
            total = f32(0)
            if along == 0:
                for i in range(n_z):
                    y, v = _taps(p0 + k[3] * i, n_y)
                    x, w = _taps(q0 + k[7] * i, n_x)
                    plane = volume[i + 1]
                    upper = plane[y, x] * (f32(1) - w) + plane[y, x + 1] * w
                    lower = plane[y + 1, x] * (f32(1) - w) + plane[y + 1, x + 1] * w
                    total += upper * (f32(1) - v) + lower * v
            elif along == 1:
                for i in range(n_y):
                    z, v = _taps(p0 + k[3] * i, n_z)
                    x, w = _taps(q0 + k[7] * i, n_x)
                    upper = volume[z, i + 1, x] * (f32(1) - w) + volume[z, i + 1, x + 1] * w
                    lower = volume[z + 1, i + 1, x] * (f32(1) - w) + volume[z + 1, i + 1, x + 1] * w
                    total += upper * (f32(1) - v) + lower * v
            else:
                for i in range(n_x):
                    z, v = _taps(p0 + k[3] * i, n_z)
                    y, w = _taps(q0 + k[7] * i, n_y)
                    upper = volume[z, y, i + 1] * (f32(1) - w) + volume[z, y + 1, i + 1] * w
                    lower = volume[z + 1, y, i + 1] * (f32(1) - w) + volume[z + 1, y + 1, i + 1] * w
                    total += upper * (f32(1) - v) + lower * v
            out[a, r, c] = total * scale
    return out


@njit(parallel=True, fastmath=FAST, cache=True, nogil=True)
def back_project(images: Any, plan: Any, n_z: int, n_y: int, n_x: int) -> Any:
    """Back-project, the transpose of `project`; threads over the lines of the volume.

    Parameters
    ----------
    images : (n_angles, n_rows, n_columns) array of float32
    plan : (n_angles, PLAN) array of float64
    n_z, n_y, n_x : int

    Returns
    -------
    (n_z, n_y, n_x) array of float32
    """
    n_angles, n_rows, n_columns = images.shape
    out = np.zeros((n_z, n_y, n_x), np.float32)
    for line in prange(n_z * n_y):
        z, y = line // n_y, line % n_y
        for a in range(n_angles):
            k = plan[a]
            along, scale = int(k[13]), f32(k[12])
            high, wide = abs(k[8]) + abs(k[9]), abs(k[10]) + abs(k[11])
            for x in range(n_x):
                i = z if along == 0 else (y if along == 1 else x)
                p = (y if along == 0 else z) - k[0] - k[3] * i
                q = (y if along == 2 else x) - k[4] - k[7] * i
                row, column = k[8] * p + k[9] * q, k[10] * p + k[11] * q
                first = max(0, math.ceil(row - high))
                last = min(n_rows - 1, math.floor(row + high))
                left = max(0, math.ceil(column - wide))
                right = min(n_columns - 1, math.floor(column + wide))
                total = f32(0)
                for r in range(first, last + 1):
                    for c in range(left, right + 1):
                        v = 1.0 - abs(k[1] * r + k[2] * c - p)
                        w = 1.0 - abs(k[5] * r + k[6] * c - q)
                        if v > 0 and w > 0:
                            total += f32(v * w) * images[a, r, c]
                out[z, y, x] += total * scale
    return out
