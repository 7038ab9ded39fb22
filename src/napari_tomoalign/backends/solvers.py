"""Reconstructions, each written once on any operator: filtered back projection, and iterations.

The arithmetic is elementwise, so it does not matter in which order an engine keeps its axes, nor
where: NumPy hands it over to the class of the arrays. `A` is an `Operator`; images have its
``range_shape`` and volumes its ``domain_shape``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .base import Operator
from .filters import filtered

__all__ = [
    "angular_weights",
    "fbp",
    "golden_order",
    "gradient",
    "nesterov",
    "ordered_subsets",
    "sirt",
]

Array = NDArray[np.float32]


def fbp(
    A: Operator,
    measured: Array,
    angles: NDArray[np.float64],
    *,
    filter_name: str = "hann",
    non_negative: bool = False,
    filtering: Callable[[Array, str], Array] = filtered,
) -> Array:
    """Return the filtered back projection.

    Kak and Slaney 1988 (doi 10.1137/1.9780898719277), chapter 3, with the angles' own spacing.

    Parameters
    ----------
    A : Operator
    measured : (n_angles, n_rows, n_columns) array of float32
        Line integrals; columns last.
    angles : (n_angles,) array
        Radians.
    filter_name : str
        One of `filters.WINDOWS`.
    non_negative : bool
        Clip the volume at 0.
    filtering : callable
        Takes the images and the filter's name, and returns the filtered images.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tomoalign.backends import get_backend, solvers
    >>> from napari_tomoalign.geometry import ScanGeometry
    >>> angles = np.linspace(0, np.pi, 60, endpoint=False)
    >>> A = get_backend("builtin").operator(ScanGeometry(angles, 1, 33, center=16))
    >>> dot = np.zeros(A.domain_shape, np.float32)
    >>> dot[0, 20, 14] = 1
    >>> volume = solvers.fbp(A, A(dot), angles, filter_name="ramp")
    >>> [int(i) for i in np.unravel_index(volume.argmax(), volume.shape)]
    [0, 20, 14]
    """
    images = filtering(measured, filter_name)
    images *= angular_weights(angles)[:, None, None]
    volume = A.spread(images)
    if non_negative:
        np.maximum(volume, 0, out=volume)
    return volume


def sirt(
    A: Operator,
    measured: Array,
    *,
    num_iter: int,
    weights: Array | None = None,
    initial: Array | None = None,
    non_negative: bool = True,
    relaxation: float = 1.0,
) -> Array:
    """Return SIRT's volume: ``x + C A^T R W (b - A x)``, again and again.

    R and C are the inverse sums along the rays and over the weighted rays through a voxel
    (Gregor and Benson 2008, doi 10.1109/TMI.2008.923696): the step of 1 is stable.

    Parameters
    ----------
    A : Operator
    measured : array of float32
        Line integrals.
    num_iter : int
        Number of iterations.
    weights : array of float32, optional
        0 (ignore the pixel) to 1.
    initial : array of float32, optional
        Where to start. Default: 0.
    non_negative : bool
        Clip the volume at 0 after each step.
    relaxation : float
        Of the step, above 0 and below 2.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tomoalign.backends import get_backend, solvers
    >>> from napari_tomoalign.geometry import ScanGeometry
    >>> angles = np.linspace(0, np.pi, 60, endpoint=False)
    >>> A = get_backend("builtin").operator(ScanGeometry(angles, 1, 33, center=16))
    >>> dot = np.zeros(A.domain_shape, np.float32)
    >>> dot[0, 20, 14] = 1
    >>> misfits = [np.linalg.norm(A(solvers.sirt(A, A(dot), num_iter=n)) - A(dot)) for n in (5, 50)]
    >>> bool(misfits[1] < misfits[0] / 2)
    True
    """
    weighted, voxels = _scaling(A, weights)
    voxels *= np.float32(relaxation)
    volume = _start(A, measured, initial)
    for i in range(num_iter):
        step = _step(A, volume, measured, weighted, zero=initial is None and i == 0)
        step *= voxels
        step += volume
        volume = np.maximum(step, 0, out=step) if non_negative else step
    return volume


def gradient(
    A: Operator,
    measured: Array,
    *,
    num_iter: int,
    weights: Array | None = None,
    initial: Array | None = None,
    non_negative: bool = True,
) -> Array:
    """Return the volume of SIRT's steps with Nesterov's acceleration.

    Beck and Teboulle 2009 (doi 10.1137/080716542), in the metric of SIRT's weights. The
    parameters are those of `sirt`.
    """
    weighted, voxels = _scaling(A, weights)
    volume = _start(A, measured, initial)
    point, gains = volume.copy(), nesterov()
    for i in range(num_iter):
        step = _step(A, point, measured, weighted, zero=initial is None and i == 0)
        volume, point = A.advance(step, voxels, point, volume, next(gains), non_negative)
    return volume


def ordered_subsets(
    A: Operator,
    measured: Array,
    angles: NDArray[np.float64],
    *,
    num_iter: int = 50,
    subset_size: int = 10,
    weights: Array | None = None,
    non_negative: bool = True,
) -> Array:
    """Return the volume of accelerated steps, each on some of the projections, from zero.

    SIRT's steps on subsets of the projections in turn, with Nesterov's acceleration (Kim, Ramani
    and Fessler 2015, doi 10.1109/TMI.2014.2350962), in whole passes over all of them. The last
    step of all is one over all projections, so that no subset has the last word.

    Parameters
    ----------
    A : Operator
    measured : array of float32
        Line integrals.
    angles : (n_angles,) array
        Radians. A subset is spread over the half turn, and each follows one far from it.
    num_iter : int
        Number of steps, rounded up to whole passes over the subsets.
    subset_size : int
        Projections of a subset, about.
    weights : array of float32, optional
        0 (ignore the pixel) to 1.
    non_negative : bool
        Clip the volume at 0 after each step.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tomoalign.backends import get_backend, solvers
    >>> from napari_tomoalign.geometry import ScanGeometry
    >>> angles = np.linspace(0, np.pi, 60, endpoint=False)
    >>> A = get_backend("builtin").operator(ScanGeometry(angles, 1, 33, center=16))
    >>> dot = np.zeros(A.domain_shape, np.float32)
    >>> dot[0, 20, 14] = 1
    >>> few = solvers.ordered_subsets(A, A(dot), angles)  # 21 times through all projections
    >>> many = solvers.sirt(A, A(dot), num_iter=100)  # 200 times
    >>> bool(np.abs(few - dot).max() < np.abs(many - dot).max())
    True
    """
    n = len(angles)
    order = np.argsort(np.mod(angles, np.pi), kind="stable")
    if np.any(order != np.arange(n)):
        A, measured = A.subset(order), measured[order]
        weights = None if weights is None else weights[order]
    weighted, voxels = _scaling(A, weights)
    count = max(1, n // subset_size)
    parts = []
    for s in golden_order(count):
        some = slice(s, None, count)  # a view: copies of the images would be half of the memory
        share = n / len(range(s, n, count))
        parts.append((A.subset(np.arange(n)[some]), measured[some], weighted[some], share))
    total = count * -(-num_iter // count)
    volume = np.zeros_like(measured, shape=A.domain_shape)
    point, gains = volume.copy(), nesterov()
    for i in range(total):
        part, data, weight, share = parts[i % count]
        step = _step(part, point, data, weight, share, zero=i == 0)
        gain = next(gains) if i < total - 1 else 0.0
        volume, point = A.advance(step, voxels, point, volume, gain, non_negative)
    step = _step(A, point, measured, weighted, zero=False)
    return A.advance(step, voxels, point, volume, 0.0, non_negative)[0]


def nesterov() -> Iterator[float]:
    """Yield by how much each step is extrapolated: Beck and Teboulle 2009, equation 4.2."""
    momentum = 1.0
    while True:
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        yield (momentum - 1) / following
        momentum = following


def _scaling(A: Operator, weights: Array | None) -> tuple[Array, Array]:
    """Return ``R W`` and ``C``."""
    rays = _inverse(A.ray_sums())
    voxels = _inverse(A.voxel_sums(weights))
    return (rays if weights is None else weights * rays), voxels


def _inverse(sums: Array) -> Array:
    """Return ``1 / sums``, and 0 where next to nothing contributes.

    That is a thousandth of the largest sum: of rays that graze the object's disc, whose inverse
    would lift their noise above all else.
    """
    out = np.zeros_like(sums)
    np.divide(1.0, sums, out=out, where=sums > 1e-3 * float(sums.max(initial=0.0)))
    return out


def _start(A: Operator, measured: Array, initial: Array | None) -> Array:
    """Return a volume of our own to start from, on the device that the images are on."""
    return np.zeros_like(measured, shape=A.domain_shape) if initial is None else initial.copy()


def _step(
    A: Operator, volume: Array, measured: Array, weighted: Array, share: float = 1.0, *, zero: bool
) -> Array:
    """Return ``share A^T R W (b - A x)``; where the volume is zero, it need not be projected."""
    if zero:
        residual = measured * weighted
    else:
        residual = A(volume)
        np.subtract(measured, residual, out=residual)
        residual *= weighted
    if share != 1:
        residual *= np.float32(share)
    return A.T(residual)


def angular_weights(angles: NDArray[np.float64]) -> Array:
    """Return the angle, in radians, that each projection stands for, opposite ones sharing.

    Angles modulo pi, each with half the gap to either neighbour; a wedge that is missing is
    nobody's, so no gap counts more than three typical ones.

    Parameters
    ----------
    angles : (n_angles,) array
        Radians.
    """
    folded = np.mod(angles, np.pi)
    order = np.argsort(folded)
    gaps = np.diff(folded[order], append=folded[order[0]] + np.pi)
    typical = np.median(gaps[gaps > 1e-9]) if np.any(gaps > 1e-9) else np.pi
    gaps = np.minimum(gaps, 3 * typical)
    weights = np.empty(len(angles))
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights.astype(np.float32)


def golden_order(n: int) -> NDArray[np.intp]:
    """Return an order of 0 to n - 1 in which none follows its neighbour: steps by the golden ratio.

    Of `n` views in the order of their angles, each new one lies in the widest gap that those
    before it leave, or nearly so.
    """
    return np.argsort(np.argsort(np.mod(np.arange(n) * (np.sqrt(5) - 1) / 2, 1)))
