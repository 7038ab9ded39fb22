"""What is done otherwise where the object leaves the images: one strategy, which the loop asks.

It answers for the grid, the options of a reconstruction, the weak modes of the shifts, why shifts
may stay uncertain, and below which residual the noise is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..geometry import ScanGeometry
from ..start.outline import rows_inside, thickness
from ..start.prepare import Start
from ..start.run import Run
from .weak_modes import WeakModes, measure_weak_modes

__all__ = ["Part", "Truncated", "Truncation", "Whole", "truncation_of"]

Part = tuple[NDArray[np.bool_] | slice, int, dict[str, Any]]
"""Rows that are reconstructed together, the width of their grid, and the options."""

# ``tests/benchmarks/constants.py loop.truncation._WIDER 1.1,1.2,1.4 --cases truncated1.6``: 1.1 is
# as good there, and a third to three times worse where the object is 1.5 to 2 times too wide; 1.4
# gives the trends of the shifts more room, and is worse by a fifth.
_WIDER = 1.2  # grid over detector, where the object is wider than the images
_OVERFITTED = 0.5  # of the noise (RMS): then three quarters of its power were followed


class Truncation(Protocol):
    """What the loop asks."""

    @property
    def least_residual(self) -> float:
        """A residual below it is none of a true object: the reconstruction follows the noise."""
        ...

    @property
    def reason(self) -> str:
        """Why shifts may stay uncertain, and what to do about it."""
        ...

    @property
    def learns(self) -> bool:
        """Whether there are weak modes to be measured, and they have not been."""
        ...

    def grid(self, geometry: ScanGeometry, *, last: bool) -> ScanGeometry:
        """Return the geometry with the grid that a level, the last one or not, works on."""
        ...

    def options_of_all(self, run: Run) -> dict[str, Any] | None:
        """Return the options with which all rows are reconstructed; None: `parts` looks at them."""
        ...

    def parts(
        self,
        run: Run,
        measured: Stack,
        weights: NDArray[Any],
        geometry: ScanGeometry,
    ) -> Iterator[Part]:
        """Yield which rows are reconstructed together, and how."""
        ...

    def learn(
        self,
        find_moves: Callable[[Array], Array],
        shifts: Array,
        geometry: ScanGeometry,
        counted: NDArray[np.bool_],
    ) -> None:
        """Measure the weak modes at given shifts (see `measure_weak_modes`)."""
        ...

    def restored(self, moves: Array) -> Array:
        """Return moves (n_angles, 2) with their weak modes restored to full length."""
        ...


class Whole:
    """The object lies inside every image: nothing is done otherwise."""

    least_residual = 0.0
    reason = "the images are too noisy, too smooth or too few for more: measure longer or bin"

    @property
    def learns(self) -> bool:
        """False: there is nothing to learn."""
        return False

    def grid(self, geometry: ScanGeometry, *, last: bool) -> ScanGeometry:
        """Return the grid of the images."""
        return geometry

    def options_of_all(self, run: Run) -> dict[str, Any] | None:
        """Return the options of all rows: they are alike."""
        return run.options_for(1)

    def parts(
        self,
        run: Run,
        measured: Stack,
        weights: NDArray[Any],
        geometry: ScanGeometry,
    ) -> Iterator[Part]:
        """Yield all rows: they are alike."""
        yield slice(None), geometry.volume_width, run.options_for(1)

    def learn(
        self,
        find_moves: Callable[[Array], Array],
        shifts: Array,
        geometry: ScanGeometry,
        counted: NDArray[np.bool_],
    ) -> None:
        """Do nothing: there are no weak modes."""

    def restored(self, moves: Array) -> Array:
        """Return the moves as they are."""
        return moves


class Truncated(Whole):
    """The object is wider than the images.

    The last level has a grid wider than the images, which makes the answer right and the way there
    slow. A wider object explains a trend of the column shifts almost as well as the shifts do; so
    rows whose object lies inside every image keep the narrow grid, for to know that nothing is
    outside tells the two apart, and what is found of the trends is restored (`weak_modes`).

    Parameters
    ----------
    noise : float
        RMS of the noise over that of the data.
    thick : float
        Absorbance where the object is thick.
    """

    reason = (
        "what lies outside the images can explain trends of the shifts: measure a wider field, "
        "or more angles"
    )

    def __init__(self, noise: float, thick: float) -> None:
        self._thick = thick
        self.least_residual = _OVERFITTED * noise
        self._modes: WeakModes | None = None

    @property
    def learns(self) -> bool:
        """Whether the weak modes have not been measured yet."""
        return self._modes is None

    def grid(self, geometry: ScanGeometry, *, last: bool) -> ScanGeometry:
        """Return a wider grid for the last level, and that of the images before."""
        if not last:
            return geometry
        margin = int(np.ceil((_WIDER - 1) * geometry.n_columns / 2))
        return geometry.with_changes(volume_width=geometry.n_columns + 2 * margin)

    def options_of_all(self, run: Run) -> dict[str, Any] | None:
        """Return None: rows whose object lies inside every image have a narrower grid."""
        return None

    def parts(
        self,
        run: Run,
        measured: Stack,
        weights: NDArray[Any],
        geometry: ScanGeometry,
    ) -> Iterator[Part]:
        """Yield the rows whose object lies inside every image, and the others."""
        narrow = geometry.volume_width == geometry.n_columns
        if narrow or not geometry.has_vertical_axis:  # no slice is seen by itself
            yield from super().parts(run, measured, weights, geometry)
            return
        inside = rows_inside(measured, weights, self._thick)
        for rows, width in ((inside, geometry.n_columns), (~inside, geometry.volume_width)):
            if rows.any():
                yield rows, width, run.options_for(1)

    def learn(
        self,
        find_moves: Callable[[Array], Array],
        shifts: Array,
        geometry: ScanGeometry,
        counted: NDArray[np.bool_],
    ) -> None:
        """Measure the weak modes at given shifts."""
        self._modes = measure_weak_modes(find_moves, shifts, geometry, counted)

    def restored(self, moves: Array) -> Array:
        """Return the moves with their weak modes restored."""
        return moves if self._modes is None else self._modes.restored(moves)


def truncation_of(run: Run, start: Start) -> Truncation:
    """Return what suits the scan; a callable that reconstructs knows the images' grid only."""
    if start.outline.truncated and not callable(run.algorithm):
        return Truncated(start.noise, thickness(start.projections))
    return Whole()
