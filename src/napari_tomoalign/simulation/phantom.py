"""Scans of random objects with random shifts, noise and damage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import ScanGeometry
from .bodies import Body, make_bodies, project_bodies, sub_pixels
from .simulated_scan import SimulatedScan

__all__ = ["simulate"]

FILL = 0.75
"""Width and height of an object over those of the field of view."""


LARGEST_ABSORBANCE = 2.0
"""Largest line integral of an object; 13.5 % of the beam is left there."""


_LARGEST = 10**5
"""Of a scan in any direction: wider than detectors are, and sizes in memory stay numbers."""

_RANGES = {
    "size": (8, _LARGEST),
    "n_angles": (2, _LARGEST),
    "n_rows": (1, _LARGEST),
    "oversampling": (1, 100),  # means of a hundred points along an edge are exact to 1e-4
    "jitter": (0, math.inf),
    "drift": (0, math.inf),
    "noise": (0, math.inf),
    "photons": (0, 1e15),  # the Poisson generator ends at 9e18
    "angular_range": (0, 3600),  # degrees: ten turns
    "wedge": (0, 180),
    "center_offset": (-math.inf, math.inf),
    "axis_angle": (-180, 180),
    "axis_tilt": (-90, 90),
    "truncation": (0, 100),  # the object is then as wide as a hundred images
    "blank_frames": (0, _LARGEST),
    "duplicate_frames": (0, _LARGEST),
    "masked_fraction": (0, 1),
    "garbage_fraction": (0, 1),
    "seed": (0, math.inf),
}
_WHOLE = (
    *("size", "n_angles", "n_rows", "oversampling", "blank_frames", "duplicate_frames", "seed"),
)


def simulate(
    size: int = 64,
    n_angles: int = 60,
    *,
    kind: str | Sequence[Body] = "ellipsoids",
    n_rows: int | None = None,
    angular_range: float = 180.0,
    wedge: float | None = None,
    jitter: float = 3.0,
    drift: float = 3.0,
    noise: float = 0.02,
    photons: float | None = None,
    center_offset: float = 0.0,
    axis_angle: float = 0.0,
    axis_tilt: float = 0.0,
    rotations: ArrayLike | None = None,
    truncation: float = 1.0,
    blank_frames: int = 0,
    duplicate_frames: int = 0,
    masked_fraction: float = 0.0,
    garbage_fraction: float = 0.5,
    oversampling: int = 3,
    seed: int = 0,
) -> SimulatedScan:
    """Make a scan of a random object with random shifts.

    Every pixel is the mean of the exact line integrals at ``oversampling**2`` points of it. The
    object fills three quarters of the field of view in rows and columns; its densities are such
    that the largest line integral is 2. With the defaults the Cramér-Rao bound is about 0.017 px.

    Parameters
    ----------
    size : int
        Columns of a projection.
    n_angles : int
        Number of projections.
    kind : str or sequence of Body
        ``"ellipsoids"``, ``"soft"``, ``"granular"``, ``"fibrous"``, ``"shell"``,
        ``"asymmetric"``; or your own bodies in pixels, which are taken as they are.
    n_rows : int, optional
        Rows of a projection. Default ``size``. One row is displaced along itself only.
    angular_range : float
        Degrees; the angles are equally spaced from 0, the end left out.
    wedge : float, optional
        Degrees; the angles go from ``-wedge`` to ``wedge``, both included, instead.
    jitter : float
        Pixels. Shifts are uniform within ``±jitter`` in both directions ...
    drift : float
        Pixels. ... plus a slow movement by this much from the first projection to the last, with
        some curvature, in both directions.
    noise : float
        Standard deviation of Gaussian noise over the maximum of the noise-free stack.
    photons : float, optional
        Photons of the unattenuated beam in a pixel: counting noise in place of ``noise``.
    center_offset : float
        Pixels. Column of the rotation axis, from the middle of the image.
    axis_angle : float
        Degrees by which the axis is turned in the images, from the rows' direction towards larger
        columns.
    axis_tilt : float
        Degrees by which the axis leans along the beam, its end at larger rows downstream.
    rotations : (n_angles, 3, 3) array, optional
        Of each projection, in place of angles and axis; see `ScanGeometry`.
    truncation : float
        Above 1: the object is stretched across the axis to this many widths of the field of
        view. Its rows stay as they are, all in view. Up to 1: the usual size.
    blank_frames : int
        Number of frames without the object.
    duplicate_frames : int
        Number of frames that are replaced by a copy of another one.
    masked_fraction : float
        Share of the pixels that have weight 0.
    garbage_fraction : float
        Share of the masked pixels whose values are garbage.
    oversampling : int
        Points along each edge of a pixel.
    seed : int
        The object, the shifts, the noise and the damage each follow from it by themselves: what
        is asked of one does not change the others.

    Returns
    -------
    SimulatedScan

    Raises
    ------
    TypeError
        What is no number, or no whole one.
    ValueError
        An unknown kind, a number out of its range, an object that is nowhere in view, or more
        damaged frames than there are.

    Examples
    --------
    >>> from napari_tomoalign.simulation import simulate
    >>> scan = simulate(size=32, n_angles=24, jitter=2, drift=0, seed=1)
    >>> scan.projections.shape  # projection, row, column
    (24, 32, 32)
    >>> scan.shifts.shape  # row and column, exact
    (24, 2)
    >>> bool(abs(scan.shifts).max() <= 2)
    True
    """
    given = locals()
    _check_numbers({name: given[name] for name in _RANGES})
    if max(jitter, drift, abs(center_offset)) > size:
        raise ValueError(
            f"jitter, drift and center_offset must stay within the image of {size} columns, got "
            f"{jitter}, {drift} and {center_offset}: the object would leave the field of view"
        )
    _check_damage(n_angles, blank_frames, duplicate_frames)
    content, motion, noises, damage, mask = (np.random.default_rng([seed, i]) for i in range(5))
    shape = (size if n_rows is None else n_rows, size)
    if rotations is not None:
        n_angles = len(np.asarray(rotations))
    shifts = _shifts(n_angles, jitter, drift, motion)
    if shape[0] == 1:
        shifts[:, 0] = 0  # the object would leave the only row
    geometry = ScanGeometry(
        _angles(n_angles, angular_range, wedge),
        *shape,
        center=(size - 1) / 2 + center_offset,
        axis_angle=math.radians(axis_angle),
        axis_tilt=math.radians(axis_tilt),
        rotations=None if rotations is None else np.asarray(rotations, np.float64),
    )
    bodies = _object(kind, shape, truncation, content)
    bodies, clean = _images_of(bodies, geometry, shifts, oversampling, scale=isinstance(kind, str))
    blank, duplicates, sources = _damaged_frames(n_angles, blank_frames, duplicate_frames, damage)
    sigma = noise * float(clean.max())
    clean[blank] = 0
    noisy = _with_noise(clean, sigma, photons, noises)
    if photons is not None:
        sigma = math.sqrt(float(np.mean(np.exp(clean))) / photons)
    clean[duplicates], noisy[duplicates] = clean[sources], noisy[sources]
    weights = _damage_pixels(noisy, masked_fraction, garbage_fraction, mask)
    return SimulatedScan(
        projections=noisy.astype(np.float32),
        geometry=geometry,
        shifts=shifts,
        weights=weights,
        clean=clean.astype(np.float32),
        noise_sigma=sigma,
        photons=photons,
        blank=blank,
        duplicates=duplicates,
        duplicate_sources=sources,
        bodies=bodies,
        kind=kind if isinstance(kind, str) else "own",
        oversampling=oversampling,
    )


_OPTIONAL = ("n_rows", "photons", "wedge")


def _check_numbers(values: Mapping[str, float | None]) -> None:
    """Refuse what is no number, not finite or out of its range."""
    for name, value in values.items():
        if value is None and name in _OPTIONAL:
            continue
        kind, words = (Integral, "a whole number") if name in _WHOLE else (Real, "a number")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{name} must be {words}, got {value!r}")
        low, high = _RANGES[name]
        if low <= value <= high and math.isfinite(value):
            continue
        lower = "" if low == -math.inf else f"at least {low} and "
        upper = "finite" if high == math.inf else f"at most {high}"
        raise ValueError(f"{name} must be {lower}{upper}, got {value}")
    if values["photons"] == 0:
        raise ValueError("photons must be above 0, or None for Gaussian noise; got 0")
    if values["angular_range"] == 0:
        raise ValueError("angular_range must be above 0: a scan of one angle shows no depth; got 0")


def _check_damage(n_angles: int, blank_frames: int, duplicate_frames: int) -> None:
    if blank_frames + 2 * duplicate_frames > n_angles:
        raise ValueError(
            f"{blank_frames} blank and {duplicate_frames} duplicated frames, with as many sources, "
            f"do not fit into {n_angles} projections: ask for fewer, or for more angles"
        )


def _angles(n_angles: int, angular_range: float, wedge: float | None) -> NDArray[np.float64]:
    if wedge is not None:
        return np.linspace(-math.radians(wedge), math.radians(wedge), n_angles)
    return np.linspace(0, math.radians(angular_range), n_angles, endpoint=False)


def _shifts(
    n_angles: int, jitter: float, drift: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return jitter plus a parabola that rises by ``drift`` from end to end."""
    quick = jitter * rng.uniform(-1, 1, (n_angles, 2))
    time = np.linspace(-0.5, 0.5, n_angles)[:, None]
    direction = rng.choice([-1.0, 1.0], 2)
    bend = rng.uniform(-1, 1, 2)
    slow: NDArray[np.float64] = direction * time + bend * (time**2 - np.mean(time**2))
    return quick + drift * slow


def _object(
    kind: str | Sequence[Body], shape: tuple[int, int], truncation: float, rng: np.random.Generator
) -> tuple[Body, ...]:
    if not isinstance(kind, str):
        return tuple(kind)
    height, width = FILL * shape[0], FILL * shape[1]
    if truncation > 1:
        width = truncation * shape[1]
    stretch = (height / 2, width / 2, width / 2)
    return tuple(body.scaled(stretch) for body in make_bodies(kind, rng))


def _images_of(
    bodies: tuple[Body, ...],
    geometry: ScanGeometry,
    shifts: NDArray[np.float64],
    oversampling: int,
    *,
    scale: bool,
) -> tuple[tuple[Body, ...], NDArray[np.float64]]:
    """Return the bodies and their images without noise, scaled to `LARGEST_ABSORBANCE` if asked."""
    points = sub_pixels(oversampling)
    clean = project_bodies(
        bodies,
        geometry.directions,
        shifts,
        (geometry.n_rows, geometry.n_columns),
        geometry.center,
        row_samples=points,
        column_samples=points,
    )
    if not clean.any():
        raise ValueError("no image shows anything of the object: make the shifts smaller")
    if scale:
        factor = LARGEST_ABSORBANCE / clean.max()
        clean *= factor
        bodies = tuple(body.scaled(1.0, density=factor) for body in bodies)
    return bodies, clean


def _damaged_frames(
    n_angles: int, blank_frames: int, duplicate_frames: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return which frames are blank, which are copies, and of which others."""
    chosen = rng.permutation(n_angles)
    duplicates = chosen[blank_frames : blank_frames + duplicate_frames]
    return np.sort(chosen[:blank_frames]), duplicates, chosen[::-1][:duplicate_frames]


def _with_noise(
    clean: NDArray[np.float64], sigma: float, photons: float | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    if photons is None:
        return clean + sigma * rng.standard_normal(clean.shape)
    counts = rng.poisson(photons * np.exp(-clean))
    noisy: NDArray[np.float64] = -np.log(np.maximum(counts, 0.5) / photons)
    return noisy


def _damage_pixels(
    stack: NDArray[np.float64],
    masked_fraction: float,
    garbage_fraction: float,
    rng: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Put garbage into the stack and return the weights; None where nothing is masked."""
    if masked_fraction == 0:
        return None
    lot = rng.uniform(size=stack.shape)
    garbage = lot < masked_fraction * garbage_fraction
    top = float(np.abs(stack).max())
    stack[garbage] = rng.uniform(-5 * top, 10 * top, int(garbage.sum()))
    return (lot >= masked_fraction).astype(np.float32)
