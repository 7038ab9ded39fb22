"""The geometry beside the shifts: how images answer to what is unknown of it, and what they say.

Turns in the plane move what a template shows by its slopes; for angles and for the axis' tilt the
reconstruction is projected again, a little displaced. The unknowns of a projection join its normal
equations; those of the scan are what is left of all projections when each has its own eliminated
(the Schur complement).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..backends import Backend
from ..geometry import ScanGeometry
from ..geometry.gauge import angles_part
from ..images.filtering import smooth
from ..images.refining import NormalEquations
from ..parameters import OF_SCAN
from ..start.run import Run
from .poses import Poses

__all__ = [
    "LONGEST",
    "Derivative",
    "Refined",
    "derivatives_of",
    "in_pixels",
    "known_too_little",
    "lever",
    "refined_by",
    "stepped",
]

Derivative = Callable[[slice, Stack, Stack], Stack]
"""Of some projections, and their templates' slopes along rows and columns: the derivative image."""

_FEWEST = (
    8  # projections: a reconstruction of fewer follows a wrong geometry as well as a right one
)
_UNTOLD = 0.5  # pixels at the border: a turn that is known no better is not worth a move
_SINGULAR = 1e-6  # of the scaled normal matrix, as in `images.refining`
_DETAIL = {"axis_tilt": 2e-3}
_DETAIL_OF_TURNS = 1e-3
"""Of what images say of a shift, per pixel at the border. Of a turn a ball's noise gives 0.0003 of
it, other objects 0.006 to 0.015; of a lean a ball's edge on the grid gives 0.0006 to 0.001, other
objects 0.004 to 0.011 (24 to 64 pixels, 2 % noise)."""
LONGEST = 2.0
"""Pixels at the border that a turn changes by at once: derivatives are those of smaller moves."""
_USEFUL = 0.05  # pixels, RMS over an image: less than shifts are known to as a rule
_TOLD_APART = 2.5  # standard errors that what was found must be from what was given
_EXCESS = 1.5  # standard errors over those of least squares, where images were smoothed
_STEP = 0.5  # pixels at the border: of finite differences, small against detail


def lever(geometry: ScanGeometry) -> float:
    """Return how many pixels a radian moves what lies at the border of the images."""
    return geometry.n_columns / 2


def in_pixels(errors: Mapping[str, Array], geometry: ScanGeometry) -> float:
    """Return by how much an image is displaced by standard errors of the geometry, RMS over it.

    The largest of the unknowns', pixels; those that are not told displace nothing. What lies evenly
    within the images' border is ``1 / sqrt(3)`` of its distance away, RMS.
    """
    sizes = [float(np.sqrt(np.mean(np.nan_to_num(error) ** 2))) for error in errors.values()]
    return lever(geometry) / math.sqrt(3) * max(sizes, default=0.0)


def known_too_little(
    found: Mapping[str, Array], errors: Mapping[str, Array], given: ScanGeometry
) -> dict[str, float]:
    """Return the standard errors of what of the axis is known too little to be of use.

    That is neither its place to a part of a pixel, nor that it lies other than it was given: a lean
    that cannot be told from none must not be called found.
    """
    return {
        name: float(error)
        for name, error in errors.items()
        if name in OF_SCAN
        and in_pixels({name: error}, given) > _USEFUL
        and abs(float(found[name]) - getattr(given, name)) < _TOLD_APART * float(error)
    }


def derivatives_of(
    names: tuple[str, ...],
    backend: Backend,
    geometry: ScanGeometry,
    volume: Stack,
    pixel: Array,
    inner: slice,
    blur: float | None = None,
) -> list[Derivative]:
    """Return how the images of a slab answer to each unknown, per radian.

    Parameters
    ----------
    names : tuple of str
        Of the unknowns.
    backend : Backend
    geometry : ScanGeometry
        Of the slab and the rows around it.
    volume : (n_rows, volume_width, volume_width) array
    pixel : (2,) array
        Rows and columns of the full image that one pixel covers.
    inner : slice
        The slab's rows among those around it.
    blur : float, optional
        Pixels by which what a reprojection changes is smoothed. None: as templates are.
    """
    down = (np.arange(geometry.n_rows)[inner] - geometry.row_center) * pixel[0] / pixel[1]
    right = (np.arange(geometry.n_columns) - geometry.center) * pixel[1] / pixel[0]
    below, across = down[:, None].astype(np.float32), right.astype(np.float32)

    def turned(part: slice, along_rows: Stack, along_columns: Stack) -> Stack:
        answer: Stack = along_rows * across - along_columns * below
        return answer

    def reprojected(name: str) -> Derivative:
        step = _STEP / lever(geometry)
        value = getattr(geometry, name)
        ends = (
            backend.operator(geometry.with_changes(**{name: value + sign * step}))(volume)
            for sign in (1, -1)
        )
        change = (next(ends) - next(ends)) / np.float32(2 * step)
        return lambda part, *_: smooth(change[part], blur)[:, inner]

    return [turned if name in ("axis_angle", "in_plane") else reprojected(name) for name in names]


@dataclass(frozen=True, eq=False)
class Refined:
    """What the images say of the geometry.

    Attributes
    ----------
    equations : NormalEquations
        Those of the shifts, with what was found of the geometry taken in.
    moves, errors : mapping of str to array
        By the unknown's name, radians: () for the scan's, (n_angles,) for a projection's. A move is
        0, and its error NaN, where nothing is told.
    notes : tuple of str
        What cannot be told.
    """

    equations: NormalEquations
    moves: Mapping[str, Array]
    errors: Mapping[str, Array]
    notes: tuple[str, ...] = ()


def refined_by(
    run: Run,
    equations: NormalEquations,
    geometry: ScanGeometry,
    in_plane: Array,
    counted: NDArray[np.bool_],
    *,
    sceptical: bool = True,
) -> Refined:
    """Return what the images say of the geometry, from the sums at a level.

    Parameters
    ----------
    run : Run
    equations : NormalEquations
        For the shifts, then for the unknowns by their names, then for gain and offset.
    geometry : ScanGeometry
        Of the level, in the frame.
    in_plane : (n_angles,) array
        Radians by which the images are turned beside the axis.
    counted : (n_angles,) array of bool
        Projections that are trusted; of none else anything is found.
    sceptical : bool
        An unknown that the images show hardly more of than of a round object is not told.
    """
    names = run.parameters.unknowns
    if not names:
        return Refined(equations, {}, {})
    n, k = equations.right.shape
    shared = np.array([2 + i for i, name in enumerate(names) if name in OF_SCAN], np.intp)
    own = np.setdiff1d(np.arange(k), shared)
    usable = counted & np.isfinite(equations.normal).all(axis=(1, 2))
    usable &= equations.normal[:, 0, 0] > 0
    solved, spread = np.zeros((2, n, k))
    if usable.sum() >= _FEWEST:
        some = equations[usable]
        least = np.full(k, _DETAIL_OF_TURNS)
        least[2 : 2 + len(names)] = [_DETAIL.get(name, _DETAIL_OF_TURNS) for name in names]
        least *= lever(geometry) ** 2 * sceptical
        solved[usable], spread[usable] = _solved(some, own, shared, least)
    most = _UNTOLD / lever(geometry)
    moves, errors, notes = {}, {}, []
    for i, name in enumerate(names, start=2):
        error = spread[:, i]
        told = usable & (error > 0) & (error < most)
        solved[~told, i] = 0.0
        if counted.any() and not told.any():
            notes.append(
                f"{name} cannot be told from these projections, and is left as it was: leave it "
                "out of refine"
            )
        move, known = solved[:, i], np.where(told, error, np.nan)
        if name in OF_SCAN:
            first = int(np.argmax(told))
            moves[name], errors[name] = np.array(move[first]), np.array(known[first])
            continue
        if told.any():
            here, given = in_plane, run.geometry.in_plane
            if name == "angles":
                here, given = geometry.angles, run.geometry.upright.angles
            away = here - (0.0 if given is None else given)
            move = _gauge_free(name, run, here, move, told)
            move = _gauge_free(name, run, here, _held_back(away, move, known, told), told)
        moves[name], errors[name] = move, known
    largest = LONGEST / lever(geometry)
    moves = {name: np.asarray(np.clip(m, -largest, largest)) for name, m in moves.items()}
    taken = np.zeros((n, k))
    for i, name in enumerate(names, start=2):
        taken[:, i] = moves[name]
    return Refined(_without(equations, taken, len(names)), moves, errors, tuple(notes))


def _solved(
    equations: NormalEquations, own: NDArray[np.intp], shared: NDArray[np.intp], least: Array
) -> tuple[Array, Array]:
    """Return all unknowns (n, k) and their standard errors, 0 where nothing is told."""
    normal, right = equations.normal, equations.right
    k = right.shape[1]
    scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-30))
    both = scale[:, :, None] * scale[:, None, :]
    inverse = np.linalg.inv((normal / both)[:, own][:, :, own] + _SINGULAR * np.eye(len(own)))
    inverse /= both[:, own][:, :, own]
    solved, spread = np.zeros((2, *right.shape))
    if len(shared):
        cross = normal[:, own][:, :, shared]
        answer = np.einsum("nij,njk->nik", inverse, cross)
        left = normal[:, shared][:, :, shared] - np.einsum("nji,njk->nik", cross, answer)
        total = left.sum(axis=0)
        wanted = (right[:, shared] - np.einsum("nji,nj->ni", answer, right[:, own])).sum(axis=0)
        size = np.sqrt(np.maximum(np.einsum("nii->i", normal[:, shared][:, :, shared]), 1e-30))
        scaled = total / np.outer(size, size)
        cure = np.linalg.inv(scaled + _SINGULAR * np.eye(len(shared))) / np.outer(size, size)
        solved[:, shared] = cure @ wanted
        spread[:, shared] = np.sqrt(np.maximum(np.diagonal(cure), 0))
    known = solved[:, shared]
    rest = right[:, own] - np.einsum("nij,nj->ni", normal[:, own][:, :, shared], known)
    solved[:, own] = np.einsum("nij,nj->ni", inverse, rest)
    spread[:, own] = np.sqrt(np.maximum(np.diagonal(inverse, axis1=1, axis2=2), 0))
    # What a round object shows of a turn is the noise of its reconstruction.
    seen = normal[:, :1, 0] * least
    with np.errstate(divide="ignore"):
        spread[:, own] *= spread[:, own] ** -2 > seen[:, own]
        spread[:, shared] *= spread[:, shared] ** -2 > seen[:, shared].sum(axis=0)
    remaining = equations.squares - np.einsum("ni,ni->n", solved, 2 * right)
    remaining += np.einsum("ni,nij,nj->n", solved, normal, solved)
    noise = np.sqrt(np.maximum(remaining, 0) / np.maximum(equations.count - k, 1))
    spread[:, own] *= noise[:, None]
    spread[:, shared] *= np.sqrt(np.mean(noise**2))
    return solved, spread


def _gauge_free(name: str, run: Run, here: Array, move: Array, told: NDArray[np.bool_]) -> Array:
    """Return the moves of a turn of each projection that others do not account for.

    Of angles that is `geometry.gauge.angles_part`; a constant turn in the plane is the axis', where
    that is found as well.
    """
    if name == "angles":
        gauge = angles_part(move, here, told)
    else:
        gauge = np.full_like(move, move[told].mean() * ("axis_angle" in run.parameters.unknowns))
    return np.where(told, move - gauge, 0.0)


def _held_back(away: Array, move: Array, error: Array, told: NDArray[np.bool_]) -> Array:
    """Return the moves that take turns as far from those told as they are likely to be wrong.

    How wrong they are is told by all of them: by how much more they scatter about those told than
    their noise does (empirical Bayes: Morris 1983, doi 10.1080/01621459.1983.10477920). Without it
    an object and its turns would drift together in what neither can be told.
    """
    noise = _EXCESS * error[told]
    placed = (away + move)[told]
    wrong = max(float(np.mean(placed**2) - np.mean(noise**2)), 0.0)
    held = -away
    held[told] += wrong / (wrong + noise**2) * placed
    return held


def _without(equations: NormalEquations, taken: Array, n_names: int) -> NormalEquations:
    """Return the equations of the shifts, once the difference has what is ``taken`` in it."""
    k = equations.right.shape[1]
    kept = np.array([0, 1, *range(2 + n_names, k)])
    answer = np.einsum("nij,nj->ni", equations.normal, taken)
    squares = equations.squares + np.einsum("ni,ni->n", taken, answer - 2 * equations.right)
    return replace(
        equations,
        normal=equations.normal[:, kept][:, :, kept],
        right=(equations.right - answer)[:, kept],
        squares=np.maximum(squares, 0),
    )


def stepped(poses: Poses, step: Mapping[str, Array]) -> Poses:
    """Return the poses with a step of the geometry taken."""
    if not step:
        return poses
    return poses.with_geometry({name: poses.found(name) + by for name, by in step.items()})
