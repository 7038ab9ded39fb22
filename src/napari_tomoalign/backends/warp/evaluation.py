"""A slab of rows evaluated where its memory is: moved, reconstructed, reprojected, compared.

The built-in way, `loop.evaluating.Evaluation` and `loop.slabs.compare`, step by step on one device;
the slab crosses there once, as spline coefficients, and sums come back (`KeptSlab`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import warp as wp

from ..slab import SlabWork
from . import slab_kernels
from .arrays import DeviceArray
from .kept import KeptSlab
from .lines import smoothed
from .space import operator_of

__all__ = ["evaluate_slab"]


def evaluate_slab(
    work: SlabWork,
    radius: float,
    reconstruct: Callable[..., DeviceArray],
    device: Any,
    volume: DeviceArray | None = None,
) -> KeptSlab:
    """Evaluate a slab on a device.

    Parameters
    ----------
    work : SlabWork
    radius : float
        Voxels: the volume is 0 further from the axis.
    reconstruct : callable
        Called with an operator, images and weights.
    device : warp.Device
    volume : DeviceArray, optional
        What was reconstructed of it before, there.
    """
    measured, weights = _moved(work, device)
    A = operator_of(work.geometry, measured.shape[2], radius, device)
    if volume is None:
        given = A, measured, weights
        if not work.trusted.all():
            some = np.flatnonzero(work.trusted)
            given = A.subset(some), measured.take(some), weights.take(some)
        volume = reconstruct(*given)
    reprojected = A.project(volume)
    counted = wp.array(work.counted.T.ravel(), dtype=wp.float32, device=device)
    template = smoothed(reprojected)
    return KeptSlab(work, measured, weights, reprojected, template, volume, counted, device)


def _moved(work: SlabWork, device: Any) -> tuple[DeviceArray, DeviceArray]:
    """Move the rows' data and weights, and those beyond them that the shifts reach."""
    n_angles, n_rows, n_columns = work.coefficients.shape
    first, n_out = work.around.start, work.around.stop - work.around.start
    reached = np.arange(first, work.around.stop) - work.back[:, :1]
    reached = np.clip(reached, 0, n_rows - 1)
    here = slice(max(0, int(reached.min()) - 2), min(n_rows, int(reached.max()) + 4))
    here = slice(min(here.start, max(0, n_rows - 3)), max(here.stop, min(n_rows, 3)))
    coefficients = DeviceArray.of(work.coefficients[:, here].transpose(0, 2, 1), device)
    n_here = here.stop - here.start
    shifts = wp.array(work.back.ravel(), dtype=wp.float64, device=device)
    shape = (n_angles, n_columns, n_out)
    measured, weights = DeviceArray.empty(shape, device), DeviceArray.empty(shape, device)
    wp.launch(
        slab_kernels.move,
        shape,
        [coefficients.flat, here.start, n_here, n_rows, n_columns, shifts, first, n_out],
        [measured.flat],
        device=device,
    )
    if work.weights is None:
        given, strides = DeviceArray.of(np.ones((1, 1, 1)), device), (0, 0, 0)
    else:
        given = DeviceArray.of(work.weights[:, here].transpose(0, 2, 1), device)
        strides = (n_columns * given.shape[2], given.shape[2], 1)
    wp.launch(
        slab_kernels.move_weights,
        shape,
        [given.flat, wp.vec3i(*strides), here.start, n_rows, n_columns, shifts, first, n_out],
        [weights.flat],
        device=device,
    )
    return measured, weights
