"""The aligned stack at shifts that no run has reached: chosen, nudged or loaded ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.qt.threading import create_worker
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ..geometry import turn_projections
from ..images.applying import move
from ..results import AlignmentState
from ._frames import Frame, frames_of
from ._request import RunRequest, ScanSource

__all__ = ["Preview"]


@dataclass(frozen=True, eq=False)
class _Moved:
    """A stack that was moved, and by which shifts."""

    request: RunRequest
    shifts: NDArray[np.float64]
    stack: NDArray[np.float32]


class Preview(QObject):
    """Moves a stack in the background; of requests that come in the meantime the last one counts.

    Signals
    -------
    ready(stack)
        (n_angles, n_rows, n_columns), as measured, moved by minus the shifts; read-only.
    difference_ready(frames)
        What the layer ``difference`` shows of a state, by role.
    failed(error)
        It could not be done.
    """

    ready = Signal(object)
    difference_ready = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._last: _Moved | None = None
        self._next: tuple[RunRequest, NDArray[np.float64]] | None = None
        self._busy = False

    def ask(self, request: RunRequest, shifts: NDArray[np.float64]) -> None:
        """Ask for a stack at given shifts.

        Parameters
        ----------
        request : RunRequest
            The scan, and what the loop does to its images first.
        shifts : (n_angles, 2) array
            (row, column) of the loop's images, pixels.
        """
        self._next = (request, shifts.copy())
        if not self._busy:
            self._start()

    def ask_difference(self, state: AlignmentState, scan: ScanSource) -> None:
        """Ask for ``reference - projections`` of a state."""
        worker = create_worker(
            _difference,
            state,
            scan,
            _start_thread=False,
            _connect={"returned": self.difference_ready.emit, "errored": self.failed.emit},
        )
        worker.start()

    def forget(self) -> None:
        """Drop what is kept and what is waiting."""
        self._next = self._last = None

    def _start(self) -> None:
        if self._next is None:
            return
        request, shifts = self._next
        self._next, self._busy = None, True
        worker = create_worker(
            _move,
            request,
            shifts,
            self._last,
            _start_thread=False,
            _connect={
                "returned": self._on_returned,
                "errored": self.failed.emit,
                "finished": self._on_finished,
            },
        )
        worker.start()

    def _on_returned(self, moved: _Moved) -> None:
        if self._next is None:
            self._last = moved
            self.ready.emit(moved.stack)

    def _on_finished(self) -> None:
        self._busy = False
        self._start()


def _difference(state: AlignmentState, scan: ScanSource) -> dict[str, Frame]:
    frames = frames_of(state, scan.place, difference=True, scan=scan)
    return {"difference": frames["difference"]}


def _move(request: RunRequest, shifts: NDArray[np.float64], last: _Moved | None) -> _Moved:
    """Move what has changed since the last time."""
    data = request.scan.as_aligned(request.parameters)
    measured = turn_projections(shifts, request.scan.rotation_axis)
    if last is None or last.request is not request:
        stack = move(data, measured)
    else:
        changed = np.flatnonzero(np.any(shifts != last.shifts, axis=1))
        stack = last.stack.copy()
        if len(changed):
            stack[changed] = move(data[changed], measured[changed])
    stack.flags.writeable = False
    return _Moved(request, shifts, stack)
