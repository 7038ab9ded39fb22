"""Whether the object lies inside the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .survey import Survey, border_width

__all__ = [
    "WOBBLE",
    "Outline",
    "look_at_outline",
    "rows_inside",
    "rows_leaving",
    "thickness",
]

# ``tests/benchmarks/constants.py start.outline x0.5,x2 --foreign 5``: these decide. Twice `_EDGE`,
# or half or twice `_CLEAR`, lets a scan that is wrong by 0.5 px call itself converged.
_EDGE = 0.08  # of the mean absorbance: a border above this is no background
_CLEAR = 0.015  # of the object's absorbance: sides that stay below it on average are background
# Standard errors of a border's mean in one row of one frame: noise is as large in one of 3 million.
_CERTAIN = 5.0
_SOME = 1e-3  # of the rows of all frames: a corner that leaves one frame in ten has 0.03
WOBBLE = 0.05  # relative spread of the projected mass: more, and mass means nothing


@dataclass(frozen=True)
class Outline:
    """Whether the object lies inside every image.

    Attributes
    ----------
    sides, ends : float
        Absorbance along the left and right borders, and along the top and bottom ones, in the
        median frame, relative to the mean of all frames; less what noise may have added.
    mass_spread : float
        Standard deviation over mean of the projected mass.
    half : {"", "left", "right"}
        The one side on which the object leaves the usual frame: the axis lies near that border.
    grazes : bool
        The object reaches the side borders in some frames: it is seen to leave there, or a shift
        brings it there.
    """

    sides: float
    ends: float
    mass_spread: float
    half: str = ""
    grazes: bool = False

    @property
    def truncated(self) -> bool:
        """The object is wider than the images."""
        return self.sides > _EDGE

    @property
    def taller(self) -> bool:
        """The object goes on beyond the first row, or the last."""
        return self.ends > _EDGE

    @property
    def whole(self) -> bool:
        """Every projection holds the whole object, so that its mass and centre mean something."""
        return max(self.sides, self.ends) < _EDGE and self.mass_spread < WOBBLE


def look_at_outline(survey: Survey, used: NDArray[np.bool_]) -> Outline:
    """Measure how much of the object reaches the borders of the images.

    Parameters
    ----------
    survey : Survey
        Of line integrals, background at 0.
    used : (n_angles,) array of bool
        Frames that count.
    """
    n_rows, n_columns = survey.shape[1:]
    width = border_width(n_columns)
    height = min(width, n_rows)
    noise = 2 * survey.noise_of(used) / np.sqrt(used.sum())  # two standard errors

    def border(means: tuple[NDArray[np.float64], ...], n_pixels: int) -> float:
        # The median, so that frames that jitter out of the field do not speak for the others.
        return float(max(np.median(one[used]) for one in means) - noise / np.sqrt(n_pixels))

    left, _, _, right = survey.strips.mean(axis=2).T
    top, bottom = survey.mass[:, :height], survey.mass[:, -height:]
    ends = top.mean(axis=1) / n_columns, bottom.mean(axis=1) / n_columns
    sides = [border((side,), width * n_rows) for side in (left, right)]
    mass = survey.mass[used].sum(axis=1)
    mean = max(float(mass.mean()) / (n_rows * n_columns), 1e-30)
    return Outline(
        sides=max(sides) / mean,
        ends=border(ends, height * n_columns) / mean,
        mass_spread=float(mass.std() / max(abs(mass.mean()), 1e-30)),
        half=_half(sides[0] / mean, sides[1] / mean),
        grazes=_grazes(survey, used, mean),
    )


def _grazes(survey: Survey, used: NDArray[np.bool_], mean: float) -> bool:
    borders = survey.strips[used][:, [0, 3]]
    noise = survey.noise[used, None, None] / np.sqrt(border_width(survey.shape[2]))
    return bool(np.mean(borders > np.maximum(_CERTAIN * noise, _EDGE * mean)) > _SOME)


def _half(left: float, right: float) -> str:
    if min(left, right) > _EDGE or max(left, right) < _EDGE:
        return ""
    return "left" if left > right else "right"


def thickness(projections: NDArray[np.float32]) -> float:
    """Return the absorbance where the object is thick: that of the pixel in ten with the most."""
    return max(float(np.percentile(projections[:, ::2, ::2], 90)), 1e-30)


def rows_inside(
    projections: NDArray[np.float32], weights: NDArray[np.generic], thick: float
) -> NDArray[np.bool_]:
    """Tell the rows whose object lies inside every image from those where it leaves it.

    Parameters
    ----------
    projections, weights : (n_angles, n_rows, n_columns) array
        Aligned line integrals, background at 0, and their weights.
    thick : float
        See `thickness`; of the whole scan, for a row tells nothing about the others.

    Returns
    -------
    (n_rows,) array of bool
    """
    inside = np.ones(projections.shape[1], bool)
    for mass, pixels in _at_sides(projections, weights):
        inside &= mass.sum(axis=0) <= _CLEAR * thick * pixels.sum(axis=0)
    return inside


def rows_leaving(
    projections: NDArray[np.float32],
    weights: NDArray[np.generic],
    thick: float,
    noise: float,
) -> NDArray[np.bool_]:
    """Tell the rows whose object leaves the images at the sides, if only in a single one.

    Parameters
    ----------
    projections, weights, thick
        As for `rows_inside`.
    noise : float
        Standard deviation of a pixel's noise.

    Returns
    -------
    (n_rows,) array of bool
    """
    leaving = np.zeros(projections.shape[1], bool)
    for mass, pixels in _at_sides(projections, weights):
        least = np.maximum(_CERTAIN * noise * np.sqrt(pixels), _EDGE * thick * pixels)
        leaving |= ((mass > least) & (pixels > 1)).any(axis=0)
    return leaving


def _at_sides(
    projections: NDArray[np.float32], weights: NDArray[np.generic]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield mass and weight of the two outermost columns of either side, (n_angles, n_rows)."""
    for side in (slice(None, 2), slice(-2, None)):
        weight = weights[:, :, side].astype(np.float64)
        yield np.sum(weight * projections[:, :, side], axis=2), weight.sum(axis=2)
