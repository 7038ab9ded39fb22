"""Where a run stands: the level it is on, what was evaluated there, and whom it trusts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..start.prepare import Start
from ..start.run import Run
from .evaluating import evaluate
from .level import Level, level_of
from .model import Model
from .poses import Poses
from .truncation import Truncation

__all__ = ["Standing"]


@dataclass(frozen=True, eq=False)
class Standing:
    """What all that looks at a model needs beside it.

    Attributes
    ----------
    run : Run
    start : Start
    level : Level
        That the model is of.
    truncation : Truncation
    model : Model
    confidence : (n_angles,) array
        In each projection, 0 to 1.
    """

    run: Run
    start: Start
    level: Level
    truncation: Truncation
    model: Model
    confidence: Array

    @classmethod
    def of(
        cls,
        run: Run,
        start: Start,
        level: Level,
        truncation: Truncation,
        poses: Poses,
        confidence: Array,
    ) -> Standing:
        """Return where a run stands at some poses: the model is evaluated there."""
        model = evaluate(run, level, truncation, poses, start.taking_part(confidence))
        return cls(run, start, level, truncation, model, confidence)

    @property
    def poses(self) -> Poses:
        """At which the model was evaluated."""
        return self.model.poses

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which projections take part in reconstructions."""
        return self.start.taking_part(self.confidence)

    def evaluated(self, poses: Poses) -> Model:
        """Return the model at other poses, on the same level."""
        return evaluate(self.run, self.level, self.truncation, poses, self.used)

    @property
    def beside_another(self) -> Standing | None:
        """Where it stands, if the memory holds another model beside this one; else None.

        It does where it holds a finer level, whose images take four times as much.
        """
        return self if self.level.binning > self.start.binning[1] else None

    @property
    def pictured(self) -> Standing:
        """Where it stands with whole images: on a coarser level where some rows stand for all."""
        if self.level.bands is None:
            return self
        grid = self.truncation.grid(self.poses.frame, last=True)
        level = level_of(self.start, self.start.binning[1], grid)
        there = replace(self, level=level)
        return replace(there, model=there.evaluated(self.poses))
