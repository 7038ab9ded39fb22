"""Where a level comes to rest: whether a last step is worth it, and what more looks tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..results import TRUSTED, IterationRecord, freeze
from .geometry_errors import widened_by_shares
from .poses import Poses
from .schedule import Schedule
from .second_look import look_again, widened
from .standard_errors import Known, drift_error, standard_errors
from .standing import Standing
from .template_noise import noise_share
from .verdict import uncertainty

__all__ = ["look_twice", "stays"]


def stays(
    at: Standing,
    known: Known | None,
    schedule: Schedule,
    moves: Array,
    drawn: NDArray[np.intp],
    there: Poses,
    confidence: Array,
) -> Known | None:
    """Return what is known where the run stands, if it stays there rather than go elsewhere.

    It does where the last step of a level is lost in noise: nothing would be known better there,
    and the evaluation would cost as much as any. ``moves`` and ``drawn`` are the iteration's.
    """
    run, start, before = at.run, at.start, at.confidence
    longest = schedule.would_rest(moves, drawn, confidence)
    if not (np.isfinite(longest) and np.array_equal(before >= TRUSTED, confidence >= TRUSTED)):
        return None
    if known is None:
        if not schedule.last:  # its evaluations cost no more than asking does
            return None
        known = standard_errors(run, start, at.level, at.model, confidence)
    error = uncertainty(start, at.poses.errors_on_detector(known.errors), confidence)
    change = there.absolute - at.poses.absolute
    return known if schedule.stays(longest, change, confidence, error) else None


def look_twice(
    at: Standing, seen: Standing, record: IterationRecord, known: Known
) -> tuple[IterationRecord, Known]:
    """Return the record with the errors that more looks tell of, and what is known by then.

    ``seen`` is where the run stands, with whole images.
    """
    shares = look_again(at)
    known = known.without(noise_share(seen))
    wide = widened(known.errors, known.steady, shares)
    wide = np.hypot(wide, drift_error(at.start, at.level, at.model, known, at.confidence))
    wide *= at.truncation.unseen
    wide = at.poses.errors_on_detector(wide)
    lies = widened_by_shares(at, known)
    return replace(record, standard_error=freeze(wide), geometry_error=lies), known
