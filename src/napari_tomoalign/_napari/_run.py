"""The run in the background: a worker that drains the loop, and what it leaves for the canvas."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Signal

from ..alignment import iterate_alignment
from ..results import AlignmentState
from ..steering import RunRequest, ScanSource
from ..steering.frames import Frame, frames_of
from ._background import Task

__all__ = ["Arrival", "Runner"]


@dataclass(frozen=True, eq=False)
class Arrival:
    """A state, its layers' share ready to be shown, and the scan it was found on."""

    state: AlignmentState
    frames: dict[str, Frame]
    scan: ScanSource


class _Loop:
    """What the loop's own thread works with; it must not keep the window."""

    def __init__(self) -> None:
        self.latest: deque[Arrival] = deque(maxlen=1)
        self.difference = threading.Event()
        self.steps: int | None = None  # that may still be done before a pause; None: any number
        self.pause: Callable[[], None] = lambda: None

    def drain(self, request: RunRequest) -> Generator[Any, None, None]:
        """Run the loop; yield (record, state of the random generator) after each iteration."""
        source = request.scan.settled()
        scan = source.load()
        for state in iterate_alignment(
            scan.projections, weights=scan.weights, **request.arguments()
        ):
            wanted = self.difference.is_set()
            frames = frames_of(state, source.place, difference=wanted, scan=source)
            self.latest.append(Arrival(state, frames, source))
            if self.steps is not None and not state.finished:
                self.steps -= 1  # counted here, so that no iteration slips through
                if self.steps <= 0:
                    self.pause()
            yield state.record, state.generator_state


class Runner(Task):
    """Runs one request at a time.

    Signals
    -------
    advanced((record, generator_state))
        After every iteration.
    paused()
        The loop stands still between two iterations.

    Attributes
    ----------
    latest : deque of Arrival
        The last one at most, so that a slow canvas never holds up the loop or memory.
    difference : threading.Event
        Set: states come with ``reference - projections``; may be changed during a run.
    limit : int
        Iterations of the run under way, or of the latest one, at most.
    is_paused : bool
        A run stands still and can go on.
    """

    advanced = Signal(object)
    paused = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loop = _Loop()
        self.latest, self.difference = self._loop.latest, self._loop.difference
        self.limit = 0
        self.is_paused = False

    def start(self, request: RunRequest, *, steps: int | None = None) -> None:
        """Start a run; pause after so many steps."""
        self.latest.clear()
        self.limit = request.parameters.maxiter
        self._loop.steps, self.is_paused = steps, False
        worker = self._worker_for(
            self._loop.drain, request, yielded=self.advanced, paused=self._on_paused
        )
        self._loop.pause = worker.pause
        worker.start()

    def pause(self) -> None:
        """Pause after the iteration that is being done."""
        if self._worker is not None:
            self._worker.pause()

    def go_on(self, *, steps: int | None = None) -> None:
        """Go on after a pause; pause again after so many steps."""
        if self._worker is not None and self.is_paused:
            self._loop.steps, self.is_paused = steps, False
            self._worker.resume()

    def _on_paused(self) -> None:
        self.is_paused = True
        self.paused.emit()

    def _on_finished(self) -> None:
        self.is_paused = False
        super()._on_finished()
