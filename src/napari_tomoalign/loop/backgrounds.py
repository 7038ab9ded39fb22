"""Before the first iteration: backgrounds that differ from frame to frame, where no vacuum shows.

A frame that the object fills does not show its offset or ramp by itself, and a reconstruction from
all frames does: neither an object nor a shift brings about a plane in one frame. A few rounds of
reconstructing, registering and fitting planes, with the data as they are known by then, on the
coarsest level: a plane has nothing fine. What is found becomes part of the model of a measurement,
and everything is looked at again without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..geometry import ScanGeometry
from ..images.shifting import SplineStack
from ..start.held import levels_of
from ..start.prepare import Start, prepare
from ..start.run import Run
from .evaluating import evaluate
from .level import level_of
from .matching import registered
from .model import Model
from .poses import Poses
from .truncation import truncation_of
from .verdict import are_most, spoilt_frames

__all__ = ["prepared"]

Kind = Literal["offset", "plane"]
_KINDS: tuple[Kind, Kind] = "offset", "plane"

# With foreign.py and objects of other shapes, 48 pixels, two rounds: in 0 to 40 % of the frames of
# clean scans a plane makes most of the misfit, in 60 to 97 % of those with offsets or ramps of 1 to
# 10 %; in 87 % where the sample grows as well, which planes explain no better (0.85).
_LOOKS = 2
# Ramps of 5 and 10 % of objects that fill the images: what is missed is within 2 % of its limit
# after 8 rounds. Steps 1.6 times as long take twice as many, or walk away where the object is
# wider. Found twice, the second time without what the first did to outline and first estimate, in
# twice the rounds each: slow waves of the shifts end 2 to 5 % nearer to the truth than with 8.
_ROUNDS = 8
_EXPLAINS = 0.8  # of the misfit without planes, at most, is left where there are any: see `_LOOKS`
_MORE = 0.9  # of the misfit with offsets is left by planes, at most, where there are slopes


def prepared(run: Run) -> Start:
    """Return where to start from, without offsets or planes that differ from frame to frame.

    Found where the borders show no vacuum, or taken for granted where the caller asks for them.
    Where they do show it, what they tell is mended in frames in which the object reaches a border.
    """
    start = prepare(run)
    wanted, own = run.parameters.background, start.measurement
    if wanted == "none" or (start.borders.vacuum and not own.differs):
        return start
    kind: Kind | None
    frames = start.usable
    if start.borders.vacuum:
        kind, frames = "plane" if own.planes[:, 1:].any() else "offset", _spoilt(run, start)
    else:
        kind = _suspected(run, start) if wanted == "found" else wanted
    if kind is None or not frames.any():
        return start
    for _ in range(2):
        own = start.measurement
        more = _fit(run, start, kind, 2 * _ROUNDS).planes * frames[:, None]
        start = prepare(run, planes=own.planes + own.gains[:, None] * more)
    return start


def _spoilt(run: Run, start: Start) -> NDArray[np.bool_]:
    """Return the frames with a background that the others do not have."""
    return spoilt_frames(_fit(run, start, None, _LOOKS).model, start.usable)


def _suspected(run: Run, start: Start) -> Kind | None:
    """Return what the frames have beside the object, if that explains what is missed."""
    if not are_most(_spoilt(run, start), start.usable):
        return None
    missed, offset, plane = (_fit(run, start, kind, _ROUNDS).missed for kind in (None, *_KINDS))
    kind: Kind = "plane" if plane < _MORE * offset else "offset"
    return kind if min(offset, plane) < _EXPLAINS * missed else None


@dataclass(frozen=True, eq=False)
class _Fit:
    """What rounds of reconstructing, registering and fitting planes end with.

    Attributes
    ----------
    planes : (n_angles, 3) array
        Offset, slopes over the rows and the columns, from -1 to 1 across the full image.
    model : Model
        Of the last round, made without the planes of those before.
    """

    planes: Array
    model: Model

    @property
    def missed(self) -> float:
        """What the reprojections miss, RMS."""
        sums = self.model.sums
        return float(np.sqrt(sums.difference.sum() / max(sums.pixels.sum(), 1e-30)))


def _fit(run: Run, start: Start, kind: Kind | None, rounds: int) -> _Fit:
    """Fit offsets, planes, or nothing but shifts, on the coarsest level."""
    truncation = truncation_of(run, start)
    poses, used = Poses.at_start(run, start), start.usable
    binning = (run.parameters.levels or levels_of(run))[0]
    level = level_of(start, binning, truncation.grid(poses.frame, last=False))
    images = level.images(run.parameters.workers)
    design = _design(images.shape[1:], level.pixel, run.geometry)
    terms = {None: 0, "offset": 1, "plane": 3}[kind]
    planes, clean = np.zeros((len(images), 3)), images
    for i in range(rounds):
        model = evaluate(run, level, truncation, poses, used)
        # Not held where rows seem to tell too little: a background looks like a taller object.
        moving = run.parameters.directions
        after = registered(run, start, level, model, captured=i > 0, directions=moving)
        if kind is not None:
            left = level.missed(run, clean, level.weights, model.reprojected, poses)
            planes[:, :terms] += _planes(left, design[:terms], used)
            clean = images - (planes @ design).astype(np.float32).reshape(images.shape)
            level = replace(level, spline=SplineStack(clean))
        poses = after
    return _Fit(planes, model)


def _design(shape: tuple[int, ...], pixel: Array, full: ScanGeometry) -> Array:
    """Return a constant, rows and columns, each from -1 to 1 across the full image: (3, pixels)."""
    down, across = (
        (np.arange(n) * size + (size - 1) / 2) * 2 / max(whole - 1, 1) - 1
        for n, size, whole in zip(shape, pixel, (full.n_rows, full.n_columns), strict=True)
    )
    rows, columns = np.meshgrid(down, across, indexing="ij")
    return np.stack([np.ones_like(rows), rows, columns]).reshape(3, -1)


def _planes(left: Stack, design: Array, used: NDArray[np.bool_]) -> Array:
    """Return what fits what is left of each frame (NaN: not seen), less what they have in common.

    That may as well be the object's, unless it is a negative offset.
    """
    fitted = np.zeros((len(left), len(design)))
    for i in np.flatnonzero(used):
        line = left[i].ravel()
        counted = design * np.isfinite(line)
        normal = counted @ design.T
        fitted[i] = np.linalg.lstsq(normal, counted @ np.nan_to_num(line), rcond=None)[0]
    shared = np.median(fitted[used], axis=0)
    if len(design) == 1:  # nothing absorbs less than nothing; slopes take that for theirs
        shared = np.maximum(shared, 0.0)
    fitted[used] -= shared
    return fitted
