"""What has been found so far, which iteration is on show, and from where a run goes on; no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .._typing import Array
from ..parameters import AlignmentParameters
from ..results import AlignmentState, IterationRecord, Resume
from ._request import ScanSource

__all__ = ["Session"]


class Session:
    """The course of one or more runs, and the shifts on show.

    Attributes
    ----------
    history : list of IterationRecord
        All iterations so far, without images, counted on from run to run.
    shown : int
        Number of the iteration on show, counted from 1; 0 for the start.
    shifts : (n_angles, 2) array
        On show, (row, column) of the loop's images, pixels: those of the iteration, nudged or
        loaded.
    center : float or None
        Column of the axis that goes with them.
    edited : bool
        The shifts on show are no longer those of the iteration.
    angles : (n_angles,) array
        Radians.
    state : AlignmentState or None
        The latest, with its images.
    scan : ScanSource or None
        What ``state`` was found on, with the masks that were there.
    """

    def __init__(self) -> None:
        self.begin(np.zeros(0))

    def begin(
        self, angles: Array, shifts: Array | None = None, center: float | None = None
    ) -> None:
        """Forget what was and start at given shifts, or at none.

        Parameters
        ----------
        angles : (n_angles,) array
            Radians.
        shifts : (n_angles, 2) array, optional
            To start from, such as loaded ones.
        center : float, optional
            Column of the axis that goes with them.
        """
        self.angles = np.asarray(angles)
        self.history: list[IterationRecord] = []
        self._generators: list[Mapping[str, Any]] = []
        self._first = np.zeros((len(self.angles), 2)) if shifts is None else np.array(shifts)
        self._first_center = center
        self._before = 0  # iterations that the run under way does not count
        self.state: AlignmentState | None = None
        self.scan: ScanSource | None = None
        self.show(0)

    def add(self, record: IterationRecord, generator_state: Mapping[str, Any]) -> None:
        """Take an iteration in and put it on show."""
        number = self._before + record.iteration
        self.history = [*self.history[: number - 1], replace(record, iteration=number)]
        self._generators = [*self._generators[: number - 1], generator_state]
        self.show(number)

    def show(self, number: int) -> None:
        """Put the shifts of an iteration back; 0 for those at the start.

        Raises
        ------
        ValueError
            There is no such iteration.
        """
        if not 0 <= number <= len(self.history):
            raise ValueError(f"there is no iteration {number}: choose 0 to {len(self.history)}")
        self.shown = number
        self.edited = False
        self.center: float | None
        if number:
            record = self.history[number - 1]
            self.shifts, self.center = np.array(record.shifts), record.center
        else:
            self.shifts, self.center = self._first.copy(), self._first_center

    def nudge(self, index: int, move: tuple[float, float]) -> None:
        """Move one aligned image by (rows, columns), pixels: its shift changes the other way."""
        self.shifts = self.shifts.copy()
        self.shifts[index] -= move
        self.edited = True

    @property
    def record(self) -> IterationRecord | None:
        """The iteration on show, with the shifts as they are now; None at the start."""
        if not self.shown:
            return None
        record = self.history[self.shown - 1]
        return replace(record, shifts=self.shifts) if self.edited else record

    @property
    def outcome(self) -> str:
        """How the latest run ended, in words."""
        state = self.state
        if state is None or not self.history:
            return "Stopped before the first iteration was done."
        if state.finished:
            return f"{state.message[:1].upper()}{state.message[1:]}."
        return f"Stopped after iteration {state.iteration}; its shifts are kept."

    def go_on(self, parameters: AlignmentParameters, *, same: bool = True) -> dict[str, Any]:
        """Get ready to go on from what is on show; what came after it is forgotten.

        Parameters
        ----------
        parameters : AlignmentParameters
            Of the run to come. Where only its limit differs from the run before, that run is
            resumed as if it had never stopped; else a new one starts at the shifts on show.
        same : bool
            Scan, centre and engine are those of the run before.

        Returns
        -------
        dict
            Arguments of `iterate_alignment`: ``resume``, or ``initial_shifts`` and ``center``.
        """
        self.history = self.history[: self.shown]
        self._generators = self._generators[: self.shown]
        if same and self._can_resume(parameters):
            return {"resume": Resume(tuple(self.history), dict(self._generators[-1]))}
        self._before = self.shown
        start: dict[str, Any] = {"initial_shifts": self.shifts.copy()}
        if self.center is not None:
            start["center"] = self.center
        return start

    def shown_state(self) -> AlignmentState | None:
        """Return a state with the shifts on show, for writing; its images are of the latest one."""
        record = self.record
        if self.state is None or record is None:
            return None
        last = self.shown == len(self.history)
        return replace(
            self.state,
            history=(*self.history[: self.shown - 1], record),
            converged=self.state.converged and last and not self.edited,
            generator_state=self._generators[self.shown - 1],
        )

    def _can_resume(self, parameters: AlignmentParameters) -> bool:
        if not self.shown or self.edited or self.state is None or self._before:
            return False
        before = self.state.parameters.with_changes(maxiter=parameters.maxiter)
        rested = self.state.finished and self.state.iteration < self.state.parameters.maxiter
        goes_on = self.shown < parameters.maxiter and not (
            rested and self.shown == self.state.iteration
        )
        return goes_on and before == parameters
