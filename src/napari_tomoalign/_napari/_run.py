"""The run in the background: a worker that drains the loop."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal

from ..steering import RunRequest
from ..steering.running import Loop
from ._background import Task

__all__ = ["Runner"]


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
    latest, difference
        Of the `Loop`.
    limit : int
        Iterations of the run under way, or of the latest one, at most.
    is_paused : bool
        A run stands still and can go on.
    """

    advanced = Signal(object)
    paused = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loop = Loop()
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
