"""Before the first iteration: what a reconstruction shows to be the detector's is taken out.

A pattern that is fixed on the detector (stripes, rings after reconstructing) and pixels that a
particle has hit (zingers) cannot be told from the object in one image, and can where a
reconstruction says what the image should be. Only where the survey suspects any: a few rounds of
reconstructing, registering and comparing, with the data as they are known by then.

A reconstruction follows the smooth part of a pattern, so a round finds only some of that. Smooth
parts are found on coarse grids, where a round costs next to nothing, and handed up; rounds are
extrapolated (Beck and Teboulle 2009, doi 10.1137/080716542), which makes 18 of them go as far as
80. Little is found of what may as well be noise: patterns are taken to be alike at all scales, and
a round's is shrunk by what noise has of it (Wiener's filter).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from .._counting import how_many
from .._typing import Array, Stack
from ..backends.solvers import nesterov
from ..findings import Finding
from ..geometry import ScanGeometry
from ..images.filtering import fill_ignored
from ..images.source import as_source
from ..start.levels import Binned
from ..start.outline import look_at_outline
from ..start.prepare import Start
from ..start.run import Run
from ..start.survey import blocks_in_memory, take_survey
from .evaluating import evaluate
from .level import Level, level_of, rows_binned
from .matching import find_geometry, registered
from .model import Model
from .poses import Poses
from .refinement import stepped
from .truncation import Truncation, truncation_of
from .whole_steps import ask_axis, longest

__all__ = ["cleaned"]

_ROUNDS = 3  # for pixels that were hit: the third finds the same as the second
_TURNING = 2  # rounds more where the axis is to be found: it is told to a part of a pixel by then
# With foreign.py, porous, rings of 5 and 20 %, two seeds each: 0.013 to 0.015 px at 48 pixels, and
# 0.011 to 0.04 at 96. In one go of 24 rounds without extrapolation, at 2.2 times the cost: 0.013 to
# 0.02, and 0.018 to 0.04. With 4 rounds at the finest: 0.014 to 0.03 at 48 pixels.
_COARSE_ROUNDS, _LAST_ROUNDS = 18, 8
_COARSEST = 24  # columns, at least: with 12, patterns were taken for the object
_COARSER = 4  # times as coarse, at most
_HIT = 6.0  # robust standard deviations: of a million pixels of noise, none lies beyond
_PATTERN = 1.5  # times what noise leaves in a median over the frames: less is no pattern


def cleaned(run: Run, start: Start) -> Start:
    """Return where to start from, without pattern and zingers where there are any."""
    if not (start.detector.striped or start.detector.hit):
        return start
    truncation, poses = truncation_of(run, start), Poses.at_start(run, start)
    grid = truncation.grid(poses.frame, last=False)
    known: _Known | None = None
    for binning, rounds in _rounds(start):
        at = _binned(start, grid, binning)
        look = _Look(run, at, truncation, grid)
        rounds += _TURNING * bool(run.parameters.unknowns)
        known = _Known.nothing(at, poses) if known is None else known.on(at)
        ahead = known
        for gain in islice(nesterov(), rounds):
            known, before = look(ahead), known
            ahead = known.beyond(before, gain)
    assert known is not None  # there is one level at least
    said = _said(known, start.projections)
    projections, weights = known.taken_out_of(start.projections, start.weights)
    start = replace(start, images=Binned.of(projections, weights, start.binning))
    survey = take_survey(blocks_in_memory(start.projections), start.projections.shape)
    outline = look_at_outline(survey, start.usable)
    full = start.full
    if start.binning == (1, 1):
        given = None if start.weights is None else as_source(start.weights)
        full = replace(full, projections=as_source(start.projections), weights=given)
    if start.for_slabs and said:  # found at this binning, and only there
        said.append(
            Finding(
                "memory",
                f"levels finer than binning {start.binning[1]} were not run: what is the "
                "detector's was taken out of the images that the memory holds",
            )
        )
        others = tuple(note for note in start.notes if note.kind != "memory")
        start = replace(start, for_slabs=0, notes=others)
    return replace(start, outline=outline, notes=(*start.notes, *said), full=full)


def _rounds(start: Start) -> Iterator[tuple[int, int]]:
    """Yield at which binnings of the columns, coarse to fine, how many rounds are made."""
    finest, n_columns = start.binning[1], start.projections.shape[2]
    striped = start.detector.striped
    times = _COARSER if striped else 1
    while n_columns < times * _COARSEST and times > 1:
        times //= 2
    yield times * finest, _COARSE_ROUNDS if striped else _ROUNDS
    while times > 1:
        times //= 2
        yield times * finest, _COARSE_ROUNDS if times > 1 else _LAST_ROUNDS


def _binned(start: Start, geometry: ScanGeometry, binning: int) -> Start:
    """Return where to start from with images as binned as that."""
    rows = rows_binned(geometry, binning, start.binning)
    images, weights = start.images.at((rows, binning))
    return replace(start, images=Binned.of(images, weights, (rows, binning)))


def _said(known: _Known, images: Stack) -> list[Finding]:
    """Return what to say of what is taken out of images."""
    said = []
    if known.pattern.any():
        share = np.sqrt(np.mean(known.pattern**2) / np.mean(np.square(images, dtype=np.float64)))
        said.append(
            Finding(
                "stripes",
                f"a pattern fixed on the detector, {share:.1%} of the data (RMS), was told from "
                "what it leaves at every angle and taken out",
            )
        )
    if known.hit.any():
        said.append(
            Finding(
                "zingers",
                f"{how_many(int(known.hit.sum()), 'pixel')} ({known.hit.mean():.2%}), far from "
                "what a reconstruction predicts, beyond any noise, ignored",
            )
        )
    return said


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known to be the detector's, and how images lie by then, on the grid of a level.

    Attributes
    ----------
    binning : (int, int)
        Of rows and columns.
    pattern : (n_rows, n_columns) array
    hit : (n_angles, n_rows, n_columns) array of bool
    poses : Poses
    """

    binning: tuple[int, int]
    pattern: Stack
    hit: NDArray[np.bool_]
    poses: Poses

    @classmethod
    def nothing(cls, at: Start, poses: Poses) -> _Known:
        """Return what is known before the first look."""
        shape = at.projections.shape
        pattern, hit = np.zeros(shape[1:], np.float32), np.zeros(shape, bool)
        return cls(at.binning, pattern, hit, poses)

    def on(self, at: Start) -> _Known:
        """Return the same on a finer grid."""
        shape = at.projections.shape
        finer = np.divide(at.binning, self.binning)
        pattern = scipy.ndimage.affine_transform(
            self.pattern, np.diag(finer), (finer - 1) / 2, shape[1:], order=1, mode="nearest"
        )
        return _Known(at.binning, pattern, np.zeros(shape, bool), self.poses)

    def beyond(self, before: _Known, gain: float) -> _Known:
        """Return what is extrapolated from what was known before."""
        pattern = self.pattern + np.float32(gain) * (self.pattern - before.pattern)
        return replace(self, pattern=pattern)

    def taken_out_of(self, images: Stack, given: Stack | None) -> tuple[Stack, Stack | None]:
        """Return projections and weights without what is known."""
        projections, weights = images - self.pattern, given
        if self.hit.any():
            weights = np.where(self.hit, np.float32(0), np.float32(1) if given is None else given)
            projections = fill_ignored(projections, weights)
        return projections, weights


@dataclass(frozen=True, eq=False)
class _Look:
    """A round at a level: reconstruct, register, compare.

    Attributes
    ----------
    at : Start
        With the images of the level, nothing taken out.
    grid : ScanGeometry
        Of the full images.
    """

    run: Run
    at: Start
    truncation: Truncation
    grid: ScanGeometry

    def __call__(self, known: _Known) -> _Known:
        """Return what is known after a round."""
        run, at, poses, used = self.run, self.at, known.poses, self.at.usable
        projections, weights = known.taken_out_of(at.projections, at.weights)
        clean = replace(at, images=Binned.of(projections, weights, at.binning))
        level = level_of(clean, at.binning[1], self.grid)
        model = evaluate(run, level, self.truncation, poses, used)
        misfit = level.missed(run, at.projections, at.weights, model.reprojected, poses)
        noise = at.frame_noise / np.sqrt(np.prod(at.binning))
        pattern, hit = known.pattern, known.hit
        if at.detector.striped:
            pattern = _pattern(misfit, used, noise)
        if at.detector.hit:
            hit = _hit(misfit - pattern, used, noise)
        there = registered(run, at, level, model, captured=True, directions=at.directions)
        poses = self._turned(there, clean, level, model)
        return replace(known, pattern=pattern, hit=hit, poses=poses)

    def _turned(self, there: Poses, clean: Start, level: Level, model: Model) -> Poses:
        """Return the poses with what the images say of the geometry, where that is to be found.

        About a wrong axis edges are missed by more than noise, and would be taken for hits: of an
        axis turned by 2 degrees those left out kept 0.1 degrees of it (`foreign.py`, porous, 48^3,
        40 angles, 20,000 photons).
        """
        run, poses = self.run, model.poses
        if not run.parameters.unknowns:
            return there
        trusted = clean.usable.astype(np.float64)
        told = find_geometry(run, model, trusted, True)
        axis = ask_axis(run, clean, level, self.truncation, poses, trusted, told)
        return stepped(there, {**told.moves, **axis.whole(longest(poses))})


def _pattern(misfit: Stack, used: NDArray[np.bool_], noise: Array) -> Stack:
    """Return the median misfit of each pixel over the angles, shrunk by what may be noise of it.

    What differs from angle to angle is no pattern, however large: a pixel's own scatter counts as
    its noise. How strong a pattern is is told from neighbouring pixels, for what is smooth may be
    the object's.
    """
    pattern = np.zeros(misfit.shape[1:], np.float32)
    scatter = np.full(pattern.shape, np.median(noise[used]))
    for row in range(len(pattern)):
        line = misfit[used, row]
        known = np.isfinite(line).any(axis=0)
        pattern[row, known] = _medians(line[:, known])
        spread = _medians(np.abs(line[:, known] - pattern[row, known])) / 0.6745
        scatter[row, known] = np.maximum(scatter[row, known], spread)
    expected = float(np.pi / 2 * np.mean(scatter**2) / np.count_nonzero(used))
    if not np.mean(np.square(pattern, dtype=np.float64)) > _PATTERN**2 * expected:
        return np.zeros_like(pattern)
    changes = [np.diff(pattern, axis=k) for k in (0, 1) if pattern.shape[k] > 1]
    power = max((float(np.mean(change**2)) / 2 for change in changes), default=np.inf)
    shrunk: Stack = pattern * np.float32(max(0.0, 1 - expected / max(power, 1e-30)))
    return shrunk


def _hit(misfit: Stack, used: NDArray[np.bool_], noise: Array) -> NDArray[np.bool_]:
    """Return the pixels beyond any noise: of the frame, and of the pixel over the frames."""
    hit = np.zeros(misfit.shape, bool)
    for row in range(misfit.shape[1]):
        known = np.isfinite(misfit[used, row]).any(axis=0)
        line = np.abs(misfit[:, row, known])
        usual = _medians(line[used]) / 0.6745
        hit[:, row, known] = np.nan_to_num(line) > _HIT * np.maximum(usual, noise[:, None])
    return hit


def _medians(lines: Stack) -> Stack:
    """Return the medians along the first axis, without what is NaN; NaN where all is.

    As `numpy.nanmedian`, which from 600 values on is called for each pixel by itself.
    """
    ordered = np.sort(np.ascontiguousarray(lines.T), axis=1)  # NaN comes last
    known = np.count_nonzero(np.isfinite(ordered), axis=1)
    places = np.arange(len(ordered))
    low, high = ordered[places, (known - 1) // 2], ordered[places, known // 2 - (known == 0)]
    medians: Stack = (low + high) / 2
    return medians
