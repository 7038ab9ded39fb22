"""Joseph's projector in three dimensions and its transpose, for rays in any direction.

A ray steps along the axis of the grid that it is closest to and interpolates linearly along the
two others (Joseph 1982, doi 10.1109/TMI.1982.4307572). In the plane of voxels with index ``i``
along that axis, the ray of the pixel ``(row, column)`` passes through ``(p, q)``, which are linear
in row, column and i: `PLAN` numbers say how, for each projection. The transpose gives each pixel's
value to the four voxels that the projector takes it from, with the same weights, so the pair is
matched to rounding.

Both work on the planes across one axis, those of the projections that step along it. Along a
column of pixels, which an axis that leans crosses in places of the same p, the places come first,
in SIMD, then the four neighbours of each (`quads`). What is written goes to sums of four, whose
accesses never overlap in part, for which a processor would wait; they are added up at the end. The
places are clipped to the plane and its margin, so no index is ever out of range and the loops need
no branch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from ...images._compiling import compiled
from ...images._rounding import FAST
from .quads import AT_ONCE, collect, spread

__all__ = ["PLAN", "add_planes", "back_project", "planes_of", "project"]

f32, i32, u64 = np.float32, np.int32, np.uint64

PLAN = 9
"""Numbers for each projection: p at the origin, per row, column and plane; the same of q; the
path's length through a plane."""
_COLUMNS = 32  # of an image that pass over a plane while it is in the processor's cache
_LEVEL = 1e-6  # per row: a place that moves by less stays where it is along a column


@compiled(parallel=True, fastmath=FAST)
def planes_of(volume: Any, disc: Any, along: int) -> Any:
    """Return the planes across an axis, with a margin of zeros; threads over lines of the slices.

    Parameters
    ----------
    volume : (n_z, n_y, n_x) array of float32
    disc : (n_y, n_x) array of float32
        What a slice is multiplied by.
    along : int
        0, 1, 2 for z, y, x.

    Returns
    -------
    (n_z, n_y + 2, n_x + 2), (n_y, n_x + 2, n_z + 2) or (n_x, n_y + 2, n_z + 2) array of float32
    """
    n_z, n_y, n_x = volume.shape
    n_i = n_z if along == 0 else (n_y if along == 1 else n_x)
    n_p, n_q = (n_x if along == 1 else n_y), (n_x if along == 0 else n_z)
    out = np.zeros((n_i, n_p + 2, n_q + 2), np.float32)
    for y in prange(n_y):
        for z in range(n_z):
            for x in range(n_x):
                value = volume[z, y, x] * disc[y, x]
                if along == 0:
                    out[z, y + 1, x + 1] = value
                elif along == 1:
                    out[y, x + 1, z + 1] = value
                else:
                    out[x, y + 1, z + 1] = value
    return out


@compiled(parallel=True, fastmath=FAST)
def add_planes(volume: Any, planes: Any, disc: Any, along: int) -> None:
    """Add planes across an axis to a volume, the transpose of `planes_of`."""
    n_z, n_y, n_x = volume.shape
    for y in prange(n_y):
        for z in range(n_z):
            for x in range(n_x):
                if along == 0:
                    value = planes[z, y + 1, x + 1]
                elif along == 1:
                    value = planes[y, x + 1, z + 1]
                else:
                    value = planes[x, y + 1, z + 1]
                volume[z, y, x] += value * disc[y, x]


@njit(inline="always", fastmath=FAST)
def _inverse(step: Any) -> Any:
    """Return 1 / step; 0 for a step of nothing."""
    return f32(0) if abs(step) < f32(_LEVEL) else f32(1) / step


@njit(inline="always", fastmath=FAST)
def _within(start: Any, inverse: Any, n: Any, first: Any, end: Any) -> Any:
    """Return the rows, of first to end, whose place may lie on a line of n voxels.

    Those at its ends may be one or two too many: what is beyond has no weight.
    """
    if inverse == f32(0):
        return (first, end) if f32(-1.1) < start < f32(n) + f32(0.1) else (first, first)
    one, other = (f32(-1) - start) * inverse, (f32(n) - start) * inverse
    return max(first, math.floor(min(one, other))), min(end, math.ceil(max(one, other)) + 1)


@njit(inline="always", fastmath=FAST)
def _places(
    p: Any, p_step: Any, n_p: Any, q: Any, q_step: Any, n_q: Any, width: Any, count: Any, found: Any
) -> None:
    """Find the corners of so many pixels in a plane, margin included, and the shares beyond."""
    corners, v, w = found
    p_last, q_last = _last(n_p), _last(n_q)
    for r in range(count):
        p_here = min(max(p + f32(1) + p_step * f32(r), f32(0)), p_last)
        q_here = min(max(q + f32(1) + q_step * f32(r), f32(0)), q_last)
        line, place = i32(p_here), i32(q_here)
        corners[r] = line * width + place
        v[r], w[r] = p_here - f32(line), q_here - f32(place)


@njit(inline="always", fastmath=FAST)
def _last(n: Any) -> Any:
    """Return the last place on a line of n voxels and its margin that has another one behind it."""
    return f32(n + 1) * (f32(1) - f32(2.0**-24))


@compiled(parallel=True, fastmath=FAST)
def project(planes: Any, plan: Any, frames: Any, images: Any) -> None:
    """Project planes; threads over blocks of columns of the images.

    Parameters
    ----------
    planes : (n_i, n_p + 2, n_q + 2) array of float32
        See `planes_of`.
    plan : (n_angles, PLAN) array of float64
    frames : (n,) array of int
        The projections that step along these planes' axis.
    images : (n_angles, n_columns, n_rows) array of float32
        Where the projections are written.
    """
    n_i, n_p, n_q = planes.shape[0], planes.shape[1] - 2, planes.shape[2] - 2
    _, n_columns, n_rows = images.shape
    flat, width = planes.reshape(-1), i32(n_q + 2)
    length = n_rows + AT_ONCE
    blocks = (n_columns + _COLUMNS - 1) // _COLUMNS
    for task in prange(len(frames) * blocks):
        a, left = frames[task // blocks], task % blocks * _COLUMNS
        k = plan[a]
        p_step, q_step = f32(k[1]), f32(k[5])
        p_inverse, q_inverse = _inverse(p_step), _inverse(q_step)
        sums = np.zeros(_COLUMNS * length * 4, np.float32)
        corners = np.empty(length, np.int32)
        v, w = np.empty(length, np.float32), np.empty(length, np.float32)
        for i in range(n_i):
            plane = u64(i * (n_p + 2) * (n_q + 2))
            for c in range(left, min(n_columns, left + _COLUMNS)):
                p, q = f32(k[0] + k[2] * c + k[3] * i), f32(k[4] + k[6] * c + k[7] * i)
                first, end = _within(p, p_inverse, n_p, 0, n_rows)
                first, end = _within(q, q_inverse, n_q, first, end)
                p, q = p + p_step * f32(first), q + q_step * f32(first)
                groups = (max(0, end - first) + AT_ONCE - 1) // AT_ONCE
                count = i32(groups * AT_ONCE)
                _places(p, p_step, n_p, q, q_step, n_q, width, count, (corners, v, w))
                begin = u64(4 * ((c - left) * length + first))
                for group in range(u64(groups)):
                    r = group * u64(AT_ONCE)
                    collect(sums, begin + u64(4) * r, flat, plane, u64(width), corners, v, w, r)
        for c in range(left, min(n_columns, left + _COLUMNS)):
            for row in range(n_rows):
                at = u64(4 * ((c - left) * length + row))
                upper, lower = sums[at] + sums[at + u64(1)], sums[at + u64(2)] + sums[at + u64(3)]
                images[a, c, row] = f32(k[8]) * (upper + lower)


@compiled(parallel=True, fastmath=FAST)
def back_project(images: Any, plan: Any, frames: Any, n_i: int, n_p: int, n_q: int) -> Any:
    """Back-project onto planes, the transpose of `project`; threads over planes.

    Parameters
    ----------
    images : (n_angles, n_columns, n_rows) array of float32
    plan : (n_angles, PLAN) array of float64
    frames : (n,) array of int
        The projections that step along these planes' axis.
    n_i, n_p, n_q : int

    Returns
    -------
    (n_i, n_p + 2, n_q + 2) array of float32
        With a margin of anything.
    """
    _, n_columns, n_rows = images.shape
    out = np.empty((n_i, n_p + 2, n_q + 2), np.float32)
    width, length = i32(n_q + 1), n_rows + AT_ONCE
    for i in prange(n_i):
        sums = np.zeros((n_p + 1) * (n_q + 1) * 4, np.float32)
        corners = np.empty(length, np.int32)
        v, w = np.empty(length, np.float32), np.empty(length, np.float32)
        values = np.empty(length, np.float32)
        for a in frames:
            k = plan[a]
            p_step, q_step = f32(k[1]), f32(k[5])
            p_inverse, q_inverse = _inverse(p_step), _inverse(q_step)
            for c in range(n_columns):
                p, q = f32(k[0] + k[2] * c + k[3] * i), f32(k[4] + k[6] * c + k[7] * i)
                first, end = _within(p, p_inverse, n_p, 0, n_rows)
                first, end = _within(q, q_inverse, n_q, first, end)
                p, q = p + p_step * f32(first), q + q_step * f32(first)
                groups = (max(0, end - first) + AT_ONCE - 1) // AT_ONCE
                count = i32(groups * AT_ONCE)
                _places(p, p_step, n_p, q, q_step, n_q, width, count, (corners, v, w))
                for r in range(end - first):
                    values[r] = f32(k[8]) * images[a, c, first + r]
                for r in range(max(0, end - first), count):
                    values[r] = f32(0)
                for group in range(u64(groups)):
                    spread(sums, values, corners, v, w, group * u64(AT_ONCE))
        for line in range(n_p):
            for place in range(n_q):
                upper = u64(4) * u64(line * width + place)
                lower = upper + u64(4) * u64(width)
                out[i, line + 1, place + 1] = (sums[lower + u64(4)] + sums[lower + u64(1)]) + (
                    sums[upper + u64(6)] + sums[upper + u64(3)]
                )
    return out
