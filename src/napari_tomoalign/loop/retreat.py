"""A run that went far and explains no more there goes back to where it began.

Where nothing holds them, shifts drift: few rows, an object that lies outside the images, a sample
that changed. Such a run is not converged in any case; but what it gives must not be worse than
what it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry.gauge import gauge_part
from ..results import TRUSTED
from ..start.prepare import Start
from ..start.run import Run
from .evaluating import evaluate
from .level import Level
from .model import Model
from .poses import Poses
from .standing import Standing
from .truncation import Truncation
from .verdict import out_of_reach

__all__ = ["Explained", "beginnings", "best_explained", "explains_more"]

_WENT = 0.2  # pixels, RMS: a run that stayed as near as that has done no harm
# What is missed at the end, of what is missed at the beginning, beside noise. In the first 300
# scans of storm_foreign.py's developing set, of those that are not called converged: where the
# object lies inside the images, runs that end nearer to the truth reach 0.9 (far ones 0.7), and
# those that end further from it have 0.93 to 2.7. Where it is wider than the images what lies
# outside explains much: 20 runs that end nearer have 0.06 to 0.29 (seven, mostly noise, 0.53 to
# 0.80), and 16 that end further 0.37 to 0.98 (one 0.1).
_NO_BETTER, _NO_BETTER_FAR, _NO_BETTER_WIDE = 0.9, 0.7, 0.33
# Of the pixels at the beginning: with fewer at the end, it lies as far out as where shifts are
# far. Of the same scans, those that end nearer have 0.77 and more; six below 0.7 all end further.
_LEFT = 0.7
_SURE = 0.9  # of the misfit at the end, at most, is taken for noise: of that too much may be told


def beginnings(run: Run, start: Start, poses: Poses, confidence: Array) -> tuple[Poses, ...]:
    """Return where a run began, as given and as first estimated, if it has gone far from there.

    An estimate that is out of reach itself is none to go back to.
    """
    given = run.initial_shifts
    given = np.zeros_like(start.shifts) if given is None else given
    places = [Poses(given, run.geometry, run.turns_images)]
    same = np.array_equal(given, start.shifts) and run.geometry.center == start.geometry.center
    if not same and not out_of_reach(run, start.shifts):
        places.append(Poses(start.shifts, start.geometry, run.turns_images))

    def went(place: Poses) -> bool:
        way = poses.absolute - place.absolute
        way = way - gauge_part(way, place.geometry.directions, confidence)
        return bool(np.mean(np.sum(way[start.usable] ** 2, axis=1)) > _WENT**2)

    return tuple(places) if all(went(place) for place in places) else ()


class Explained(NamedTuple):
    """How well a model explains the images where it stands.

    Attributes
    ----------
    misfit : float
        What is missed of the images (RMS), of these.
    pixels : float
        How many pixels that is told by.
    """

    misfit: float
    pixels: float

    @classmethod
    def of(cls, run: Run, level: Level, model: Model, counted: NDArray[np.bool_]) -> Explained:
        """Tell it of the frames that count."""
        window = level.window(run.parameters.projection_cropping, run.geometry)
        difference = power = pixels = 0.0
        for i in np.flatnonzero(counted):
            measured, reprojected, weights = (
                one[i, *window].astype(np.float64)
                for one in (model.measured, model.reprojected, model.weights)
            )
            difference += float(np.sum(weights * (measured - reprojected) ** 2))
            power += float(np.sum(weights * measured**2))
            pixels += float(np.sum(weights))
        return cls(float(np.sqrt(difference / max(power, 1e-30))), pixels)


def explains_more(
    ended: Explained, begun: Explained, noise: float, *, far: bool, wide: bool
) -> bool:
    """Return whether so much less is missed at the end that it was worth the way.

    Parameters
    ----------
    ended, begun : Explained
    noise : float
        Of the images (RMS), of these.
    far : bool
        Shifts are so long that others may fit as well.
    wide : bool
        The object is wider than the images.
    """
    noise = min(noise, _SURE * ended.misfit)
    far = far or ended.pixels < _LEFT * begun.pixels
    least = _NO_BETTER_WIDE if wide else _NO_BETTER_FAR if far else _NO_BETTER
    return ended.misfit**2 - noise**2 < least**2 * (begun.misfit**2 - noise**2)


def best_explained(
    run: Run,
    start: Start,
    level: Level,
    truncation: Truncation,
    poses: Poses,
    confidence: Array,
    places: Sequence[Poses],
    ended: Explained,
    *,
    far: bool,
) -> Standing:
    """Stand at the poses, or of the places where they began at the best, if they explain no more.

    ``ended`` says what they explain; ``far`` that shifts are so long that others may fit as well.
    """
    counted = start.usable & (confidence >= TRUSTED)
    begun = [
        Explained.of(run, level, evaluate(run, level, truncation, place, start.usable), counted)
        for place in places
    ]
    best = int(np.argmin([place.misfit for place in begun]))
    wide = start.outline.truncated
    if explains_more(ended, begun[best], start.noise, far=far, wide=wide):
        return Standing.of(run, start, level, truncation, poses, confidence)
    usable = start.usable.astype(np.float64)
    return Standing.of(run, start, level, truncation, places[best], usable)
