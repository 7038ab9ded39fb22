"""The one binning: means over blocks of pixels."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack

__all__ = ["bin_stack", "bin_weighted"]


def bin_stack(stack: NDArray[np.generic], rows: int, columns: int) -> Stack:
    """Return the means over blocks of ``rows`` x ``columns`` pixels; a remainder is cut off.

    `skimage.transform.downscale_local_mean` gives the same with twice the rounding, in five times
    the time, and a copy of the stack in memory (``tests/benchmarks/scikit_image.py``).

    Parameters
    ----------
    stack : (n, n_rows, n_columns[, n_channels]) array
        Any real type.
    rows, columns : int
        Pixels along each side.
    """
    if rows == columns == 1:
        return np.asarray(stack, np.float32)
    from ._binning_kernels import bin_frame

    n, height, width, *channels = stack.shape
    out = np.empty((n, height // rows, width // columns, *channels), np.float32)
    for i in range(n):  # one image at a time: no second stack in memory
        frame = np.ascontiguousarray(stack[i], np.float32)
        bin_frame(
            frame.reshape(height, width, -1), rows, columns, out[i].reshape(*out.shape[1:3], -1)
        )
    return out


@overload
def bin_weighted(
    stack: NDArray[Any], weights: NDArray[Any], rows: int, columns: int
) -> tuple[Stack, Stack]: ...


@overload
def bin_weighted(
    stack: NDArray[Any], weights: NDArray[Any] | None, rows: int, columns: int
) -> tuple[Stack, Stack | None]: ...


def bin_weighted(
    stack: NDArray[Any], weights: NDArray[Any] | None, rows: int, columns: int
) -> tuple[Stack, Stack | None]:
    """Return the weighted means over blocks of pixels, and the mean weights.

    Parameters
    ----------
    stack : (n, n_rows, n_columns[, n_channels]) array
        Any real type.
    weights : array or None
        The same shape; 0 where a pixel does not count, else up to 1. None: all 1.
    rows, columns : int
        Pixels along each side.

    Returns
    -------
    binned, shares : array of float32
        Where a block has no weight at all, its value is the plain mean. No shares without weights.
    """
    if weights is None:
        return bin_stack(stack, rows, columns), None
    if rows == columns == 1:
        return np.asarray(stack, np.float32), np.asarray(weights, np.float32)
    shares = bin_stack(weights, rows, columns)
    binned = bin_stack(stack, rows, columns)
    if not np.all(shares == 1):
        kept = bin_stack(stack * weights, rows, columns)
        np.divide(kept, shares, out=binned, where=shares > 0)
    return binned, shares
