"""A run that went far and explains no more there goes back to where it began.

Where nothing holds them, shifts drift: few rows, an object that lies outside the images, a sample
that changed. Such a run is not converged in any case; but what it gives must not be worse than
what it was given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._typing import Array
from ..geometry.gauge import gauge_part
from ..start.prepare import Start
from ..start.run import Run
from .evaluating import evaluate
from .level import Level
from .poses import Poses
from .standing import Standing
from .truncation import Truncation
from .verdict import out_of_reach

__all__ = ["beginnings", "best_explained"]

_WENT = 1.0  # pixels, RMS: a run that stayed as near as that has done no harm
# What is missed at the end, of what is missed at the beginning, beside noise. In the first 300
# scans of storm_foreign.py's developing set runs that end more than 0.2 px worse than they began
# reach 0.83 to 1.3 (half of those whose shifts are far: 0.75 to 0.93), 2 of 17 less; runs that
# went as far and end nearer to the truth 0.1 to 0.63.
_NO_BETTER, _NO_BETTER_FAR = 0.9, 0.7
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


def best_explained(
    run: Run,
    start: Start,
    level: Level,
    truncation: Truncation,
    poses: Poses,
    confidence: Array,
    places: Sequence[Poses],
    *,
    far: bool,
) -> Standing:
    """Stand at the poses, or of the places where they began at the best, if they explain no more.

    ``far`` says that shifts are so long that little of the images is left to contradict them.
    """
    window = level.window(run.parameters.projection_cropping, run.geometry)

    def missed(place: Poses) -> float:
        model = evaluate(run, level, truncation, place, start.usable)
        images = model.measured, model.reprojected, model.weights
        difference = power = 0.0
        for i in np.flatnonzero(start.usable):
            measured, reprojected, weights = (one[i, *window].astype(np.float64) for one in images)
            difference += float(np.sum(weights * (measured - reprojected) ** 2))
            power += float(np.sum(weights * measured**2))
        return float(np.sqrt(difference / max(power, 1e-30)))

    end, *begun = [missed(place) for place in (poses, *places)]
    noise = min(start.noise, _SURE * end)
    least = _NO_BETTER_FAR if far else _NO_BETTER
    if end**2 - noise**2 < least**2 * (min(begun) ** 2 - noise**2):
        return Standing.of(run, start, level, truncation, poses, confidence)
    best, usable = places[int(np.argmin(begun))], start.usable.astype(np.float64)
    return Standing.of(run, start, level, truncation, best, usable)
