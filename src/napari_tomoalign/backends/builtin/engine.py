"""The built-in engine: needs nothing but numba, and outruns what it stands in for.

Slices are independent, so everything works on blocks of rows: besides the stack and the volume
only one block is held, in the kernels' layout.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ...geometry import ScanGeometry
from ...images._threads import threads
from ..base import BackendUnavailable, check_count, check_switch
from . import kernels

__all__ = ["BuiltinBackend", "create"]

Array = NDArray[np.float32]

_LARGEST_TILE = 16  # lines of a slice that a thread back-projects at a time
_LEAST_BLOCK_BYTES = 2**20  # smaller blocks cost more in calls than they save
_BLOCK_BYTES = 80 * 2**20  # of a block of the volume: larger ones cost memory and win no time

_OPTIONS: dict[str, dict[str, Any]] = {
    "fbp": {"filter_name": "hann", "non_negative": False, "circle": True},
    "sirt": {"num_iter": 10, "non_negative": True, "relaxation": 1.0, "circle": True},
    "gradient": {"num_iter": 10, "non_negative": True, "circle": True},
}
_WINDOWS = ("ramp", "shepp-logan", "cosine", "hamming", "hann")


def create(*, workers: int | None = None, use_gpu: bool = False) -> BuiltinBackend:
    """Return the built-in engine.

    Raises
    ------
    BackendUnavailable
        ``use_gpu`` is set: this engine has none.
    """
    if use_gpu:
        raise BackendUnavailable(
            "use_gpu=True, but the built-in engine runs on the CPU only: set use_gpu=False"
        )
    return BuiltinBackend(workers)


class BuiltinBackend:
    """Joseph's projector and its transpose in numba, with FBP, SIRT and an accelerated gradient.

    Parameters
    ----------
    workers : int, optional
        Number of threads. None takes all that numba has.
    """

    name = "builtin"
    algorithms: Sequence[str] = tuple(_OPTIONS)

    def __init__(self, workers: int | None = None) -> None:
        available = numba.get_num_threads()
        self.workers = available if workers is None else min(workers, available)

    def default_for(self, geometry: ScanGeometry | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the default algorithm and its options (see `Backend.default_for`)."""
        return "gradient", {"num_iter": 20}

    def check_options(self, algorithm: str, options: Mapping[str, Any]) -> None:
        """Refuse an unknown algorithm, option or value (see `Backend.check_options`)."""
        if algorithm not in _OPTIONS:
            raise ValueError(
                f"unknown algorithm {algorithm!r} for backend 'builtin'; known are "
                f"{', '.join(self.algorithms)}"
            )
        unknown = sorted(set(options) - set(_OPTIONS[algorithm]))
        if unknown:
            raise ValueError(
                f"algorithm {algorithm!r} of backend 'builtin' has no option "
                f"{', '.join(map(repr, unknown))}; known are {', '.join(_OPTIONS[algorithm])}"
            )
        check_count("num_iter", options.get("num_iter", 1))
        relaxation = options.get("relaxation", 1.0)
        if not isinstance(relaxation, numbers.Real) or not 0 < float(relaxation) < 2:
            raise ValueError(f"relaxation must lie in (0, 2), got {relaxation!r}")
        for name in ("non_negative", "circle"):
            check_switch(name, options.get(name, False))
        window = options.get("filter_name", "ramp")
        if window not in _WINDOWS:
            raise ValueError(f"unknown filter_name {window!r}; known are {', '.join(_WINDOWS)}")

    def accepts_weights(self, algorithm: str) -> bool:
        """Whether pixels of weight 0 are left out: by the iterative methods."""
        return algorithm != "fbp"

    def accepts_initial(self, algorithm: str) -> bool:
        """Whether a reconstruction can start from a volume: the iterative ones."""
        return algorithm != "fbp"

    def startup_note(self) -> str | None:
        """Return what the user should know while the first call takes long, or None."""
        cache = Path(str(kernels.project.stats.cache_path))
        if kernels.project.signatures or any(cache.glob("kernels.*.nbi")):
            return None
        return "compiling the kernels, once: about half a minute"

    def project(self, volume: Array, geometry: ScanGeometry) -> Array:
        """Project a volume at every angle (see `Backend.project`)."""
        out = np.empty(geometry.projections_shape, np.float32)
        angles = _Angles(geometry)
        with threads(self.workers):
            for rows in _blocks(geometry):
                images = angles.project(_with_margins(volume[rows].transpose(1, 2, 0), 2))
                out[:, rows] = images[:, 1:-1].transpose(0, 2, 1)
        return out

    def reconstruct(
        self,
        projections: Array,
        geometry: ScanGeometry,
        *,
        algorithm: str,
        weights: Array | None = None,
        initial: Array | None = None,
        **options: Any,
    ) -> Array:
        """Reconstruct a volume (see `Backend.reconstruct`).

        ``"fbp"``: ``filter_name`` (ramp, shepp-logan, cosine, hamming, hann), ``non_negative``.
        ``"sirt"``: ``num_iter``, ``non_negative``, ``relaxation``. ``"gradient"``: the same
        preconditioned step with Nesterov's acceleration (Beck and Teboulle 2009, doi
        10.1137/080716542), ``num_iter``, ``non_negative``. All take ``circle``: the volume is 0
        outside the circle that a scan can tell (`ScanGeometry.reach`).
        """
        self.check_options(algorithm, options)
        settings = {**_OPTIONS[algorithm], **options}
        angles = _Angles(geometry, geometry.reach if settings.pop("circle") else math.inf)
        out = np.empty(geometry.volume_shape, np.float32)
        with threads(self.workers):
            for rows in _blocks(geometry):
                measured = _with_margins(projections[:, rows].transpose(0, 2, 1), 1)
                if algorithm == "fbp":
                    block = _fbp(measured, angles, workers=self.workers, **settings)
                else:
                    weight = start = None
                    if weights is not None:
                        weight = _with_margins(weights[:, rows].transpose(0, 2, 1), 1)
                    if initial is not None:
                        start = _with_margins(initial[rows].transpose(1, 2, 0), 2)
                    block = _descend(measured, angles, weight, start, algorithm, **settings)
                out[rows] = block[1:-1, 1:-1].transpose(2, 0, 1)
        return out


class _Angles:
    """The kernels, called with the geometry's numbers. Arrays have the kernels' margins of zeros.

    Parameters
    ----------
    geometry : ScanGeometry
    radius : float
        Voxels: the volume is 0 further from the axis. Default: no voxel is.
    """

    def __init__(self, geometry: ScanGeometry, radius: float = math.inf) -> None:
        self.angles = geometry.angles
        self.cosines = np.cos(geometry.angles).astype(np.float32)
        self.sines = np.sin(geometry.angles).astype(np.float32)
        self.widths = np.maximum(np.abs(self.cosines), np.abs(self.sines))
        self.center = np.float32(geometry.center)
        self.n_columns = geometry.n_columns
        self.n = geometry.volume_width
        self.radius = np.float32(min(radius, geometry.volume_width))

    def project(self, volume: Array) -> Array:
        """Return ``A x``: (y, x, slice) to (angle, column, slice)."""
        out: Array = kernels.project(
            volume, self.cosines, self.sines, self.center, self.n_columns, self.radius
        )
        return out

    def back_project(self, projections: Array, widths: Array | None = None) -> Array:
        """Return ``A^T y``: (angle, column, slice) to (y, x, slice)."""
        tile = max(1, min(_LARGEST_TILE, self.n // (4 * numba.get_num_threads())))
        out: Array = kernels.back_project(
            projections,
            self.cosines,
            self.sines,
            self.widths if widths is None else widths,
            self.center,
            self.n,
            self.radius,
            tile,
        )
        return out

    def disc(self) -> Array:
        """Return ones within the radius, in one slice."""
        line = np.arange(self.n) - np.float32((self.n - 1) / 2)
        inside = line[:, None] ** 2 + line**2 <= self.radius**2
        return np.pad(inside.astype(np.float32), 1)[:, :, None]


def _blocks(geometry: ScanGeometry) -> Iterator[slice]:
    """Yield the rows of each block: long enough for SIMD, small enough for the cache.

    A quarter of the rows bounds the memory; where a slice is small, that is no concern.
    """
    slice_bytes = 4 * geometry.volume_width**2
    size = max(-(-geometry.n_rows // 4), _LEAST_BLOCK_BYTES // slice_bytes)
    size = min(64, size, max(16, _BLOCK_BYTES // slice_bytes // 8 * 8))
    for start in range(0, geometry.n_rows, size):
        yield slice(start, min(start + size, geometry.n_rows))


def _with_margins(array: NDArray[Any], axes: int) -> Array:
    """Return a copy for the kernels: a margin of one zero about the last axes but the slices."""
    margins = [(0, 0)] * (2 - axes) + [(1, 1)] * axes + [(0, 0)]
    return np.pad(np.asarray(array, np.float32), margins)


def _inverse(sums: Array) -> Array:
    """Return ``1 / sums``, and 0 where next to nothing contributes."""
    out = np.zeros_like(sums)
    np.divide(1.0, sums, out=out, where=sums > 1e-3 * float(sums.max(initial=0.0)))
    return out


def _descend(
    measured: Array,
    angles: _Angles,
    weights: Array | None,
    start: Array | None,
    algorithm: str,
    *,
    num_iter: int,
    non_negative: bool,
    relaxation: float = 1.0,
) -> Array:
    """Return SIRT, ``x + C A^T R W (b - A x)``, plain or accelerated, on one block.

    R and C are the inverse sums along the rays and over the weighted rays through a voxel
    (Gregor and Benson 2008, doi 10.1109/TMI.2008.923696): the step of 1 is stable. All arrays
    have margins; ``weights`` and ``start`` are used up.
    """
    n_slices = measured.shape[2]
    disc = angles.disc()
    rays = _inverse(angles.project(disc))
    if weights is None:
        weights = _with_margins(np.ones((len(measured), angles.n_columns, 1), np.float32), 1)
    voxels = _inverse(angles.back_project(weights)) * np.float32(relaxation)
    weights *= rays
    if start is None:
        volume = np.zeros((*disc.shape[:2], n_slices), np.float32)
    else:
        volume = np.multiply(start, disc, out=start)
    point, momentum = volume, 1.0
    for i in range(num_iter):
        if start is None and i == 0:
            residual = measured * weights
        else:
            residual = angles.project(point)
            np.subtract(measured, residual, out=residual)
            residual *= weights
        step = angles.back_project(residual)
        del residual
        step *= voxels
        step += point
        if non_negative:
            np.maximum(step, 0, out=step)
        if algorithm == "gradient":
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            point = np.subtract(step, volume, out=volume)  # the last volume is not needed again
            point *= np.float32((momentum - 1) / following)
            point += step
            momentum = following
        else:
            point = step
        volume = step
    return volume


def _fbp(
    measured: Array, angles: _Angles, *, filter_name: str, non_negative: bool, workers: int
) -> Array:
    """Return the filtered back projection of one block."""
    n_columns = angles.n_columns
    size: int = scipy.fft.next_fast_len(2 * n_columns, real=True)
    response = _ramp(size, filter_name)[None, :, None]
    spectrum = scipy.fft.rfft(measured[:, 1:-1], size, axis=1, workers=workers)
    spectrum *= response
    filtered = scipy.fft.irfft(spectrum, size, axis=1, workers=workers)[:, :n_columns]
    filtered = filtered * _angular_weights(angles.angles)[:, None, None]
    volume = angles.back_project(_with_margins(filtered, 1), np.ones_like(angles.widths))
    if non_negative:
        np.maximum(volume, 0, out=volume)
    return volume


def _ramp(size: int, window: str) -> NDArray[np.float32]:
    """Return the band-limited ramp (Kak and Slaney 1988, chapter 3, equation 61), windowed."""
    n = np.fft.fftfreq(size, 1 / size)
    odd = n % 2 == 1
    kernel = np.zeros(size)
    kernel[0] = 0.25
    kernel[odd] = -1 / (np.pi * n[odd]) ** 2
    response = np.fft.rfft(kernel).real
    frequency = np.fft.rfftfreq(size)  # cycles a pixel, up to 1/2
    if window == "shepp-logan":
        response *= np.sinc(frequency)
    elif window == "cosine":
        response *= np.cos(np.pi * frequency)
    elif window == "hamming":
        response *= 0.54 + 0.46 * np.cos(2 * np.pi * frequency)
    elif window == "hann":
        response *= 0.5 + 0.5 * np.cos(2 * np.pi * frequency)
    return response.astype(np.float32)


def _angular_weights(angles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the angle, in radians, that each projection stands for, opposite ones sharing.

    Angles modulo pi, each with half the gap to either neighbour; a wedge that is missing is
    nobody's, so no gap counts more than three typical ones.
    """
    folded = np.mod(angles, np.pi)
    order = np.argsort(folded)
    gaps = np.diff(folded[order], append=folded[order[0]] + np.pi)
    typical = np.median(gaps[gaps > 1e-9]) if np.any(gaps > 1e-9) else np.pi
    gaps = np.minimum(gaps, 3 * typical)
    weights = np.empty(len(angles))
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights.astype(np.float32)
