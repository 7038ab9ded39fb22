"""From registered shifts to the shifts of the next iteration: steps 7 to 12."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry import ScanGeometry
from ..geometry.gauge import axis_part, gauge_part
from ..images._pairs import Peaks
from ..images.capturing import LEAST_OVERLAP
from ..start.prepare import Start
from ..start.run import Run
from .level import Level
from .model import Model
from .poses import Poses

__all__ = ["center_of_mass_term", "cut_off", "find_moves", "relaxation", "update"]


def find_moves(
    run: Run,
    start: Start,
    level: Level,
    model: Model,
    found: Peaks,
    drawn: NDArray[np.intp],
    poses: Poses,
    rng: np.random.Generator,
) -> tuple[Array, tuple[str, ...]]:
    """Turn what was registered into moves, pixels of the full image, and say what was not found."""
    parameters = run.parameters
    notes: tuple[str, ...] = ()
    shifts = poses.shifts
    registered = found.shifts * level.pixel
    lost = ~np.isfinite(registered).all(axis=1)
    if lost.any():
        names = ", ".join(str(i) for i in drawn[lost])
        notes = (f"projection {names}: no shift could be found, so it was not moved",)
        registered[lost] = 0.0
    moves = np.zeros_like(shifts)
    moves[drawn] = cut_off(registered, parameters.shift_cutoff)
    moves = poses.on_detector(moves)
    moves[drawn] += relaxation(shifts, parameters.relaxation_weight, rng)[drawn]
    weight = parameters.center_of_mass_shift_weight
    sums = model.sums
    mass = center_of_mass_term(sums.moments, sums.volume, model.geometry, weight)
    moves[drawn] += poses.on_detector(level.pixel * mass)[drawn]
    moves *= start.directions
    moves[_leaves(run, shifts, shifts + moves)] = 0.0  # a way out of the field is no answer
    return moves, notes


def update(
    run: Run,
    start: Start,
    poses: Poses,
    step: Array,
    pull: Array,
    confidence: Array,
) -> Poses:
    """Return the poses after a step.

    What the object's position and the axis account for is taken out of the shifts: the gauge goes
    with the volume, which is made anew; a constant in the columns is the position of the axis, and
    goes there unless the caller has fixed it. Where frames keep their shifts, the gauge is theirs,
    and the others follow their ``pull``.

    The whole change of a shift is cut off, and a frame stays where it was rather than where too
    little of it would overlap with its reprojection.
    """
    shifts, center = poses.shifts, poses.center
    cutoff, directions = run.parameters.shift_cutoff, poses.geometry.directions
    moved = shifts + step
    if start.held.any():
        moved = moved - pull
    else:
        if run.moves_center:
            constant = axis_part(moved, directions, confidence)
            constant = constant if cutoff is None else float(np.clip(constant, -cutoff, cutoff))
            new = float(np.clip(center + constant, 0, run.geometry.n_columns - 1))
            moved = moved - np.array([0.0, new - center])
            center = new
        moved = moved - gauge_part(moved, directions, confidence) * start.directions
    moved = shifts + cut_off(moved - shifts, cutoff)
    stays = start.held | _leaves(run, shifts, moved)
    geometry = poses.geometry
    if center != poses.center:
        geometry = geometry.with_changes(center=center)
    return replace(poses, shifts=np.where(stays[:, None], shifts, moved), geometry=geometry)


def _leaves(run: Run, before: Array, after: Array) -> NDArray[np.bool_]:
    """Return which shifts leave less of a frame in the field than can be registered, and go on."""
    size = np.array([run.geometry.n_rows, run.geometry.n_columns])
    left = [np.prod(np.maximum(1 - np.abs(s) / size, 0), axis=1) for s in (before, after)]
    leaves: NDArray[np.bool_] = (left[1] < LEAST_OVERLAP) & (left[1] < left[0])
    return leaves


def cut_off(moves: Array, longest: float | None) -> Array:
    """Scale moves longer (Euclidean) than ``longest`` pixels down to it."""
    if longest is None:
        return moves
    length = np.maximum(np.hypot(moves[:, 0], moves[:, 1]), 1e-12)
    cut: Array = moves * np.minimum(1.0, longest / length)[:, None]
    return cut


def relaxation(shifts: Array, weight: float, rng: np.random.Generator) -> Array:
    """Return the stochastic step towards the mean shift.

    With ``d = shifts - mean(shifts)`` and ``r = sign(d) max(0, |d| - |N(0, std(d))|)`` in each
    direction, the step is ``-weight * clip(r, -1, 1)``: far outliers come back by ``weight``
    pixels, what lies within the spread is mostly left alone.

    Parameters
    ----------
    shifts : (n_angles, 2) array
        Current total shifts, pixels.
    weight : float
        Pixels.
    rng : numpy.random.Generator
        The run's own.
    """
    if weight == 0:
        return np.zeros_like(shifts)
    d = shifts - shifts.mean(axis=0)
    threshold = np.abs(rng.normal(0.0, 1.0, d.shape) * d.std(axis=0))
    r = np.sign(d) * np.maximum(0.0, np.abs(d) - threshold)
    step: Array = -weight * np.clip(r, -1.0, 1.0)
    return step


def center_of_mass_term(
    moments: Array, volume: Array, geometry: ScanGeometry, weight: float
) -> Array:
    """Return the step that brings the measured centre of mass onto the reconstruction's.

    The reconstruction's centre of mass is projected by the geometry; both are measured from the
    rotation axis. Each direction is clipped to 1 px. An image without positive mass gives 0.

    Parameters
    ----------
    moments : (n_angles, 3) array
        Of the aligned data (`images.moments.image_moments`).
    volume : (4,) array
        Of the volume (`images.moments.volume_moments`).
    geometry : ScanGeometry
        Of the images.
    weight : float
        Factor of the step.
    """
    mass = moments[:, 0]
    if weight == 0 or not volume[0] > 0:
        return np.zeros((len(mass), 2))
    z, y, x = volume[1:] / volume[0]
    axis = geometry.volume_axis
    expected = geometry.lands([z - geometry.row_center, y - axis, x - axis])
    found = moments[:, 1:] / np.where(mass > 0, mass, 1.0)[:, None]
    step: Array = np.clip(found - expected, -1.0, 1.0)
    step[~(mass > 0)] = 0.0
    step *= weight
    return step
