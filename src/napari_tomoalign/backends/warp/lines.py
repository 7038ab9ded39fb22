"""What is done to images along their lines on the device: smoothed, derived, added up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ...images.filtering import smooth
from . import slab_kernels
from .arrays import DeviceArray

__all__ = ["added", "coefficients", "slopes", "smoothed"]

_POLE = math.sqrt(3.0) - 2.0  # of the cubic spline's filter (Unser 1999, doi 10.1109/79.799930)
_TAPS = 16  # what lies further away counts by less than 3 * 0.268**16, 2e-9


def smoothed(images: DeviceArray) -> DeviceArray:
    """Return images under the Gaussian of `filtering.smooth`."""
    size = 33  # more than the Gaussian is wide
    spot = np.zeros((1, size, size), np.float32)
    spot[0, size // 2, size // 2] = 1
    line = smooth(spot)[0].sum(axis=1)[size // 2 :]
    taps = line[: int(np.flatnonzero(line)[-1]) + 1]
    across = _filtered(images, 1, taps, 1.0, mirror=False)
    return _filtered(across, 2, taps, 1.0, mirror=False)


def slopes(images: DeviceArray, axis: int) -> DeviceArray:
    """Return the slopes of images' cubic splines along columns (1) or rows (2)."""
    taps = np.concatenate([[0.0], -3.0 * _POLE ** np.arange(1, _TAPS + 1)])
    return _filtered(images, axis, taps, -1.0, mirror=True)


def coefficients(images: DeviceArray) -> DeviceArray:
    """Return the coefficients of images' cubic splines."""
    taps = math.sqrt(3.0) * _POLE ** np.arange(_TAPS + 1)
    across = _filtered(images, 1, taps, 1.0, mirror=True)
    return _filtered(across, 2, taps, 1.0, mirror=True)


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


def added(
    kernel: Any, n: int, n_lines: int, n_sums: int, given: Sequence[Any], device: Any
) -> NDArray[np.float64]:
    """Return sums on the host, ``(n, n_sums)``, that a kernel adds up line by line."""
    if n_lines == 0:
        return np.zeros((n, n_sums))
    lines = wp.empty(n * n_lines * n_sums, dtype=wp.float64, device=device)
    total = wp.empty(n * n_sums, dtype=wp.float64, device=device)
    wp.launch(kernel, (n, n_lines), list(given), [lines], device=device)
    wp.launch(slab_kernels.add_lines, (n, n_sums), [lines, n_lines, n_sums], [total], device=device)
    sums: NDArray[np.float64] = total.numpy().reshape(n, n_sums)
    return sums
