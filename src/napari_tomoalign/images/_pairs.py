"""What capturing and refining share: pairs of images, and what a registration gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._typing import Array, Stack

__all__ = ["Registration", "centred", "chunks", "coefficient", "squared_difference"]

_CHUNK_BYTES = 4 * 2**20


@dataclass(frozen=True, eq=False)
class Registration:
    """What a registration found.

    Attributes
    ----------
    shifts : (n, 2) array
        Row and column, pixels.
    peak : (n,) array
        Weighted correlation coefficient at the shift, -1 to 1.
    standard_error : (n, 2) array
        From the curvature and the remaining difference, pixels; NaN where unknown.
    """

    shifts: Array
    peak: Array
    standard_error: Array


def centred(images: Stack, weights: Stack) -> Stack:
    """Return images minus their weighted means."""
    total = np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1e-6)
    centred: Stack = images - (weights * images).sum(axis=(1, 2), keepdims=True) / total
    return centred


def coefficient(measured: Stack, reprojected: Stack, weights: Stack) -> Array:
    """Return the weighted correlation coefficient of each pair."""
    a, b = centred(measured, weights), centred(reprojected, weights)
    cross = np.einsum("nij,nij,nij->n", weights, a, b)
    power = np.einsum("nij,nij,nij->n", weights, a, a) * np.einsum("nij,nij,nij->n", weights, b, b)
    coefficient: Array = np.where(power > 0, cross / np.sqrt(np.maximum(power, 1e-30)), -1.0)
    return coefficient


def squared_difference(measured: Stack, reprojected: Stack, weights: Stack) -> Array:
    """Return the weighted sum of squares of the difference of each pair."""
    difference = measured - reprojected
    total: Array = np.einsum("nij,nij,nij->n", weights, difference, difference).astype(np.float64)
    return total


def chunks(n: int, bytes_each: int) -> Iterator[slice]:
    step = max(1, _CHUNK_BYTES // bytes_each)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
