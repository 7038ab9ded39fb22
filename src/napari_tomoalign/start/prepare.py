"""From a checked run to the place where the loop starts: frames, outline, first estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import ScanGeometry
from ..images.filtering import fill_ignored
from .estimate import estimate_shifts, mass_noise
from .frames import FrameReport, inspect_frames
from .outline import Outline, look_at_outline
from .run import Run
from .survey import Survey, blocks_of, take_survey

__all__ = ["Start", "prepare"]

_NOISY = 0.5  # pixels: a centre of mass less certain than this estimates nothing


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
        Frames that show something.
    registered : (n_angles,) array of bool
        Frames that may move: usable and not ignored by the caller.
    noise : float
        RMS of the noise over that of the data, in the usable frames.
    frame_noise : (n_angles,) array
        Standard deviation of the noise of a pixel, in each frame.
    """

    projections: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    geometry: ScanGeometry
    shifts: NDArray[np.float64]
    usable: NDArray[np.bool_]
    registered: NDArray[np.bool_]
    frames: FrameReport
    outline: Outline
    noise: float
    frame_noise: NDArray[np.float64]


def prepare(run: Run) -> Start:
    """Look at the frames and the outline, estimate shifts and centre.

    Raises
    ------
    ValueError
        No projection that could be registered shows any contrast.
    """
    projections, weights, geometry = run.projections, run.weights, run.geometry
    if weights is not None:
        projections = fill_ignored(projections, weights)
    survey = take_survey(blocks_of(projections), geometry.projections_shape)
    frames = inspect_frames(survey)
    usable = np.ones(len(projections), bool)
    usable[list(frames.blank)] = False
    registered = run.valid & usable & survey.varies
    if not registered.any():
        raise ValueError(
            "no projection that may be registered shows any contrast: are the projections blank, "
            "or is everything in ignored_subset?"
        )
    outline = look_at_outline(survey, usable)
    shifts = np.zeros((len(projections), 2))
    if run.resume is not None:
        shifts = run.resume.history[-1].shifts.copy()
        geometry = geometry.with_changes(center=run.resume.history[-1].center)
    elif run.initial_shifts is not None:
        shifts = run.initial_shifts.copy()
    elif run.parameters.initial_estimate and outline.whole and mass_noise(survey, usable) < _NOISY:
        known = None if run.moves_center else geometry.center
        estimate = estimate_shifts(survey, geometry.angles, usable, known)
        shifts = estimate.shifts * run.parameters.directions
        geometry = geometry.with_changes(center=estimate.center)
    return Start(
        projections=projections,
        weights=weights,
        geometry=geometry,
        shifts=shifts,
        usable=usable,
        registered=registered,
        frames=frames,
        outline=outline,
        noise=_noise_share(survey, usable),
        frame_noise=survey.noise,
    )


def _noise_share(survey: Survey, usable: NDArray[np.bool_]) -> float:
    """Return the RMS of the noise over that of the data."""
    n_pixels = survey.shape[1] * survey.shape[2]
    power = float(survey.power[usable].mean()) / n_pixels
    return float(survey.noise_of(usable) / np.sqrt(max(power, 1e-30)))
