"""What misfit looks like that a shift cannot take away: a turn in the plane, a growing object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..images.filtering import counted_pixels, smooth
from .model import Model
from .slabs import BLURRED_MARGIN

__all__ = ["Distortion", "measure_distortion", "measure_drift"]

_CLEAR = 4.0  # standard errors: one in 16,000 is so large by chance
_TILES = 3  # of an image, each way: as fine as parts of a sample that move by themselves
_TRENDS = 3  # powers of time, beside what is the same at all times
# Times what frames that vary independently would have. In the first 300 scans of the developing set
# of storm_foreign.py nine of ten sound scans stay below 2, and samples that change have 3 to 70.
_BY_CHANCE = 2.0
_SINGULAR = 1e-12  # of the scaled normal matrix: what is smaller is rounding, of the square of 1e-6


@dataclass(frozen=True)
class Distortion:
    """Each 0 where it is not clear. Both are too small: the reconstruction follows in part.

    Attributes
    ----------
    turn : float
        Mean turn of the images in their plane, rows into columns, radians.
    growth : float
        How much larger the object is at the end than at the beginning, relative.
    """

    turn: float
    growth: float


def measure_distortion(model: Model, counted: NDArray[np.bool_]) -> Distortion:
    """Fit a turn and a scale to what remains in each image, beside shift, gain and offset."""
    which = np.flatnonzero(counted)
    n = len(which)
    if n < 8 or min(model.measured.shape[1:]) < 8:
        return Distortion(0.0, 0.0)
    found = np.array([_turn_and_scale(model, int(i)) for i in which])
    turn, scale = found.T
    order = which - which.mean()
    slope = float(order @ scale / (order @ order))
    spread = scale - scale.mean() - slope * order
    growth = slope * np.ptp(which)
    growth_error = spread.std() / np.sqrt(order @ order) * np.ptp(which)
    mean, error = float(turn.mean()), float(turn.std() / np.sqrt(n))
    return Distortion(
        turn=mean if abs(mean) > _CLEAR * error else 0.0,
        growth=float(growth) if abs(growth) > _CLEAR * growth_error else 0.0,
    )


@dataclass(frozen=True, eq=False)
class _Image:
    """What is asked of an image against its reprojection.

    Attributes
    ----------
    template, down, along : (n_rows, n_columns) array
        The smoothed reprojection, and its slopes.
    root, misfit : (n_pixels,) array
        Square roots of the weights; measured minus reprojected.
    """

    template: Array
    down: Array
    along: Array
    root: NDArray[Any]
    misfit: NDArray[np.float32]

    @classmethod
    def of(cls, model: Model, i: int) -> _Image:
        template = smooth(model.reprojected[i : i + 1])[0].astype(np.float64)
        everywhere = (slice(None), slice(None))
        weights = model.weights[i] * counted_pixels(template.shape, everywhere, BLURRED_MARGIN)
        down, along = np.gradient(template)
        misfit = (model.measured[i] - model.reprojected[i]).ravel()
        return cls(template, down, along, np.sqrt(weights).ravel(), misfit)


def _turn_and_scale(model: Model, i: int) -> Array:
    """Return the turn and the growth of an image against its reprojection."""
    image = _Image.of(model, i)
    template, down, along, root = image.template, image.down, image.along, image.root
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in template.shape)
    turned = along * rows[:, None] - down * columns
    grown = along * columns + down * rows[:, None]
    design = np.stack([down, along, template, np.ones_like(down), turned, -grown], axis=-1)
    weighted = design.reshape(-1, 6) * root[:, None]
    return _fit(weighted, image.misfit * root)[4:]


def _fit(columns: Array, values: Array) -> Array:
    """Return the least-squares coefficients; of a column that shows nothing 0.

    By the normal equations, whose columns are alike in length: a few against thousands of pixels,
    for which a decomposition of ``columns`` takes a third of a small run.
    """
    length = np.sqrt(np.einsum("ik,ik->k", columns, columns))
    scale = 1 / np.where(length > 0, length, 1.0)
    normal = scale[:, None] * (columns.T @ columns) * scale
    right = columns.T @ values
    inverse = scale[:, None] * np.linalg.pinv(normal, rcond=_SINGULAR, hermitian=True) * scale
    found: Array = inverse @ right
    return found


def measure_drift(model: Model, counted: NDArray[np.bool_]) -> Array:
    """Return how far parts of the images drift apart with time, (2,) RMS, pixels of the level.

    A registration's score, ``D' W (measured - reprojected)`` with gain and offset projected out of
    ``D``, is 0 for a whole image at rest, and ``I_b`` times the displacement in a tile ``b`` that
    is displaced by itself, where ``I_b`` is its part of the information ``I``. Displacements
    weighted by information have the mean square ``sum_b s_b**2 / (I_b I)``. Noise gives each trend
    as much as it gives one frame, which is taken off. The object's own misfit changes with the
    angle, and so with time in most scans: it stays in. Too small: the reconstruction follows in
    part.
    """
    which = np.flatnonzero(counted)
    n = len(which)
    shape = model.measured.shape[1:]
    if n < 8 or min(shape) < 8:
        return np.zeros(2)
    scores, information = np.array([_tiles(model, int(i)) for i in which]).transpose(1, 0, 2, 3)
    usual = information.mean(axis=0)  # (tiles, 2)
    whole = np.maximum(usual.sum(axis=0), 1e-30)
    usual = np.maximum(usual, 1e-3 * whole / len(usual))  # an empty tile tells nothing
    trends = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, n), _TRENDS))[0]
    found = np.einsum("nk,nbd->kbd", trends, scores)
    rest = scores - np.einsum("nk,kbd->nbd", trends, found)
    noise = np.sum(rest**2, axis=0) / max(n - _TRENDS - 1, 1)
    excess = np.sum(found[1:] ** 2, axis=0) - _BY_CHANCE * _TRENDS * noise
    drift: Array = np.sqrt(np.maximum(np.sum(excess / usual, axis=0) / whole / n, 0))
    return drift


def _tiles(model: Model, i: int) -> Array:
    """Return each tile's score, rows and columns, and its information: (2, tiles, 2)."""
    image = _Image.of(model, i)
    template, root = image.template, image.root[:, None]
    moved = np.stack([-image.down, -image.along], axis=-1).reshape(-1, 2) * root
    level = np.stack([template, np.ones_like(template)], axis=-1).reshape(-1, 2) * root
    moved -= level @ _fit(level, moved)
    misfit = image.misfit[:, None] * root
    misfit -= level @ _fit(level, misfit)
    misfit -= moved @ _fit(moved, misfit)
    row, column = (np.arange(size) * _TILES // size for size in template.shape)
    tile = (row[:, None] * _TILES + column).ravel()
    sums = [
        [np.bincount(tile, part[:, k], _TILES**2) for k in (0, 1)]
        for part in (moved * misfit, moved**2)
    ]
    return np.array(sums).transpose(0, 2, 1)
