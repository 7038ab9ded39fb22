"""What misfit looks like that a shift cannot take away: a turn in the plane, a growing object."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..images.filtering import counted_pixels, smooth
from .matching import AT_ONCE
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
    turn, scale = _turn_and_scale(*(sums.sum(axis=0) for sums in _tiles(model, which)))
    order = which - which.mean()
    slope = float(order @ scale / (order @ order))
    spread = scale - scale.mean() - slope * order
    growth = slope * np.ptp(which)
    growth_error = spread.std() / np.sqrt(order @ order) * np.ptp(which)
    mean, error = float(turn.mean()), _noise_of(turn[_along_angles(model, which)]) / np.sqrt(n)
    return Distortion(
        turn=mean if abs(mean) > _CLEAR * error else 0.0,
        growth=float(growth) if abs(growth) > _CLEAR * growth_error else 0.0,
    )


def _along_angles(model: Model, which: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the order in which projections follow each other around the axis, if there is one."""
    geometry = model.geometry
    if geometry.rotations is not None:
        return np.arange(len(which))
    return np.argsort(geometry.angles[which], kind="stable")


def _noise_of(turns: Array) -> float:
    """Return the noise of turns in a row, from neighbours (von Neumann's mean square difference).

    A turned axis leaves more of itself in some images than in others, so their scatter is no noise:
    of 0.8 degrees it was 3 to 10 times as large (`foreign.py`, six objects, 48^3, 40 angles).
    """
    return float(np.sqrt(np.mean(np.diff(turns) ** 2) / 2))


def _turn_and_scale(normal: Array, right: Array) -> tuple[Array, Array]:
    """Return the turns and the growths (n,) that fit, from the sums of whole images."""
    found = np.einsum("nij,nj->ni", _inverse(normal), right)
    return found[:, 2], -found[:, 3]


def _inverse(normal: Array) -> Array:
    """Return the inverses of normal matrices (n, k, k); 0 for a column that shows nothing."""
    length = np.sqrt(np.diagonal(normal, axis1=1, axis2=2))
    scale = 1 / np.where(length > 0, length, 1.0)
    both = scale[:, :, None] * scale[:, None, :]
    inverse: Array = both * np.linalg.pinv(both * normal, rcond=_SINGULAR, hermitian=True)
    return inverse


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
    scores, information = _scores(*_tiles(model, which))
    usual = information.mean(axis=0)  # (tiles, 2)
    whole = np.maximum(usual.sum(axis=0), 1e-30)
    usual = np.maximum(usual, 1e-3 * whole / len(usual))  # an empty tile tells nothing
    scores = scores - _grown(scores, usual)
    trends = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, n), _TRENDS))[0]
    found = np.einsum("nk,nbd->kbd", trends, scores)
    rest = scores - np.einsum("nk,kbd->nbd", trends, found)
    noise = np.sum(rest**2, axis=0) / max(n - _TRENDS - 1, 1)
    excess = np.sum(found[1:] ** 2, axis=0) - _BY_CHANCE * _TRENDS * noise
    drift: Array = np.sqrt(np.maximum(np.sum(excess / usual, axis=0) / whole / n, 0))
    return drift


def _grown(scores: Array, usual: Array) -> Array:
    """Return the part of the scores that a sample makes which grows or shrinks, along each axis.

    That drives its parts apart about their middle, and no shift of the whole: a growth of 1 % over
    48 pixels stated 0.22 px where 0.04 were true (``storm_foreign.py``, developing). What is not
    even over the image stays: a part that moves.
    """
    line = np.arange(_TILES, dtype=np.float64)
    place = np.stack([np.repeat(line, _TILES), np.tile(line, _TILES)], axis=1)
    place -= np.sum(usual * place, axis=0) / usual.sum(axis=0)
    growth = np.einsum("nbd,bd->nd", scores, place) / np.sum(usual * place**2, axis=0)
    part: Array = growth[:, None, :] * (usual * place)
    return part


def _scores(normal: Array, right: Array) -> tuple[Array, Array]:
    """Return each tile's score and its information, rows and columns: (n, tiles, 2)."""
    whole, of_misfit, shift, level = normal.sum(axis=0), right.sum(axis=0), slice(2), slice(4, 6)
    known = _inverse(whole[:, level, level])
    # What gain and offset explain of slopes, then of the misfit, is taken out of them.
    slopes = np.zeros((len(whole), 2, 6))
    slopes[:, [0, 1], [0, 1]] = -1.0
    slopes[:, :, level] = (known @ whole[:, level, shift]).transpose(0, 2, 1)
    rest = np.zeros((len(whole), 6))
    rest[:, level] = -np.einsum("nij,nj->ni", known, of_misfit[:, level])
    left = of_misfit + np.einsum("nij,nj->ni", whole, rest)
    information = slopes @ whole @ slopes.transpose(0, 2, 1)
    moved = np.einsum("nij,njk,nk->ni", _inverse(information), slopes, left)
    rest -= np.einsum("nik,ni->nk", slopes, moved)
    left = right + np.einsum("bnij,nj->bni", normal, rest)
    return (
        np.einsum("nki,bni->nbk", slopes, left),
        np.einsum("nki,bnij,nkj->nbk", slopes, normal, slopes),
    )


def _tiles(model: Model, which: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return the sums over each tile of some images, of what a misfit may look like.

    Returns
    -------
    normal : (tiles, n, 6, 6) array
        Weighted products of what a template answers to a shift along rows and along columns, to a
        turn, to growth, to gain and to an offset.
    right : (tiles, n, 6) array
        Their products with what the reprojection misses.
    """
    shape = model.measured.shape[1:]
    counted = counted_pixels(shape, (slice(None), slice(None)), BLURRED_MARGIN)
    rows, columns = (
        np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2) for size in shape
    )
    edges = [-(-np.arange(_TILES + 1) * size // _TILES) for size in shape]
    sums = []
    for first in range(0, len(which), AT_ONCE):
        measured, weights, reprojected = model.frames(which[first : first + AT_ONCE])
        template, misfit, counts = smooth(reprojected), measured - reprojected, weights * counted
        down, along = np.gradient(template, axis=(1, 2))
        turned = along * rows[:, None] - down * columns
        grown = along * columns + down * rows[:, None]
        answers = np.stack([down, along, turned, grown, template])
        sums.append(
            [
                _sums(*(part[..., top:bottom, left:right] for part in (answers, misfit, counts)))
                for top, bottom in pairwise(edges[0])
                for left, right in pairwise(edges[1])
            ]
        )
    normal, right = (
        np.concatenate([[tile[k] for tile in some] for some in sums], axis=1) for k in (0, 1)
    )
    return normal, right


def _sums(answers: Stack, misfit: Stack, weights: NDArray[Any]) -> tuple[Array, Array]:
    """Return the products of the answers (k, n, n_rows, n_columns) and a constant."""
    from ..images._sum_kernels import add_up

    k, n = len(answers) + 1, len(misfit)
    normal, right, rest = np.zeros((n, k, k)), np.zeros((n, k)), np.zeros((n, 2))
    add_up(
        *(np.ascontiguousarray(part) for part in (answers, misfit, weights)), normal, right, rest
    )
    return normal, right
