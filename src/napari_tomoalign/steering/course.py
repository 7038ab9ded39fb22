"""What a run is asked to do, what has been found, and which of it is on show: values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counting import how_many
from ..geometry import ScanGeometry, turn_projections
from ..images.applying import Turning, binning_between, move
from ..parameters import AlignmentParameters
from ..results import TRUSTED, AlignmentState, IterationRecord, Resume
from ..verification import Verification
from .scan_source import ScanSource

__all__ = ["Course", "RunRequest"]

_CUT_OFF = 0.1  # part of the rows that a binning, which may be less than across, leaves over


def _no_shifts() -> NDArray[np.float64]:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class RunRequest:
    """Everything a run needs.

    Attributes
    ----------
    scan : ScanSource
        What is aligned.
    asked_center : float, optional
        Column of the axis (the row, where the axis is horizontal), as the user gave it.
    backend : str
        By name.
    parameters : AlignmentParameters
        Of the loop.
    start : mapping
        ``initial_shifts``, with the ``center`` that goes with them and what was found of the
        geometry, or ``resume``, or nothing.
    """

    scan: ScanSource
    asked_center: float | None
    backend: str
    parameters: AlignmentParameters
    start: Mapping[str, Any] = field(default_factory=dict)

    def is_same(self, other: RunRequest) -> bool:
        """Whether scan, centre and engine are the same."""
        asked, others = ((one.asked_center, one.backend) for one in (self, other))
        return asked == others and self.scan.is_same(other.scan)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `iterate_alignment`, the data apart."""
        values = {name: getattr(self.parameters, name) for name in self.parameters.to_dict()}
        scan = self.scan
        views = {"angles": scan.angles if scan.rotations is None else None}
        told = {"center": self.asked_center, "backend": self.backend}
        turned = {"rotations": scan.rotations, "in_plane": scan.in_plane}
        return {**values, **told, **views, **turned, **self.start}


@dataclass(frozen=True, eq=False)
class Course:
    """The course of one or more runs, and the shifts on show.

    Attributes
    ----------
    first, first_center : (n_angles, 2) array, float or None
        Where it began.
    shifts, center : (n_angles, 2) array, float or None
        On show, (row, column) of the loop's images, pixels: those of an iteration, nudged or
        loaded; and the column of the axis that goes with them.
    history, generators : tuple
        All iterations so far, counted on from run to run, and the state of the random generator
        after each.
    before : int
        Iterations that the latest run does not count.
    shown : int
        Number of the iteration on show, counted from 1; 0 for the start.
    edited : bool
        The shifts on show are no longer those of the iteration.
    origin, loaded : str, ScanGeometry or None
        Where loaded shifts came from, and what their file says of the images.
    scan : ScanSource or None
        What this belongs to, with the masks that were there, and its own direction of the axis.
    has_scan : bool
        Its images are at hand as they were measured; not of a run that was opened without them.
    request, state : RunRequest, AlignmentState, or None
        Of the latest run; the state without its images.
    verified : Verification or None
        Of the shifts on show.
    settings : mapping
        Of the forms, by the field's name, which undo brings back: those that were changed for it.
    """

    angles: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    first: NDArray[np.float64] = field(default_factory=_no_shifts)
    first_center: float | None = None
    shifts: NDArray[np.float64] = field(default_factory=_no_shifts)
    center: float | None = None
    history: tuple[IterationRecord, ...] = ()
    generators: tuple[Mapping[str, Any], ...] = ()
    before: int = 0
    shown: int = 0
    edited: bool = False
    origin: str = ""
    loaded: ScanGeometry | None = None
    scan: ScanSource | None = None
    has_scan: bool = True
    request: RunRequest | None = None
    state: AlignmentState | None = None
    verified: Verification | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def starting(
        cls,
        scan: ScanSource,
        shifts: NDArray[np.float64] | None = None,
        center: float | None = None,
        origin: str = "",
        geometry: ScanGeometry | None = None,
    ) -> Course:
        """Return one that starts at given shifts, such as loaded ones, or at none."""
        first = np.zeros((len(scan.angles), 2)) if shifts is None else np.array(shifts)
        return cls(
            angles=scan.angles,
            first=first,
            first_center=center,
            shifts=first,
            center=center,
            origin=origin,
            loaded=geometry,
            scan=scan,
        )

    def at(self, number: int) -> Course:
        """Return the course with an iteration's shifts on show; 0 for those at the start."""
        if not 0 <= number <= len(self.history):
            raise ValueError(f"there is no iteration {number}: choose 0 to {len(self.history)}")
        shifts, center = self.first, self.first_center
        if number:
            shifts, center = self.history[number - 1].shifts, self.history[number - 1].center
        return replace(
            self, shown=number, edited=False, verified=None, shifts=shifts.copy(), center=center
        )

    def nudged(self, index: int, move: tuple[float, float]) -> Course:
        """Move one aligned image by (rows, columns), pixels: its shift changes the other way."""
        shifts = self.shifts.copy()
        shifts[index] -= move
        return replace(self, shifts=shifts, edited=True, verified=None)

    def with_iteration(self, record: IterationRecord, generator_state: Mapping[str, Any]) -> Course:
        """Take an iteration in and put it on show."""
        number = self.before + record.iteration
        longer = replace(
            self,
            history=(*self.history[: number - 1], replace(record, iteration=number)),
            generators=(*self.generators[: number - 1], generator_state),
        )
        return longer.at(number)

    def with_state(self, state: AlignmentState, scan: ScanSource) -> Course:
        """Take in what a state says beside its record, without its images."""
        return replace(self, state=state.without_images(), scan=scan)

    def with_scan(self, scan: ScanSource) -> Course:
        """Give a run that was opened without its scan the scan, where it can be this one.

        Raises
        ------
        ValueError
            Another number of projections, another size or another axis.
        """
        own = self.scan
        same = own is not None and (own.place.shape, own.rotation_axis, len(own.angles)) == (
            scan.place.shape,
            scan.rotation_axis,
            len(scan.angles),
        )
        if not same:
            raise ValueError(
                "the scan that these shifts belong to is not open: open it, and choose it as "
                "Projections"
            )
        return replace(self, scan=scan, has_scan=True)

    @property
    def is_result(self) -> bool:
        """Whether there is anything that a run could go on from."""
        return bool(self.history) or bool(np.any(self.shifts)) or self.edited

    @property
    def record(self) -> IterationRecord | None:
        """The iteration on show, with the shifts as they are now; None at the start."""
        if not self.shown:
            return None
        record = self.history[self.shown - 1]
        return replace(record, shifts=self.shifts) if self.edited else record

    def turning(self, binning: float = 1.0) -> Turning | None:
        """Return how the shifts on show turn images of a binning, see `ScanGeometry.turning`."""
        record, geometry = self.record, self.loaded
        if record is not None and self.state is not None:
            found = {n: float(v) if np.ndim(v) == 0 else v for n, v in record.geometry.items()}
            geometry = self.state.measured_geometry.with_changes(center=record.center, **found)
        return None if geometry is None else geometry.turning(binning)

    def binning_to(self, shape: tuple[int, ...]) -> float:
        """Return how many pixels of the scan make one of another stack, as measured, of it.

        Raises
        ------
        ValueError
            Another number of projections, or images that no binning explains.
        """
        assert self.scan is not None  # there are shifts
        if shape[0] != len(self.shifts):
            raise ValueError(
                f"it has {shape[0]} projections, but there are shifts for {len(self.shifts)}: "
                "choose images of the same scan"
            )
        across = 2 if self.scan.rotation_axis == "vertical" else 1
        own = self.scan.data.shape
        binning = binning_between(own[across], shape[across])
        if abs(own[3 - across] / shape[3 - across] / binning - 1) > _CUT_OFF:
            raise ValueError(
                f"it has images of {shape[1:]} pixels and the scan of {own[1:]}, and no binning "
                "explains that: choose images of the same scan"
            )
        return binning

    def moved(self, stack: NDArray[Any]) -> NDArray[np.float32]:
        """Return a stack of the scan, as measured, by the shifts on show; see `binning_to`."""
        assert self.scan is not None  # as above
        axis, binning = self.scan.rotation_axis, self.binning_to(stack.shape)
        upright, shifts = turn_projections(stack, axis), self.shifts / binning
        return turn_projections(move(upright, shifts, turning=self.turning(binning)), axis)

    @property
    def at_end(self) -> bool:
        """Whether the result of the latest run is on show, as it was found."""
        return bool(self.history) and self.shown == len(self.history) and not self.edited

    @property
    def message(self) -> str:
        """What the loop said of the latest run, which counts its own iterations only."""
        said = "" if self.state is None else self.state.message
        earlier = how_many(self.before, "iteration")
        return f"{said}; {earlier} of earlier runs before" if self.before else said

    @property
    def outcome(self) -> str:
        """How the latest run ended, or what of it is on show instead of its end, in words."""
        if self.state is None or not self.history:
            return "Ready."
        if not self.at_end:
            said = f"Iteration {self.shown} of {len(self.history)}" if self.shown else "The start"
            return f"{said} is on show{', moved by hand' if self.edited else ''}."
        if self.state.finished:
            return f"{self.message[:1].upper()}{self.message[1:]}."
        return f"Stopped after iteration {len(self.history)}; its shifts are kept."

    @property
    def headline(self) -> str:
        """The verdict on the shifts on show, in one line; empty where nothing was aligned."""
        record, count = self.record, len(self.history)
        if record is None:
            where = f"Shifts from {self.origin}: " if self.origin else ""
            return f"{where}not aligned yet" if where or count else ""
        trusted = record.confidence >= TRUSTED
        error = _standard_error(record.standard_error[trusted])
        if self.edited:
            ended = f"moved by hand after iteration {self.shown}"
        elif self.shown < count:
            ended = f"iteration {self.shown} of {count}"
        elif self.state is not None and self.state.finished:
            ended = f"{'converged' if self.state.converged else 'not converged'} in {count}"
        else:
            ended = f"iteration {count}"
        known = "± not known" if np.isnan(error) else f"± {error:.3f} px (RMS)"
        fit = f"{np.count_nonzero(trusted)} of {len(trusted)} trusted"
        return f"{known} · {fit} · axis at {record.center:.1f} · {ended}"

    def shown_state(self) -> AlignmentState | None:
        """Return a state with the shifts on show, for writing; it has no images."""
        record = self.record
        if self.state is None or record is None:
            return None
        return replace(
            self.state,
            history=(*self.history[: self.shown - 1], record),
            converged=self.state.converged and self.at_end,
            findings=self.state.findings if self.at_end else (),
            message=self.message
            if self.at_end
            else f"iteration {self.shown} of {len(self.history)}"
            + (", moved by hand" if self.edited else ""),
            generator_state=self.generators[self.shown - 1],
        )

    def going_on(self, request: RunRequest) -> tuple[Course, RunRequest]:
        """Return the course and the request of a run that goes on from what is on show.

        What came after it is left out of the course. Where only the limit differs from the run
        before, that run is resumed as if it had never stopped; else a new one starts at the
        shifts on show.
        """
        kept = replace(
            self, history=self.history[: self.shown], generators=self.generators[: self.shown]
        )
        before = self.request
        told = self.loaded if before is None else before.scan
        if told is not None:  # no form shows it
            scan, rotations = request.scan, request.scan.rotations
            rotations = told.rotations if rotations is None else rotations
            scan = replace(scan, in_plane=told.in_plane, rotations=rotations)
            request = replace(request, scan=scan)
        same = before is not None and before.is_same(request)
        start: dict[str, Any]
        if same and self._can_resume(request.parameters):
            assert self.state is not None  # else it could not
            end = Resume.of(self.state)
            generator = dict(kept.generators[-1])
            start = {"resume": replace(end, history=kept.history, generator_state=generator)}
        else:
            kept = replace(kept, before=self.shown)
            center = self.center if request.asked_center is None else request.asked_center
            start = {"initial_shifts": self.shifts.copy(), "center": center}
            found = {} if self.record is None else self.record.geometry
            start |= {name: turn if turn.ndim else float(turn) for name, turn in found.items()}
        request = replace(request, start=start)
        return replace(kept, request=request), request

    def _can_resume(self, parameters: AlignmentParameters) -> bool:
        if not self.shown or self.edited or self.state is None or self.before:
            return False
        if not self.generators[self.shown - 1]:  # of a run that was opened: only its end is known
            return False
        before = self.state.parameters.with_changes(maxiter=parameters.maxiter)
        rested = self.state.finished and self.state.iteration < self.state.parameters.maxiter
        goes_on = self.shown < parameters.maxiter and not (
            rested and self.shown == self.state.iteration
        )
        return goes_on and before == parameters


def _standard_error(errors: NDArray[np.float64]) -> float:
    """Return the standard error of a shift, RMS of projections, rows and columns together."""
    known = np.isfinite(errors)
    if not known.any():
        return np.nan
    squares = np.sum(errors**2, axis=0, where=known) / np.maximum(known.sum(axis=0), 1)
    return float(np.sqrt(squares.sum()))
