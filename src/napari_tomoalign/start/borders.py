"""What the borders say of a measurement: background, sign, open beam, where they show no object.

A strip of columns along either border is vacuum where nothing in it is smooth but a plane: what
departs from the plane differs from row to row as noise does. An object that reaches the strips
varies slowly along them, and with the angle. What departs in all frames alike is the detector's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from .survey import Survey, border_width

__all__ = ["Borders", "look_at_borders"]

# Ratios seen with foreign.py, 64 pixels, 60 angles, seeds 0 and 1: vacuum 0.97 to 1.03, with 5 % of
# rings or 0.1 % of zingers too; a field that fades towards the borders 1.3, pillars 1.9 and more.
_SMOOTH = 1.15  # scatter about the plane over that between neighbouring rows: above, no vacuum
# An object that fades out under the noise still rises inwards from both borders, in most frames.
_RISES = 4.0  # standard errors of the median rise: one in 30,000 is so large by chance
_MOST = 80  # percent of the frames that must show vacuum; zingers and other objects are in the rest
_TOUCHED = (
    1.5  # the same ratio, of one frame: noise reaches 1.2 in one of 40, an object 1.6 and more
)
# Planes that are noise scatter by 1 standard error, 1.3 at most in the clean scans of that table;
# 0.5 % of the data scatters by 4 to 5.
_VARIES = 2.5  # standard errors by which planes scatter: above, they differ from frame to frame
_COMMON = 0.03  # of the contrast: a background in all frames below it does no harm
_FLAT = 0.5  # of a frame's noise: the median of many frames has less, or it is a pattern
_DARK = 0.1  # of the contrast: an object whose mean lies this far below its borders is dark


@dataclass(frozen=True, eq=False)
class Borders:
    """What the columns along the borders show.

    Attributes
    ----------
    vacuum : bool
        They show no object.
    planes : (n_angles, 3) array
        Each frame's background: offset, slope over the rows and slope over the columns, from -1 to
        1 across the image. Relative to the usual frame's where the detector has a pattern.
    background : {"none", "offset", "plane"}
        What of these differs from frame to frame by more than noise explains, or is seen in all;
        "none" where there is no vacuum.
    differs : bool
        It differs from frame to frame; else all have the same.
    level : (n_angles,) array
        Mean of each frame's borders.
    dark : bool
        The object lies below its background.
    """

    vacuum: bool
    planes: Array
    background: str
    differs: bool
    level: Array
    dark: bool


def look_at_borders(survey: Survey, used: NDArray[np.bool_]) -> Borders:
    """Look at the strips along the left and right borders of the frames that count."""
    n, n_rows, n_columns = survey.shape
    width = border_width(n_columns)
    level = survey.strips.mean(axis=(1, 2))
    middles = (np.array([0.5, 1.5, n_columns / width - 1.5, n_columns / width - 0.5]) * width) - 0.5
    across, down = 2 * middles / (n_columns - 1) - 1, np.linspace(-1, 1, n_rows)
    design = np.stack(
        [np.ones((4, n_rows)), np.tile(down, (4, 1)), np.tile(across[:, None], (1, n_rows))]
    ).reshape(3, -1)
    if n_rows < 2:
        design[1] = 0
    normal = np.linalg.pinv(design @ design.T)
    planes = survey.strips.reshape(n, -1) @ design.T @ normal
    rest = survey.strips - (planes @ design).reshape(n, 4, n_rows)
    pattern = np.median(rest[used], axis=0)
    noise, scatter = _noise(rest - pattern), np.sqrt(np.mean((rest - pattern) ** 2, axis=(1, 2)))
    usual = float(np.median(noise[used]))
    vacuum = bool(np.percentile(scatter[used], _MOST) <= _SMOOTH * usual)
    inwards = survey.strips[:, 1:3] - survey.strips[:, [0, 3]]
    rises = np.median(inwards[used].mean(axis=2), axis=0)  # a few frames may be touched
    # A difference has the noise of two strips, a median pi / 2 times a mean's variance, and half of
    # that is left of both borders' mean.
    by_chance = _RISES * usual * np.sqrt(np.pi / 2 / (np.count_nonzero(used) * n_rows))
    vacuum &= not (rises.min() > 0 and rises.mean() > by_chance)
    # Where shifts bring the object to the borders of a few frames, theirs say nothing of it.
    planes[scatter > _TOUCHED * usual] = np.median(planes[used], axis=0)
    error = np.maximum(np.sqrt(np.diag(normal)) * usual, 1e-30)
    middle = np.median(planes[used], axis=0)
    spread = 1.4826 * np.median(np.abs(planes[used] - middle), axis=0)
    varies = spread > _VARIES * error
    differs = bool(varies.any())
    if np.sqrt(np.mean(pattern**2)) > _FLAT * usual:  # its own plane is not known, then
        planes = planes - middle
    else:
        seen = _COMMON * float(np.median(survey.contrast[used]))
        known = error * np.sqrt(np.pi / 2 / np.count_nonzero(used))  # that of a median
        varies |= np.abs(middle) > np.maximum(_VARIES * known, seen)
    background = "none"
    if vacuum and varies.any():
        background = "plane" if varies[1:].any() else "offset"
    above = survey.mass.sum(axis=1) / (n_rows * n_columns) - level
    dark = float(np.median(above[used])) < -_DARK * float(np.median(survey.contrast[used]))
    below_nothing = float(np.median(level[used])) < 0  # no absorbance, then
    return Borders(vacuum, planes, background, differs, level, dark and (vacuum or below_nothing))


def _noise(rest: Array) -> Array:
    """Return each frame's noise, from neighbouring rows, or columns where there are few rows."""
    rough = np.diff(rest, axis=2) if rest.shape[2] > 2 else np.diff(rest, axis=1)
    noise: Array = np.sqrt(np.mean(rough**2, axis=(1, 2)) / 2)
    return noise
