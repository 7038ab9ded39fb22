"""What tells how well a shift is known, added up on the device: Warp, sums in float64.

The built-in way is `images._precision_kernels`. Arrays lie as those of `kernels`: angle, column,
row; of images of ``n_around`` rows. A ``window`` is the first and the last row and column that are
registered, those of the images here: slopes end there.
"""

from __future__ import annotations

import warp as wp

from .kernels import Flat, Whole
from .slab_kernels import Doubles

__all__ = ["N_CROSS", "N_SCATTER", "add_blocks", "add_cross", "add_scatter", "add_squares"]

N_CROSS = wp.constant(20)  # 4 columns of the template by 4 of the model and the difference
N_SCATTER = wp.constant(30)  # three symmetric matrices of 4 by 4, the lower half of each
Cross = wp.types.vector(length=N_CROSS, dtype=wp.float64)
Scatter = wp.types.vector(length=N_SCATTER, dtype=wp.float64)


@wp.func
def _slope(far_back: float, back: float, on: float, far_on: float) -> wp.float64:
    """Return how a pixel answers to a shift: minus the slope, a difference of fourth order."""
    near = wp.float64(8.0) * wp.float64(on - back)
    return -(near - wp.float64(far_on - far_back)) / wp.float64(12.0)


@wp.func
def _columns(images: Flat, line: int, c: int, r: int, n_around: int, window: wp.vec4i) -> wp.vec4d:
    """Return how a pixel answers to a shift in rows and in columns, to gain and to offset."""
    here = (line + c) * n_around
    down = _slope(
        images[here + wp.max(r - 2, window[0])],
        images[here + wp.max(r - 1, window[0])],
        images[here + wp.min(r + 1, window[1])],
        images[here + wp.min(r + 2, window[1])],
    )
    right = _slope(
        images[(line + wp.max(c - 2, window[2])) * n_around + r],
        images[(line + wp.max(c - 1, window[2])) * n_around + r],
        images[(line + wp.min(c + 1, window[3])) * n_around + r],
        images[(line + wp.min(c + 2, window[3])) * n_around + r],
    )
    return wp.vec4d(down, right, wp.float64(images[here + r]), wp.float64(1.0))


@wp.kernel(enable_backward=False)
def add_cross(
    measured: Flat,
    weights: Flat,
    reprojected: Flat,
    smoothed: Flat,
    counted: Flat,
    n_columns: int,
    n_around: int,
    window: wp.vec4i,
    first: int,
    n_rows: int,
    sums: Doubles,
) -> None:
    """Add up, row by row, the template's columns times the model's, and times the difference.

    Of ``n_rows`` rows from ``first`` on.
    """
    a, r = wp.tid()
    row = first + r
    line = a * n_columns
    total = Cross()
    for c in range(n_columns):
        i = (line + c) * n_around + row
        weight = wp.float64(weights[i] * counted[c * n_around + row])
        if weight > wp.float64(0.0):
            d = _columns(smoothed, line, c, row, n_around, window)
            j = _columns(reprojected, line, c, row, n_around, window)
            difference = wp.float64(measured[i] - reprojected[i])
            for m in range(4):
                part = weight * d[m]
                for k in range(4):
                    total[m * 5 + k] += part * j[k]
                total[m * 5 + 4] += part * difference
    for s in range(N_CROSS):
        sums[(a * n_rows + r) * N_CROSS + s] = total[s]


@wp.kernel(enable_backward=False)
def add_scatter(
    measured: Flat,
    weights: Flat,
    reprojected: Flat,
    smoothed: Flat,
    counted: Flat,
    n_columns: int,
    n_around: int,
    window: wp.vec4i,
    first: int,
    n_blocks: int,
    block: int,
    solution: Doubles,
    sums: Doubles,
) -> None:
    """Add up, a row of blocks by another, outer products of the template's columns.

    Alone; with what remains of the difference, pixel by pixel; and of its sums over blocks. The
    first block begins in row ``first``.
    """
    a, b = wp.tid()
    line = a * n_columns
    top = first + b * block
    bottom = wp.min(top + block, window[1] + 1)
    at = wp.vec4d(solution[a * 4], solution[a * 4 + 1], solution[a * 4 + 2], solution[a * 4 + 3])
    total = Scatter()
    for left in range(window[2], window[3] + 1, block):
        score = wp.vec4d()
        for c in range(left, wp.min(left + block, window[3] + 1)):
            for r in range(top, bottom):
                i = (line + c) * n_around + r
                weight = wp.float64(weights[i] * counted[c * n_around + r])
                if weight > wp.float64(0.0):
                    d = _columns(smoothed, line, c, r, n_around, window)
                    j = _columns(reprojected, line, c, r, n_around, window)
                    rest = wp.float64(measured[i] - reprojected[i]) - wp.dot(at, j)
                    score += weight * rest * d
                    for m in range(4):
                        for k in range(m + 1):
                            both = weight * weight * d[m] * d[k]
                            total[m * (m + 1) // 2 + k] += both
                            total[10 + m * (m + 1) // 2 + k] += both * rest * rest
        for m in range(4):
            for k in range(m + 1):
                total[20 + m * (m + 1) // 2 + k] += score[m] * score[k]
    for s in range(N_SCATTER):
        sums[(a * n_blocks + b) * N_SCATTER + s] = total[s]


@wp.kernel(enable_backward=False)
def add_squares(
    measured: Flat,
    weights: Flat,
    moved: Flat,
    counted: Flat,
    which: Whole,
    n_columns: int,
    n_around: int,
    first: int,
    n_rows: int,
    sums: Doubles,
) -> None:
    """Add up, row by row, weighted squares of measured minus the template that was moved.

    Of the images ``which``, that ``moved`` has one after the other.
    """
    k, r = wp.tid()
    row = first + r
    total = wp.float64(0.0)
    for c in range(n_columns):
        i = (which[k] * n_columns + c) * n_around + row
        weight = wp.float64(weights[i] * counted[c * n_around + row])
        missed = wp.float64(measured[i] - moved[(k * n_columns + c) * n_around + row])
        total += weight * missed * missed
    sums[k * n_rows + r] = total


@wp.kernel(enable_backward=False)
def add_blocks(
    measured: Flat,
    weights: Flat,
    reprojected: Flat,
    which: Whole,
    n_columns: int,
    n_around: int,
    first: int,
    begin: int,
    end: int,
    rows: int,
    columns: int,
    n_across: int,
    n_down: int,
    sums: Doubles,
) -> None:
    """Add up, block by block, weighted measured minus reprojected; behind them, the weights.

    Of the images ``which``, in the rows of whole images from ``begin`` to ``end``; ``first`` is the
    first of them that is here. What is left beyond whole blocks makes a last row and column.
    """
    k, b = wp.tid()
    line = which[k] * n_columns
    top = wp.max(b * rows, begin)
    bottom = wp.min((b + 1) * rows, end)
    at = (k * n_down + b) * (n_across + 1)
    total = wp.float64(0.0)
    for across in range(n_across + 1):
        right = wp.min((across + 1) * columns, n_columns)
        missed = wp.float64(0.0)
        for c in range(across * columns, right):
            for r in range(top, bottom):
                i = (line + c) * n_around + r - first
                total += wp.float64(weights[i])
                missed += wp.float64(weights[i] * (measured[i] - reprojected[i]))
        if across < n_across:
            sums[at + across] = missed
    sums[at + n_across] = total
