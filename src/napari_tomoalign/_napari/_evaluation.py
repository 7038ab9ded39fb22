"""The layers at shifts that no run has just reached: chosen, nudged, loaded or undone ones."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ..geometry import turn_projections
from ..images.applying import move
from ..parameters import AlignmentParameters
from ..report.comparing import with_images
from ..results import AlignmentState
from ._background import WorkFailed, in_background
from ._frames import Frame, frames_of, moved_frame
from ._request import ScanSource

__all__ = ["Evaluation", "Evaluator"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is asked for.

    Attributes
    ----------
    scan : ScanSource
        That the shifts belong to.
    parameters : AlignmentParameters
        What the loop does to the images.
    shifts : (n_angles, 2) array
        (row, column) of the loop's images, pixels.
    state : AlignmentState or None
        With these shifts, for the reconstruction; None: the scan is moved, and that is all.
    difference : bool
        Show ``reference - projections`` too.
    """

    scan: ScanSource
    parameters: AlignmentParameters
    shifts: NDArray[np.float64]
    state: AlignmentState | None
    difference: bool = False


class Evaluator(QObject):
    """Moves, reconstructs and reprojects in the background; of what is asked the last counts.

    Signals
    -------
    moved(frames)
        The layer ``reference`` at the shifts, soon.
    ready(state, frames)
        All layers at the shifts; the state is None where there is none to reconstruct by.
    failed(error)
        It could not be done.
    """

    moved = Signal(object)
    ready = Signal(object, object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._next: Evaluation | None = None
        self._busy = False

    @property
    def is_running(self) -> bool:
        """Whether something is under way."""
        return self._busy

    def ask(self, evaluation: Evaluation) -> None:
        """Ask for the layers at given shifts."""
        self._next = evaluation
        if not self._busy:
            self._start()

    def forget(self) -> None:
        """Drop what is waiting and what is under way: a run has the layers now."""
        self._next = None
        self._wanted = False

    def _start(self) -> None:
        if self._next is None:
            return
        evaluation, self._next = self._next, None
        self._busy = self._wanted = True
        in_background(
            _evaluate,
            evaluation,
            yielded=self._on_moved,
            returned=self._on_returned,
            errored=self._on_errored,
            finished=self._on_finished,
        )

    def _on_moved(self, frames: dict[str, Frame]) -> None:
        if self._wanted:
            self.moved.emit(frames)

    def _on_returned(self, found: tuple[AlignmentState | None, dict[str, Frame]]) -> None:
        if self._wanted and self._next is None:
            self.ready.emit(*found)

    def _on_errored(self, error: Exception) -> None:
        if self._wanted:
            self.failed.emit(error)

    def _on_finished(self) -> None:
        self._busy = False
        self._start()


def _evaluate(
    asked: Evaluation,
) -> Generator[dict[str, Frame], None, tuple[AlignmentState | None, dict[str, Frame]]]:
    scan, state = asked.scan, asked.state
    try:
        data = scan.as_aligned(asked.parameters)
        stack = move(data, turn_projections(asked.shifts, scan.rotation_axis))
        stack.flags.writeable = False
        frames = {"reference": moved_frame(stack, state, scan.place, scan)}
        yield frames
        if state is None:
            return None, frames
        weights = scan.settled().weights
        found = with_images(
            state,
            turn_projections(data, scan.rotation_axis),
            None if weights is None else turn_projections(weights, scan.rotation_axis),
        )
    except RuntimeError as error:
        raise WorkFailed(str(error)) from error
    return found, frames_of(found, scan.place, difference=asked.difference, scan=scan)
