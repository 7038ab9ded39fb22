"""The projector, its transpose and nothing else: numba, float32, the slice index contiguous.

Both follow Joseph (1982, doi 10.1109/TMI.1982.4307572): a ray steps along the axis it is closer
to and interpolates linearly along the other. Seen from a voxel, that is a triangle of half-width
``w = max(|cos|, |sin|)`` columns and height ``1 / w``, so the transpose gathers at most two
columns an angle, and the pair is matched to rounding.

Slices lie contiguous in memory, so the innermost loop is SIMD. The arrays that are written are
made inside the kernels: only then does the compiler know that nothing overlaps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

__all__ = ["back_project", "project"]

f32 = np.float32


@njit(inline="always", fastmath=True)
def _voxel_taps(position: Any, n: Any, scale: Any) -> Any:
    """Return two neighbours on a line of n voxels and their weights, 0 outside the line."""
    low = math.floor(position)
    fraction = position - f32(low)
    index = int(low)
    weight = (f32(1) - fraction) * scale
    next_weight = fraction * scale
    if index < 0 or index > n - 1:
        weight = f32(0)
    if index < -1 or index > n - 2:
        next_weight = f32(0)
    return min(max(index, 0), n - 1), min(max(index + 1, 0), n - 1), weight, next_weight


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def project(volume: Any, cosines: Any, sines: Any, center: Any, n_columns: int) -> Any:
    """Project at every angle; threads over angles.

    Parameters
    ----------
    volume : (n, n, n_slices) array of float32
        y, x, slice.
    cosines, sines : (n_angles,) array of float32
    center : float32
        Column of the rotation axis.
    n_columns : int

    Returns
    -------
    (n_angles, n_columns, n_slices) array of float32
    """
    n, _, n_slices = volume.shape
    n_angles = len(cosines)
    out = np.zeros((n_angles, n_columns, n_slices), np.float32)
    axis = f32((n - 1) / 2)
    for a in prange(n_angles):
        along_y = abs(cosines[a]) >= abs(sines[a])
        major = cosines[a] if along_y else -sines[a]
        slope = sines[a] / cosines[a] if along_y else cosines[a] / sines[a]
        step = f32(1) / major
        scale = abs(step)
        begin = axis - center * step - slope * axis
        whole = n - n % 4
        for m in range(0, whole, 4):
            start = begin + slope * f32(m)
            low = min(f32(-1) - start, f32(-1) - start - f32(3) * slope) * major
            high = max(f32(n) - start, f32(n) - start - f32(3) * slope) * major
            if major < 0:
                low, high = high, low
            first = max(0, math.ceil(low))
            last = min(n_columns - 1, math.floor(high))
            for i in range(first, last + 1):
                position = start + step * f32(i)
                a0, b0, u0, v0 = _voxel_taps(position, n, scale)
                a1, b1, u1, v1 = _voxel_taps(position + slope, n, scale)
                a2, b2, u2, v2 = _voxel_taps(position + f32(2) * slope, n, scale)
                a3, b3, u3, v3 = _voxel_taps(position + f32(3) * slope, n, scale)
                if along_y:
                    for k in range(n_slices):
                        out[a, i, k] += (
                            u0 * volume[m, a0, k]
                            + v0 * volume[m, b0, k]
                            + u1 * volume[m + 1, a1, k]
                            + v1 * volume[m + 1, b1, k]
                            + u2 * volume[m + 2, a2, k]
                            + v2 * volume[m + 2, b2, k]
                            + u3 * volume[m + 3, a3, k]
                            + v3 * volume[m + 3, b3, k]
                        )
                else:
                    for k in range(n_slices):
                        out[a, i, k] += (
                            u0 * volume[a0, m, k]
                            + v0 * volume[b0, m, k]
                            + u1 * volume[a1, m + 1, k]
                            + v1 * volume[b1, m + 1, k]
                            + u2 * volume[a2, m + 2, k]
                            + v2 * volume[b2, m + 2, k]
                            + u3 * volume[a3, m + 3, k]
                            + v3 * volume[b3, m + 3, k]
                        )
        for m in range(whole, n):
            start = begin + slope * f32(m)
            for i in range(n_columns):
                a0, b0, u0, v0 = _voxel_taps(start + step * f32(i), n, scale)
                if along_y:
                    for k in range(n_slices):
                        out[a, i, k] += u0 * volume[m, a0, k] + v0 * volume[m, b0, k]
                else:
                    for k in range(n_slices):
                        out[a, i, k] += u0 * volume[a0, m, k] + v0 * volume[b0, m, k]
    return out


@njit(inline="always", fastmath=True)
def _column_taps(position: Any, last: Any, width: Any, scale: Any) -> Any:
    """Return the left column under a voxel's triangle, and the weights of it and the next."""
    if position <= f32(0) or position >= last:
        return 0, f32(0), f32(0)
    index = int(position)
    fraction = position - f32(index)
    return (
        index,
        max(f32(0), width - fraction) * scale,
        max(f32(0), width - f32(1) + fraction) * scale,
    )


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def back_project(
    projections: Any, cosines: Any, sines: Any, widths: Any, center: Any, n: int
) -> Any:
    """Back-project, the transpose of `project`; threads over the rows of the slices.

    Parameters
    ----------
    projections : (n_angles, n_columns + 2, n_slices) array of float32
        With one column of zeros on each side.
    cosines, sines : (n_angles,) array of float32
    widths : (n_angles,) array of float32
        Half-width of a voxel's triangle: ``max(|cos|, |sin|)`` for the transpose of `project`,
        1 for plain linear interpolation.
    center : float32
        Column of the rotation axis, without the margin.
    n : int
        Rows and columns of a slice.

    Returns
    -------
    (n, n, n_slices) array of float32
        y, x, slice.
    """
    n_angles, n_padded, n_slices = projections.shape
    out = np.zeros((n, n, n_slices), np.float32)
    axis = f32((n - 1) / 2)
    last = f32(n_padded - 1)
    scales = f32(1) / (widths * widths)
    starts = center + f32(1) - axis * cosines
    whole = n_angles - n_angles % 4
    for y in prange(n):
        r = f32(y) - axis
        for a in range(0, whole, 4):
            s0 = starts[a] - r * sines[a]
            s1 = starts[a + 1] - r * sines[a + 1]
            s2 = starts[a + 2] - r * sines[a + 2]
            s3 = starts[a + 3] - r * sines[a + 3]
            for x in range(n):
                fx = f32(x)
                i0, u0, v0 = _column_taps(s0 + cosines[a] * fx, last, widths[a], scales[a])
                i1, u1, v1 = _column_taps(
                    s1 + cosines[a + 1] * fx, last, widths[a + 1], scales[a + 1]
                )
                i2, u2, v2 = _column_taps(
                    s2 + cosines[a + 2] * fx, last, widths[a + 2], scales[a + 2]
                )
                i3, u3, v3 = _column_taps(
                    s3 + cosines[a + 3] * fx, last, widths[a + 3], scales[a + 3]
                )
                for k in range(n_slices):
                    out[y, x, k] += (
                        u0 * projections[a, i0, k]
                        + v0 * projections[a, i0 + 1, k]
                        + u1 * projections[a + 1, i1, k]
                        + v1 * projections[a + 1, i1 + 1, k]
                        + u2 * projections[a + 2, i2, k]
                        + v2 * projections[a + 2, i2 + 1, k]
                        + u3 * projections[a + 3, i3, k]
                        + v3 * projections[a + 3, i3 + 1, k]
                    )
        for a in range(whole, n_angles):
            s0 = starts[a] - r * sines[a]
            for x in range(n):
                i0, u0, v0 = _column_taps(s0 + cosines[a] * f32(x), last, widths[a], scales[a])
                for k in range(n_slices):
                    out[y, x, k] += u0 * projections[a, i0, k] + v0 * projections[a, i0 + 1, k]
    return out
