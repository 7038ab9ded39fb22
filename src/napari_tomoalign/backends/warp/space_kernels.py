"""The projector for rays in any direction and its transpose on the device: Warp, float32.

The same footprint as the built-in engine's (`builtin.space_kernels`): a ray steps along the axis of
the grid that it is closest to and interpolates linearly along the two others. A projection gathers
from voxels. So does the transpose, from the few pixels whose rays pass a voxel closer than one
place along either of the two axes, so that no sum depends on the order of threads.

Volumes are (y, x, z) and images (angle, column, row): the last axis is the fastest of a launch, so
neighbouring threads read neighbouring memory where the axis leans little.
"""

from __future__ import annotations

import warp as wp

from .kernels import Flat, Whole

__all__ = ["PLAN", "back_project_space", "project_space"]

PLAN = wp.constant(13)
"""Numbers for each projection: p per row, column and plane; the same of q; the path's length
through a plane; the row per plane, p and q; the same of the column."""


@wp.func
def _axes(along: int) -> wp.vec3i:
    """Return the axis that rays step along, and those of p and q: 0, 1, 2 for z, y, x."""
    if along == 0:
        return wp.vec3i(0, 1, 2)
    if along == 1:
        return wp.vec3i(1, 2, 0)
    return wp.vec3i(2, 1, 0)


@wp.func
def _hat(distance: float) -> float:
    return wp.max(0.0, 1.0 - wp.abs(distance))


@wp.func
def _planes(start: float, slope: float, n: int, planes: wp.vec2f) -> wp.vec2f:
    """Return the part of a range of planes in which a place may lie on a line of n voxels.

    Those at its ends may be one or two too many: what is beyond has no weight.
    """
    if wp.abs(slope) < 1.0e-6:
        inside = start > -1.1 and start < float(n) + 0.1
        return wp.where(inside, planes, wp.vec2f(0.0, -9.0))
    one = (-1.0 - start) / slope
    other = (float(n) - start) / slope
    return wp.vec2f(wp.max(planes[0], wp.min(one, other)), wp.min(planes[1], wp.max(one, other)))


@wp.kernel(enable_backward=False)
def project_space(
    volume: Flat,
    sizes: wp.vec3i,
    middle: wp.vec3f,
    plan: Flat,
    along: Whole,
    n_columns: int,
    n_rows: int,
    center: float,
    images: Flat,
) -> None:
    """Project ``(n_y, n_x, n_z)`` to ``(n_angles, n_columns, n_rows)``.

    ``sizes`` and ``middle``, where the origin lies, are z, y, x; it lands on row ``middle[0]``.
    """
    a, c, r = wp.tid()
    axes = _axes(along[a])
    apart = wp.vec3i(1, sizes[0] * sizes[2], sizes[0])
    n_i, n_p, n_q = sizes[axes[0]], sizes[axes[1]], sizes[axes[2]]
    i_middle, p_middle, q_middle = middle[axes[0]], middle[axes[1]], middle[axes[2]]
    row = float(r) - middle[0]
    column = float(c) - center
    k = a * PLAN
    p_slope = plan[k + 2]
    q_slope = plan[k + 5]
    p_start = plan[k] * row + plan[k + 1] * column - p_slope * i_middle + p_middle
    q_start = plan[k + 3] * row + plan[k + 4] * column - q_slope * i_middle + q_middle
    planes = _planes(p_start, p_slope, n_p, wp.vec2f(0.0, float(n_i - 1)))
    planes = _planes(q_start, q_slope, n_q, planes)
    first = wp.max(0, int(wp.floor(planes[0])))
    last = wp.min(n_i - 1, int(wp.ceil(planes[1])))
    total = wp.float32(0.0)
    for i in range(first, last + 1):
        p = p_start + p_slope * float(i)
        q = q_start + q_slope * float(i)
        line = int(wp.floor(p))
        place = int(wp.floor(q))
        v = p - float(line)
        w = q - float(place)
        for j in range(2):
            for m in range(2):
                if line + j >= 0 and line + j < n_p and place + m >= 0 and place + m < n_q:
                    share = wp.where(j == 0, 1.0 - v, v) * wp.where(m == 0, 1.0 - w, w)
                    at = i * apart[axes[0]] + (line + j) * apart[axes[1]]
                    total += share * volume[at + (place + m) * apart[axes[2]]]
    images[(a * n_columns + c) * n_rows + r] = plan[k + 6] * total


@wp.kernel(enable_backward=False)
def back_project_space(
    images: Flat,
    sizes: wp.vec3i,
    middle: wp.vec3f,
    plan: Flat,
    along: Whole,
    n_columns: int,
    n_rows: int,
    center: float,
    volume: Flat,
) -> None:
    """Back-project, the transpose of `project_space`."""
    y, x, z = wp.tid()
    place = wp.vec3f(float(z), float(y), float(x)) - middle
    total = wp.float32(0.0)
    for a in range(along.shape[0]):
        axes = _axes(along[a])
        i, p, q = place[axes[0]], place[axes[1]], place[axes[2]]
        k = a * PLAN
        row = plan[k + 7] * i + plan[k + 8] * p + plan[k + 9] * q
        column = plan[k + 10] * i + plan[k + 11] * p + plan[k + 12] * q
        rows = wp.abs(plan[k + 8]) + wp.abs(plan[k + 9])  # as far as a place away on either axis
        columns = wp.abs(plan[k + 11]) + wp.abs(plan[k + 12])
        top = wp.max(0, int(wp.ceil(row - rows + middle[0])))
        bottom = wp.min(n_rows - 1, int(wp.floor(row + rows + middle[0])))
        left = wp.max(0, int(wp.ceil(column - columns + center)))
        right = wp.min(n_columns - 1, int(wp.floor(column + columns + center)))
        part = wp.float32(0.0)
        for c in range(left, right + 1):
            for r in range(top, bottom + 1):
                down = float(r) - middle[0]
                beside = float(c) - center
                v = plan[k] * down + plan[k + 1] * beside + plan[k + 2] * i - p
                w = plan[k + 3] * down + plan[k + 4] * beside + plan[k + 5] * i - q
                part += _hat(v) * _hat(w) * images[(a * n_columns + c) * n_rows + r]
        total += plan[k + 6] * part
    volume[(y * sizes[2] + x) * sizes[0] + z] = total
