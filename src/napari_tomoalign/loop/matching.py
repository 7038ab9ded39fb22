"""Draw projections and register each with its reprojection: steps 5 and 6 of an iteration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._executors import on_threads
from .._typing import Array, Stack
from ..geometry.gauge import gauge_part
from ..images._pairs import Peaks
from ..images.capturing import correlate
from ..images.filtering import counted_pixels, smooth
from ..images.refining import guarded, step_change
from ..results import TRUSTED
from ..start.prepare import Start
from ..start.run import Run
from .kept import change_there
from .level import Level
from .model import Model
from .poses import Poses
from .refinement import Refined, refined_by
from .slabs import BLURRED_MARGIN

__all__ = [
    "AT_ONCE",
    "REACH",
    "Windows",
    "draw",
    "find_geometry",
    "match",
    "pull_of_held",
    "registered",
    "windows",
]

AT_ONCE = 8  # projections that are registered in one go: bounds the memory
REACH = 0.35
"""Of the image: of what lies further off, little is seen, and another place may fit as well."""

_CAREFUL = 1.0  # ridge of the pull: a mean, which goes nowhere far where few frames disagree
# By tests/benchmarks/constants.py: half and twice the first, 0.3 to 0.8 for the second, give the
# same errors; they decide about frames that do not belong to the scan.
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
) -> Peaks:
    """Crop and register each pair. Shifts in pixels of the level.

    Frames that do not fit are captured again rather than refined, and move only far, within reach,
    and onto a peak like the others'.
    """
    from ..images._threads import available_threads

    trusted = confidence[drawn] >= TRUSTED
    refine = trusted & (captured and run.parameters.gauss_newton)
    refined, others = drawn[refine], np.flatnonzero(~refine)
    shifts = np.full((len(drawn), 2), np.nan)
    peak = np.empty(len(drawn))

    def change(which: NDArray[np.intp], steps: Array) -> Array:
        if model.kept:
            return change_there(model.kept, refined[which], steps)
        return np.array(
            [
                _change(run, level, model, i, step)
                for i, step in zip(refined[which], steps, strict=True)
            ]
        )

    equations = find_geometry(run, model, confidence, captured).equations
    step = guarded(equations[refined], change)
    shifts[refine], peak[refine] = step.shifts, step.peak
    parts = [others[first : first + AT_ONCE] for first in range(0, len(others), AT_ONCE)]
    n_threads = 1 if model.kept else run.parameters.workers or available_threads()
    made = on_threads(lambda part: _capture(run, level, model, drawn[part]), parts, n_threads)
    for part, (found, top) in zip(parts, made, strict=True):
        shifts[part], peak[part] = found, top
    usual = float(np.median(peak[trusted])) if trusted.any() else 0.0
    frozen = peak < _WEAK_PEAK * usual
    size = np.array(level.geometry.projections_shape[1:])
    end = model.poses.shifts[drawn] / level.pixel + shifts
    beyond = (np.abs(end) > REACH * size).any(axis=1)
    frozen |= ~trusted & ((np.hypot(*shifts.T) < _LOST) | beyond)
    shifts[frozen & np.isfinite(shifts).all(axis=1)] = 0.0
    return Peaks(shifts, peak)


def registered(
    run: Run, start: Start, level: Level, model: Model, *, captured: bool, directions: Array
) -> Poses:
    """Return the poses after one plain step of all frames, of which none is distrusted."""
    poses, drawn = model.poses, np.flatnonzero(start.registered)
    trusted = start.usable.astype(np.float64)
    found = match(run, level, model, drawn, trusted, captured)
    step = np.zeros_like(poses.shifts)
    step[drawn] = np.nan_to_num(found.shifts * level.pixel)
    return replace(poses, shifts=poses.shifts + poses.on_detector(step) * directions)


def find_geometry(
    run: Run, model: Model, confidence: Array, captured: bool, *, sceptical: bool = True
) -> Refined:
    """Return what the images say of the geometry, as far as it is to be found; first nothing."""
    counted = confidence >= TRUSTED
    if not (captured and run.parameters.gauss_newton):
        counted = np.zeros_like(counted)
    turns = model.poses.found("in_plane")
    equations, geometry = model.sums.equations, model.geometry
    return refined_by(run, equations, geometry, turns, counted, sceptical=sceptical)


def pull_of_held(
    run: Run,
    start: Start,
    level: Level,
    model: Model,
    poses: Poses,
    confidence: Array,
    captured: bool,
) -> Array:
    """Return the part of the gauge by which the volume lies off the frames that keep their shifts.

    They cannot go to it, so all others have to come back by as much. Pixels of the full image,
    (n_angles, 2); 0 where no trusted frame keeps its shift.
    """
    pull = np.zeros((run.geometry.n_angles, 2))
    pulling = start.held & (confidence >= TRUSTED)
    held = np.flatnonzero(pulling)
    if len(held):
        found = match(run, level, model, held, confidence, captured)
        pull[held] = np.nan_to_num(found.shifts) * level.pixel
        pull = poses.on_detector(pull)
        pull = gauge_part(pull, poses.geometry.directions, pulling, ridge=_CAREFUL)
    return pull * start.directions


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
    window = level.window(run.parameters.projection_cropping, run.geometry)
    measured, shares, reprojected = model.frames(which)
    counted = counted_pixels(measured.shape[1:], window, BLURRED_MARGIN)
    unit = np.float32(np.exp2(np.round(np.log2(max(float(np.abs(measured).max()), 1e-30)))))
    images = measured / unit, smooth(reprojected) / unit, reprojected / unit
    weights = np.asarray(shares * counted, np.float32)
    measured, template, reprojected, weights = (one[:, *window] for one in (*images, weights))
    return Windows((measured, template, reprojected, weights), float(unit))


def _change(run: Run, level: Level, model: Model, i: int, step: Array) -> float:
    """Return what a long step of one projection changes of the difference, see `step_change`."""
    seen = windows(run, level, model, np.array([i]))
    measured, template, _, weights = seen.images
    workers = run.parameters.workers
    return seen.unit**2 * step_change(step, measured, template, weights, workers=workers)


def _capture(run: Run, level: Level, model: Model, which: NDArray[np.intp]) -> tuple[Array, Array]:
    """Capture some projections by cross-correlation; return shifts and peaks."""
    measured, template, _, weights = windows(run, level, model, which).images
    found = correlate(
        measured,
        template,
        weights,
        upsampling=run.parameters.upsampling,
        between=run.parameters.gauss_newton,
        normalization=run.parameters.normalization,
        workers=1,  # others are captured on the other threads
    )
    return found.shifts, found.peak
