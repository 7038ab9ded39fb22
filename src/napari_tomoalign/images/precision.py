"""How well a shift is known: the sandwich estimate of a registration's covariance.

A registration solves ``D' (measured - template) = 0``, where the columns of ``D`` say how the
template answers to a shift, to gain and to offset. What the images change by is ``J``, the same of
the model that the template was smoothed from. With ``M = D' J`` and a difference whose covariance
is ``S``, that of the solution is ``M^-1 D' S D M^-T`` (White 1980, doi 10.2307/1912934): right
whatever the template was smoothed with, where a plain ``(D' D)^-1`` is that of another measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, Stack

__all__ = ["BLOCK", "Scatter", "information_of", "scatter_from", "scatter_of"]

BLOCK = 8
"""Pixels: misfit that a rigid object does not leave is correlated over as many and more."""
_LEAST = 1e-10  # of a direction's own information: less is left where gain or offset explain it


@dataclass(frozen=True, eq=False)
class Scatter:
    """Standard errors (n, 2), row and column, pixels, under three views of what remains.

    Attributes
    ----------
    unit : array
        Of noise of standard deviation 1, independent from pixel to pixel.
    pixels : array
        Of what remains, taken for independent from pixel to pixel.
    blocks : array
        Of what remains, taken for independent only from block to block. Above ``pixels`` where
        neighbours miss alike.
    """

    unit: Array
    pixels: Array
    blocks: Array


def scatter_of(
    measured: Stack, template: Stack, model: Stack, weights: Stack, *, workers: int | None = None
) -> Scatter:
    """Return the standard errors of the shifts between images and template.

    Parameters
    ----------
    measured, template, model : (n, n_rows, n_columns) array of float32
        The images, what they are registered with, and what that was smoothed from.
    weights : array of float32
        0 (ignore) to 1.
    workers : int, optional
        Number of threads.

    Returns
    -------
    Scatter
        NaN where a direction shows nothing.
    """
    from ._precision_kernels import cross, scatter
    from ._threads import threads

    images: list[Any] = [
        np.ascontiguousarray(a, np.float32) for a in (measured, template, model, weights)
    ]
    with threads(workers):
        return scatter_from(
            cross(images[0], images[1], images[2], images[3]),
            lambda at: scatter(images[0], images[1], images[2], images[3], at, BLOCK),
            (measured.shape[1], measured.shape[2]),
        )


def scatter_from(
    sums: Array, squares_at: Callable[[Array], Array], shape: tuple[int, int]
) -> Scatter:
    """Return the standard errors from sums over pixels, wherever those were added up.

    Parameters
    ----------
    sums : (n, 4, 5) array
        Of the template's columns times the model's, and times the difference.
    squares_at : callable
        Solutions (n, 4) to outer products (n, 3, 4, 4) of the template's columns: alone, with what
        then remains of the difference, and of its sums over blocks of ``BLOCK`` pixels each way.
    shape : tuple of int
        Rows and columns of the images.
    """
    inverse, solution = _solved(sums)
    squares = squares_at(solution)
    covariance = np.einsum("nij,nvjk,nlk->nvil", inverse, squares, inverse)
    n_blocks = math.prod(-(-size // BLOCK) for size in shape)
    covariance[:, 2] *= n_blocks / max(n_blocks - 4, 1)  # four unknowns were fitted to the blocks
    diagonal = np.diagonal(covariance, axis1=2, axis2=3)[:, :, :2]
    errors = np.sqrt(np.maximum(diagonal, 0))
    return Scatter(errors[:, 0], errors[:, 1], errors[:, 2])


def information_of(
    template: Stack, model: Stack, weights: Stack, *, workers: int | None = None
) -> Array:
    """Return ``D' J`` of each shift, gain and offset projected out: (n, 2), row and column.

    Parameters
    ----------
    template, model, weights, workers
        As for `scatter_of`.
    """
    from ._precision_kernels import cross
    from ._threads import threads

    images: list[Any] = [np.ascontiguousarray(a, np.float32) for a in (template, model, weights)]
    with threads(workers):
        sums = cross(images[1], *images)[:, :, :4]  # what was measured has no part in it
    size = np.sqrt(np.maximum(np.abs(np.diagonal(sums, axis1=1, axis2=2)), 1e-30))
    scaled = sums / size[:, :, None] / size[:, None, :]
    own, level = scaled[:, :2, :2], np.linalg.pinv(scaled[:, 2:, 2:], rcond=_LEAST)
    left = own - scaled[:, :2, 2:] @ level @ scaled[:, 2:, :2]
    information: Array = np.diagonal(left, axis1=1, axis2=2) * size[:, :2] ** 2
    return information


def _solved(sums: Array) -> tuple[Array, Array]:
    """Return the inverses of ``D' J`` and the solutions; NaN in directions that show nothing."""
    n = len(sums)
    inverse, solution = np.full((n, 4, 4), np.nan), np.zeros((n, 4))
    size = np.abs(np.diagonal(sums[:, :, :4], axis1=1, axis2=2))
    # A single row, or an image of one value, has no slope: leave that direction out.
    shown = size > _LEAST * np.maximum(np.median(size, axis=0), 1e-30)
    shown[~np.isfinite(sums).all(axis=(1, 2))] = False
    for each in np.unique(shown, axis=0):
        seen, hidden = np.flatnonzero(each), np.flatnonzero(~each)
        if not len(seen):
            continue
        alike = np.flatnonzero((shown == each).all(axis=1))
        scale = np.sqrt(size[np.ix_(alike, seen)])
        both = scale[:, :, None] * scale[:, None, :]
        normal = sums[np.ix_(alike, seen, seen)] / both
        told = np.linalg.cond(normal) <= 1 / _LEAST
        alike, part = alike[told], np.linalg.inv(normal[told]) / both[told]
        inverse[np.ix_(alike, hidden)] = np.nan
        inverse[np.ix_(alike, seen, hidden)] = 0.0
        inverse[np.ix_(alike, seen, seen)] = part
        solution[np.ix_(alike, seen)] = np.einsum("nij,nj->ni", part, sums[alike][:, seen, 4])
    return inverse, solution
