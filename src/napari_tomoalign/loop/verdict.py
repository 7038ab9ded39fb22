"""The one place that judges a run: converged means at rest, known, and fitted (SPEC section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..results import TRUSTED, IterationRecord
from ..start.prepare import Start
from ..start.run import Run
from .distortion import Distortion, measure_distortion
from .matching import REACH
from .model import Model
from .refinement import known_too_little
from .schedule import Schedule
from .truncation import Truncation

__all__ = [
    "TAKEN_BACK",
    "Verdict",
    "are_most",
    "judge",
    "out_of_reach",
    "spoilt_frames",
    "uncertainty",
]

TAKEN_BACK = "what was found explains the images no better than where the run began, which it gives"
"""Note of a record whose shifts are those that the run began with (see `retreat`)."""


# Pixels of the level: with a larger standard error (RMS), shifts are not known. The word stands for
# 0.2 px, and true errors reach 1.4 times those stated: of the 300 scans of storm_foreign.py's
# developing set, twelve rested between 0.11 and 0.147 px, all right to 0.18 px; of the next two,
# 0.148 and 0.149, one was wrong by 0.23 px and one by 0.203.
_CERTAIN = 0.14
_SMOOTH = 0.4  # of what is certain: more misfit than that is worth a reason
_POOR_FIT = 0.35  # of the data: a residual above it, beside the noise, is no good explanation
# Where little is noise, less is none either. In the developing set of storm_foreign.py residuals of
# sound scans reach 2 times the noise, and 4 % where sharp objects are seen at few angles without
# any; of three false claims they were 2.5 to 4.3 times the noise, and 4 to 12 %.
_EXPLAINED, _MISSED = 2.2, 0.035  # times the noise; of the data, beside it
_BACKGROUND = 0.35  # of what a frame misses (RMS): more in a plane is no object and no noise
_SEEN = 0.005  # of the data (RMS): a background below it does no harm
_FEW = 0.5  # of the frames: a background in more of them is the measurement's, not theirs
_DISTORTED = 0.1  # pixels at the border, RMS: a turn or a growth of less does little
_TOLD = 1.0  # pixels: known no better than that, shifts may as well be those of the beginning


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
        See `uncertainty`.
    certain : bool
        It is small enough for the shifts to count as known.
    untold : bool
        A direction that is wanted is held, for the data do not tell it.
    missed : float
        What the reprojections miss of the data beside the noise, 0 to 1.
    poor : bool
        That is too much for the object to be explained: of the data, or of the noise.
    smooth : bool
        The reprojections miss what neighbouring pixels share: no noise, and nothing rigid.
    misfit : float
        How far that carries shifts, pixels.
    spoilt : tuple of int
        Frames with a background, an offset or a ramp, that the others do not have.
    background : float
        The largest of these, RMS, of the data.
    uneven : bool
        It is in so many frames that the shifts follow it.
    far : bool
        A shift of a trusted frame is so long that it may have been beyond capture.
    distortion : Distortion
        Of the images, which no shift takes away.
    distorted : bool
        It is so much that shifts follow it.
    deep : bool
        See `Truncation`.
    vague : mapping of str to float
        Standard errors, radians, of what of the axis is known too little to be of use.
    taken_back : bool
        The shifts are those that the run began with, for it found none that explain more.
    """

    rests: bool
    tolerance: float
    uncertainty: float
    certain: bool
    untold: bool
    missed: float
    poor: bool
    smooth: bool
    misfit: float
    spoilt: tuple[int, ...]
    background: float
    uneven: bool
    far: bool
    distortion: Distortion
    distorted: bool
    deep: bool
    vague: Mapping[str, float]
    taken_back: bool

    @property
    def converged(self) -> bool:
        """The one word: at rest, known, and fitted."""
        return self.rests and self.doubt is None

    @property
    def astray(self) -> bool:
        """It may have gone astray: it does not rest, or rests where little can contradict it."""
        return self.far or self.deep or not (self.rests and self.uncertainty <= _TOLD)

    @property
    def doubt(self) -> str | None:
        """Why what was found may be wrong though it is at rest, in words; None: nothing says so."""
        if self.taken_back:
            return TAKEN_BACK
        if not np.isfinite(self.uncertainty):
            return "the shifts are not known"
        if self.poor:
            return f"the reprojections miss {self.missed:.1%} of the data"
        if not self.certain:
            return f"the shifts are known to {self.uncertainty:.2g} px only (RMS)"
        if self.untold:
            return "vertical shifts cannot be told and are left as they were"
        if self.deep:
            return "much of the object lies outside the images"
        if self.distorted:
            return "the images are distorted"
        if self.smooth:
            return "what the reprojections miss is no noise"
        if self.uneven:
            return "each image has another background"
        for name, error in self.vague.items():
            return f"{name} is known to {np.rad2deg(error):.2g} degrees only"
        return "shifts are so long that others may fit as well" if self.far else None


def judge(
    run: Run,
    start: Start,
    truncation: Truncation,
    schedule: Schedule,
    model: Model,
    record: IterationRecord,
    misfit: float,
) -> Verdict:
    """Judge a run by its last record, the model of it, and the misfit in it (see `Known`)."""
    certain = _CERTAIN * record.binning
    error = uncertainty(start, record.standard_error, record.confidence)
    missed = float(np.sqrt(max(record.residual**2 - start.noise**2, 0.0)))
    trusted = record.confidence >= TRUSTED
    spoilt, background = _spoilt(model, trusted)
    distortion = measure_distortion(model, start.registered & trusted)
    strain = np.hypot(distortion.turn, distortion.growth / 2)
    return Verdict(
        rests=schedule.rests,
        tolerance=schedule.tolerance,
        uncertainty=error,
        certain=error <= certain,
        untold=bool((start.directions < run.parameters.directions).any()),
        missed=missed,
        poor=missed > (_POOR_FIT if record.residual < _EXPLAINED * start.noise else _MISSED),
        smooth=misfit > _SMOOTH * certain,
        misfit=misfit,
        spoilt=tuple(int(i) for i in np.flatnonzero(spoilt)),
        background=background,
        uneven=are_most(spoilt, trusted),
        far=out_of_reach(run, record.shifts[trusted]),
        distortion=distortion,
        distorted=bool(strain * run.geometry.n_columns / 2 > _DISTORTED),
        deep=truncation.deep,
        vague=known_too_little(record.geometry, record.geometry_error, run.geometry),
        taken_back=TAKEN_BACK in record.notes,
    )


def out_of_reach(run: Run, shifts: Array) -> bool:
    """Return whether a shift is so long that it may be beyond capture."""
    size = np.array([run.geometry.n_rows, run.geometry.n_columns])
    far = (np.abs(shifts).max(axis=0, initial=0.0) > REACH * size) & (run.parameters.directions > 0)
    return bool(far.any())


def spoilt_frames(model: Model, trusted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which frames have a background, an offset or a ramp, that the others do not have."""
    return _spoilt(model, trusted)[0]


def are_most(some: NDArray[np.bool_], trusted: NDArray[np.bool_]) -> bool:
    """Return whether a background in these frames is the measurement's rather than theirs."""
    return bool(np.count_nonzero(some) > _FEW * np.count_nonzero(trusted))


def _spoilt(model: Model, trusted: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
    """Return the frames with a background of their own, and the largest of these (RMS)."""
    if not trusted.any():
        return trusted, 0.0
    planes = model.backgrounds(trusted)
    usual = max(float(np.median(model.sums.power[trusted])), 1e-30)
    spoilt = trusted & (planes > _BACKGROUND**2 * model.sums.difference)
    spoilt &= planes > _SEEN**2 * usual
    return spoilt, float(np.sqrt(planes[spoilt].max(initial=0.0) / usual))


def uncertainty(start: Start, errors: Array, confidence: Array) -> float:
    """Return the standard error of a shift, RMS over the frames that count, in pixels.

    Over the directions in which frames move; what cannot be told (NaN) is left out. Infinite where
    nothing can be told.
    """
    counted = start.registered & (confidence >= TRUSTED)
    known = np.isfinite(errors[counted]) & (start.directions > 0)
    if not known.any():
        return np.inf
    squares = np.sum(errors[counted] ** 2, axis=0, where=known)
    return float(np.sqrt((squares / np.maximum(known.sum(axis=0), 1)).sum()))
