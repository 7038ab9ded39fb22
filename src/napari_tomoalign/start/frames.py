"""Frames that cannot be trusted: blank, saturated and duplicated ones, and those that do not fit.

A frame must earn trust before it moves: what shows no contrast gets no shift, and what does not
fit the others has no say in the reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.binning import bin_stack
from .survey import Survey

__all__ = ["FrameReport", "copies", "fit_confidence", "inspect_frames"]

# With half and twice each value five scans of the independent generator end the same, but for one
# with twice `_HARMLESS` (``tests/benchmarks/constants.py start.frames x0.5,x2 --foreign 5``).
_BLANK_CONTRAST = 0.25  # of the median frame's, after averaging the noise away
_SATURATED_SHARE = 0.2  # of the pixels at exactly the frame's largest value
_COARSE = 16  # pixels along the longer side of the image over which the fit of copies is averaged
_LEAST_SPREAD = 0.03  # of the misfit, relative: no scan is more even
_FEWEST_FOR_TREND = 10  # frames
_HARMLESS = (
    0.15  # of a frame (RMS): views of another object or angle miss 0.2 and more beyond usual
)
_FITS, _FOREIGN = 4.0, 8.0  # robust standard scores of the residual: confidence 1, confidence 0


@dataclass(frozen=True)
class FrameReport:
    """Frames that are suspect by themselves, before any registration.

    Attributes
    ----------
    blank : tuple of int
        No contrast: shutter closed, no object in the beam, or nothing left of it by saturation.
    saturated : tuple of int
        A large share of the pixels has exactly the frame's largest value. May be blank, too.
    duplicates : tuple of (int, int)
        Pairs of frames that are the same to the bit.
    """

    blank: tuple[int, ...] = ()
    saturated: tuple[int, ...] = ()
    duplicates: tuple[tuple[int, int], ...] = ()

    def without(self, excluded: NDArray[np.bool_]) -> FrameReport:
        """Return the report without the frames that are not used anyway."""
        return FrameReport(
            tuple(i for i in self.blank if not excluded[i]),
            tuple(i for i in self.saturated if not excluded[i]),
            tuple(pair for pair in self.duplicates if not excluded[list(pair)].any()),
        )


def inspect_frames(survey: Survey) -> FrameReport:
    """Say which frames are suspect by themselves."""
    blank = np.flatnonzero(survey.contrast <= _BLANK_CONTRAST * np.median(survey.contrast))
    if len(blank) == len(survey.contrast):  # nothing but blank frames: not this function's to say
        blank = blank[:0]
    blanks = {int(i) for i in blank}
    saturated = np.flatnonzero((survey.contrast > 0) & (survey.at_largest > _SATURATED_SHARE))
    first: dict[bytes, int] = {}
    pairs = [
        (first[digest], i)
        for i, digest in enumerate(survey.digests)
        if first.setdefault(digest, i) != i
    ]
    return FrameReport(
        blank=tuple(sorted(blanks)),
        saturated=tuple(int(i) for i in saturated),
        duplicates=tuple(pair for pair in pairs if not set(pair) & blanks),
    )


def copies(
    duplicates: tuple[tuple[int, int], ...], misfit: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return which duplicated frames are copies: all but the one that fits its angle best.

    An object that looks the same from every side gives equal frames, too: where half of all would
    be copies, none is.

    Parameters
    ----------
    duplicates : tuple of (int, int)
        Pairs of equal frames, as `FrameReport` has them.
    misfit : (n_angles,) array
        Of these frames, see `coarse_misfit`.
    """
    groups: dict[int, set[int]] = {}
    for first, second in duplicates:
        groups.setdefault(first, {first}).add(second)
    copied = [i for group in groups.values() for i in group - {min(group, key=misfit.__getitem__)}]
    return np.array(sorted(copied) if 2 * len(copied) < len(misfit) else [], np.intp)


def coarse_block(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of the blocks of images of a shape for `coarse_misfit`."""
    block = max(1, -(-max(shape) // _COARSE))
    return min(block, shape[0]), min(block, shape[1])


def coarse_misfit(
    measured: NDArray[np.float32], weights: NDArray[Any], reprojected: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how badly frames fit, (n,), told from means over blocks.

    Of the noise, which moving an image by a part of a pixel smooths, so that it differs between
    equal frames, little is left in them.

    Parameters
    ----------
    measured, weights, reprojected : (n, n_rows, n_columns) array
        The aligned frames, which pixels count, and what is expected of them.
    """
    size = coarse_block((measured.shape[1], measured.shape[2]))
    misfit = np.empty(len(measured))
    for i, weight in enumerate(np.asarray(weights, np.float32)):
        means = bin_stack((weight * (measured[i] - reprojected[i]))[None], *size)
        misfit[i] = float(np.sum(means**2)) / max(float(weight.sum()), 1e-30)
    return misfit


def fit_confidence(
    misfit: NDArray[np.float64],
    candidates: NDArray[np.bool_],
    angles: NDArray[np.float64] | None = None,
    size: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return how well each frame fits, compared with the others: 1 (well) to 0 (foreign).

    The logarithm of the misfit is compared with its trend over the angles, a parabola, for the
    ends of a wedge fit worse than its middle. The robust standard score (median absolute
    deviation of the candidates) of what departs is mapped linearly: up to 4 gives 1, from 8 on 0.

    Parameters
    ----------
    misfit : (n,) array
        RMS difference between measured and reprojected frame.
    candidates : (n,) array of bool
        The frames that may be trusted at all; the others get 0.
    angles : (n,) array, optional
        Radians. None: the same misfit is expected of all.
    size : (n,) array, optional
        RMS of each frame. Even scans of low noise have scores that are large and mean little: a
        frame that misses little more of itself than is usual fits.
    """
    confidence = np.zeros(len(misfit))
    if not candidates.any():
        return confidence
    log = np.log(np.maximum(misfit, 1e-30))
    known = log[candidates]
    usual = np.full(len(misfit), np.median(known))
    if angles is not None and candidates.sum() > _FEWEST_FOR_TREND:
        usual = _trend(log, angles, candidates)
    departure = log - usual
    spread = _spread(departure[candidates])
    score = departure / max(spread, _LEAST_SPREAD)
    confidence[candidates] = np.clip((_FOREIGN - score) / (_FOREIGN - _FITS), 0, 1)[candidates]
    if size is not None:
        beyond = np.sqrt(np.maximum(misfit**2 - np.exp(2 * usual), 0))
        confidence[candidates & (beyond < _HARMLESS * size)] = 1.0
    return confidence


def _trend(
    values: NDArray[np.float64], angles: NDArray[np.float64], candidates: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return a parabola through the candidates' values, hardly moved by the few that depart."""
    half = max(float(np.ptp(angles)) / 2, 1e-9)
    t = (angles - (angles.min() + angles.max()) / 2) / half
    design = np.column_stack([np.ones_like(t), t, t**2])
    weight = candidates.astype(np.float64)
    fit = np.array([np.median(values[candidates]), 0.0, 0.0])
    for _ in range(10):  # iteratively reweighted: Cauchy's weights
        departure = values - design @ fit
        spread = max(_spread(departure[candidates]), _LEAST_SPREAD)
        robust = weight / (1 + (departure / (2 * spread)) ** 2)
        fit = np.linalg.solve(
            (design.T * robust) @ design + 1e-9 * np.eye(3), design.T @ (robust * values)
        )
    trend: NDArray[np.float64] = design @ fit
    return trend


def _spread(departure: NDArray[np.float64]) -> float:
    """Return a standard deviation that the few which depart far hardly change."""
    from scipy.stats import median_abs_deviation

    return float(median_abs_deviation(departure, scale="normal"))
