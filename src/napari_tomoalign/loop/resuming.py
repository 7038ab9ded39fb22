"""Where a resumed run stood: its schedule and its generator."""

from __future__ import annotations

import numpy as np

from ..results import IterationRecord
from ..start.prepare import Start
from ..start.run import Run
from .geometry_errors import known_to
from .poses import Poses
from .probing import learn
from .schedule import Schedule
from .truncation import Truncation

__all__ = ["replay"]


def replay(
    run: Run, start: Start, truncation: Truncation, schedule: Schedule, rng: np.random.Generator
) -> tuple[IterationRecord, ...]:
    """Bring schedule, truncation and generator to where a resumed run stood; return its history."""
    if run.resume is None:
        return ()
    before = run.resume.history[0]  # neither acceleration nor weak modes begin with the first one
    for record in run.resume.history:
        poses = Poses.of_record(run, before)
        learn(run, start, truncation, schedule, poses, record.confidence)
        schedule.accelerate(
            poses,
            record.moves,
            record.drawn,
            record.confidence,
            truncation,
            record.geometry_moves,
        )
        schedule.feed(record)
        schedule.settle(known_to(run, start, record))
        before = record
    rng.bit_generator.state = dict(run.resume.generator_state)
    return tuple(run.resume.history)
