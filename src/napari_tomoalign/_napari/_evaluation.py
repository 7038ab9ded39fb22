"""The layers at shifts that no run has just reached: chosen, nudged, loaded or undone ones."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from ..steering.evaluation import Evaluation, Frames
from ._background import Task

__all__ = ["Evaluator"]


class Evaluator(Task):
    """Does what is asked in the background, one after the other; of what waits the last counts.

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
        self._next: Callable[[], Evaluation] | None = None
        self._wanted = False

    def ask(self, evaluation: Callable[[], Evaluation]) -> None:
        """Ask for the layers at given shifts, see `evaluate`."""
        self._next = evaluation
        if not self.is_running:
            self._start()

    def forget(self) -> None:
        """Drop what is waiting and what is under way: a run has the layers now."""
        self._next, self._wanted = None, False

    def _start(self) -> None:
        if self._next is not None:
            evaluation, self._next, self._wanted = self._next, None, True
            self._worker_for(evaluation, yielded=self._on_moved).start()

    def _on_moved(self, frames: Frames) -> None:
        if self._wanted:
            self.moved.emit(frames)

    def _on_finished(self) -> None:
        super()._on_finished()
        found, error = self._outcome
        if self._wanted and error is not None:
            self.failed.emit(error)
        elif self._wanted and self._next is None and found is not None:
            self.ready.emit(*found)
        self._start()
