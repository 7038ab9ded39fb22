"""From a checked run to the place where the loop starts: frames, outline, first estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..findings import Finding
from ..geometry import ScanGeometry
from ..geometry.gauge import gauge_part
from ..images.filtering import fill_ignored
from ..results import TRUSTED
from .borders import Borders, look_at_borders
from .detector import Detector, look_at_detector
from .estimate import Estimate, estimate_from_mass, estimate_shifts
from .frames import FrameReport, inspect_frames
from .measurement import Measurement, gains_of, measurement_of
from .outline import Outline, look_at_outline
from .run import Run
from .survey import Survey, blocks_of, take_survey

__all__ = ["Start", "prepare"]

_NOISY = 0.5  # pixels: of shifts less certain than this, one in ten was in a wrong minimum
_UNKNOWN = 10.0  # pixels: larger standard errors come of dividing by almost nothing
_WOBBLE = 0.05  # relative spread of the projected mass: more, and its centre means nothing


@dataclass(frozen=True, eq=False)
class Start:
    """What the loop starts from.

    Attributes
    ----------
    projections : (n_angles, n_rows, n_columns) array of float32
        Ignored pixels filled from their surroundings.
    geometry : ScanGeometry
        With the centre of the first estimate.
    shifts : (n_angles, 2) array
        First estimate, pixels.
    usable : (n_angles,) array of bool
        Frames that show something and are not excluded by the caller.
    registered, held : (n_angles,) array of bool
        Frames that may move: usable and not ignored by the caller; and the ignored ones.
    noise : float
        RMS of the noise over that of the data, in the usable frames.
    frame_noise : (n_angles,) array
        Standard deviation of the noise of a pixel, in each frame.
    directions : (2,) array
        1 for each direction (row, column) in which frames move, 0 for those that the caller has
        switched off, and for those that the data cannot tell: frames are held there.
    notes : tuple of Finding
        What the caller should know of it.
    measurement : Measurement
        What was taken out of the images to make them projections.
    borders : Borders
        What the borders of the images showed before that.
    detector : Detector
        What is suspected of the detector beyond that.
    """

    projections: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    geometry: ScanGeometry
    shifts: NDArray[np.float64]
    usable: NDArray[np.bool_]
    registered: NDArray[np.bool_]
    held: NDArray[np.bool_]
    frames: FrameReport
    outline: Outline
    noise: float
    frame_noise: NDArray[np.float64]
    directions: NDArray[np.float64]
    notes: tuple[Finding, ...]
    measurement: Measurement
    borders: Borders
    detector: Detector

    def taking_part(self, confidence: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which frames are reconstructed: the trusted ones, and the ignored ones anyway."""
        return (confidence >= TRUSTED) | self.held


@dataclass(frozen=True, eq=False)
class _Seen:
    projections: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    survey: Survey


def prepare(run: Run) -> Start:
    """Look at the frames and the outline, estimate shifts and centre.

    Raises
    ------
    ValueError
        No projection that could be registered shows any contrast.
    """
    geometry, weights = run.geometry, run.weights
    images = run.projections if weights is None else fill_ignored(run.projections, weights)
    survey = take_survey(blocks_of(images), geometry.projections_shape)
    frames = inspect_frames(survey).without(run.excluded)
    usable = ~run.excluded
    usable[list(frames.blank)] = False
    registered = run.valid & usable & survey.varies
    if not registered.any():
        raise ValueError(
            "no projection that may be registered shows any contrast: are the projections blank, "
            "or is everything else in ignored_subset or excluded_subset?"
        )
    seen = _Seen(images, weights, survey)
    seen, measurement, borders, said = _measured(run, seen, usable)
    projections, weights, survey = seen.projections, seen.weights, seen.survey
    outline = look_at_outline(survey, usable)
    estimate = _first_estimate(run, survey, usable)
    directions, few = _directions(run, outline, estimate)
    shifts = np.zeros((len(projections), 2))
    if run.resume is not None:
        shifts = run.resume.history[-1].shifts.copy()
        geometry = geometry.with_changes(center=run.resume.history[-1].center)
    elif run.initial_shifts is not None:
        shifts = run.initial_shifts.copy()
    elif run.parameters.initial_estimate and not outline.truncated:
        held = gauge_part(estimate.shifts, geometry.directions, run.held)
        shifts = (estimate.shifts - held * run.held.any()) * directions
        shifts[run.held | run.excluded] = 0.0
        geometry = geometry.with_changes(center=estimate.center)
    return Start(
        projections=projections,
        weights=weights,
        geometry=geometry,
        shifts=shifts,
        usable=usable,
        registered=registered,
        held=run.held,
        frames=frames,
        outline=outline,
        noise=_noise_share(survey, usable),
        frame_noise=survey.noise,
        directions=directions,
        notes=said + few,
        measurement=measurement,
        borders=borders,
        detector=look_at_detector(survey, usable, measurement.stuck),
    )


def _measured(
    run: Run, seen: _Seen, usable: NDArray[np.bool_]
) -> tuple[_Seen, Measurement, Borders, tuple[Finding, ...]]:
    """Take out of the images what is no projection; look at them anew where they have changed."""
    borders = look_at_borders(seen.survey, usable)
    measurement, notes = measurement_of(run.parameters, seen.survey, borders, usable)
    shape = seen.survey.shape
    images, weights = seen.projections, measurement.weights(seen.weights, shape)
    if weights is not None and measurement.stuck.any():
        images = fill_ignored(images, weights)

    def look() -> _Seen:
        projections = measurement.projections(images)
        if projections is seen.projections:
            return seen
        return _Seen(projections, weights, take_survey(blocks_of(projections), shape))

    after = look()
    gains, said = gains_of(run.parameters, after.survey, usable)
    if said:
        measurement = replace(measurement, gains=gains)
        after = look()
    return after, measurement, borders, notes + said


def _first_estimate(run: Run, survey: Survey, usable: NDArray[np.bool_]) -> Estimate:
    """Return the estimate of the shifts and the centre, without what it does not know."""
    known = None if run.moves_center else run.geometry.center
    vertical, angles = run.parameters.align_vertical, run.geometry.angles
    own_rows = run.geometry.has_vertical_axis
    if own_rows:
        estimate = estimate_shifts(survey, angles, usable, known, vertical=vertical)
    else:
        estimate = estimate_from_mass(survey, run.geometry, usable, known)
    error = estimate.standard_error
    if (
        own_rows and vertical and not error[0] < _NOISY
    ):  # the rows that all frames share are not known, then
        other = estimate_shifts(survey, angles, usable, known, vertical=False)
        estimate = replace(other, standard_error=np.array([error[0], other.standard_error[1]]))
    tells = estimate.standard_error < _NOISY
    tells[1] &= estimate.mass_spread < _WOBBLE
    center = estimate.center if tells[1] else run.geometry.center
    return replace(estimate, shifts=estimate.shifts * tells, center=center)


def _directions(
    run: Run, outline: Outline, estimate: Estimate
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """Return in which directions frames move, and why they do not where they should.

    An object that goes on beyond the rows, of which few are seen, or which is the same in all of
    them, looks the same wherever they lie.
    """
    directions = run.parameters.directions
    error = float(estimate.standard_error[0])
    if not (directions[0] and outline.taller) or error < _NOISY:
        return directions, ()
    known = f"would be known to {error:.2g} px only" if error < _UNKNOWN else "cannot be told"
    note = Finding(
        "few rows",
        f"vertical shifts {known}, from {run.geometry.n_rows} rows of an object that "
        "goes on beyond them, and are left as they were: take more rows, or rows with features",
    )
    return directions * [0.0, 1.0], (note,)


def _noise_share(survey: Survey, usable: NDArray[np.bool_]) -> float:
    """Return the RMS of the noise over that of the data."""
    n_pixels = survey.shape[1] * survey.shape[2]
    power = float(survey.power[usable].mean()) / n_pixels
    return float(survey.noise_of(usable) / np.sqrt(max(power, 1e-30)))
