"""Joseph's projector in three dimensions and its transpose, for rays in any direction.

A ray steps along the axis of the grid that it is closest to and interpolates linearly along the
two others (Joseph 1982, doi 10.1109/TMI.1982.4307572). In the plane of voxels with index ``i``
along that axis, the ray of the pixel ``(row, column)`` passes through ``(p, q)``, which are linear
in row, column and i: `PLAN` numbers say how, for each projection. The transpose gives each pixel's
value to the four voxels that the projector takes it from, with the same weights, so the pair is
matched to rounding.

Indices are unsigned: only then does the compiler know that none counts from the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from ...images._compiling import compiled
from ...images._rounding import FAST

__all__ = ["PLAN", "back_project", "project"]

f32 = np.float32

PLAN = 10
"""Numbers for each projection: p at the origin, per row, column and plane; the same of q; the
path's length through a plane; the axis stepped along (0, 1, 2 for z, y, x)."""


@njit(inline="always", fastmath=FAST)
def _taps(position: Any, n: Any) -> Any:
    """Return the left one of two neighbours on a line of n voxels with a margin, and the share."""
    clipped = min(max(position, f32(-1)), f32(n)) + f32(1)
    index = min(int(clipped), n)
    return index, clipped - f32(index)


@compiled(parallel=True, fastmath=FAST)
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
    sizes = np.array(volume.shape) - 2
    flat = volume.reshape(-1)
    strides = np.array([volume.shape[1] * volume.shape[2], volume.shape[2], 1])
    out = np.zeros((len(plan), n_rows, n_columns), np.float32)
    for line in prange(len(plan) * n_rows):
        a, r = line // n_rows, line % n_rows
        k = plan[a]
        along = int(k[9])
        first, second = (1 if along == 0 else 0), (1 if along == 2 else 2)
        n_p, n_q = sizes[first], sizes[second]
        down, right = strides[first], strides[second]
        scale, across_p, across_q = f32(k[8]), f32(k[2]), f32(k[6])
        below, beside = np.uint64(down), np.uint64(right)
        for i in range(sizes[along]):
            p0, q0 = f32(k[0] + k[1] * r + k[3] * i), f32(k[4] + k[5] * r + k[7] * i)
            plane = (i + 1) * strides[along]
            for c in range(n_columns):
                p, v = _taps(p0 + across_p * f32(c), n_p)
                q, w = _taps(q0 + across_q * f32(c), n_q)
                j = np.uint64(plane + p * down + q * right)
                upper = flat[j] + w * (flat[j + beside] - flat[j])
                lower = flat[j + below] + w * (flat[j + below + beside] - flat[j + below])
                out[a, r, c] += scale * (upper + v * (lower - upper))
    return out


@compiled(parallel=True, fastmath=FAST)
def back_project(images: Any, plan: Any, n_z: int, n_y: int, n_x: int) -> Any:
    """Back-project, the transpose of `project`; threads over planes, which no two rays share.

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
    sizes = np.array([n_z, n_y, n_x])
    out = np.zeros((n_z, n_y, n_x), np.float32)
    for along in range(3):
        first, second = (1 if along == 0 else 0), (1 if along == 2 else 2)
        n_p, n_q = sizes[first], sizes[second]
        for i in prange(sizes[along]):
            plane = np.zeros((n_p + 2) * (n_q + 2), np.float32)
            below, beside = np.uint64(n_q + 2), np.uint64(1)
            for a in range(n_angles):
                k = plan[a]
                if int(k[9]) != along:
                    continue
                scale, across_p, across_q = f32(k[8]), f32(k[2]), f32(k[6])
                for r in range(n_rows):
                    p0, q0 = f32(k[0] + k[1] * r + k[3] * i), f32(k[4] + k[5] * r + k[7] * i)
                    for c in range(n_columns):
                        p, v = _taps(p0 + across_p * f32(c), n_p)
                        q, w = _taps(q0 + across_q * f32(c), n_q)
                        value = scale * images[a, r, c]
                        lower = v * value
                        upper = value - lower
                        j = np.uint64(p * (n_q + 2) + q)
                        plane[j] += upper - w * upper
                        plane[j + beside] += w * upper
                        plane[j + below] += lower - w * lower
                        plane[j + below + beside] += w * lower
            for p in range(n_p):
                for q in range(n_q):
                    value = plane[(p + 1) * (n_q + 2) + q + 1]
                    if along == 0:
                        out[i, p, q] += value
                    elif along == 1:
                        out[p, i, q] += value
                    else:
                        out[p, q, i] += value
    return out
