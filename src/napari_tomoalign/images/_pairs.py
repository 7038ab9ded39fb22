"""What capturing and refining share: pairs of images, and what a registration gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._typing import Array, Stack

__all__ = ["Peaks", "centred", "chunks", "squared_difference"]

_CHUNK_BYTES = 4 * 2**20  # of the arrays of one go: what a core's cache holds


@dataclass(frozen=True, eq=False)
class Peaks:
    """Where images correlate best.

    Attributes
    ----------
    shifts : (n, 2) array
        Row and column, pixels.
    peak : (n,) array
        Weighted correlation coefficient at the shift, -1 to 1.
    """

    shifts: Array
    peak: Array


def centred(images: Stack, weights: Stack) -> Stack:
    """Return images minus their weighted means."""
    total = np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1e-6)
    centred: Stack = images - (weights * images).sum(axis=(1, 2), keepdims=True) / total
    return centred


def squared_difference(measured: Stack, reprojected: Stack, weights: Stack) -> Array:
    """Return the weighted sum of squares of the difference of each pair."""
    difference = measured - reprojected
    total: Array = np.einsum("nij,nij,nij->n", weights, difference, difference).astype(np.float64)
    return total


def chunks(n: int, bytes_each: int) -> Iterator[slice]:
    step = max(1, _CHUNK_BYTES // bytes_each)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
