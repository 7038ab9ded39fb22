"""The projector, its transpose and nothing else: numba, float32, the slice index contiguous.

Both follow Joseph (1982, doi 10.1109/TMI.1982.4307572): a ray steps along the axis it is closer
to and interpolates linearly along the other. Seen from a voxel, that is a triangle of half-width
``w = max(|cos|, |sin|)`` columns and height ``1 / w``, so the transpose gathers at most two
columns an angle, and the pair is matched to rounding.

Slices lie contiguous in memory, so the innermost loop is SIMD. Slices and images have a margin of
one zero on every side, so no index is ever out of range and the loops need no branch. Work goes
tile by tile, for a tile stays in the processor's cache while several angles pass over it. The
arrays that are written are made inside the kernels: only then does the compiler know that nothing
overlaps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange

from ...images._compiling import compiled
from ...images._rounding import FAST

__all__ = ["advance", "back_project", "project"]

f32 = np.float32

_LINES = 16  # of a slice in one tile of the projector; a multiple of 4
_ANGLES = 4  # that pass over a tile
# Places in memory are unsigned: of a signed one it would be asked each time whether it counts from
# the end, which takes a quarter of the time.
_NEXT = np.uint32(1)


@njit(inline="always", fastmath=FAST)
def _voxel_taps(position: Any, n: Any, scale: Any) -> Any:
    """Return the left one of two neighbours on a line of n voxels and a margin, and their weights.

    Beyond the line, the weight is on the margin.
    """
    clipped = min(max(position, f32(0)), f32(n + 1))
    index = np.uint32(min(np.uint32(clipped), np.uint32(n)))
    next_weight = (clipped - f32(index)) * scale
    return index, scale - next_weight, next_weight


@njit(inline="always", fastmath=FAST)
def _half_chord(distance: Any, radius: Any) -> Any:
    """Return half the length of a disc's chord, -1 where the disc does not reach."""
    if distance > radius:
        return f32(-1)
    return f32(math.sqrt(radius * radius - distance * distance))


@compiled(parallel=True, fastmath=FAST)
def project(volume: Any, cosines: Any, sines: Any, center: Any, n_columns: int, radius: Any) -> Any:
    """Project at every angle; threads over angles.

    Parameters
    ----------
    volume : (n + 2, n + 2, n_slices) array of float32
        y, x, slice, with a margin of zeros.
    cosines, sines : (n_angles,) array of float32
    center : float32
        Column of the rotation axis, without the margin.
    n_columns : int
        Without the margin.
    radius : float32
        Voxels: what lies further from the axis is known to be 0.

    Returns
    -------
    (n_angles, n_columns + 2, n_slices) array of float32
        With a margin of zeros.
    """
    n, n_slices = volume.shape[0] - 2, volume.shape[2]
    n_angles = len(cosines)
    out = np.zeros((n_angles, n_columns + 2, n_slices), np.float32)
    axis = f32((n - 1) / 2)
    for group in prange((n_angles + _ANGLES - 1) // _ANGLES):
        for tile in range(0, n, _LINES):
            end = min(n, tile + _LINES)
            whole = end - (end - tile) % 4
            for a in range(group * _ANGLES, min(n_angles, (group + 1) * _ANGLES)):
                along_y = abs(cosines[a]) >= abs(sines[a])
                major = cosines[a] if along_y else -sines[a]
                slope = sines[a] / cosines[a] if along_y else cosines[a] / sines[a]
                step = f32(1) / major
                scale = abs(step)
                begin = axis - center * step - slope * axis
                for m in range(tile, whole, 4):
                    start = begin + slope * f32(m)
                    offset = f32(3) * slope
                    half = _half_chord(max(f32(0), f32(m) - axis, axis - f32(m + 3)), radius)
                    left = max(axis - half, f32(0)) - f32(1) - start - max(f32(0), offset)
                    right = min(axis + half, f32(n - 1)) + f32(1) - start - min(f32(0), offset)
                    low, high = min(left * major, right * major), max(left * major, right * major)
                    for i in range(max(0, math.ceil(low)), min(n_columns, math.floor(high) + 1)):
                        position = start + step * f32(i) + f32(1)
                        j0, u0, v0 = _voxel_taps(position, n, scale)
                        j1, u1, v1 = _voxel_taps(position + slope, n, scale)
                        j2, u2, v2 = _voxel_taps(position + f32(2) * slope, n, scale)
                        j3, u3, v3 = _voxel_taps(position + f32(3) * slope, n, scale)
                        if along_y:
                            for k in range(n_slices):
                                out[a, i + 1, k] += (
                                    u0 * volume[m + 1, j0, k]
                                    + v0 * volume[m + 1, j0 + _NEXT, k]
                                    + u1 * volume[m + 2, j1, k]
                                    + v1 * volume[m + 2, j1 + _NEXT, k]
                                    + u2 * volume[m + 3, j2, k]
                                    + v2 * volume[m + 3, j2 + _NEXT, k]
                                    + u3 * volume[m + 4, j3, k]
                                    + v3 * volume[m + 4, j3 + _NEXT, k]
                                )
                        else:
                            for k in range(n_slices):
                                out[a, i + 1, k] += (
                                    u0 * volume[j0, m + 1, k]
                                    + v0 * volume[j0 + _NEXT, m + 1, k]
                                    + u1 * volume[j1, m + 2, k]
                                    + v1 * volume[j1 + _NEXT, m + 2, k]
                                    + u2 * volume[j2, m + 3, k]
                                    + v2 * volume[j2 + _NEXT, m + 3, k]
                                    + u3 * volume[j3, m + 4, k]
                                    + v3 * volume[j3 + _NEXT, m + 4, k]
                                )
                for m in range(whole, end):
                    start = begin + slope * f32(m) + f32(1)
                    for i in range(n_columns):
                        j0, u0, v0 = _voxel_taps(start + step * f32(i), n, scale)
                        if along_y:
                            for k in range(n_slices):
                                out[a, i + 1, k] += (
                                    u0 * volume[m + 1, j0, k] + v0 * volume[m + 1, j0 + _NEXT, k]
                                )
                        else:
                            for k in range(n_slices):
                                out[a, i + 1, k] += (
                                    u0 * volume[j0, m + 1, k] + v0 * volume[j0 + _NEXT, m + 1, k]
                                )
    return out


@njit(inline="always", fastmath=FAST)
def _column_taps(position: Any, last: Any, width: Any, scale: Any) -> Any:
    """Return the left column under a voxel's triangle, and the weights of it and the next.

    Beyond the margin, which ends at ``last``, the weight is on the margin.
    """
    clipped = min(max(position, f32(0)), f32(last))
    index = np.uint32(min(np.uint32(clipped), np.uint32(last - 1)))
    fraction = clipped - f32(index)
    return (
        index,
        max(f32(0), width - fraction) * scale,
        max(f32(0), width - f32(1) + fraction) * scale,
    )


@compiled(parallel=True, fastmath=FAST)
def back_project(
    projections: Any,
    cosines: Any,
    sines: Any,
    widths: Any,
    center: Any,
    n: int,
    radius: Any,
    tile: int,
) -> Any:
    """Back-project, the transpose of `project`; threads over the rows of the slices.

    Parameters
    ----------
    projections : (n_angles, n_columns + 2, n_slices) array of float32
        With a margin of zeros.
    cosines, sines : (n_angles,) array of float32
    widths : (n_angles,) array of float32
        Half-width of a voxel's triangle: ``max(|cos|, |sin|)`` for the transpose of `project`,
        1 for plain linear interpolation.
    center : float32
        Column of the rotation axis, without the margin.
    n : int
        Rows and columns of a slice, without the margin.
    radius : float32
        Voxels: what lies further from the axis stays 0.
    tile : int
        Lines of a slice that a thread works on at a time.

    Returns
    -------
    (n + 2, n + 2, n_slices) array of float32
        y, x, slice, with a margin of zeros.
    """
    n_angles, n_padded, n_slices = projections.shape
    out = np.zeros((n + 2, n + 2, n_slices), np.float32)
    axis = f32((n - 1) / 2)
    last = n_padded - 1
    starts, scales = np.empty(n_angles, np.float32), np.empty(n_angles, np.float32)
    for b in range(n_angles):
        starts[b] = center + f32(1) - axis * cosines[b]
        scales[b] = f32(1) / (widths[b] * widths[b])
    whole, even = n_angles - n_angles % 4, n_angles - n_angles % 2
    for part in prange((n + tile - 1) // tile):
        for a in range(0, n_angles, 4):
            for y in range(part * tile, min(n, (part + 1) * tile)):
                r = f32(y) - axis
                half = _half_chord(abs(r), radius)
                if half < 0:
                    continue
                first, end = max(0, math.ceil(axis - half)), min(n, math.floor(axis + half) + 1)
                if a < whole:
                    s0 = starts[a] - r * sines[a]
                    s1 = starts[a + 1] - r * sines[a + 1]
                    s2 = starts[a + 2] - r * sines[a + 2]
                    s3 = starts[a + 3] - r * sines[a + 3]
                    c0, c1, c2, c3 = cosines[a], cosines[a + 1], cosines[a + 2], cosines[a + 3]
                    for x in range(first, end):
                        fx = f32(x)
                        i0, u0, v0 = _column_taps(s0 + c0 * fx, last, widths[a], scales[a])
                        i1, u1, v1 = _column_taps(s1 + c1 * fx, last, widths[a + 1], scales[a + 1])
                        i2, u2, v2 = _column_taps(s2 + c2 * fx, last, widths[a + 2], scales[a + 2])
                        i3, u3, v3 = _column_taps(s3 + c3 * fx, last, widths[a + 3], scales[a + 3])
                        for k in range(n_slices):
                            out[y + 1, x + 1, k] += (
                                u0 * projections[a, i0, k]
                                + v0 * projections[a, i0 + _NEXT, k]
                                + u1 * projections[a + 1, i1, k]
                                + v1 * projections[a + 1, i1 + _NEXT, k]
                                + u2 * projections[a + 2, i2, k]
                                + v2 * projections[a + 2, i2 + _NEXT, k]
                                + u3 * projections[a + 3, i3, k]
                                + v3 * projections[a + 3, i3 + _NEXT, k]
                            )
                    continue
                if a < even:  # alone, either would load and store the voxels once more
                    s0 = starts[a] - r * sines[a]
                    s1 = starts[a + 1] - r * sines[a + 1]
                    c0, c1 = cosines[a], cosines[a + 1]
                    for x in range(first, end):
                        fx = f32(x)
                        i0, u0, v0 = _column_taps(s0 + c0 * fx, last, widths[a], scales[a])
                        i1, u1, v1 = _column_taps(s1 + c1 * fx, last, widths[a + 1], scales[a + 1])
                        for k in range(n_slices):
                            out[y + 1, x + 1, k] += (
                                u0 * projections[a, i0, k]
                                + v0 * projections[a, i0 + _NEXT, k]
                                + u1 * projections[a + 1, i1, k]
                                + v1 * projections[a + 1, i1 + _NEXT, k]
                            )
                for b in range(even, n_angles):
                    start = starts[b] - r * sines[b]
                    for x in range(first, end):
                        i0, u0, v0 = _column_taps(
                            start + cosines[b] * f32(x), last, widths[b], scales[b]
                        )
                        for k in range(n_slices):
                            out[y + 1, x + 1, k] += (
                                u0 * projections[b, i0, k] + v0 * projections[b, i0 + _NEXT, k]
                            )
    return out


@compiled(parallel=True, fastmath=FAST)
def advance(step: Any, voxels: Any, point: Any, volume: Any, gain: Any, non_negative: bool) -> None:
    """Take a step and extrapolate, in one pass over the memory; threads over the first axis.

    ``volume`` becomes ``max(point + voxels * step, 0)`` and ``point`` what lies beyond it, by
    ``gain`` times the way from the volume before.

    Parameters
    ----------
    step, point, volume : (n + 2, n + 2, n_slices) array of float32
    voxels : (n + 2, n + 2, n_slices) or (n + 2, n + 2, 1) array of float32
    gain : float32
    non_negative : bool
    """
    n_y, n_x, n_slices = step.shape
    alike = voxels.shape[2] == 1
    for y in prange(n_y):
        for x in range(n_x):
            for k in range(n_slices):
                scale = voxels[y, x, 0] if alike else voxels[y, x, k]
                new = point[y, x, k] + scale * step[y, x, k]
                if non_negative:
                    new = max(new, f32(0))
                point[y, x, k] = new + gain * (new - volume[y, x, k])
                volume[y, x, k] = new
