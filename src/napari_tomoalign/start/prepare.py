"""From a checked run to the place where the loop starts: frames, outline, first estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..findings import Finding
from ..geometry import ScanGeometry
from ..geometry.gauge import gauge_part
from ..images.source import Source, as_source
from ..results import TRUSTED, Measured
from .borders import Borders, look_at_borders
from .detector import Detector, look_at_detector
from .estimate import Estimate, estimate_from_mass, estimate_shifts
from .frames import FrameReport, inspect_frames
from .held import coarser_ones, finest_held, limits, memory_for_slabs, rows_at
from .levels import Binned, Binning, FullSize
from .looking import Seen, look
from .measurement import Measurement, gains_of, measurement_of, stuck_of
from .opposite import axis_from_opposite, opposite_pairs
from .outline import WOBBLE, Outline, look_at_outline, thickness
from .run import Run
from .survey import Survey

__all__ = ["Start", "prepare"]

_NOISY = 0.5  # pixels: of shifts less certain than this, one in ten was in a wrong minimum
_FAINT = 1e-16  # of contrast: below, squares of a thousandth of it leave single precision, 1e-38
# Half acquisitions of a pillar (foreign.py) with 8 rows are wrong by 0.4 px, and by 2.6 if held;
# with 48 rows by 0.04, and by 2.5.
_ENOUGH_ROWS = 8
_UNKNOWN = 10.0  # pixels: larger standard errors come of dividing by almost nothing


@dataclass(frozen=True, eq=False)
class Start:
    """What the loop starts from.

    Attributes
    ----------
    images : Binned
        As finely as the memory holds them.
    for_slabs : int
        Bytes that there are for slabs of rows of finer levels; 0: there are no finer ones.
    folder : Path, optional
        Where what does not fit in the memory may be written. None: among temporary files.
    full : Measured
        The same at full size, to be read piece by piece.
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

    images: Binned
    for_slabs: int
    folder: Path | None
    full: Measured
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

    @property
    def binning(self) -> Binning:
        """Of rows and columns: the finest that the memory holds."""
        return self.images.finest

    @cached_property
    def thick(self) -> float:
        """Absorbance where the object is thick: of the coarsest images that are kept."""
        return thickness(self.images.at(self.images.coarsest)[0])

    @property
    def projections(self) -> Stack:
        """The finest images that the memory holds, ignored pixels filled from around them."""
        return self.images.at(self.binning)[0]

    @property
    def weights(self) -> Stack | None:
        """Of those, 0 (ignore) to 1; None: all 1."""
        return self.images.at(self.binning)[1]

    @property
    def usual_noise(self) -> float:
        """Standard deviation of a pixel's noise in the usual frame."""
        return float(np.median(self.frame_noise[self.usable]))

    def taking_part(self, confidence: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which frames are reconstructed: the trusted ones, and the ignored ones anyway."""
        return (confidence >= TRUSTED) | self.held


def prepare(run: Run, *, planes: Array | None = None) -> Start:
    """Look at the frames and the outline, estimate shifts and centre.

    Parameters
    ----------
    run : Run
    planes : (n_angles, 3) array, optional
        Each frame's background (see `Measurement`), where it is known by other means than the
        borders.

    Raises
    ------
    ValueError
        No projection that could be registered shows any contrast; values that cannot be aligned;
        a memory that holds no level.
    """
    geometry = run.geometry
    finest, why = finest_held(run)
    binning = (rows_at(run, finest), finest)
    kept = coarser_ones(run, binning)
    seen = look(run.lines, binning, kept, Measurement.plain(run.lines.shape), run.excluded)
    survey = seen.survey
    frames = inspect_frames(survey).without(run.excluded)
    usable = ~run.excluded
    usable[list(frames.blank)] = False
    registered = run.valid & usable & survey.varies
    if not registered.any():
        raise ValueError(
            "no projection that may be registered shows any contrast: are the projections blank, "
            "or is everything else in ignored_subset or excluded_subset?"
        )
    contrast = float(np.median(survey.contrast[registered]))
    if contrast < _FAINT:
        raise ValueError(
            f"projections vary by {contrast:.3g} only, and squares of that are less than single "
            "precision holds: multiply them"
        )
    few_dark = seen.notes
    seen, measurement, borders, said = _measured(run, binning, kept, seen, usable, planes)
    survey = seen.survey
    outline = look_at_outline(survey, usable)
    # What lies outside the images is known on the finest level only: by slabs it takes hours.
    for_slabs = 0 if outline.truncated else memory_for_slabs(run, finest)
    estimate = _first_estimate(run, survey, usable)
    directions, few = _directions(run, outline, estimate)
    shifts = np.zeros((geometry.n_angles, 2))
    if run.initial_shifts is not None:
        shifts = run.initial_shifts.copy()
    elif run.parameters.initial_estimate and not outline.truncated:
        held = gauge_part(estimate.shifts, geometry.directions, run.held)
        shifts = (estimate.shifts - held * run.held.any()) * directions
        shifts[run.held | run.excluded] = 0.0
        geometry = geometry.with_changes(center=estimate.center)
    elif run.parameters.initial_estimate and outline.half and run.moves_center:
        center = _center_of_halves(run, seen.images.at(binning)[0], outline, usable)
        geometry = geometry.with_changes(center=geometry.center if center is None else center)
    return Start(
        images=seen.images,
        for_slabs=for_slabs,
        folder=run.folder,
        full=_full(run, seen.images, measurement),
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
        notes=few_dark + said + few + limits(finest, why, by_slabs=for_slabs > 0),
        measurement=measurement,
        borders=borders,
        detector=look_at_detector(survey, usable, measurement.stuck),
    )


def _measured(
    run: Run,
    binning: Binning,
    kept: Sequence[Binning],
    seen: Seen,
    usable: NDArray[np.bool_],
    planes: Array | None,
) -> tuple[Seen, Measurement, Borders, tuple[Finding, ...]]:
    """Take out of the images what is no projection; look at them anew where they have changed.

    Stuck pixels first: one column of them at a border outweighs all else that is seen there.
    """
    stuck, notes = stuck_of(seen.survey, usable)
    if stuck.any():
        measurement = replace(Measurement.plain(run.lines.shape), stuck=stuck)
        del seen  # make room for what takes its place
        seen = look(run.lines, binning, kept, measurement, run.excluded)
    borders = look_at_borders(seen.survey, usable)
    measurement, said = measurement_of(run.parameters, seen.survey, borders, usable, stuck, planes)
    notes += said
    if measurement.changes:
        del seen
        seen = look(run.lines, binning, kept, measurement, run.excluded)
    gains, said = gains_of(run.parameters, seen.survey, usable)
    if said:
        measurement = replace(measurement, gains=gains)
        seen = look(run.lines, binning, kept, measurement, run.excluded)
    return seen, measurement, borders, notes + said


def _full(run: Run, images: Binned, measurement: Measurement) -> Measured:
    """Return what is aligned at full size: as it is held, or to be read anew."""
    projections: Source = FullSize(run.lines, measurement)
    weights: Source | None = FullSize(run.lines, measurement, as_weights=True)
    if images.finest == (1, 1) and images.held:
        given, shares = images.at((1, 1))
        projections, weights = as_source(given), None if shares is None else as_source(shares)
    elif not images.weighs:
        weights = None
    return Measured(projections, weights, measurement.sign)


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
    tells[1] &= estimate.mass_spread < WOBBLE
    center = estimate.center if tells[1] else run.geometry.center
    return replace(estimate, shifts=estimate.shifts * tells, center=center)


def _center_of_halves(
    run: Run, projections: NDArray[np.float32], outline: Outline, usable: NDArray[np.bool_]
) -> float | None:
    """Return the column of the axis where images show half of the object; None: not told."""
    pairs = opposite_pairs(run.geometry.angles, usable)
    if not run.geometry.has_vertical_axis or 4 * len(pairs) < np.count_nonzero(usable):
        return None
    size = run.geometry.n_columns // projections.shape[2]
    found = axis_from_opposite(projections, pairs, left=outline.half == "left")
    return float(size * found + (size - 1) / 2)


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
    if outline.half and run.geometry.n_rows >= _ENOUGH_ROWS:
        return directions, ()  # halves have other profiles each, which say nothing of the rows
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
