"""Which level comes next, when shifts count as captured, and when to stop.

The stop rule: every valid projection that is trusted has been registered since its last move as
long as the tolerance. Moves are Euclidean, over the enabled directions; what acceleration makes
of them must rest as well. Whether a run that rests has converged is judged in `verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry.gauge import gauge_part
from ..parameters import OF_SCAN
from ..results import TRUSTED, IterationRecord
from ..start.held import levels_of
from ..start.prepare import Start
from ..start.run import Run
from .acceleration import Anderson
from .poses import Poses
from .refinement import lever
from .truncation import Truncation

__all__ = ["Schedule"]

# By tests/benchmarks/constants.py, on jitter15, 15angles and wedge60: from half to twice the first,
# from a third to three times the second, and with 5 to 20 iterations, errors differ by 0.4 %.
_CAPTURED = 0.5  # pixels of the level: below this, Gauss-Newton steps take over
_COARSE_TOLERANCE = 0.1  # pixels of a coarse level: good enough to hand on
_RESTING = 0.5  # of the precision, largest move: the RMS of what is left to go is well below it
# Times the precision: stated errors are 6 to 23 % above the true ones (`simulate`, 128 pixels, 180
# angles, eight seeds), and a finer level is eight times the work.
_ENOUGH = 1.1
# Of the standard error (RMS): a last step that is shorter is not taken, and the evaluation that it
# would cost is saved. An iteration finds a part only of what is left to go: with 0.2, errors of
# tests/benchmarks/accuracy.py --quick rise by 1 to 8 %, and by 1 % at most with this.
_LOST = 0.1
_SMALL_SHARE = 0.1  # of a projection's wrong turn that an iteration finds, at least
_COARSE_ITERATIONS = 10  # at most, at one coarse level


class Schedule:
    """Where a run stands.

    Parameters
    ----------
    run : Run
    start : Start

    Attributes
    ----------
    binning : int
        Of the level that the next iteration runs at.
    captured : bool
        The cross-correlation has done its part at this level.
    rests, finished : bool
        The stop rule is met at this level; no further iteration.
    """

    def __init__(self, run: Run, start: Start) -> None:
        parameters, geometry = run.parameters, run.geometry
        levels = parameters.levels or levels_of(run)
        least = 1 if start.for_slabs else start.binning[1]
        levels = tuple(level for level in levels if level >= least)
        self._levels = levels[-parameters.maxiter :]  # each level gets at least one iteration
        self._parameters = parameters
        self._valid = start.registered
        self._held = bool(start.held.any())
        # What lies outside the images is the last level's: the coarser ones know too little of it.
        self._precision = 0.0 if start.outline.truncated else parameters.precision
        self._largest = np.inf
        self._moves_along = start.directions
        self._directions = geometry.directions
        self._iteration = 0
        self._lever = lever(geometry)
        # Pixels at the border: the longest turn that is left; none has been looked for yet.
        self._turned = np.inf if parameters.unknowns else 0.0
        self._step = np.zeros((geometry.n_angles, 2))
        self.finished = False
        self._enter(0)

    def _enter(self, position: int) -> None:
        """Begin a level."""
        self._position = position
        self._memory = Anderson()
        self._trusted = np.zeros(0, bool)  # the frames that the memory is of
        self._latest = np.where(self._valid, np.inf, 0.0)  # the last move of each projection
        self.rests = False
        self.captured = position > 0
        later = len(self._levels) - 1 - position
        self._allowed = self._parameters.maxiter - self._iteration - later
        if later:
            self._allowed = min(self._allowed, _COARSE_ITERATIONS)

    @property
    def binning(self) -> int:
        """Binning of the current level."""
        return self._levels[self._position]

    @property
    def last(self) -> bool:
        """Whether the current level is the finest."""
        return self._position == len(self._levels) - 1

    @property
    def tolerance(self) -> float:
        """Pixels: moves below it rest, at the current level."""
        tolerance = self._parameters.tolerance
        if self.finished and not self.last:
            return max(tolerance, _RESTING * self._precision)
        return tolerance if self.last else max(tolerance, _COARSE_TOLERANCE * self.binning)

    @property
    def _resolved(self) -> bool:
        """Whether moves as small as the tolerance can be seen: not on a grid that is coarser.

        The Gauss-Newton steps, which know no grid, still come; without them the grid is the end.
        """
        grid = self.binning / self._parameters.upsampling
        return self.captured or not self._parameters.gauss_newton or grid <= self.tolerance

    @property
    def _chance(self) -> bool:
        """Whether an iteration has chance in it."""
        parameters = self._parameters
        return parameters.relative_sample_size < 1 or parameters.relaxation_weight > 0

    def gauge_free(self, moves: Array, drawn: NDArray[np.intp], confidence: Array) -> Array:
        """Return the moves without their gauge, which only says that the volume lies elsewhere.

        Told from the frames that were drawn and are trusted. Where there is chance in it, it stays;
        and where frames are held, for then it is a move relative to them.
        """
        counted = np.zeros(len(moves), bool)
        counted[drawn] = confidence[drawn] >= TRUSTED
        if self._chance or self._held or not counted.any():
            return moves
        gauge = gauge_part(moves, self._directions, counted) * self._moves_along
        free: Array = moves - gauge * counted[:, None]
        return free

    @property
    def accelerates(self) -> bool:
        """Whether steps are accelerated: once captured, where an iteration has no chance in it."""
        return self.captured and not self._chance

    def accelerate(
        self,
        poses: Poses,
        moves: Array,
        drawn: NDArray[np.intp],
        confidence: Array,
        truncation: Truncation,
        turns: Mapping[str, Array],
    ) -> tuple[Array, Mapping[str, Array]]:
        """Return the step to take from some poses, given the moves that were found there.

        Of the shifts, and of the turns of each projection (see `refinement`), which are accelerated
        as one; those of the scan are whole already (see `whole_steps`). Acceleration is for frames
        that are trusted; it begins anew when that changes.
        """
        steps = dict(turns)
        whole = {name: turn for name, turn in turns.items() if name in OF_SCAN}
        turns = {name: turn for name, turn in turns.items() if name not in OF_SCAN}
        self._step = moves
        if self.accelerates:
            moves = self.gauge_free(moves, drawn, confidence)
            moves = poses.on_detector(truncation.restored(poses.in_frame(moves)))
            trusted = confidence >= TRUSTED
            if not np.array_equal(trusted, self._trusted):
                self._memory, self._trusted = Anderson(), trusted
            known = {name: poses.found(name) for name in turns}
            self._memory.remember(
                self._joined(poses.absolute, known), self._joined(moves * trusted[:, None], turns)
            )
            step = self._memory.step()
            n = moves.size
            self._step = np.where(trusted[:, None], step.ravel()[:n].reshape(moves.shape), moves)
            steps = whole | self._parted(step.ravel()[n:], turns)
        if self.captured or not steps:
            small = {name: 1.0 if name in OF_SCAN else _SMALL_SHARE for name in steps}
            longest = [float(np.abs(step).max()) / small[name] for name, step in steps.items()]
            self._turned = self._lever * max(longest, default=0.0)
        return self._step, steps

    def _joined(self, shifts: Array, turns: Mapping[str, Array]) -> Array:
        """Return shifts and turns as one array, pixels."""
        parts = [self._lever * turn for turn in turns.values()]
        return np.concatenate([shifts.ravel(), *parts]) if parts else shifts

    def _parted(self, steps: Array, turns: Mapping[str, Array]) -> dict[str, Array]:
        """Return the turns that an array holds after the shifts, radians."""
        parts = np.split(steps / self._lever, len(turns)) if turns else []
        return dict(zip(turns, parts, strict=True))

    def feed(self, record: IterationRecord) -> None:
        """Take in an iteration, and whether the level rests."""
        self._iteration = record.iteration
        self._allowed -= 1
        self._latest = self._lengths(record.moves, record.drawn, record.confidence)
        largest, resolved = self._longest(self._latest, record.confidence), self._resolved
        self.captured = self.captured or largest < _CAPTURED * self.binning
        self._largest = max(largest, self._added)
        self.rests = resolved and self._largest < self.tolerance

    def _lengths(self, moves: Array, drawn: NDArray[np.intp], confidence: Array) -> Array:
        """Return how long the latest move of each projection is, when some have been drawn."""
        latest = self._latest.copy()
        latest[drawn] = np.hypot(*self.gauge_free(moves, drawn, confidence)[drawn].T)
        return latest

    def _longest(self, lengths: Array, confidence: Array) -> float:
        """Return the largest length of those frames that count."""
        counted = self._valid & (confidence >= TRUSTED)
        return float(lengths[counted if counted.any() else self._valid].max())

    @property
    def _added(self) -> float:
        """The longest step and turn: what acceleration adds must rest as well."""
        return max(float(np.hypot(*self._step.T).max()), self._turned)

    def would_rest(self, moves: Array, drawn: NDArray[np.intp], confidence: Array) -> float:
        """Return the longest move of an iteration that no record has yet; infinite: no rest.

        Infinite, too, where moves have chance in them, are those of held frames, or turn something.
        """
        if self._chance or self._held or self._parameters.unknowns or not self._resolved:
            return np.inf
        longest = self._longest(self._lengths(moves, drawn, confidence), confidence)
        longest = max(longest, self._added)
        return longest if longest < self.tolerance else np.inf

    def stays(self, longest: float, change: Array, confidence: Array, error: float) -> bool:
        """Return whether a step is not worth being taken: the level ends with it and without.

        Parameters
        ----------
        longest : float
            See `would_rest`.
        change : (n_angles, 2) array
            What the step would change of shifts and centre.
        confidence : (n_angles,) array
        error : float
            Pixels (RMS): what is known of shifts where the run stands.
        """
        counted = self._valid & (confidence >= TRUSTED)
        lost = float(np.sum(change**2)) / max(int(np.count_nonzero(counted)), 1)
        if not (np.isfinite(error) and lost < (_LOST * error) ** 2):
            return False
        return self.last or not self._enough(error) or self._at_rest(longest)

    def _at_rest(self, largest: float) -> bool:
        """Return whether moves are as short as the last ones of a run that a level ends."""
        return largest < max(self._parameters.tolerance, _RESTING * self._precision)

    def ends(self, error: float) -> bool:
        """Return whether the run ends here, if shifts are known to ``error`` pixels (RMS)."""
        if self.last:
            return self.rests or self._allowed < 1
        return self.rests and self._at_rest(self._largest) and self._enough(error)

    def _enough(self, error: float) -> bool:
        """Return whether shifts known to ``error`` pixels (RMS) need no finer level."""
        return error <= _ENOUGH * self._precision

    def settle(self, error: float) -> None:
        """End the run, go on at this level, or begin the next one.

        Where shifts are known well enough, a level goes on until it rests as well as that.
        """
        self.finished = self.ends(error)
        if self.finished or self.last:
            return
        if self._allowed < 1 or (self.rests and not self._enough(error)):
            self._enter(self._position + 1)
