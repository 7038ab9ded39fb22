"""Where a resumed run stood: its schedule, its generator, and the volume its level began with."""

from __future__ import annotations

import numpy as np

from ..results import IterationRecord
from ..start.prepare import Start
from ..start.run import Run
from .level import level_of
from .model import Coarser, evaluate
from .probing import learn
from .schedule import Schedule
from .steps import absolute
from .truncation import Truncation

__all__ = ["coarser_of", "replay"]


def replay(
    run: Run, start: Start, truncation: Truncation, schedule: Schedule, rng: np.random.Generator
) -> tuple[IterationRecord, ...]:
    """Bring schedule, truncation and generator to where a resumed run stood; return its history."""
    if run.resume is None:
        return ()
    before = run.resume.history[0]  # neither acceleration nor weak modes begin with the first one
    for record in run.resume.history:
        learn(run, start, truncation, schedule, before.shifts, before.center, record.confidence)
        at = absolute(before.shifts, before.center)
        schedule.accelerate(at, record.moves, record.drawn, record.confidence, truncation)
        schedule.feed(record)
        before = record
    rng.bit_generator.state = dict(run.resume.generator_state)
    return tuple(run.resume.history)


def coarser_of(
    run: Run,
    start: Start,
    truncation: Truncation,
    history: tuple[IterationRecord, ...],
    binning: int,
) -> Coarser | None:
    """Make anew the volume in which the level coarser than ``binning`` ended, if there was one."""
    coarser: Coarser | None = None
    ends = {record.binning: record for record in history if record.binning > binning}
    for record in ends.values():
        level = level_of(start, record.binning, truncation.grid(start.geometry, last=False))
        used = start.taking_part(record.confidence)
        model = evaluate(run, level, truncation, record.shifts, record.center, used, coarser)
        coarser = model.volume, model.geometry
    return coarser
