"""Bodies whose line integrals are known in closed form: ellipsoids and Gaussian blobs.

Coordinates are (z, y, x) in pixels, as in `ScanGeometry`: ``z`` down from the middle row, ``y``
down (towards larger index) and ``x`` right from the rotation axis within a slice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._typing import Array
from ..geometry.scan_geometry import directions_of

__all__ = ["KINDS", "Body", "make_bodies", "project_bodies", "sub_pixels", "voxelise"]

GAUSSIAN_REACH = 6.0
"""Standard deviations at which a Gaussian blob ends; 1.5e-8 of its peak is left there."""

CHUNK = 1_000_000
"""Pixels that are evaluated at once."""


@dataclass(frozen=True, eq=False)
class Body:
    """A uniform ellipsoid or a Gaussian blob.

    Attributes
    ----------
    density : float
        Per pixel of path; of the uniform ellipsoid, or at the peak of the blob. Negative ones cut
        holes.
    position : (3,) array
        Centre (z, y, x), pixels.
    shape_matrix : (3, 3) array
        Positive definite, pixels squared. With ``q = d.T @ inv(shape_matrix) @ d`` the ellipsoid
        is where ``q <= 1``, the blob's density is ``density * exp(-q / 2)``.
    gaussian : bool
        A blob rather than an ellipsoid.
    """

    density: float
    position: Array
    shape_matrix: Array
    gaussian: bool = False

    @property
    def reach(self) -> float:
        """How far the body goes, in units of its own semi-axes."""
        return GAUSSIAN_REACH if self.gaussian else 1.0

    def scaled(self, factors: ArrayLike, density: float = 1.0) -> Body:
        """Return the body stretched along (z, y, x) about the origin, its density multiplied."""
        stretch = np.broadcast_to(np.asarray(factors, dtype=np.float64), 3)
        return Body(
            self.density * density,
            self.position * stretch,
            self.shape_matrix * np.outer(stretch, stretch),
            self.gaussian,
        )


def ellipsoid(
    density: float,
    position: ArrayLike,
    semi_axes: ArrayLike,
    rotation: Array | None = None,
    *,
    gaussian: bool = False,
) -> Body:
    """Return a body from its semi-axes (standard deviations of a blob) along (z, y, x).

    Parameters
    ----------
    density : float
        Per pixel of path.
    position : (3,) array
        Centre (z, y, x), pixels.
    semi_axes : float or (3,) array
        Pixels.
    rotation : (3, 3) array, optional
        Orthogonal; turns the semi-axes.
    gaussian : bool
        A blob rather than an ellipsoid.
    """
    axes = np.broadcast_to(np.asarray(semi_axes, dtype=np.float64), 3)
    turn = np.eye(3) if rotation is None else rotation
    matrix = (turn * axes**2) @ turn.T
    return Body(float(density), np.array(position, dtype=np.float64), matrix, gaussian)


def sub_pixels(n: int) -> Array:
    """Return the middles of ``n`` equal parts of a pixel, measured from its centre."""
    return (np.arange(n) + 0.5) / n - 0.5


def project_bodies(
    bodies: Iterable[Body],
    views: ArrayLike,
    shifts: ArrayLike,
    shape: tuple[int, int],
    center: float,
    *,
    row_samples: ArrayLike = 0.0,
    column_samples: ArrayLike = 0.0,
) -> Array:
    """Return the line integrals of bodies, averaged over points of each pixel.

    Parameters
    ----------
    bodies : iterable of Body
        The object.
    views : (n_angles,) or (n_angles, 2, 3) array
        Angles about a vertical axis, radians; or the directions of any geometry.
    shifts : (n_angles, 2) array
        Displacement (row, column) of each image, pixels.
    shape : (int, int)
        Rows and columns of an image. The object's origin lands in the middle row.
    center : float
        Column of the rotation axis.
    row_samples, column_samples : float or array
        Points within a pixel, from its centre, over whose grid the mean is taken.

    Returns
    -------
    (n_angles, n_rows, n_columns) array of float64
    """
    directions = directions_of(views)
    shifts = np.asarray(shifts, dtype=np.float64)
    rows, columns = np.atleast_1d(row_samples), np.atleast_1d(column_samples)
    samples = list(itertools.product(rows.tolist(), columns.tolist()))
    images = np.zeros((len(directions), *shape))
    for body in bodies:
        _add_shadow(images, body, directions, shifts, center, samples)
    return images


def _add_shadow(
    images: Array,
    body: Body,
    view: Array,
    shifts: Array,
    center: float,
    samples: list[tuple[float, float]],
) -> None:
    """Add one body to all images, each within the rectangle that its shadow needs.

    The shadow of an ellipsoid is an ellipse, whose matrix is the projected shape matrix; the
    chord through the ellipse's middle follows from the ratio of the determinants.
    """
    shadow = view @ body.shape_matrix @ view.transpose(0, 2, 1)
    inverse = np.asarray(np.linalg.inv(shadow), dtype=np.float64)
    half_chord = np.sqrt(np.linalg.det(body.shape_matrix) / np.linalg.det(shadow))
    origin = np.array([(images.shape[1] - 1) / 2, center])
    middle = view @ body.position + origin + shifts
    reach = body.reach * np.sqrt(np.stack([shadow[:, 0, 0], shadow[:, 1, 1]], axis=1))
    limits = np.array(images.shape[1:])
    window = np.minimum(np.ceil(2 * reach.max(axis=0)).astype(int) + 3, limits)
    first = np.clip(np.floor(middle - reach).astype(int) - 1, 0, limits - window)
    height, width = window.tolist()
    step = max(1, CHUNK // (height * width))
    for start in range(0, len(view), step):
        part = slice(start, start + step)
        offset = (first[part] - middle[part])[:, :, None]
        patch: Array = np.zeros((len(offset), height, width))
        for row, column in samples:
            down: Array = offset[:, 0] + (np.arange(height) + row)
            right: Array = offset[:, 1] + (np.arange(width) + column)
            patch += _profile(body, inverse[part], down, right)
        patch *= (body.density / len(samples)) * half_chord[part, None, None]
        for index, (r, c) in enumerate(first[part].tolist()):
            images[start + index, r : r + height, c : c + width] += patch[index]


def _profile(body: Body, inverse: Array, down: Array, right: Array) -> Array:
    """Return chord lengths over the half chord through the middle, (n_angles, height, width)."""
    q = (2 * inverse[:, 0, 1, None] * down)[:, :, None] * right[:, None, :]
    q += (inverse[:, 0, 0, None] * down**2)[:, :, None]
    q += (inverse[:, 1, 1, None] * right**2)[:, None, :]
    if body.gaussian:
        q *= -0.5
        np.exp(q, out=q)
        q *= math.sqrt(2 * math.pi)
        return q
    np.subtract(1, q, out=q)
    np.maximum(q, 0, out=q)
    np.sqrt(q, out=q)
    q *= 2
    return q


def voxelise(
    bodies: Iterable[Body], shape: tuple[int, int, int], oversampling: int = 3
) -> NDArray[np.float32]:
    """Return the object on a grid, each voxel the mean over ``oversampling**3`` points.

    Parameters
    ----------
    bodies : iterable of Body
        The object.
    shape : (int, int, int)
        Slices, y, x; the rotation axis is in the middle of y and x.
    oversampling : int
        Points along each edge of a voxel.

    Returns
    -------
    (n_slices, n_y, n_x) array of float32
        Density per pixel of path.
    """
    volume = np.zeros(shape)
    limits = np.array(shape)
    samples = list(itertools.product(sub_pixels(oversampling).tolist(), repeat=3))
    for body in bodies:
        middle = (limits - 1) / 2 + body.position
        reach = body.reach * np.sqrt(np.diag(body.shape_matrix))
        first = np.clip(np.floor(middle - reach).astype(int), 0, limits)
        last = np.clip(np.ceil(middle + reach).astype(int) + 1, first, limits)
        box = tuple(slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True))
        inverse = np.linalg.inv(body.shape_matrix)
        patch = np.zeros(tuple((last - first).tolist()))
        grid = [np.arange(a, b) - m for a, b, m in zip(first, last, middle, strict=True)]
        for sample in samples:
            z, y, x = np.ix_(*[axis + s for axis, s in zip(grid, sample, strict=True)])
            q = inverse[0, 0] * z**2 + inverse[1, 1] * y**2 + inverse[2, 2] * x**2
            q = q + 2 * (inverse[0, 1] * z * y + inverse[0, 2] * z * x + inverse[1, 2] * y * x)
            patch += np.exp(-q / 2) if body.gaussian else q <= 1
        volume[box] += patch * (body.density / len(samples))
    return volume.astype(np.float32)


# The kinds of object. Each fills the cylinder of radius 1 and half height 1; a stretch makes
# pixels of it. Densities never add up to less than zero.


def make_bodies(kind: str, rng: np.random.Generator) -> tuple[Body, ...]:
    """Return a random object of a kind, in the cylinder of radius 1 and half height 1.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    rng : numpy.random.Generator
        Source of the content.

    Raises
    ------
    ValueError
        An unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of object {kind!r}; known are {', '.join(KINDS)}")
    return tuple(KINDS[kind](rng))


def _turn(rng: np.random.Generator) -> Array:
    """Return a random rotation (or rotation with reflection, the same to an ellipsoid)."""
    turn: Array = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return turn


def _inside(rng: np.random.Generator, radius: float) -> Array:
    """Return a random point of a ball."""
    direction = rng.normal(size=3)
    point: Array = direction / np.linalg.norm(direction) * radius * rng.uniform() ** (1 / 3)
    return point


def _ellipsoids(rng: np.random.Generator) -> Iterator[Body]:
    """Give a body with sixteen inclusions of various sizes."""
    yield ellipsoid(1.0, (0, 0, 0), rng.uniform(0.92, 1.0, 3))
    for largest in np.geomspace(0.45, 0.1, 16):
        axes = largest * rng.uniform(0.5, 1.0, 3)
        yield ellipsoid(rng.uniform(0.3, 1.5), _inside(rng, 0.82 - axes.max()), axes, _turn(rng))


def _soft(rng: np.random.Generator) -> Iterator[Body]:
    """Give Gaussian blobs, no edges."""
    yield ellipsoid(1.0, (0, 0, 0), rng.uniform(0.26, 0.32, 3), gaussian=True)
    for width in np.geomspace(0.2, 0.06, 12):
        axes = width * rng.uniform(0.7, 1.0, 3)
        position = _inside(rng, 0.9 - 2.5 * axes.max())
        yield ellipsoid(rng.uniform(0.5, 1.5), position, axes, _turn(rng), gaussian=True)


def _granular(rng: np.random.Generator) -> Iterator[Body]:
    """Give one body with many small grains, and pores."""
    yield ellipsoid(1.0, (0, 0, 0), rng.uniform(0.88, 1.0, 3))
    pores: list[tuple[Array, float]] = []
    while len(pores) < 40:
        radius = rng.uniform(0.05, 0.11)
        position = _inside(rng, 0.82 - radius)
        if all(np.linalg.norm(position - p) > radius + r for p, r in pores):
            pores.append((position, radius))
            yield ellipsoid(-1.0, position, radius * rng.uniform(0.6, 1.0, 3), _turn(rng))
    for radius in rng.uniform(0.04, 0.1, 90):
        axes = radius * rng.uniform(0.6, 1.0, 3)
        yield ellipsoid(rng.uniform(0.5, 3.0), _inside(rng, 0.84 - radius), axes, _turn(rng))


def _fibrous(rng: np.random.Generator) -> Iterator[Body]:
    """Give long thin rods, most of them along one slanting direction."""
    main = np.array([0.75, *rng.normal(size=2)])
    for _ in range(40):
        along = main / np.linalg.norm(main) + 0.25 * rng.normal(size=3)
        turn = np.linalg.qr(np.column_stack([along, rng.normal(size=(3, 2))]))[0]
        thin = rng.uniform(0.035, 0.07)
        length = rng.uniform(0.5, 0.85)
        position = _inside(rng, 0.95 - 0.55 * length) * np.array([0.6, 1, 1])
        reach = np.hypot(position[1], position[2]) + length * np.hypot(turn[1, 0], turn[2, 0])
        length *= min(1.0, 1 / reach)
        yield ellipsoid(rng.uniform(0.5, 2.0), position, (length, thin, thin), turn)


def _shell(rng: np.random.Generator) -> Iterator[Body]:
    """Give nested shells, each an ellipsoid less a slightly smaller one, and a core."""
    turn, position = _turn(rng), np.zeros(3)
    outer = rng.uniform(0.88, 0.98, 3)
    for _ in range(4):
        density, inner = rng.uniform(0.6, 1.6), outer * rng.uniform(0.82, 0.9)
        yield ellipsoid(density, position, outer, turn)
        yield ellipsoid(-density, position, inner, turn)
        outer = inner * rng.uniform(0.72, 0.85, 3)
        position = position + _inside(rng, 0.9 * (inner - outer).min())
    yield ellipsoid(2.0, position, 0.5 * outer, turn)


def _asymmetric(rng: np.random.Generator) -> Iterator[Body]:
    """Give a few strongly different bodies, all of them off the axis."""
    turn = rng.uniform(0, 2 * np.pi)
    places = ((0.55, 0.45), (0.5, 0.38), (0.7, 0.25), (0.8, 0.15), (0.6, 0.1))
    for index, (distance, size) in enumerate(places):
        angle = turn + 0.8 * index + rng.uniform(-0.2, 0.2)
        height = rng.uniform(-0.9, 0.9) * (1 - size)
        position = (height, distance * np.sin(angle), distance * np.cos(angle))
        axes = size * rng.uniform(0.5, 1.0, 3)
        yield ellipsoid(0.8 * 1.5**index, position, axes, _turn(rng))


KINDS: dict[str, Any] = {
    "ellipsoids": _ellipsoids,
    "soft": _soft,
    "granular": _granular,
    "fibrous": _fibrous,
    "shell": _shell,
    "asymmetric": _asymmetric,
}
"""The kinds of object, by name."""
