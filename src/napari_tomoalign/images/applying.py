"""Apply shifts to any stack of the scan: other channels, another binning, another interpolation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from .._typing import Array
from .arrays import as_array, require_real
from .filtering import fill_ignored, taper
from .shifting import SplineStack, fetch_weights, places_of, shift_stack, shift_weights

__all__ = [
    "Order",
    "Turning",
    "binning_between",
    "check_order",
    "common_view",
    "fourier_shift_stack",
    "move",
]

Order = Literal[3, "fourier"]
Turning = tuple[NDArray[np.float64], tuple[float, float]]

_MARGIN = 32  # pixels: a step that is cut off rings by ``1 / (pi 32)``, 1 %, that far away


def check_order(order: Any) -> None:
    """Refuse an interpolation that does not exist.

    Raises
    ------
    ValueError
        Neither 3 nor ``"fourier"``.
    """
    if isinstance(order, bool) or order not in (3, "fourier"):
        raise ValueError(f"order must be 3 (cubic spline) or 'fourier', got {order!r}")


def binning_between(n_columns: int, other: int) -> float:
    """Return how many pixels of images ``n_columns`` wide make one of images ``other`` wide.

    A remainder that a binning cuts off is allowed for.

    Raises
    ------
    ValueError
        No binning by a whole number, either way, leads from one to the other.
    """
    wide, narrow = max(n_columns, other), min(n_columns, other)
    binning = wide // narrow
    if wide // binning != narrow:
        raise ValueError(
            f"the shifts belong to images of {n_columns} columns, these have {other}, and no "
            "binning explains that; take the scan as it was aligned, or one that is binned by a "
            "whole number"
        )
    return float(binning) if n_columns >= other else 1.0 / binning


def move(
    stack: NDArray[np.generic],
    shifts: ArrayLike,
    *,
    order: Order = 3,
    crop: bool = False,
    turning: Turning | None = None,
    workers: int | None = None,
) -> NDArray[np.float32]:
    """Return a stack aligned: each image moved by minus its shift, in one interpolation.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns[, n_channels]) array
        Any real type; not modified. Channels are moved one by one. What a masked array masks
        follows from its surroundings first, for an interpolation spreads what pixels hold.
    shifts : (n_angles, 2) array
        How far each image is displaced, (row, column), pixels of this stack.
    order : {3, "fourier"}
        Cubic spline; or Fourier shift of images whose edges were continued, so that nothing
        wraps round.
    crop : bool
        Cut to the common field of view, which every image covers.
    turning : (n_angles,) array and (float, float), optional
        By how much each image is turned, from the rows' direction towards larger columns, radians,
        and about which row and column (`ScanGeometry.turning`): turned back as well, in the same
        interpolation.
    workers : int, optional
        Number of threads.

    Returns
    -------
    array of float32
        Edge values where an image does not reach. Of a masked array, a masked array.

    Raises
    ------
    TypeError
        An array that cannot become one of NumPy, or holds no real numbers.
    ValueError
        Shapes that do not fit, or no common field of view.
    """
    check_order(order)
    stack, good = as_array(stack, "the stack")
    require_real(stack, "the stack must be", ": take the modulus or the phase of complex data")
    shifts = np.asarray(shifts, dtype=np.float64)
    if stack.ndim not in (3, 4) or shifts.shape != (len(stack), 2):
        raise ValueError(
            f"a stack of shape {stack.shape} and shifts of shape {shifts.shape} do not fit; "
            "expected (n_angles, n_rows, n_columns) or (n_angles, n_rows, n_columns, n_channels) "
            "and (n_angles, 2)"
        )
    places = None if turning is None else places_of(shifts, *turning)
    if places is not None and order == "fourier":
        raise ValueError(
            "order='fourier' displaces images and turns none, and here the axis is turned in them: "
            "take order=3"
        )
    view = slice(None), slice(None)
    if crop:
        view = common_view(shifts, stack.shape[1:3], places)

    def moved(images: NDArray[np.generic]) -> NDArray[np.float32]:
        if places is not None:
            return SplineStack(images).fetched(places, workers=workers)
        if order == "fourier":
            return fourier_shift_stack(images, -shifts, workers=workers)
        return shift_stack(images, -shifts, workers=workers)

    def one(images: NDArray[np.generic], good: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        if good is None:
            return np.ascontiguousarray(moved(images)[:, *view])
        known = good.astype(np.float32)
        values = moved(fill_ignored(images.astype(np.float32), known))
        if places is None:
            left = shift_weights(known, -shifts, good.shape, workers=workers)
        else:
            left = fetch_weights(known, places, good.shape, workers=workers)
        masked: NDArray[np.float32] = np.ma.MaskedArray(values, left < 0.5)[:, *view]
        return masked

    if stack.ndim == 3:
        return one(stack, good)
    channels = [
        one(stack[..., channel], None if good is None else good[..., channel])
        for channel in range(stack.shape[3])
    ]
    return np.stack(channels, axis=-1) if good is None else np.ma.stack(channels, axis=-1)


def common_view(
    shifts: NDArray[np.float64], shape: tuple[int, ...], places: Array | None = None
) -> tuple[slice, slice]:
    """Return the rows and columns that every aligned image covers.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        How far each image is displaced, pixels.
    shape : (n_rows, n_columns)
        Of an image.
    places : (n_angles, 2, 3) array, optional
        Where pixels come from (`shifting.places_of`), if images are turned as well.

    Raises
    ------
    ValueError
        There are none.
    """
    if places is None:
        low = np.ceil(np.maximum(0, -shifts.min(axis=0)) - 1e-6).astype(int)
        high = np.floor(np.asarray(shape) - np.maximum(0, shifts.max(axis=0)) + 1e-6).astype(int)
    else:
        low, high = _turned_view(places, shape)
    if np.any(low >= high):
        raise ValueError(
            f"the images of {shape[0]} x {shape[1]} pixels have no field of view in common: the "
            f"shifts go from {np.round(shifts.min(axis=0), 1)} to "
            f"{np.round(shifts.max(axis=0), 1)} (row, column); do not crop, or leave out the "
            "projections that are far off"
        )
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _turned_view(places: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the first row and column that every turned image covers, and those past the last.

    A window lies in a turned image where its four corners do. The rows are chosen for all columns,
    then the columns for those rows.
    """
    ends = np.array([[0.0, shape[0] - 1.0], [0.0, shape[1] - 1.0]])  # of rows, of columns
    for axis in (0, 1):
        along, across = places[:, axis, axis, None], places[:, axis, 1 - axis, None]
        if along.min() < np.sqrt(0.5):
            raise ValueError(
                "images turned by more than 45 degrees have no field of view in common that is "
                "worth cutting out: do not crop"
            )
        corner = across * ends[1 - axis] + places[:, axis, 2, None]
        ends[axis, 0] = max(0.0, np.max(-corner / along))
        ends[axis, 1] = min(shape[axis] - 1.0, np.min((shape[axis] - 1 - corner) / along))
    # Rows were chosen for all columns; what rows a narrower window would gain is little.
    low, high = np.ceil(ends[:, 0] - 1e-6).astype(int), np.floor(ends[:, 1] + 1e-6).astype(int) + 1
    return low, high


def fourier_shift_stack(
    stack: NDArray[np.generic], shifts: NDArray[np.float64], *, workers: int | None = None
) -> NDArray[np.float32]:
    """Return a stack moved by ``+shifts`` by a phase ramp, image by image.

    The whole pixels are moved by indexing; the rest, under one pixel, in Fourier space, on an
    image that is continued beyond its edges by its mirror image, which fades into the mean of the
    edges. So there is neither a step at the edge nor anything that wraps round.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns) array
        Any real type; not modified.
    shifts : (n_angles, 2) array
        Row and column, pixels.
    workers : int, optional
        Number of threads.

    Returns
    -------
    (n_angles, n_rows, n_columns) array of float32
        Edge values where the image does not reach.
    """
    from scipy.ndimage import fourier_shift

    n_rows, n_columns = stack.shape[1:]
    margins = [min(_MARGIN, max(4, size // 2)) for size in (n_rows, n_columns)]
    sizes = [size + 2 * margin for size, margin in zip((n_rows, n_columns), margins, strict=True)]
    # Flat over the image and a quarter of the margin, so that no fall is moved into the image.
    falls = [margin - max(1, margin // 4) for margin in margins]
    fade = np.outer(*(taper(size, fall) for size, fall in zip(sizes, falls, strict=True)))
    moved = np.empty(stack.shape, dtype=np.float32)
    window = tuple(slice(m, m + n) for m, n in zip(margins, (n_rows, n_columns), strict=True))
    for index, (image, shift) in enumerate(zip(stack, shifts, strict=True)):
        whole = np.round(shift).astype(int)
        rest = shift - whole
        image = image.astype(np.float64)
        edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        level = edges.mean()
        padded = np.pad(image - level, [(m, m) for m in margins], mode="symmetric") * fade
        spectrum = scipy.fft.rfft2(padded, workers=workers)
        spectrum = fourier_shift(spectrum, rest, n=padded.shape[1], axis=1)
        fine = scipy.fft.irfft2(spectrum, s=padded.shape, workers=workers)[window] + level
        rows = np.clip(np.arange(n_rows) - whole[0], 0, n_rows - 1)
        columns = np.clip(np.arange(n_columns) - whole[1], 0, n_columns - 1)
        moved[index] = fine[np.ix_(rows, columns)]
    return moved
