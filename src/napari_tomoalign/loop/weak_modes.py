"""Weak modes: trends of the column shifts that a wider object explains as well as the shifts do.

Where the object leaves the images, what lies outside can follow a slow trend of the column shifts
over the angles. Of such a trend an iteration finds only a small part, some hundredths, and would
need as many iterations to find it all. How small that part is can be measured: displace the images
by each trend in turn and look how much of it comes back. The inverse makes a move whole: Newton's
method, for a few trends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..geometry import ScanGeometry

__all__ = ["WeakModes", "measure_weak_modes", "trends_of", "without_position"]

# Without weak modes runs of objects 1.5 and 2 times too wide take twice the iterations and end at
# the same place. The values below do not decide: half to three times each gives the same errors
# within 1 % (``tests/benchmarks/constants.py loop.weak_modes._PROBE 0.05,0.1,0.3 --cases
# truncated1.6``, and so on).
_HARMONICS = (2, 3, 4, 5)  # of the angle; the first is the object's position
_PROBE = 0.1  # pixels, RMS: small against the images' detail, large against rounding
_LEAST_RESPONSE = 0.02  # added: no trend is taken for weaker than this
_LONGEST = 1.0  # pixels, RMS: a trend is not restored to more at once
_INDEPENDENT = 1e-2  # of the largest singular value: below it a trend is made of the others


@dataclass(frozen=True, eq=False)
class WeakModes:
    """Trends over the angles, and how much of each an iteration finds.

    Attributes
    ----------
    basis : (n_angles, n_modes) array
        Orthonormal, free of the object's position; 0 for frames that do not count.
    response : (n_modes, n_modes) array
        Part of a displacement along one trend (column) that moves back along another (row).
    """

    basis: Array
    response: Array

    def restored(self, moves: Array) -> Array:
        """Return moves (n_angles, 2) with their column trends restored to full length."""
        share, axes = self._shares()
        found = axes.T @ moves[:, 1]
        # A share below 0 was measured wrongly: that trend is left as it was found.
        gain = np.where(share > 0, 1 / (np.maximum(share, 0) + _LEAST_RESPONSE), 1.0)
        trend = axes @ (gain * found)
        longest = _LONGEST * np.sqrt(np.count_nonzero(trend))
        trend *= min(1.0, longest / max(np.linalg.norm(trend), 1e-30))
        restored = moves.copy()
        restored[:, 1] += trend - axes @ found
        return restored

    def _shares(self) -> tuple[Array, Array]:
        """Return the share that is found of each of some trends, and these, orthonormal."""
        share, axes = np.linalg.eigh((self.response + self.response.T) / 2)
        return share, self.basis @ axes


def measure_weak_modes(
    find_moves: Callable[[Array], Array],
    shifts: Array,
    geometry: ScanGeometry,
    counted: NDArray[np.bool_],
) -> WeakModes:
    """Measure the response at given shifts.

    Parameters
    ----------
    find_moves : callable
        Shifts to the moves, both (n_angles, 2) in pixels, that an iteration finds there.
    shifts : (n_angles, 2) array
        Pixels.
    geometry : ScanGeometry
        Of the scan.
    counted : (n_angles,) array of bool
        The frames that move.
    """
    basis = trends_of(geometry, counted, _HARMONICS)
    before = find_moves(shifts)
    step = _PROBE * np.sqrt(counted.sum())
    response = np.empty((basis.shape[1], basis.shape[1]))
    for k, trend in enumerate(basis.T):
        displaced = shifts.copy()
        displaced[:, 1] += step * trend
        response[:, k] = -basis.T @ (find_moves(displaced) - before)[:, 1] / step
    return WeakModes(basis, response)


def trends_of(
    geometry: ScanGeometry, counted: NDArray[np.bool_], harmonics: Sequence[int]
) -> Array:
    """Return a constant and harmonics, orthonormal, without what the object's position explains.

    Parameters
    ----------
    geometry : ScanGeometry
        About one axis.
    counted : (n_angles,) array of bool
        The frames that trends are of.
    harmonics : sequence of int
        Of the angle; the first is the object's position.

    Returns
    -------
    (n_angles, n_trends) array
        0 for frames that do not count.
    """
    angles = geometry.angles
    waves = [wave(k * angles) for k in harmonics for wave in (np.cos, np.sin)]
    trends = np.column_stack([np.ones(len(angles)), *waves]) * counted[:, None]
    trends = without_position(trends, geometry, counted)
    basis, size, _ = np.linalg.svd(trends, full_matrices=False)
    independent: Array = basis[:, size > _INDEPENDENT * size[0]]
    return independent * counted[:, None]


def without_position(columns: Array, geometry: ScanGeometry, counted: NDArray[np.bool_]) -> Array:
    """Return columns (n_angles, ...) of the frames that count without what the position explains.

    By plain least squares: what is left is orthogonal to it, as noise and trends are told apart.
    """
    position = geometry.directions[:, 1] * counted[:, None]
    left: Array = columns - position @ np.linalg.lstsq(position, columns, rcond=None)[0]
    return left
