"""Whether the images show that something is the detector's: stripes, and pixels that were hit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .survey import NOISELESS, SPIKED, Survey

__all__ = ["Detector", "look_at_detector"]

# Ratios seen with foreign.py and simulate, 64 pixels, 60 angles. Pixels: clean 1.0 to 1.3, thin
# walls along the axis 1.9, patterns of 1 % of the largest value 4, but zingers, too. Columns: clean
# 0.9 to 2.3, thin walls 10, rings of 0.3, 1 and 5 % 9, 29 and 145, zingers (1 %) 12.
_PATTERN, _STRIPES = 3.0, 15.0
# Of the noise of a frame, not of the mean: what a pattern adds to an error of noise. With one that
# is 0.45, 0.9 and 1.8 times the noise of 450 frames, errors were 3 %, 26 % and 180 % above those
# without any; to follow it in reconstructions added 35 %. Flats of k images leave 1 / sqrt(k).
_MATTERS = 0.5
_STRIPES_MATTER = 1.9  # the same of columns, whose rows agree: 15 at the 60 angles above
_FOURTH = np.sqrt(1 + 34 / 36)  # noise of a pixel less what its four neighbours predict of it


@dataclass(frozen=True)
class Detector:
    """What is suspected.

    Attributes
    ----------
    striped : bool
        Neighbouring pixels, or columns, differ by the same in all frames, and by enough to move
        them.
    hit : bool
        Single pixels stand out of all around them, in more places than noise makes.
    """

    striped: bool
    hit: bool


def look_at_detector(
    survey: Survey, used: NDArray[np.bool_], hidden: NDArray[np.bool_]
) -> Detector:
    """Look at the mean of all frames and at single pixels; those that are hidden say nothing."""
    noise = survey.noise_of(used) * _FOURTH / np.sqrt(len(used))
    if survey.noise_of(used) < NOISELESS * float(np.median(survey.contrast[used])):
        return Detector(False, False)
    hit = bool(np.mean(survey.spikes[used]) > SPIKED)
    mean = np.where(hidden, np.nan, survey.mean)
    near, far = mean[:, 1:-3] + mean[:, 3:-1], mean[:, :-4] + mean[:, 4:]
    rough = mean[:, 2:-2] - (4 * near - far) / 6  # cubic curves pass without a trace
    known = np.isfinite(rough).any(axis=0)
    if not known.any():
        return Detector(False, hit)
    pixels = np.nanmedian(np.abs(rough)) / 0.6745 / noise
    columns = np.nanmean(rough[:, known], axis=0)
    of_columns = np.median(np.abs(columns)) / 0.6745 / noise * np.sqrt(survey.shape[1])
    frames = np.sqrt(len(used))
    matter = pixels > max(_PATTERN, _MATTERS * frames) and not hit
    striped = bool(of_columns > max(_STRIPES, _STRIPES_MATTER * frames) or matter)
    return Detector(striped, hit)
