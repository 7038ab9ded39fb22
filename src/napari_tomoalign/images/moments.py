"""Mass and its first moments: sums over pixels, from which centres of mass follow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack

__all__ = ["image_moments", "volume_moments"]


def image_moments(images: Stack, weights: NDArray[Any], first_row: int = 0) -> Array:
    """Return, of each image, the weighted mass and its moments along rows and columns.

    Parameters
    ----------
    images, weights : (n, n_rows, n_columns) array
    first_row : int
        Where these rows begin in the whole images.

    Returns
    -------
    (n, 3) array of float64
        Those of slabs of rows add up.
    """
    along = np.einsum("nrc,nrc->nr", weights, images, dtype=np.float64)
    across = np.einsum("nrc,nrc->nc", weights, images, dtype=np.float64)
    rows, columns = np.arange(images.shape[1]) + first_row, np.arange(images.shape[2])
    moments: Array = np.column_stack([along.sum(axis=1), along @ rows, across @ columns])
    return moments


def volume_moments(volume: Stack, first_slice: int = 0) -> Array:
    """Return the mass of a volume and its moments along slices, y and x, (4,); slabs add up."""
    plane = volume.sum(axis=0, dtype=np.float64)
    each = volume.sum(axis=(1, 2), dtype=np.float64)
    slices, place = np.arange(len(volume)) + first_slice, np.arange(len(plane))
    return np.array(
        [each.sum(), each @ slices, plane.sum(axis=1) @ place, plane.sum(axis=0) @ place]
    )
