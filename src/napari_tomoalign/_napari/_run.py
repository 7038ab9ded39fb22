"""The run in the background: a worker that drains the loop, and the mailbox it fills."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import GeneratorWorker
from qtpy.QtCore import QObject, Signal

from ..alignment import iterate_alignment
from ..results import AlignmentState
from ._background import WorkFailed, worker_for
from ._frames import Frame, frames_of
from ._request import RunRequest, ScanSource

__all__ = ["Arrival", "Mailbox", "Runner"]


@dataclass(frozen=True, eq=False)
class Arrival:
    """A state, its layers' share ready to be shown, and the scan it was found on."""

    state: AlignmentState
    frames: dict[str, Frame]
    scan: ScanSource


class Mailbox:
    """Holds the latest arrival only, so that a slow canvas never holds up the loop or memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: Arrival | None = None

    def put(self, arrival: Arrival) -> None:
        """Replace what is there."""
        with self._lock:
            self._latest = arrival

    def take(self) -> Arrival | None:
        """Return what is there and empty the box."""
        with self._lock:
            latest, self._latest = self._latest, None
        return latest


class _Gate:
    """How many more iterations the loop may do before it pauses; None: no limit."""

    def __init__(self, steps: int | None) -> None:
        self.steps = steps
        self.worker: GeneratorWorker | None = None

    def passed(self) -> None:
        """Count an iteration; called by the loop's own thread, so that none slips through."""
        if self.steps is None:
            return
        self.steps -= 1
        if self.steps <= 0 and self.worker is not None:
            self.worker.pause()


def _drain(
    request: RunRequest, mailbox: Mailbox, gate: _Gate, difference: threading.Event
) -> Generator[Any, None, None]:
    """Run the loop; yield (record, state of the random generator) after each iteration."""
    try:
        source = request.scan.settled()
        scan = source.load()
        run = iterate_alignment(
            scan.projections, scan.angles, weights=scan.weights, **request.arguments()
        )
        for state in run:
            mailbox.put(
                Arrival(
                    state,
                    frames_of(
                        state,
                        request.scan.place,
                        difference=difference.is_set(),
                        scan=source,
                    ),
                    source,
                )
            )
            if not state.finished:
                gate.passed()
            yield state.record, state.generator_state
    except (RuntimeError, StopIteration) as error:
        raise WorkFailed(str(error)) from error


class Runner(QObject):
    """Runs one request at a time.

    Signals
    -------
    advanced(record, generator_state)
        After every iteration.
    paused()
        The loop stands still between two iterations.
    ended(error)
        The run is over; the error, or None where it ended by itself or was stopped.

    Attributes
    ----------
    difference : threading.Event
        Set: states come with ``reference - projections``; may be changed during a run.
    limit : int
        Iterations of the run under way, or of the latest one, at most.
    """

    advanced = Signal(object, object)
    paused = Signal()
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.mailbox = Mailbox()
        self.difference = threading.Event()
        self.limit = 0
        self._gate = _Gate(None)
        self._worker: GeneratorWorker | None = None
        self._standing = False
        self._error: Exception | None = None

    @property
    def is_running(self) -> bool:
        """Whether a run is under way, paused or not."""
        return self._worker is not None

    @property
    def is_paused(self) -> bool:
        """Whether a run stands still and can go on."""
        return self._standing

    def start(self, request: RunRequest, *, steps: int | None = None) -> None:
        """Start a run.

        Parameters
        ----------
        request : RunRequest
            What to do.
        steps : int, optional
            Pause after so many iterations.
        """
        self.mailbox = Mailbox()
        self.limit = request.parameters.maxiter
        self._gate = _Gate(steps)
        self._standing = False
        self._gate.worker = self._worker = worker = worker_for(
            _drain,
            request,
            self.mailbox,
            self._gate,
            self.difference,
            yielded=self._on_yielded,
            paused=self._on_paused,
            errored=self._on_errored,
            finished=self._on_finished,
        )
        worker.start()

    def pause(self) -> None:
        """Pause after the iteration that is being done."""
        if self._worker is not None:
            self._worker.pause()

    def go_on(self, *, steps: int | None = None) -> None:
        """Go on after a pause.

        Parameters
        ----------
        steps : int, optional
            Pause again after so many iterations.
        """
        if self._worker is not None and self._standing:
            self._gate.steps = steps
            self._standing = False
            self._worker.resume()

    def stop(self) -> None:
        """End the run after the iteration that is being done; what was reached is kept."""
        if self._worker is not None:
            self._worker.quit()

    def _on_yielded(self, news: tuple[Any, Any]) -> None:
        self.advanced.emit(*news)

    def _on_paused(self) -> None:
        self._standing = True
        self.paused.emit()

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self) -> None:
        """Come here however the run ended: by itself, stopped, or by an error just noted."""
        error, self._error = self._error, None
        self._worker = None
        self._gate = _Gate(None)
        self._standing = False
        self.ended.emit(error)
