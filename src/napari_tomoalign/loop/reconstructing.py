"""Reconstruct in the loop, and see that what is projected is projections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Stack
from ..backends.volumes import as_images, volume_of
from ..geometry import ScanGeometry
from ..start.run import Run
from .truncation import Truncation

__all__ = ["check_projections", "reconstruct"]


def reconstruct(
    run: Run,
    truncation: Truncation,
    measured: Stack,
    weights: NDArray[Any],
    geometry: ScanGeometry,
) -> Stack:
    """Reconstruct, each part of the rows on the grid that it needs."""
    if callable(run.algorithm):
        return volume_of(run.backend, run.algorithm, run.options, measured, weights, geometry)
    volume = np.zeros(geometry.volume_shape, np.float32)
    for rows, width, options in truncation.parts(run, measured, weights, geometry):
        images, weight = measured[:, rows], weights[:, rows]
        part = geometry.with_changes(n_rows=images.shape[1], volume_width=width)
        margin = (geometry.volume_width - width) // 2
        within = slice(margin, margin + width)
        volume[rows, within, within] = volume_of(
            run.backend, run.algorithm, options, images, weight, part
        )
    return volume


def check_projections(found: Any, geometry: ScanGeometry, name: str) -> Stack:
    """Return reprojections in single precision, and refuse what is none.

    Raises
    ------
    TypeError, ValueError
        Values that are not real or not finite, or another shape.
    """
    who = f"the projector of backend {name!r}"
    if found is None:
        raise ValueError(f"{who} returned None, expected an array of {geometry.projections_shape}")
    images = as_images(found, who)
    if images.shape != geometry.projections_shape:
        raise ValueError(
            f"{who} returned shape {images.shape}, expected "
            f"(angle, row, column) = {geometry.projections_shape}"
        )
    if not np.isfinite(images.sum(dtype=np.float64)):
        raise ValueError(
            f"{who} returned NaN or infinite values for a finite volume: take another backend"
        )
    return images
