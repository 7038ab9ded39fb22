"""Let the truncation learn its weak modes, by iterations on binned images that are not kept."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from ..results import TRUSTED
from ..start.held import levels_of
from ..start.prepare import Start
from ..start.run import Run
from .evaluating import evaluate
from .level import level_of
from .matching import match
from .poses import Poses
from .schedule import Schedule
from .truncation import Truncation

__all__ = ["learn"]


def learn(
    run: Run,
    start: Start,
    truncation: Truncation,
    schedule: Schedule,
    poses: Poses,
    confidence: Array,
) -> None:
    """Measure the weak modes, once, where there are any and steps are accelerated at last."""
    if not (truncation.learns and schedule.accelerates and schedule.last):
        return
    # The finest level but one: trends are as smooth there, and an iteration costs an eighth.
    binning = max(levels_of(run)[-2:][0], start.binning[1])
    level = level_of(start, binning, truncation.grid(poses.frame, last=True))
    used = start.taking_part(confidence)
    counted = start.registered & (confidence >= TRUSTED)
    drawn = np.flatnonzero(counted)

    def find_moves(step: Array) -> Array:
        model = evaluate(run, level, truncation, poses.displaced(step), used)
        moves = np.zeros_like(step)
        moves[drawn] = match(run, level, model, drawn, confidence, True).shifts * level.pixel
        return moves

    truncation.learn(find_moves, np.zeros_like(poses.shifts), poses.frame, counted)
