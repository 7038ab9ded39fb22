"""Steps of the whole set of shifts: Anderson's acceleration of the loop.

An iteration maps shifts to better shifts. The slowest modes, such as a trend over the angles that
a wedge can hardly tell from a motion of the object, shrink by a constant factor; from a few past
iterations that factor can be learnt (Walker and Ni 2011, doi 10.1137/10078356X, equation 2.2).
"""

from __future__ import annotations

import itertools

import numpy as np

from .._typing import Array

__all__ = ["Anderson"]


class Anderson:
    """Memory of the last iterations, and the step they suggest.

    Parameters
    ----------
    depth : int
        How many past differences are used.
    smallest_gain, largest_gain : float
        The suggested step is at least and at most so many times as long (RMS) as the plain one.
        Where it would be shorter, the past is forgotten and the plain one taken.
    """

    def __init__(
        self, depth: int = 8, smallest_gain: float = 0.3, largest_gain: float = 5.0
    ) -> None:
        self.depth = depth
        self.smallest_gain = smallest_gain
        self.largest_gain = largest_gain
        self._shifts: list[Array] = []
        self._moves: list[Array] = []

    def remember(self, shifts: Array, moves: Array) -> None:
        """Take in the shifts an iteration started from and the moves it found."""
        self._shifts.append(shifts.copy())
        self._moves.append(moves.copy())
        del self._shifts[: -self.depth - 1], self._moves[: -self.depth - 1]

    def step(self) -> Array:
        """Return the step to take instead of the moves remembered last."""
        moves = self._moves[-1]
        if len(self._moves) < 2 or not moves.any():
            return moves
        moved = np.array([np.ravel(b - a) for a, b in itertools.pairwise(self._shifts)])
        changed = np.array([np.ravel(b - a) for a, b in itertools.pairwise(self._moves)])
        gram = changed @ changed.T
        # The ridge of float32 images: differences of moves are known to a hundredth of themselves.
        gram += 1e-4 * max(float(np.trace(gram)), 1e-30) / len(gram) * np.eye(len(gram))
        share = np.linalg.solve(gram, changed @ moves.ravel())
        step: Array = moves - (share @ (moved + changed)).reshape(moves.shape)
        gain = float(np.linalg.norm(step) / np.linalg.norm(moves))
        if gain < self.smallest_gain:  # the past contradicts the present: a frame was left out, say
            del self._shifts[:-1], self._moves[:-1]
            return moves
        step *= min(1.0, self.largest_gain / max(gain, 1e-30))
        return step
