"""Move a stack, and turn it in its plane, once, from the original, without wrapping round.

Cubic B-splines (Unser 1999, doi 10.1109/79.799930): the coefficients of the original are found
once, every move evaluates them. Outside the image the nearest edge value stands, and the weight
is 0.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import ArrayLike, NDArray

from .._typing import Array, Stack

__all__ = [
    "SplineStack",
    "fetch_weights",
    "move_both",
    "places_of",
    "shift_stack",
    "shift_weights",
]


def places_of(
    shifts: ArrayLike,
    turns: ArrayLike,
    pivot: tuple[float, float],
    pixel: tuple[float, float] = (1.0, 1.0),
) -> Array:
    """Return where pixels come from in images that are turned about a point, then displaced.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        How far the images are displaced, row and column, pixels.
    turns : (n_angles,) array
        By how much they are turned, from the rows' direction towards larger columns, radians.
    pivot : (float, float)
        Row and column of the point before the displacement.
    pixel : (float, float)
        Height and width of a pixel, where they are not the same.

    Returns
    -------
    (n_angles, 2, 3) array of float64
        Row and column in the image are these times (row, column, 1) of the pixel.
    """
    turns = np.asarray(turns, dtype=np.float64)
    cos, sin, ratio = np.cos(turns), np.sin(turns), pixel[1] / pixel[0]
    places = np.empty((len(turns), 2, 3))
    places[:, 0, 0] = places[:, 1, 1] = cos
    places[:, 0, 1], places[:, 1, 0] = -sin * ratio, sin / ratio
    middle = np.asarray(pivot, dtype=np.float64)
    places[:, :, 2] = middle + np.asarray(shifts, dtype=np.float64) - places[:, :, :2] @ middle
    return places


class SplineStack:
    """A stack of images that can be moved again and again, always from the original.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns) array
        The original; it is not kept and not changed.
    """

    def __init__(self, stack: NDArray[np.generic]) -> None:
        if stack.dtype.kind == "f" and stack.dtype.itemsize not in (4, 8):
            stack = stack.astype(np.float32)  # SciPy knows neither half nor extended precision
        coefficients: Stack = np.empty(stack.shape, np.float32)
        for axis, size in ((1, stack.shape[1]), (2, stack.shape[2])):
            source = stack if axis == 1 else coefficients
            if size > 1:
                scipy.ndimage.spline_filter1d(
                    source, order=3, axis=axis, mode="mirror", output=coefficients
                )
            elif source is stack:
                coefficients[...] = stack
        self._coefficients = coefficients

    @classmethod
    def of(cls, coefficients: Stack) -> SplineStack:
        """Return the splines that have these coefficients, which are kept."""
        spline = cls.__new__(cls)
        spline._coefficients = coefficients
        return spline

    @property
    def coefficients(self) -> Stack:
        """Of the splines, (n_angles, n_rows, n_columns); not to be changed."""
        return self._coefficients

    @property
    def n_rows(self) -> int:
        """Rows of an image."""
        return int(self._coefficients.shape[1])

    def moved(
        self, shifts: ArrayLike, *, rows: slice = slice(None), workers: int | None = None
    ) -> Stack:
        """Return the images moved by ``+shifts``.

        Parameters
        ----------
        shifts : (n_angles, 2) array
            Row and column, pixels, positive towards larger index.
        rows : slice
            Rows of the moved images that are wanted.
        workers : int, optional
            Number of threads.

        Returns
        -------
        (n_angles, n_rows, n_columns) array of float32
        """
        from ._shift_kernels import evaluate
        from ._threads import threads

        shifts = np.ascontiguousarray(shifts, dtype=np.float64)
        with threads(workers):
            moved: Stack = evaluate(self._coefficients, shifts, *_ends(rows, self.n_rows))
        return moved

    def fetched(
        self, places: Array, *, rows: slice = slice(None), workers: int | None = None
    ) -> Stack:
        """Return images whose pixels come from elsewhere: moved, and turned, in one interpolation.

        Parameters
        ----------
        places : (n_angles, 2, 3) array
            See `places_of`.
        rows, workers
            As for `moved`.

        Returns
        -------
        (n_angles, n_rows, n_columns) array of float32
        """
        from ._shift_kernels import evaluate_turned
        from ._threads import threads

        with threads(workers):
            fetched: Stack = evaluate_turned(self._coefficients, places, *_ends(rows, self.n_rows))
        return fetched


def shift_stack(
    stack: NDArray[np.generic], shifts: ArrayLike, *, workers: int | None = None
) -> Stack:
    """Return a stack moved by ``+shifts`` in one cubic-spline interpolation.

    Parameters
    ----------
    stack : (n_angles, n_rows, n_columns) array
        Any real dtype; not changed.
    shifts : (n_angles, 2) array
        Row and column, pixels, positive towards larger index. To align, pass minus the shifts
        that were found.
    workers : int, optional
        Number of threads.

    Returns
    -------
    (n_angles, n_rows, n_columns) array of float32
        Edge values where the image does not reach.
    """
    return SplineStack(stack).moved(shifts, workers=workers)


def shift_weights(
    weights: NDArray[np.generic] | None,
    shifts: ArrayLike,
    shape: tuple[int, int, int],
    *,
    rows: slice = slice(None),
    workers: int | None = None,
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Return weights moved by ``+shifts``; 0 where the image does not reach.

    Between pixels weights are interpolated linearly. Fill ignored pixels before the images are
    moved (`filtering.fill_ignored`): cubic splines spread what they hold.

    Parameters
    ----------
    weights : (n_angles, n_rows, n_columns) array or None
        0 (ignore) to 1. None: all 1.
    shifts : (n_angles, 2) array
        Row and column, pixels.
    shape : tuple of int
        Shape of the stack.
    rows : slice
        Rows of the moved weights that are wanted.
    workers : int, optional
        Number of threads.

    Returns
    -------
    (n_angles, n_rows, n_columns) array
        float32; or uint8, 0 and 1, where no weights were given.
    """
    from ._shift_kernels import inside
    from ._threads import threads

    shifts = np.ascontiguousarray(shifts, dtype=np.float64)
    if weights is not None:
        places = np.tile(np.eye(2, 3), (len(shifts), 1, 1))
        places[:, :, 2] = -shifts
        return fetch_weights(weights, places, shape, rows=rows, workers=workers)
    with threads(workers):
        reached: NDArray[np.uint8] = inside(shifts, shape[1], shape[2], *_ends(rows, shape[1]))
    return reached


def fetch_weights(
    weights: NDArray[np.generic] | None,
    places: Array,
    shape: tuple[int, int, int],
    *,
    rows: slice = slice(None),
    workers: int | None = None,
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Return the weights of images whose pixels come from elsewhere, as `shift_weights` does.

    Parameters
    ----------
    places : (n_angles, 2, 3) array
        See `places_of`.
    weights, shape, rows, workers
        As for `shift_weights`.
    """
    from ._shift_kernels import evaluate_weights, inside_turned
    from ._threads import threads

    with threads(workers):
        fetched: NDArray[np.float32] | NDArray[np.uint8]
        if weights is None:
            fetched = inside_turned(places, shape[1], shape[2], *_ends(rows, shape[1]))
        else:
            given = np.ascontiguousarray(weights, np.float32)
            fetched = evaluate_weights(given, places, *_ends(rows, shape[1]))
    return fetched


def move_both(
    spline: SplineStack,
    weights: NDArray[np.generic] | None,
    shifts: ArrayLike,
    places: Array | None = None,
    *,
    rows: slice = slice(None),
    workers: int | None = None,
) -> tuple[Stack, NDArray[np.float32] | NDArray[np.uint8]]:
    """Return images and their weights moved by ``+shifts``; or, where told, fetched from places.

    Parameters
    ----------
    spline : SplineStack
        Of the images.
    weights, shifts, rows, workers
        As for `shift_weights`.
    places : (n_angles, 2, 3) array, optional
        See `places_of`: where images are turned as well, in place of ``shifts``.
    """
    shape = spline.coefficients.shape
    if places is None:
        return (
            spline.moved(shifts, rows=rows, workers=workers),
            shift_weights(weights, shifts, shape, rows=rows, workers=workers),
        )
    return (
        spline.fetched(places, rows=rows, workers=workers),
        fetch_weights(weights, places, shape, rows=rows, workers=workers),
    )


def _ends(rows: slice, n_rows: int) -> tuple[int, int]:
    first, last, _ = rows.indices(n_rows)
    return first, max(first, last)
