"""What is done otherwise where the object leaves the images: one strategy, which the loop asks.

It answers for the grid, the options of a reconstruction, the weak modes of the shifts, and why
shifts may stay uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..geometry import ScanGeometry
from ..start.outline import rows_inside, rows_leaving
from ..start.prepare import Start
from ..start.run import Run
from .weak_modes import WeakModes, measure_weak_modes

__all__ = ["Grazing", "Part", "Truncated", "Truncation", "Whole", "truncation_of"]

Part = tuple[NDArray[np.bool_] | slice, int, dict[str, Any]]
"""Rows that are reconstructed together, the width of their grid, and the options."""

# ``tests/benchmarks/constants.py loop.truncation._WIDER 1.1,1.2,1.4 --cases truncated1.6``: 1.1 is
# as good there, and a third to three times worse where the object is 1.5 to 2 times too wide; 1.4
# gives the trends of the shifts more room, and is worse by a fifth.
_WIDER = 1.2  # grid over detector, where the object is wider than the images
# Of the mean absorbance, at the side borders. Of eight developing scans beyond it that rested and
# stated little, six were wrong by 0.3 to 4 px.
_DEEP = 0.25
# True error over the one that noise and misfit make: the median of 33 runs of storm_foreign.py that
# call themselves converged is 1.5, and 0.95 of the 211 whose object lies inside. What lies outside
# takes up slow waves of the shifts, more of them than a second look tells.
_UNSEEN = 1.5
_ONE_SIDED = (
    0.1  # of the width, from the middle to the axis: what leaves comes in half a turn later
)


class Truncation(Protocol):
    """What the loop asks."""

    @property
    def deep(self) -> bool:
        """So much lies outside that it explains what shifts do, and nothing tells how well."""
        ...

    @property
    def unseen(self) -> float:
        """By how much true errors are larger than what is seen makes them."""
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
    """The object lies inside every image: nothing is done otherwise.

    Parameters
    ----------
    beyond : float
        Of the images' width: by how much the farther border lies further from the axis than half of
        it. The grid is centred on the axis, and must hold what is seen there.
    """

    def __init__(self, beyond: float = 0.0) -> None:
        self._beyond = beyond

    def _held(self, geometry: ScanGeometry) -> int:
        """Return the width of the grid that reaches as far as the images do, to half a pixel."""
        margin = round(self._beyond * geometry.n_columns)
        return geometry.n_columns + 2 * margin

    unseen = 1.0
    deep = False
    reason = "the images are too noisy, too smooth or too few for more: measure longer or bin"

    @property
    def learns(self) -> bool:
        """False: there is nothing to learn."""
        return False

    def grid(self, geometry: ScanGeometry, *, last: bool) -> ScanGeometry:
        """Return the grid that reaches as far as the images do."""
        return geometry.with_changes(volume_width=self._held(geometry))

    def options_of_all(self, run: Run) -> dict[str, Any] | None:
        """Return the options of all rows: they are alike."""
        return run.options

    def parts(
        self,
        run: Run,
        measured: Stack,
        weights: NDArray[Any],
        geometry: ScanGeometry,
    ) -> Iterator[Part]:
        """Yield all rows: they are alike."""
        yield slice(None), geometry.volume_width, run.options

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


class Grazing(Whole):
    """The object leaves the images at the sides in some frames, or a shift brings it there.

    Rows whose object does leave have a grid wider than the images: on one that is as wide, what
    lies outside is missed by few frames and draws all (a crystal of 48 pixels whose corners leave a
    frame in ten: 0.02 px for 0.07 to 0.18, five of them). To know of all others that nothing is
    outside tells slow trends of the column shifts.

    Parameters
    ----------
    thick : float
        Absorbance where the object is thick.
    noise : float
        Standard deviation of a pixel's, of the full images.
    beyond : float
        See `Whole`.
    """

    def __init__(self, thick: float, noise: float, beyond: float) -> None:
        super().__init__(beyond)
        self._thick, self._noise = thick, noise

    def _wider(self, geometry: ScanGeometry) -> ScanGeometry:
        held = self._held(geometry)
        margin = math.ceil((_WIDER - 1) * held / 2)
        return geometry.with_changes(volume_width=held + 2 * margin)

    def grid(self, geometry: ScanGeometry, *, last: bool) -> ScanGeometry:
        """Return a wider grid."""
        return self._wider(geometry)

    def options_of_all(self, run: Run) -> dict[str, Any] | None:
        """Return None: rows whose object lies inside every image have a narrower grid."""
        return None

    def _inside(
        self, run: Run, measured: Stack, weights: NDArray[Any], geometry: ScanGeometry
    ) -> NDArray[np.bool_]:
        # Of a pixel that is binned along the columns, at least.
        noise = self._noise * math.sqrt(geometry.n_columns / run.geometry.n_columns)
        return ~rows_leaving(measured, weights, self._thick, noise)

    def parts(
        self,
        run: Run,
        measured: Stack,
        weights: NDArray[Any],
        geometry: ScanGeometry,
    ) -> Iterator[Part]:
        """Yield the rows whose object lies inside every image, and the others."""
        held = self._held(geometry)
        narrow = geometry.volume_width == held
        if narrow or not geometry.has_vertical_axis:  # no slice is seen by itself
            yield from super().parts(run, measured, weights, geometry)
            return
        inside = self._inside(run, measured, weights, geometry)
        for rows, width in ((inside, held), (~inside, geometry.volume_width)):
            if rows.any():
                yield rows, width, run.options


class Truncated(Grazing):
    """The object is wider than the images.

    The last level has a grid wider than the images, which makes the answer right and the way there
    slow. A wider object explains a trend of the column shifts almost as well as the shifts do; so
    rows whose object lies inside every image keep the narrow grid, for to know that nothing is
    outside tells the two apart, and what is found of the trends is restored (`weak_modes`).

    Parameters
    ----------
    sides : float
        See `Outline`.
    thick, noise, beyond : float
        See `Grazing`.
    """

    unseen = _UNSEEN
    reason = (
        "what lies outside the images can explain trends of the shifts: measure a wider field, "
        "or more angles"
    )

    def __init__(self, sides: float, thick: float, noise: float, beyond: float) -> None:
        super().__init__(thick, noise, beyond)
        self.deep = sides > _DEEP and beyond < _ONE_SIDED
        self._modes: WeakModes | None = None

    @property
    def learns(self) -> bool:
        """Whether the weak modes have not been measured yet."""
        return self._modes is None

    def grid(self, geometry: ScanGeometry, *, last: bool) -> ScanGeometry:
        """Return a wider grid for the last level."""
        return self._wider(geometry) if last else super(Grazing, self).grid(geometry, last=last)

    def _inside(
        self, run: Run, measured: Stack, weights: NDArray[Any], geometry: ScanGeometry
    ) -> NDArray[np.bool_]:
        return rows_inside(measured, weights, self._thick)

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
    if callable(run.algorithm):
        return Whole()
    middle = (run.geometry.n_columns - 1) / 2
    beyond = abs(start.geometry.center - middle) / run.geometry.n_columns
    truncated = start.outline.truncated
    if not (truncated or (start.outline.grazes and run.independent_slices)):
        return Whole(beyond)
    thick, noise = start.thick, start.usual_noise
    if truncated:
        return Truncated(start.outline.sides, thick, noise, beyond)
    return Grazing(thick, noise, beyond)
