"""A second look before the word: displace what was found and see how much of it comes back.

An iteration reconstructs from displaced data, so the reconstruction follows a displacement in part,
and of it an iteration finds only a share ``r``: nearly all where many projections see the same
object; little of a slow trend over the angles where the object leaves the images, and little of
anything with few angles. ``r`` of the information is left, so the variance is ``1 / r`` times that
for a known object. One evaluation tells it for smooth trends, each by itself, and for the rest:
under a rotation of the scan harmonics of the angle do not mix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..results import TRUSTED, freeze
from ..start.held import levels_of
from .level import level_of
from .matching import match
from .standing import Standing

__all__ = ["Share", "look_again", "measure_shares", "widened"]

_HARMONICS = 5  # of the angle: of finer trends the share is that of the rest
_PROBE = 0.3  # pixels, RMS, of trends and of the rest: large against noise, small against detail
_INDEPENDENT = 0.1  # of a harmonic's length: with less left, it is made of the others
# No share is told to be smaller. Of trends of objects that leave the images less than a twentieth
# comes back; with 0.05, seven of the first 200 developing scans of storm_foreign.py claimed to be
# converged and were wrong by 0.24 to 3.9 px; with 0.01 none of these.
_LEAST = 0.01
_USUAL = 0.05  # in a mean over the trends none is taken for smaller: it would be that one alone
_GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class Share:
    """How much an iteration finds of a displacement, in one direction.

    Attributes
    ----------
    basis : (n_angles, n_modes) array
        Orthonormal harmonics of the angle, free of the gauge.
    modes : (n_modes,) array
        The share of each, 0 to 1.
    rest : float
        The share of what changes from frame to frame.
    """

    basis: Array
    modes: Array
    rest: float

    def widened(self, errors: Array, steady: Array) -> Array:
        """Return standard errors (n_angles,) of shifts, from those for a known object.

        ``steady`` is the part of them that is no noise, such as coarse pixels bring: it changes
        slowly with the angle, and of a trend of which a share is found it makes ``1 / share`` of
        itself. With the mean over the trends, runs that end at binnings 2 and 4 state 0.8 to 2
        times their true errors (``foreign_kinds.py --levels 2``), where the rod's were 2.5 times
        those stated.
        """
        more = self.basis**2 @ (1 / self.modes - 1 / self.rest)
        carried = np.mean(1 / np.maximum(self.modes, _USUAL)) if len(self.modes) else 1.0
        variance = errors**2 * np.maximum(1 / self.rest + more, 1.0) + steady**2 * (carried**2 - 1)
        wide: Array = np.sqrt(variance)
        return wide


def look_again(at: Standing) -> tuple[Share, Share]:
    """Return the shares that are found of displaced rows and columns.

    Looked at on the finest level but one, where an iteration costs an eighth and trends are the
    same; on the level that the run ended at where that is as coarse.
    """
    run, poses = at.run, at.poses
    counted = at.start.registered & (at.confidence >= TRUSTED)
    drawn = np.flatnonzero(counted)
    binning = max(levels_of(run)[-2:][0], at.start.binning[1])
    there, same = at, binning <= at.level.binning
    if not same:
        grid = at.truncation.grid(poses.frame, last=True)
        there = replace(at, level=level_of(at.start, binning, grid))

    def find_moves(step: Array) -> Array:
        known = same and not step.any()
        seen = at.model if known else there.evaluated(poses.displaced(step * there.level.pixel))
        moves = np.zeros_like(step)
        moves[drawn] = match(run, there.level, seen, drawn, at.confidence, True).shifts
        return np.nan_to_num(moves)

    return measure_shares(find_moves, poses.geometry.angles, counted)


def measure_shares(
    find_moves: Callable[[Array], Array], angles: Array, counted: NDArray[np.bool_]
) -> tuple[Share, Share]:
    """Measure the shares of displaced rows and columns.

    Parameters
    ----------
    find_moves : callable
        Displacements from where the run rests to the moves that an iteration finds there, both
        (n_angles, 2) in pixels.
    angles : (n_angles,) array
        Radians.
    counted : (n_angles,) array of bool
        The frames that move.
    """
    rows, columns = (_Probe.of(angles, counted, rows=rows) for rows in (True, False))
    step = np.stack([probe.trend + probe.rest for probe in (rows, columns)], axis=1)
    back = find_moves(np.zeros_like(step)) - find_moves(step)
    return rows.share(back[:, 0]), columns.share(back[:, 1])


def widened(errors: Array, steady: Array, shares: tuple[Share, Share]) -> Array:
    """Return standard errors (n_angles, 2) with what a known object's do not hold."""
    each = [s.widened(errors[:, k], steady[:, k]) for k, s in enumerate(shares)]
    return freeze(np.stack(each, axis=1))


@dataclass(frozen=True, eq=False)
class _Probe:
    """A displacement (n_angles,) in pixels: smooth trends, and the rest, orthogonal to them."""

    basis: Array
    trend: Array
    rest: Array

    @classmethod
    def of(cls, angles: Array, counted: NDArray[np.bool_], *, rows: bool) -> _Probe:
        """Choose it for the rows or the columns; nothing of it is the gauge's."""
        n = int(counted.sum())
        constant = np.ones(len(angles))
        waves = [wave(k * angles) for k in range(1, _HARMONICS + 1) for wave in (np.cos, np.sin)]
        gauge, others = ([constant], waves) if rows else (waves[:2], [constant, *waves[2:]])
        others = others[: max(0, n // 2 - len(gauge))]  # few frames: leave some to the rest
        lines = np.stack([*gauge, *others], axis=1) * counted[:, None]
        smooth, triangle = np.linalg.qr(lines)
        new = np.abs(np.diagonal(triangle)) > _INDEPENDENT * np.linalg.norm(lines, axis=0)
        new[: len(gauge)] = False
        basis = smooth[:, new] * counted[:, None]
        turns = np.where(np.arange(basis.shape[1]) % 3 == 0, -1.0, 1.0)
        trend = basis @ turns * (_PROBE * np.sqrt(n / max(len(turns), 1)))
        up = np.arange(len(angles)) * _GOLDEN % 1 < 0.5
        rest = np.where(up, _PROBE, -_PROBE) * counted
        rest = (rest - smooth @ (smooth.T @ rest)) * counted
        return cls(basis, trend, rest)

    def share(self, back: Array) -> Share:
        """Return what share of the displacement came back."""
        modes = (self.basis.T @ back) / (self.basis.T @ self.trend)
        power = float(self.rest @ self.rest)
        rest = float(self.rest @ back) / power if power > 0 else 1.0
        return Share(self.basis, np.clip(modes, _LEAST, 1), float(np.clip(rest, _LEAST, 1)))
