"""How well the geometry is known, by what makes shifts less certain than least squares say.

A template that was smoothed, misfit that is no noise, a reconstruction that follows: all of it
makes the standard errors of shifts larger than those of the least squares, and those of turns as
much. At the end each unknown is displaced, and what share of that an iteration finds is told by one
evaluation, as `second_look` does for shifts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .._typing import Array
from ..parameters import OF_SCAN
from ..results import TRUSTED, IterationRecord
from ..start.prepare import Start
from ..start.run import Run
from .level import Level
from .matching import find_geometry
from .model import Model
from .refinement import Refined, in_pixels, lever
from .standard_errors import Known
from .standing import Standing
from .verdict import uncertainty
from .whole_steps import LEAST, PROBE, ask_axis

__all__ = ["geometry_errors", "known_to", "widened_by_shares"]


def known_to(run: Run, start: Start, record: IterationRecord) -> float:
    """Return how well shifts and geometry are known, pixels (RMS): the worse of them."""
    shifts = uncertainty(start, record.standard_error, record.confidence)
    return max(shifts, in_pixels(record.geometry_error, run.geometry))


def geometry_errors(
    run: Run, level: Level, model: Model, known: Known, confidence: Array
) -> Mapping[str, Array]:
    """Return the standard errors, radians, of what is unknown of a model's geometry."""
    if not run.parameters.unknowns:
        return {}
    found = find_geometry(run, model, confidence, True)
    factor = _beyond_least_squares(found, level, known)
    return {name: np.asarray(error * factor) for name, error in found.errors.items()}


def _beyond_least_squares(found: Refined, level: Level, known: Known) -> float:
    """Return how many times those of least squares the standard errors of shifts are."""
    plain = found.equations.solve()[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = known.errors / level.pixel / plain
    ratio = ratio[np.isfinite(ratio)]
    return float(np.median(ratio)) if len(ratio) else np.nan


def widened_by_shares(at: Standing, known: Known) -> Mapping[str, Array]:
    """Return the errors with what a known object's do not hold: ``1 / share`` of the variance."""
    run, poses, confidence = at.run, at.poses, at.confidence
    if not run.parameters.unknowns:
        return {}
    before = find_geometry(run, at.model, confidence, True)
    factor = _beyond_least_squares(before, at.level, known)
    wide = {name: np.asarray(error * factor) for name, error in before.errors.items()}
    counted = confidence >= TRUSTED
    up = np.where(np.arange(len(counted)) % 2 == 0, 1.0, -1.0)
    for name, error in wide.items():
        if name in OF_SCAN:
            continue
        step = up * counted * PROBE / lever(poses.geometry)
        displaced = poses.with_geometry({name: poses.found(name) + step})
        moves = find_geometry(run, at.evaluated(displaced), confidence, True).moves
        back = np.vdot(before.moves[name] - moves[name], step) / np.vdot(step, step)
        wide[name] = np.asarray(error / np.sqrt(np.clip(back, LEAST, 1.0)))
    response = ask_axis(run, at.start, at.level, at.truncation, poses, confidence, before)
    return wide | {name: np.array(error * factor) for name, error in response.widened().items()}
