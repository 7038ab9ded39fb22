"""What the loop does with a slab of rows on the device: move, filter and add up; Warp, float32.

Arrays lie as those of `kernels`: angle, column, row. Sums are float64.
"""

from __future__ import annotations

import warp as wp

from .kernels import Flat

__all__ = [
    "N_SUMS",
    "Doubles",
    "add_lines",
    "add_up",
    "add_volume",
    "filter_lines",
    "move",
    "move_weights",
]

Doubles = wp.array(dtype=wp.float64, ndim=1)

N_SUMS = wp.constant(22)  # of `add_up`, each projection
Sums = wp.types.vector(length=N_SUMS, dtype=wp.float64)


@wp.func
def _spline_weights(f: float) -> wp.vec4f:
    g = 1.0 - f
    return wp.vec4f(
        g * g * g / 6.0,
        2.0 / 3.0 - f * f * (2.0 - f) * 0.5,
        2.0 / 3.0 - g * g * (1.0 + f) * 0.5,
        f * f * f / 6.0,
    )


@wp.func
def _mirrored(index: int, n: int) -> int:
    """Return the place on a line of n that mirrors at its ends show."""
    if n == 1:
        return 0
    period = 2 * (n - 1)
    place = wp.abs(index) % period
    return wp.where(place < n, place, period - place)


@wp.kernel(enable_backward=False)
def move(
    coefficients: Flat,
    first_here: int,
    n_here: int,
    n_rows: int,
    n_columns: int,
    shifts: Doubles,
    first: int,
    n_out: int,
    moved: Flat,
) -> None:
    """Evaluate cubic splines at positions moved by minus the shifts, as `_shift_kernels.evaluate`.

    ``coefficients`` holds, of images of ``n_rows`` rows, ``n_here`` from ``first_here`` on; made
    are ``n_out`` rows from ``first`` on. Angle, column, row.
    """
    a, c, r = wp.tid()
    down = wp.clamp(wp.float64(first + r) - shifts[2 * a], wp.float64(0.0), wp.float64(n_rows - 1))
    right = wp.clamp(wp.float64(c) - shifts[2 * a + 1], wp.float64(0.0), wp.float64(n_columns - 1))
    row = int(wp.floor(down))
    column = int(wp.floor(right))
    of_row = _spline_weights(float(down - wp.float64(row)))
    of_column = _spline_weights(float(right - wp.float64(column)))
    total = 0.0
    for i in range(4):
        line = (a * n_columns + _mirrored(column - 1 + i, n_columns)) * n_here
        part = 0.0
        for j in range(4):
            part += of_row[j] * coefficients[line + _mirrored(row - 1 + j, n_rows) - first_here]
        total += of_column[i] * part
    moved[(a * n_columns + c) * n_out + r] = total


@wp.kernel(enable_backward=False)
def move_weights(
    weights: Flat,
    strides: wp.vec3i,
    first_here: int,
    n_rows: int,
    n_columns: int,
    shifts: Doubles,
    first: int,
    n_out: int,
    moved: Flat,
) -> None:
    """Interpolate weights linearly, 0 outside, as `_shift_kernels.evaluate_weights`.

    Strides of 0 make one number the weight of all pixels.
    """
    a, c, r = wp.tid()
    down = wp.float64(first + r) - shifts[2 * a]
    right = wp.float64(c) - shifts[2 * a + 1]
    total = 0.0
    zero = wp.float64(0.0)
    if (
        down >= zero
        and right >= zero
        and down <= wp.float64(n_rows - 1)
        and right <= wp.float64(n_columns - 1)
    ):
        row = int(wp.floor(down))
        column = int(wp.floor(right))
        f = float(right - wp.float64(column))
        g = float(down - wp.float64(row))
        start = a * strides[0] + column * strides[1] + (row - first_here) * strides[2]
        across = wp.where(f > 0.0, strides[1], 0)  # a pixel of weight 0 may lie beside the image
        along = wp.where(g > 0.0, strides[2], 0)
        above = (1.0 - f) * weights[start] + f * weights[start + across]
        below = (1.0 - f) * weights[start + along] + f * weights[start + along + across]
        total = (1.0 - g) * above + g * below
    moved[(a * n_columns + c) * n_out + r] = total


@wp.kernel(enable_backward=False)
def filter_lines(
    images: Flat, n: int, apart: int, taps: Flat, sign: float, mirror: bool, filtered: Flat
) -> None:
    """Filter along lines of ``n`` numbers that lie ``apart``.

    ``taps[m]`` weighs what lies ``m`` further on plus ``sign`` times what lies ``m`` further back.
    Beyond the ends the line is mirrored, or its last number goes on.
    """
    i = wp.tid()
    place = (i / apart) % n
    start = i - place * apart
    total = taps[0] * images[i]
    for m in range(1, taps.shape[0]):
        further = place + m
        back = place - m
        if mirror:
            further = _mirrored(further, n)
            back = _mirrored(back, n)
        else:
            further = wp.min(further, n - 1)
            back = wp.max(back, 0)
        total += taps[m] * (images[start + further * apart] + sign * images[start + back * apart])
    filtered[i] = total


@wp.kernel(enable_backward=False)
def add_up(
    measured: Flat,
    weights: Flat,
    reprojected: Flat,
    down: Flat,
    right: Flat,
    counted: Flat,
    n_columns: int,
    n_around: int,
    first: int,
    n_rows: int,
    first_row: int,
    sums: Doubles,
) -> None:
    """Add up over the columns what `loop.slabs.Sums` holds, row by row.

    Of images of ``n_around`` rows, ``n_rows`` from ``first`` on, which begin at ``first_row`` of
    the whole images; ``counted`` has all rows. In order: the lower half of the normal matrix
    (`NormalEquations`, 10), its right-hand side (4), squares and count; difference, power and
    pixels; mass and moments.
    """
    a, r = wp.tid()
    total = Sums()
    one = wp.float64(1.0)
    for c in range(n_columns):
        i = (a * n_columns + c) * n_around + first + r
        weight = wp.float64(weights[i])
        if weight > wp.float64(0.0):
            value = wp.float64(measured[i])
            miss = value - wp.float64(reprojected[i])
            total[16] += weight * miss * miss
            total[17] += weight * value * value
            total[18] += weight
            total[19] += weight * value
            total[20] += weight * value * wp.float64(first_row + r)
            total[21] += weight * value * wp.float64(c)
            if counted[c * n_around + first + r] > 0.0:
                line = wp.vec4d(
                    wp.float64(down[i]), wp.float64(right[i]), wp.float64(reprojected[i]), one
                )
                difference = wp.float64(measured[i] - reprojected[i])
                for j in range(4):
                    part = weight * line[j]
                    total[10 + j] += part * difference
                    for m in range(j + 1):
                        total[j * (j + 1) // 2 + m] += part * line[m]
                total[14] += weight * difference * difference
                total[15] += one
    for s in range(N_SUMS):
        sums[(a * n_rows + r) * N_SUMS + s] = total[s]


@wp.kernel(enable_backward=False)
def add_lines(sums: Doubles, n_lines: int, n_sums: int, total: Doubles) -> None:
    """Add up the lines' sums, always in the same order."""
    a, s = wp.tid()
    part = wp.float64(0.0)
    for r in range(n_lines):
        part += sums[(a * n_lines + r) * n_sums + s]
    total[a * n_sums + s] = part


@wp.kernel(enable_backward=False)
def add_volume(
    volume: Flat, n: int, n_slices: int, first: int, n_rows: int, first_row: int, sums: Doubles
) -> None:
    """Add up a volume's mass and its moments along slices, y and x, column by column of voxels.

    Of ``n_rows`` slices from ``first`` on, which begin at ``first_row`` of the whole volume.
    """
    y, x = wp.tid()
    mass = wp.float64(0.0)
    moment = wp.float64(0.0)
    for r in range(n_rows):
        value = wp.float64(volume[(y * n + x) * n_slices + first + r])
        mass += value
        moment += value * wp.float64(first_row + r)
    at = (y * n + x) * 4
    sums[at] = mass
    sums[at + 1] = moment
    sums[at + 2] = mass * wp.float64(y)
    sums[at + 3] = mass * wp.float64(x)
