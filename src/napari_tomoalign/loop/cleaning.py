"""Before the first iteration: what a reconstruction shows to be the detector's is taken out.

A pattern that is fixed on the detector (stripes, rings after reconstructing) and pixels that a
particle has hit (zingers) cannot be told from the object in one image, and can where a
reconstruction says what the image should be. So it is with each frame's background where the object
fills the images. Only where the survey suspects any, or the caller asks: a few rounds of
reconstructing, registering and comparing, with the data as they are known by then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..findings import Finding
from ..images.filtering import fill_ignored
from ..images.shifting import SplineStack, move_both, places_of
from ..images.source import as_source
from ..start.outline import look_at_outline
from ..start.prepare import Start
from ..start.run import Run
from ..start.survey import blocks_of, take_survey
from .evaluating import evaluate
from .level import Level, level_of
from .matching import match
from .poses import Poses
from .truncation import truncation_of

__all__ = ["cleaned"]

_ROUNDS = 3  # the third finds the same pixels as the second
# A reconstruction follows the smooth part of a pattern, so a round finds only some of that. With
# foreign.py, porous, 48 pixels, rings of 20 %, three seeds: 0.06 to 0.09 px after 12 rounds, 0.03
# to 0.04 after 24, for a seventh of the time more. Of planes, too: 10 % on porous objects that fill
# the images, 0.6 and 0.4 px after 3 rounds, 0.12 and 0.10 after 12, 0.17 and 0.07 after 24.
_ROUNDS_FOLLOWED = 24
_BEYOND = 1.6  # times what a round finds: over-relaxed, for the same reason
_HIT = 6.0  # robust standard deviations: of a million pixels of noise, none lies beyond
_PATTERN = 1.5  # times what noise leaves in a median over the frames: less is no pattern


def cleaned(run: Run, start: Start) -> Start:
    """Return where to start from, without pattern and zingers where there are any."""
    filled = run.parameters.background in ("offset", "plane") and not start.borders.vacuum
    if not (start.detector.striped or start.detector.hit or filled):
        return start
    truncation = truncation_of(run, start)
    images, given = start.projections, start.weights
    poses, used = Poses.at_start(run, start), start.usable
    confidence = used.astype(np.float64)
    drawn = np.flatnonzero(start.registered)
    grid = truncation.grid(poses.frame, last=False)
    noise = start.frame_noise / np.sqrt(np.prod(start.binning))
    pattern = np.zeros(images.shape[1:], np.float32)
    hit = np.zeros(images.shape, bool)
    background = Background.of(run.parameters.background, images.shape)
    for _ in range(_ROUNDS_FOLLOWED if start.detector.striped or filled else _ROUNDS):
        level = level_of(start, start.binning[1], grid)
        model = evaluate(run, level, truncation, poses, used)
        moves = match(run, level, model, drawn, confidence, True).shifts * level.pixel
        there, seen = _on_detector(model.reprojected, level, poses, run.parameters.workers)
        if given is not None:
            seen &= given > 0
        inside = np.zeros(images.shape[1:], bool)  # what is not registered tells nothing
        inside[level.window(run.parameters.projection_cropping, run.geometry)] = True
        seen &= inside
        misfit = np.where(seen, images - there, np.float32(np.nan))
        if filled:
            background = background.refined(misfit, used)
            misfit -= background.images
        if start.detector.striped:
            pattern = pattern + _BEYOND * (_pattern(misfit, used, noise) - pattern)
        if start.detector.hit:
            hit = _hit(misfit - pattern, used, noise)
        fixed = pattern + background.images if filled else pattern
        projections, weights = _without(images, given, fixed, hit)
        start = replace(start, projections=projections, weights=weights)
        step = np.zeros_like(start.shifts)
        step[drawn] = np.nan_to_num(moves)
        step = poses.on_detector(step) * start.directions
        poses = replace(poses, shifts=poses.shifts + step)
    notes = []
    if pattern.any():
        share = np.sqrt(np.mean(pattern**2) / np.mean(np.square(images, dtype=np.float64)))
        notes.append(
            Finding(
                "stripes",
                f"a pattern fixed on the detector, {share:.1%} of the data (RMS), was told from "
                "what it leaves at every angle and taken out",
            )
        )
    if hit.any():
        notes.append(
            Finding(
                "zingers",
                f"{int(hit.sum())} pixels ({hit.mean():.2%}) lie far from what a reconstruction "
                "predicts, beyond any noise, and are ignored",
            )
        )
    survey = take_survey(blocks_of(start.projections), start.projections.shape)
    outline = look_at_outline(survey, used)
    full = start.full
    if start.binning == (1, 1):
        known = None if start.weights is None else as_source(start.weights)
        full = replace(full, projections=as_source(start.projections), weights=known)
    if start.for_slabs and notes:  # found at this binning, and only there
        notes.append(
            Finding(
                "memory",
                f"levels finer than binning {start.binning[1]} were not run: what is the "
                "detector's was taken out of the images that the memory holds",
            )
        )
        before = tuple(note for note in start.notes if note.kind != "memory")
        start = replace(start, for_slabs=0, notes=before)
    return replace(start, outline=outline, notes=(*start.notes, *notes), full=full)


@dataclass(frozen=True, eq=False)
class Background:
    """What each frame has beside the object, where none of it shows vacuum: an offset, or a plane.

    Attributes
    ----------
    design : (n_terms, n_pixels) array
        The constant, and for planes the rows and the columns from -1 to 1.
    shape : tuple of int
        (n_angles, n_rows, n_columns).
    found : (n_angles, n_terms) array
    """

    design: Array
    shape: tuple[int, ...]
    found: Array

    @classmethod
    def of(cls, kind: str, shape: tuple[int, ...]) -> Background:
        """Return the background before anything is known of it."""
        n, n_rows, n_columns = shape
        down, across = np.meshgrid(
            np.linspace(-1, 1, n_rows), np.linspace(-1, 1, n_columns), indexing="ij"
        )
        terms = [np.ones_like(down), down, across] if kind == "plane" else [np.ones_like(down)]
        design = np.stack(terms).reshape(len(terms), -1)
        return cls(design, shape, np.zeros((n, len(terms))))

    @property
    def images(self) -> Stack:
        """The background of each frame."""
        images: Stack = (self.found @ self.design).astype(np.float32).reshape(self.shape)
        return images

    def refined(self, misfit: Stack, used: NDArray[np.bool_]) -> Background:
        """Return what fits the misfit of the images (NaN: not seen), over-relaxed.

        What all frames have in common may as well be the object's, and stays in.
        """
        fitted = np.zeros_like(self.found)
        for i in np.flatnonzero(used):
            values = misfit[i].ravel()
            seen = np.isfinite(values)
            if seen.any():
                fitted[i] = np.linalg.lstsq(self.design[:, seen].T, values[seen], rcond=None)[0]
        fitted[used] -= np.median(fitted[used], axis=0)
        return replace(self, found=self.found + _BEYOND * (fitted - self.found))


def _on_detector(
    images: Stack, level: Level, poses: Poses, workers: int | None
) -> tuple[Stack, NDArray[np.bool_]]:
    """Return images of the frame as the detector would see them, and where they reach."""
    places = None
    if poses.turns is not None:
        geometry, back = level.placed(poses), -poses.in_frame(poses.shifts) / level.pixel
        pivot, pixel = (geometry.row_center, geometry.center), (level.pixel[0], level.pixel[1])
        places = places_of(back, -poses.turns, pivot, pixel)
    shifts = poses.shifts / level.pixel
    there, seen = move_both(SplineStack(images), None, shifts, places, workers=workers)
    return there, seen > 0


def _without(
    images: Stack, given: Stack | None, pattern: Stack, hit: NDArray[np.bool_]
) -> tuple[Stack, Stack | None]:
    """Return projections and weights without the pattern and the pixels that were hit."""
    projections, weights = images - pattern, given
    if hit.any():
        weights = np.where(hit, np.float32(0), np.float32(1) if given is None else given)
        projections = fill_ignored(projections, weights)
    return projections, weights


def _pattern(misfit: Stack, used: NDArray[np.bool_], noise: Array) -> Stack:
    """Return the median misfit of each pixel over the angles, 0 where it may be noise.

    What differs from angle to angle is no pattern, however large: a pixel's own scatter counts as
    its noise.
    """
    pattern = np.zeros(misfit.shape[1:], np.float32)
    scatter = np.full(pattern.shape, np.median(noise[used]))
    for row in range(len(pattern)):
        line = misfit[used, row]
        known = np.isfinite(line).any(axis=0)
        pattern[row, known] = _medians(line[:, known])
        spread = _medians(np.abs(line[:, known] - pattern[row, known])) / 0.6745
        scatter[row, known] = np.maximum(scatter[row, known], spread)
    expected = np.sqrt(np.pi / 2 * np.mean(scatter**2) / np.count_nonzero(used))
    present = np.sqrt(np.mean(pattern**2)) > _PATTERN * expected
    return pattern if present else np.zeros_like(pattern)


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
