"""A slab of rows evaluated where its memory is: moved, reconstructed, reprojected, compared.

The built-in way, `loop.evaluating.Evaluation` and `loop.slabs.compare`, step by step on one device;
the slab crosses there once, as spline coefficients, and its images and sums come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ...images.filtering import smooth
from ..slab import SlabDone, SlabSums, SlabWork
from . import slab_kernels
from .arrays import DeviceArray
from .operators import slices_from
from .space import operator_of

__all__ = ["evaluate_slab"]

_POLE = np.sqrt(3.0) - 2.0  # of the cubic spline's filter (Unser 1999, doi 10.1109/79.799930)
_SLOPE_TAPS = 16  # what lies further away counts by less than 3 * 0.268**16, 2e-9


def evaluate_slab(
    work: SlabWork, radius: float, reconstruct: Callable[..., DeviceArray], device: Any
) -> SlabDone:
    """Evaluate a slab on a device.

    Parameters
    ----------
    work : SlabWork
    radius : float
        Voxels: the volume is 0 further from the axis.
    reconstruct : callable
        Called with an operator, images and weights.
    device : warp.Device
    """
    measured, weights = _moved(work, device)
    A = operator_of(work.geometry, measured.shape[2], radius, device)
    if work.trusted.all():
        volume = reconstruct(A, measured, weights)
    else:
        some = np.flatnonzero(work.trusted)
        volume = reconstruct(A.subset(some), measured.take(some), weights.take(some))
    reprojected = A.project(volume)
    sums = _compared(work, measured, weights, reprojected, device)
    return SlabDone(
        measured.host((0, 2, 1)),
        weights.host((0, 2, 1)),
        slices_from(volume),
        reprojected.host((0, 2, 1)),
        _parts(sums),
    )


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


def _compared(
    work: SlabWork,
    measured: DeviceArray,
    weights: DeviceArray,
    reprojected: DeviceArray,
    device: Any,
) -> NDArray[np.float64]:
    """Return the sums over the slab's rows, (n_angles, N_SUMS)."""
    n_angles, n_columns, n_around = measured.shape
    blur = _smoothing_taps()
    template = _filtered(reprojected, 1, blur, 1.0, mirror=False)
    template = _filtered(template, 2, blur, 1.0, mirror=False)
    taps = np.concatenate([[0.0], -3.0 * _POLE ** np.arange(1, _SLOPE_TAPS + 1)])
    right = _filtered(template, 1, taps, -1.0, mirror=True)
    down = _filtered(template, 2, taps, -1.0, mirror=True)
    n_rows = work.inner.stop - work.inner.start
    counted = wp.array(work.counted.T.ravel(), dtype=wp.float32, device=device)
    lines = wp.empty(n_angles * n_rows * slab_kernels.N_SUMS, dtype=wp.float64, device=device)
    total = wp.empty(n_angles * slab_kernels.N_SUMS, dtype=wp.float64, device=device)
    images = (measured, weights, reprojected, template, down, right)
    wp.launch(
        slab_kernels.add_up,
        (n_angles, n_rows),
        [image.flat for image in images]
        + [counted, n_columns, n_around, work.inner.start, n_rows]
        + [work.around.start + work.inner.start],
        [lines],
        device=device,
    )
    wp.launch(
        slab_kernels.add_lines,
        (n_angles, slab_kernels.N_SUMS),
        [lines, n_rows],
        [total],
        device=device,
    )
    sums: NDArray[np.float64] = total.numpy().reshape(n_angles, slab_kernels.N_SUMS)
    return sums


def _smoothing_taps() -> NDArray[np.float32]:
    """Return the weights of `filtering.smooth` along a line, from the middle on."""
    size = 33
    spot = np.zeros((1, size, size), np.float32)
    spot[0, size // 2, size // 2] = 1
    line = smooth(spot)[0].sum(axis=1)[size // 2 :]
    taps: NDArray[np.float32] = line[: int(np.flatnonzero(line)[-1]) + 1]
    return taps


def _filtered(
    images: DeviceArray, axis: int, taps: NDArray[Any], sign: float, *, mirror: bool
) -> DeviceArray:
    """Return images filtered along an axis (see `slab_kernels.filter_lines`)."""
    filtered = DeviceArray.empty(images.shape, images.device)
    apart = images.shape[2] if axis == 1 else 1
    there = wp.array(taps, dtype=wp.float32, device=images.device)
    wp.launch(
        slab_kernels.filter_lines,
        images.flat.size,
        [images.flat, images.shape[axis], apart, there, sign, mirror],
        [filtered.flat],
        device=images.device,
    )
    return filtered


def _parts(sums: NDArray[np.float64]) -> SlabSums:
    """Return the sums in their order in `slab_kernels.add_up` by name."""
    normal = np.zeros((len(sums), 4, 4))
    normal[:, *np.tril_indices(4)] = sums[:, :10]
    normal[:, *np.triu_indices(4)] = normal.transpose(0, 2, 1)[:, *np.triu_indices(4)]
    return SlabSums(
        normal=normal,
        right=sums[:, 10:14],
        squares=sums[:, 14],
        count=sums[:, 15],
        difference=sums[:, 16],
        power=sums[:, 17],
        pixels=sums[:, 18],
        moments=sums[:, 19:22],
    )
