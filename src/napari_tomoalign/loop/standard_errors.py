"""How well each shift is known: from noise, from what no noise explains, and from a second look.

Four things make a shift wrong where the loop rests. Noise: the sandwich estimate with the data's
own noise, or with what remains where that is more. Misfit that neighbouring pixels share, which is
no noise: the sample changed, the angles are wrong, the detector has a pattern. Parts of the images
that drift apart (`drift_error`). And displacements that the reconstruction follows (`second_look`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..images.precision import Scatter, scatter_of
from ..results import TRUSTED
from ..start.prepare import Start
from ..start.run import Run
from .distortion import measure_drift
from .kept import scatter_there
from .level import Level
from .matching import AT_ONCE, windows
from .model import Model

__all__ = ["Known", "drift_error", "standard_errors"]

# Both from tests/benchmarks/storm_foreign.py, first 200 scans of the developing set:
_RIGID = 1.4  # blocks over pixels that sound scans of rigid objects reach
# True error over what blocks add, geometric mean of the scans that pass that; over the drift of
# parts, too (2.4 to 6, of eight scans whose sample changed).
_CARRIED = 4.0
# What drift adds, over the standard errors beside it, that an object's own misfit brings at most:
# 1.4 in clean scans of `simulate`, 64 to 256 columns, 60 to 360 angles, at binnings 1 to 4. It
# changes slowly with the angle, which most scans go through in order of time.
_OWN = 2.0


@dataclass(frozen=True, eq=False)
class Known:
    """How well shifts are known, pixels of the full image.

    Attributes
    ----------
    errors : (n_angles, 2) array
        Standard errors. NaN for frames that are not registered or not trusted, and for directions
        that show nothing or are held.
    misfit : float
        The part of them, RMS of both directions together, that is no noise.
    steady : (n_angles, 2) array
        The part of them that is alike at near angles: what is no noise, on a binned level with what
        its coarse pixels bring, its misfit beside noise.
    """

    errors: Array
    misfit: float
    steady: Array

    def without(self, share: Array) -> Known:
        """Return what is known with a share (n_angles, 2) of the information taken out."""
        left = 1 - share
        usual = float(np.sqrt(np.mean(left**2)))
        return Known(self.errors / left, self.misfit / usual, self.steady / left)


def standard_errors(run: Run, start: Start, level: Level, model: Model, confidence: Array) -> Known:
    """Return the standard errors of the shifts of a model."""
    errors = np.full((len(confidence), 2), np.nan)
    which = np.flatnonzero(start.registered & (confidence >= TRUSTED))
    steady = np.zeros_like(errors)
    if not len(which):
        return Known(errors, 0.0, steady)
    # Noise is independent from pixel to pixel, so binning averages it.
    noise = start.frame_noise[which] / np.sqrt(np.prod(level.pixel))
    found = _scatter(run, level, model, which)
    unit, pixels, blocks = found.unit * noise[:, None], found.pixels, found.blocks
    if model.seen is not None:  # information adds up over the rows
        unit, pixels, blocks = (np.sqrt(model.seen[which]) * e for e in (unit, pixels, blocks))
    # Where less remains than the noise, the reconstruction follows part of it, and of displacements
    # as well. One that followed whole directions (a projection) would leave that part of what a
    # known object tells; one that followed all directions alike would leave the answer as it is.
    # Between these limits, 1 and the ratio of noise and remainder, stands their geometric mean:
    # with it, tests/benchmarks/accuracy.py --quick states 0.8 to 1.3 times the true errors, and 1.9
    # times for 15 angles.
    noise_or_rest = np.maximum(unit, pixels)
    followed = np.sqrt(np.maximum(unit / np.maximum(pixels, 1e-30), 1))
    variance = (noise_or_rest * followed) ** 2
    # Misfit is the scan's: a frame alone has too few blocks to tell it. It is held against the
    # larger of noise and what remains: few angles let a reconstruction follow part of the noise.
    known = np.isfinite(variance)
    count = np.maximum(known.sum(axis=0), 1)
    shared = np.sum(blocks**2, axis=0, where=known) / count
    shared -= _RIGID**2 * np.sum(noise_or_rest**2, axis=0, where=known) / count
    shared = _CARRIED**2 * np.maximum(shared, 0) * (known.sum(axis=0) > 0)
    errors[which] = np.sqrt(variance + shared) * level.pixel
    errors[:, start.directions < run.parameters.directions] = np.nan  # held: cannot be told
    coarse = np.maximum(np.nan_to_num(pixels**2 - unit**2), 0) * (level.binning > 1)
    steady[which] = np.sqrt(coarse + shared) * level.pixel
    return Known(errors, float(np.hypot(*(np.sqrt(shared) * level.pixel))), steady)


def _scatter(run: Run, level: Level, model: Model, which: NDArray[np.intp]) -> Scatter:
    """Return what some projections tell of their shifts, of data in their own unit."""
    if model.kept:
        return scatter_there(model.kept, which)
    unit, pixels, blocks = np.empty((3, len(which), 2))
    for first in range(0, len(which), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        windowed = windows(run, level, model, which[part])
        found = scatter_of(*windowed.images, workers=run.parameters.workers)
        unit[part] = found.unit / windowed.unit
        pixels[part], blocks[part] = found.pixels, found.blocks
    return Scatter(unit, pixels, blocks)


def drift_error(start: Start, level: Level, model: Model, known: Known, confidence: Array) -> Array:
    """Return what the drift of parts of the sample adds where the loop rests, (2,) pixels."""
    counted = start.registered & (confidence >= TRUSTED)
    found = _CARRIED * measure_drift(model, counted) * level.pixel
    usual = np.nan_to_num(known.errors)[counted]
    own = _OWN * np.sqrt(np.mean(usual**2, axis=0)) if len(usual) else np.zeros(2)
    beyond: Array = np.sqrt(np.maximum(found**2 - own**2, 0))
    return beyond
