"""Which frames the loop may trust: how well each fits what the others predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..images.capturing import LEAST_OVERLAP
from ..results import TRUSTED
from ..start.frames import coarse_misfit, copies, fit_confidence
from ..start.prepare import Start
from ..start.run import Run
from .kept import coarse_misfit_there
from .model import Model

__all__ = ["judge_frames"]


def judge_frames(run: Run, start: Start, model: Model, before: Array, captured: bool) -> Array:
    """Say how well each frame fits: 0 to 1. Before capture, every frame that shows something.

    A frame that was not trusted comes back only when it fits as well as the others do, so that
    none comes and goes. A copy may fit well where its original lies at a near angle; it gets 0.
    So does a frame of which little is left in the field: what is not seen is not missed either.
    """
    if not captured or not run.parameters.down_weight:
        return start.usable.astype(np.float64)
    pixels = np.maximum(model.sums.pixels, 1.0)
    misfit, size = np.sqrt(model.sums.difference / pixels), np.sqrt(model.sums.power / pixels)
    confidence = fit_confidence(misfit, start.usable, run.geometry.angles, size)
    confidence[model.sums.pixels < LEAST_OVERLAP * np.median(model.sums.pixels[start.usable])] = 0.0
    doubtful = (before < TRUSTED) & (confidence < 1)
    confidence[doubtful] = np.minimum(confidence, TRUSTED / 2)[doubtful]
    if pairs := start.frames.duplicates:
        confidence[copies(pairs, _coarse_misfit(model, np.unique(pairs)))] = 0.0
    return confidence


def _coarse_misfit(model: Model, which: NDArray[np.intp]) -> Array:
    """Return the misfit of some frames among NaNs for all others."""
    misfit = np.full(len(model.sums.pixels), np.nan)
    if model.kept:
        misfit[which] = coarse_misfit_there(model.kept, which)
    else:
        misfit[which] = coarse_misfit(*model.frames(which))
    return misfit
