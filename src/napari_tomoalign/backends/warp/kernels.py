"""The projector, its transpose and the arithmetic of the solvers on the device: Warp, float32.

The same footprint as the built-in engine's (`builtin.kernels`): Joseph (1982, doi
10.1109/TMI.1982.4307572), a ray stepping along the axis that it is closer to, and the exact
transpose. The slice index is contiguous and the fastest of a launch, so neighbouring threads read
neighbouring memory. A thread works on four slices, ``k``, ``k + K``, ``k + 2 K`` and ``k + 3 K``
of ``K = ceil(n_slices / 4)``: where a ray passes is found once for the four, and still each read is
contiguous over the threads. What would lie beyond the last slice is the last slice again.

Arrays are flat, so that an index is one multiplication and one addition of 32-bit integers; they
hold less than 2**31 numbers.
"""

from __future__ import annotations

import warp as wp

__all__ = [
    "back_project",
    "combine",
    "convolve",
    "largest",
    "packs",
    "project",
    "take",
]

Flat = wp.array(dtype=wp.float32, ndim=1)
Whole = wp.array(dtype=wp.int32, ndim=1)


def packs(n_slices: int) -> int:
    """Return the number of threads along the slices: four slices each."""
    return -(-n_slices // 4)


# Warp's own index turns negative ones round and multiplies by a stride, with 64 bits: seven
# instructions a read where this has two (counted in the PTX for sm_80).
@wp.func_native("""
    const float* from = values.data + start;
    return wp::vec4f(from[slices[0]], from[slices[1]], from[slices[2]], from[slices[3]]);
""")
def _four(values: Flat, start: int, slices: wp.vec4i) -> wp.vec4f:
    """Return four slices of what starts at an index."""
    ...


@wp.func
def _put(values: Flat, start: int, slices: wp.vec4i, four: wp.vec4f) -> None:
    for c in range(4):
        values[start + slices[c]] = four[c]


@wp.func
def _slices(k: int, n_slices: int) -> wp.vec4i:
    apart = (n_slices + 3) // 4
    last = n_slices - 1
    return wp.vec4i(
        wp.min(k, last),
        wp.min(k + apart, last),
        wp.min(k + 2 * apart, last),
        wp.min(k + 3 * apart, last),
    )


@wp.func
def _within(index: int, n: int, weight: float) -> float:
    """Return the weight of what lies on a line of n, 0 beside it."""
    return wp.where(index >= 0 and index < n, weight, 0.0)


@wp.kernel(enable_backward=False)
def project(
    volume: Flat,
    n: int,
    n_slices: int,
    cosines: Flat,
    sines: Flat,
    n_columns: int,
    center: float,
    radius: float,
    images: Flat,
) -> None:
    """Project ``(n, n, n_slices)``, y, x, slice, to ``(n_angles, n_columns, n_slices)``.

    A ray passes the lines of the slice that lie within ``radius`` voxels of the axis, and one more
    on either side; beyond, the object is known to be 0.
    """
    a, i, k = wp.tid()
    slices = _slices(k, n_slices)
    axis = float(n - 1) * 0.5
    cosine = cosines[a]
    sine = sines[a]
    along_y = wp.abs(cosine) >= wp.abs(sine)
    distance = float(i) - center
    reach = radius + 1.0
    total = wp.vec4f()
    if wp.abs(distance) < reach:
        major = wp.where(along_y, cosine, -sine)
        slope = wp.where(along_y, sine / cosine, cosine / sine)
        line = wp.where(along_y, n * n_slices, n_slices)
        across = wp.where(along_y, n_slices, n * n_slices)
        step = 1.0 / major
        half = wp.sqrt(reach * reach - distance * distance) * wp.abs(major)
        middle = axis - distance * wp.where(along_y, sine, -cosine)
        first = wp.max(0, int(wp.ceil(middle - half)))
        last = wp.min(n - 1, int(wp.floor(middle + half)))
        start = axis - center * step - slope * axis + step * float(i)
        for m in range(first, last + 1):
            position = start + slope * float(m)
            place = int(wp.floor(position))
            share = position - float(place)
            here = _within(place, n, 1.0 - share)
            there = _within(place + 1, n, share)
            left = m * line + wp.clamp(place, 0, n - 1) * across
            right = m * line + wp.clamp(place + 1, 0, n - 1) * across
            total += here * _four(volume, left, slices) + there * _four(volume, right, slices)
        total *= wp.abs(step)
    _put(images, (a * n_columns + i) * n_slices, slices, total)


@wp.kernel(enable_backward=False)
def back_project(
    images: Flat,
    n_columns: int,
    n_slices: int,
    cosines: Flat,
    sines: Flat,
    widths: Flat,
    n: int,
    center: float,
    radius: float,
    volume: Flat,
) -> None:
    """Back-project.

    Seen from a voxel, Joseph's footprint is a triangle of half-width ``w = max(|cos|, |sin|)``
    columns and height ``1 / w``: at most two columns an angle. With these ``widths`` this is the
    transpose of `project`, with 1 plain linear interpolation.
    """
    y, x, k = wp.tid()
    slices = _slices(k, n_slices)
    axis = float(n - 1) * 0.5
    down = float(y) - axis
    right = float(x) - axis
    total = wp.vec4f()
    if down * down + right * right <= radius * radius:
        for a in range(cosines.shape[0]):
            width = widths[a]
            position = center + right * cosines[a] - down * sines[a]
            column = int(wp.floor(position))
            share = position - float(column)
            scale = 1.0 / (width * width)
            here = _within(column, n_columns, wp.max(0.0, width - share) * scale)
            there = _within(column + 1, n_columns, wp.max(0.0, width - 1.0 + share) * scale)
            first = (a * n_columns + wp.clamp(column, 0, n_columns - 1)) * n_slices
            second = (a * n_columns + wp.clamp(column + 1, 0, n_columns - 1)) * n_slices
            total += here * _four(images, first, slices) + there * _four(images, second, slices)
    _put(volume, (y * n + x) * n_slices, slices, total)


@wp.kernel(enable_backward=False)
def convolve(images: Flat, n_columns: int, n_slices: int, response: Flat, filtered: Flat) -> None:
    """Convolve along the columns; ``response[d]`` weighs what is ``d`` columns away."""
    a, i, k = wp.tid()
    slices = _slices(k, n_slices)
    total = wp.vec4f()
    for j in range(n_columns):
        total += response[wp.abs(i - j)] * _four(images, (a * n_columns + j) * n_slices, slices)
    _put(filtered, (a * n_columns + i) * n_slices, slices, total)


@wp.kernel(enable_backward=False)
def combine(
    how: int,
    first: Flat,
    of_first: wp.vec3i,
    second: Flat,
    of_second: wp.vec3i,
    where: Flat,
    of_where: wp.vec3i,
    out: Flat,
    of_out: wp.vec3i,
) -> None:
    """Combine two arrays number by number where ``where`` is not 0; ``of_...`` are their strides.

    ``how`` is a place in `arrays.HOW`.
    """
    i, j, k = wp.tid()
    at = wp.vec3i(i, j, k)
    x = first[wp.dot(at, of_first)]
    y = second[wp.dot(at, of_second)]
    z = x + y
    if how == 1:
        z = x - y
    elif how == 2:
        z = x * y
    elif how == 3:
        z = x / y
    elif how == 4:
        z = wp.max(x, y)
    elif how == 5:
        z = wp.where(x > y, 1.0, 0.0)
    if where[wp.dot(at, of_where)] != 0.0:
        out[wp.dot(at, of_out)] = z


@wp.kernel(enable_backward=False)
def largest(values: Flat, n_slices: int, found: Flat) -> None:
    """Find the largest number; ``found`` starts with what it is at least."""
    line = wp.tid()
    most = found[0]
    for k in range(n_slices):
        most = wp.max(most, values[line * n_slices + k])
    wp.atomic_max(found, 0, most)


@wp.kernel(enable_backward=False)
def take(images: Flat, which: Whole, size: int, some: Flat) -> None:
    """Copy some of the images, ``size`` numbers each."""
    a, i = wp.tid()
    some[a * size + i] = images[which[a] * size + i]
