"""The one place that judges a run: converged means at rest, known, and fitted (SPEC section 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._typing import Array
from ..results import TRUSTED, IterationRecord
from ..start.prepare import Start
from ..start.run import Run
from .schedule import Schedule
from .truncation import Truncation

__all__ = ["Verdict", "judge", "uncertainty"]

_CERTAIN = 0.11  # pixels of the level: with a larger standard error (RMS), shifts are not known
_SMOOTH = 0.5  # of what is certain: more misfit than that is worth a reason
_POOR_FIT = 0.35  # of the data: a residual above it, beside the noise, is no good explanation


@dataclass(frozen=True)
class Verdict:
    """What may be said of a run.

    Attributes
    ----------
    rests : bool
        The stop rule is met.
    tolerance : float
        Pixels: what moves had to stay below for that.
    uncertainty : float
        Standard error of a shift, RMS, pixels; infinite where nothing can be told.
    certain : bool
        It is small enough for the shifts to count as known.
    missed : float
        What the reprojections miss of the data beside the noise, 0 to 1.
    poor : bool
        That is too much for the object to be explained.
    smooth : bool
        The reprojections miss what neighbouring pixels share: no noise, and nothing rigid.
    misfit : float
        How far that carries shifts, pixels.
    overfits : bool
        The images, at full size, are explained better than their noise allows.
    """

    rests: bool
    tolerance: float
    uncertainty: float
    certain: bool
    missed: float
    poor: bool
    smooth: bool
    misfit: float
    overfits: bool

    @property
    def converged(self) -> bool:
        """The one word: at rest, known, and fitted."""
        return self.rests and self.certain and not self.poor and not self.overfits


def judge(
    run: Run,
    start: Start,
    truncation: Truncation,
    schedule: Schedule,
    record: IterationRecord,
    misfit: float,
) -> Verdict:
    """Judge a run by its last record, and by the misfit in it (see `Known`)."""
    certain = _CERTAIN * record.binning
    error = uncertainty(run, start, record.standard_error, record.confidence)
    missed = float(np.sqrt(max(record.residual**2 - start.noise**2, 0.0)))
    return Verdict(
        rests=schedule.rests,
        tolerance=schedule.tolerance,
        uncertainty=error,
        certain=error <= certain,
        missed=missed,
        poor=missed > _POOR_FIT,
        smooth=misfit > _SMOOTH * certain,
        misfit=misfit,
        overfits=record.binning == 1 and record.residual < truncation.least_residual,
    )


def uncertainty(run: Run, start: Start, errors: Array, confidence: Array) -> float:
    """Return the standard error of a shift, RMS over the frames that count, in pixels.

    Over the enabled directions; what cannot be told (NaN) is left out. Infinite where nothing can
    be told, and where a direction that is wanted is held.
    """
    if (start.directions < run.parameters.directions).any():
        return np.inf
    counted = start.registered & (confidence >= TRUSTED)
    known = np.isfinite(errors[counted]) & (run.parameters.directions > 0)
    if not known.any():
        return np.inf
    squares = np.sum(errors[counted] ** 2, axis=0, where=known)
    return float(np.sqrt((squares / np.maximum(known.sum(axis=0), 1)).sum()))
