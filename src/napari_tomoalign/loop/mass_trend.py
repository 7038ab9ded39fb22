"""Trends of the column shifts, told from centres of mass where they explain the images better.

The centre of mass of what stays inside every image follows a cosine of the angle exactly (the first
moment of Helgason's and Ludwig's consistency conditions; Natterer, *The Mathematics of Computerized
Tomography*, 1986, II.4). Of a single image it says less than the registration does; but slow trends
over the angles, to which an object that is nearly round, or not seen all round, can adapt itself,
are left behind by the loop, and means over all images tell them well. Real images break that rule,
by what is not proportional to the thickness: so what the masses say is taken only where the
reprojections miss no more there than chance in the images' noise hides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..images.moments import image_moments
from ..results import TRUSTED, IterationRecord
from ..start.outline import rows_leaving
from ..start.prepare import Start
from ..start.run import Run
from .level import Level
from .outcome import placed
from .poses import Poses
from .standing import Standing
from .steps import update
from .truncation import Truncation
from .weak_modes import trends_of, without_position

__all__ = ["TOLD_BY_MASS", "steadied", "told_by_mass"]

TOLD_BY_MASS = "a trend of the shifts across the axis was told from the centres of mass"
"""Note of a record whose shifts have such a trend (see `steadied`)."""

# With the second alone, or the fourth as well, errors of 40 scans of foreign.py (five kinds) are
# the same within 3 %: what is slower is the object's position, what is faster the loop finds.
_HARMONICS = (2, 3)
# Variances of its noise: what a trend has beyond them is taken, as James's and Stein's estimator
# does with one. With one, rods, whose trends are right, get worse by 2 %.
_NOISE = 2.0
# Standard deviations of the sum of squares that is missed (that of N pixels' noise is sqrt(2 / N)
# of itself), by which it may rise. Where trends are weak, what is missed hardly tells them; the
# loop rests where what no reprojection of pixels explains draws it. Of 40 scans of foreign.py and
# objects of other shapes, 48 and 64 pixels, trends that were right raised it by 0.4 mostly, by 0.7
# at most, and wrong ones by 1 to 80, but for two slabs (0.2, 5 % worse).
_HIDDEN = 0.5
_EDGE = 4  # 1 / 4 of the width, at either side, may be missing from a row that counts: shifts are
# shorter, and the object, which is inside every image, is not there
_WHOLE = 0.99  # weights of pixels that an interpolation found all its neighbours for


def told_by_mass(at: Standing) -> Poses | None:
    """Return the poses with the trend that centres of mass ask for; None: they say nothing else.

    Nor do they where the object leaves the images at the sides, where frames are held, or where no
    row is whole in all images.
    """
    run, start = at.run, at.start
    counted = start.registered & (at.confidence >= TRUSTED)
    frame = at.poses.frame
    tells = frame.has_vertical_axis and start.directions[1] > 0 and not start.held.any()
    if start.outline.truncated or not tells:
        return None
    centers = _centers_of_mass(at, np.flatnonzero(counted))
    trends = trends_of(frame, counted, _HARMONICS)
    spare = int(counted.sum()) - 2 - trends.shape[1]
    if centers is None or spare < 1:
        return None
    centers = without_position(centers, frame, counted)
    size = trends.T @ centers
    noise = float(np.sum((centers - trends @ size) ** 2)) / spare
    share = 1 - _NOISE * len(size) * noise / max(float(size @ size), 1e-30)
    if not share > 0:
        return None
    step = np.zeros_like(at.poses.shifts)
    step[:, 1] = share * (trends @ size) * at.level.pixel[1]
    step = at.poses.on_detector(step)
    return update(run, start, at.poses, step, np.zeros_like(step), at.confidence)


def _centers_of_mass(at: Standing, which: NDArray[np.intp]) -> Array | None:
    """Return the columns of the centres of mass of some images, from the axis, pixels of the level.

    Of the rows that are whole in all of them, and whose object is; None: there are none. Those of
    others are 0.
    """
    measured, weights = at.model.measured, at.model.weights
    n, _, n_columns = measured.shape
    inside = slice(n_columns // _EDGE, n_columns - n_columns // _EDGE)
    thick, noise = at.start.thick, at.start.usual_noise / at.level.pixel[1] ** 0.5
    whole = ~rows_leaving(measured, weights, thick, noise)
    for i in which:
        whole &= weights[i, :, inside].min(axis=1) > _WHOLE
    if not whole.any():
        return None
    centers = np.zeros(n)
    for i in which:  # one by one: rows that are picked are a copy
        mass, _, across = image_moments(measured[i][None, whole], weights[i][None, whole])[0]
        centers[i] = across / max(mass, 1e-30) - at.model.geometry.center
    return centers


def steadied(
    run: Run,
    start: Start,
    level: Level,
    truncation: Truncation,
    poses: Poses,
    there: Poses,
    record: IterationRecord,
    before: Standing | None,
) -> tuple[Standing, IterationRecord]:
    """Stand where centres of mass want it if no more is missed there, else where a record does.

    ``before`` is where the run stands at those; None: the memory does not hold two models, and that
    one is evaluated anew where it is wanted again.

    Returns
    -------
    standing : Standing
    record : IterationRecord
        Of it.
    """
    at = Standing.of(run, start, level, truncation, there, record.confidence)
    moved = placed(record, at, TOLD_BY_MASS)
    pixels = max(float(at.model.sums.pixels[at.used].sum()), 1.0)
    if moved.residual**2 < record.residual**2 * (1 + _HIDDEN * math.sqrt(2 / pixels)):
        return at, moved
    if before is not None:
        return before, record
    del at  # make room for the next one
    return Standing.of(run, start, level, truncation, poses, record.confidence), record
