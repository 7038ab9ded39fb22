"""Draw projections and register each with its reprojection: steps 5 and 6 of an iteration."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..images._pairs import Registration
from ..images.capturing import correlate
from ..images.filtering import inside_margin, smooth
from ..images.refining import gauss_newton
from ..results import TRUSTED
from ..start.prepare import Start
from ..start.run import Run
from .level import Level
from .model import Model

__all__ = ["AT_ONCE", "Windows", "draw", "match", "windows"]

AT_ONCE = 8  # projections that are registered in one go: bounds the memory

_TEMPLATE_BLUR = 0.8  # pixels: reprojections are smoothed by it, for their noise is the data's own
_BLURRED_MARGIN = 2  # pixels along the borders where the smoothing lacks its surroundings
_LOST = 0.5  # pixels of the level: a frame that does not fit moves only if it was this far off
_WEAK_PEAK = 0.6  # of the median correlation: a frame below has not earned the trust to move


def draw(run: Run, start: Start, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw the projections of this iteration, without replacement."""
    candidates = np.flatnonzero(start.registered)
    share = run.parameters.relative_sample_size
    if share >= 1:
        return candidates
    count = int(np.ceil(len(candidates) * share - 1e-9))
    return np.sort(rng.choice(candidates, size=count, replace=False))


def match(
    run: Run,
    level: Level,
    model: Model,
    drawn: NDArray[np.intp],
    confidence: Array,
    captured: bool,
) -> Registration:
    """Crop and register each pair. Shifts in pixels of the level.

    Frames that do not fit are captured again rather than refined, and move only far, and onto a
    peak like the others'.
    """
    trusted = confidence[drawn] >= TRUSTED
    refined = trusted & (captured and run.parameters.gauss_newton)
    shifts, error = np.empty((2, len(drawn), 2))
    peak = np.empty(len(drawn))
    for refine in (True, False):
        group = np.flatnonzero(refined == refine)
        for first in range(0, len(group), AT_ONCE):
            part = group[first : first + AT_ONCE]
            found = _match_pairs(run, level, model, drawn[part], refine)
            shifts[part], peak[part], error[part] = astuple(found)
    usual = float(np.median(peak[trusted])) if trusted.any() else 0.0
    frozen = peak < _WEAK_PEAK * usual
    frozen |= ~trusted & (np.hypot(*shifts.T) < _LOST)
    shifts[frozen & np.isfinite(shifts).all(axis=1)] = 0.0
    return Registration(shifts, peak, error)


@dataclass(frozen=True, eq=False)
class Windows:
    """Some projections, cropped, in units in which they are near 1.

    Attributes
    ----------
    images : tuple of (n, n_rows, n_columns) array of float32
        What was measured; the templates that it is registered with, which are the reprojections,
        smoothed; the reprojections; the weights.
    unit : float
        Of the data: a power of two, so that sums of fourth powers stay in float32's range.
    """

    images: tuple[Stack, Stack, Stack, Stack]
    unit: float


def windows(run: Run, level: Level, model: Model, which: NDArray[np.intp]) -> Windows:
    """Crop some projections and smooth what they are registered with."""
    rows, columns = level.window(run.parameters.projection_cropping, run.geometry)
    measured = model.measured[which, rows, columns]
    reprojected = model.reprojected[which, rows, columns]
    template = smooth(reprojected, _TEMPLATE_BLUR)
    weights = inside_margin(model.weights[which, rows, columns], _BLURRED_MARGIN)
    unit = np.float32(np.exp2(np.round(np.log2(max(float(np.abs(measured).max()), 1e-30)))))
    return Windows((measured / unit, template / unit, reprojected / unit, weights), float(unit))


def _match_pairs(
    run: Run, level: Level, model: Model, which: NDArray[np.intp], refine: bool
) -> Registration:
    """Refine or capture the shifts of some projections."""
    parameters = run.parameters
    measured, template, _, weights = windows(run, level, model, which).images
    if refine:
        return gauss_newton(measured, template, weights, workers=parameters.workers)
    return correlate(
        measured,
        template,
        weights,
        upsampling=parameters.upsampling,
        normalization=parameters.normalization,
        workers=parameters.workers,
    )
