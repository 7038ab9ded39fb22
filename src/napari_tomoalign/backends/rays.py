"""How rays in any direction pass a grid: what the projectors for them are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry

__all__ = ["Rays", "rays_of"]

_ACROSS = (1, 2), (2, 0), (1, 0)  # of a plane, for each axis that it lies across: its p and q


@dataclass(frozen=True, eq=False)
class Rays:
    """The rays of a projection: they step along an axis and lie on places (p, q) of its planes.

    Attributes
    ----------
    along : int
        The axis that they are closest to: 0, 1, 2 for z, y, x.
    across : list of int
        The axes of p and q.
    per_pixel : (2, 2) array
        By how much p and q (first index) change in a plane with the row and the column (second).
    slope : (2,) array
        By how much they change from plane to plane.
    path : float
        Length of a ray from plane to plane, voxels.
    """

    along: int
    across: list[int]
    per_pixel: NDArray[np.float64]
    slope: NDArray[np.float64]
    path: float


def rays_of(geometry: ScanGeometry) -> Iterator[Rays]:
    """Yield the rays of each projection."""
    axes = np.argmax(np.abs(geometry.rays), axis=1)
    for along, detector, ray in zip(axes, geometry.directions, geometry.rays, strict=True):
        across = list(_ACROSS[along])
        slope = ray[across] / ray[along]
        # Per row and column, at one plane: along the detector, and back along the ray.
        per_pixel = detector[:, across].T - np.outer(slope, detector[:, along])
        yield Rays(int(along), across, per_pixel, slope, 1 / abs(ray[along]))
