"""How far the axis is off: of what an iteration finds of it, the whole.

A reconstruction follows a wrong axis: over half a turn a lean is much like a turned object, and of
either an iteration finds a tenth to a third. Each unknown of the scan is displaced, and what of
that comes back says how much of its own move was found; by the inverse a move is whole (Newton's
method). Nothing is kept from one iteration to the next.

A lean is asked of reconstructions that may be negative. Where they may not, noise lifts what
surrounds the object, and which way the axis leans decides how much of it fits: 64^3, 60 angles over
half a turn, 2 % noise, three objects: leans are wrong by 0.6 degrees with, by 0.1 without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array
from ..parameters import OF_SCAN
from ..start.held import levels_of
from ..start.prepare import Start
from ..start.run import Run
from .evaluating import evaluate
from .level import Level, level_of
from .matching import find_geometry
from .poses import Poses
from .refinement import LONGEST, Refined, lever
from .truncation import Truncation

__all__ = ["LEAST", "PROBE", "Response", "ask_axis", "longest"]

PROBE = 0.3  # pixels at the border: large against rounding, small against detail
_BLUR = 1.6
"""Pixels by which what a lean changes is smoothed, twice as much as templates are: what a
reconstruction follows of a lean is its fine detail (an iteration finds 0.14, 0.42, 0.09 of one, and
0.09, 0.22, 0.03 with 0.8; 64^3, 60 angles, 2 % noise, binned by 2, three objects), and noise that
it follows drives leans apart: over a whole turn, 32^3, by 0.2 degrees with 1.2, by 0.5 with 0.8."""
_OF_NOISE = {"axis_tilt": 1.5}
"""By how much more an unknown is wrong than its share says: the noise of a reconstruction comes
back from a displacement as well (true over stated without it: 1.9 for 12 objects of 32^3,
where images are taken as they are, 0.6 to 1.6 for five of 64^3, where they are binned)."""
LEAST = 0.05  # no share is taken for smaller: of less, half is the noise of the images


@dataclass(frozen=True, eq=False)
class Response:
    """What an iteration finds of the scan's unknowns, and of a displacement of each.

    Attributes
    ----------
    names : tuple of str
        Of the unknowns that are told.
    found, errors : (n,) array
        Moves and standard errors for a known object, radians.
    share : (n, n) array
        Part of a displacement of one (column) that moves back in another (row).
    """

    names: tuple[str, ...]
    found: Array
    errors: Array
    share: Array

    def whole(self, longest: float) -> dict[str, Array]:
        """Return the moves made whole, none beyond ``longest``."""
        moves = self.found
        if self.names and self._sound and (np.abs(moves) < longest).all():
            turned, size, axes = np.linalg.svd(self.share)
            moves = axes.T @ ((turned.T @ moves) / np.maximum(size, LEAST))
        cut = np.clip(moves, -longest, longest)
        return {name: np.array(move) for name, move in zip(self.names, cut, strict=True)}

    def widened(self) -> dict[str, float]:
        """Return the standard errors with what the reconstruction follows: ``1 / share``."""
        share = np.clip(np.diagonal(self.share), LEAST, 1.0) if self._sound else LEAST
        wide = self.errors / np.sqrt(share)
        wide = wide * [_OF_NOISE.get(name, 1.0) for name in self.names]
        return dict(zip(self.names, wide.tolist(), strict=True))

    @property
    def _sound(self) -> bool:
        """Whether each unknown comes back from where it is displaced to."""
        return bool((np.diagonal(self.share) > 0).all())


_NOTHING = Response((), np.zeros(0), np.zeros(0), np.zeros((0, 0)))


def ask_axis(
    run: Run,
    start: Start,
    level: Level,
    truncation: Truncation,
    poses: Poses,
    confidence: Array,
    told: Refined,
) -> Response:
    """Return what an iteration finds at some poses of the scan's unknowns that are ``told``.

    On the finest level but one, or the present one where that is coarser: an evaluation costs a
    sixteenth there, and what is found is known as well.
    """
    names = tuple(name for name in OF_SCAN if np.isfinite(told.errors.get(name, np.nan)))
    if not names:
        return _NOTHING
    binning = max(levels_of(run)[-2:][0], start.binning[1])
    if binning > level.binning:
        level = level_of(start, binning, truncation.grid(poses.frame, last=True))
    blur: float | None = None
    if "axis_tilt" in names:
        run, blur = _unclipped(run), _BLUR
    used, step = start.taking_part(confidence), PROBE / lever(poses.geometry)

    def ask(there: Poses) -> tuple[Array, Array]:
        model = evaluate(run, level, truncation, there, used, blur=blur)
        seen = find_geometry(run, model, confidence, True, sceptical=False)
        values = [[float(one[name]) for name in names] for one in (seen.moves, seen.errors)]
        return np.array(values[0]), np.array(values[1])

    found, errors = ask(poses)
    if not np.isfinite(errors).all():
        return _NOTHING
    share = np.empty((len(names), len(names)))
    for k, name in enumerate(names):
        there, _ = ask(poses.with_geometry({name: poses.found(name) + step}))
        share[:, k] = (found - there) / step
    return Response(names, found, errors, share)


def longest(poses: Poses) -> float:
    """Return how far an unknown of the scan is moved at once, radians."""
    return LONGEST / lever(poses.geometry)


def _unclipped(run: Run) -> Run:
    """Return the run with reconstructions that may be negative, where the engine can."""
    if callable(run.algorithm):
        return run
    options = {**run.options, "non_negative": False}
    try:
        run.backend.check_options(run.algorithm, options)
    except ValueError:
        return run
    return replace(run, options=options)
