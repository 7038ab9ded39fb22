"""Can the result be trusted? The verification in the background, which can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from napari.qt.threading import FunctionWorker
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from ..alignment import result_from_state
from ..geometry import RotationAxis, turn_projections
from ..geometry.gauge import remove_gauge
from ..results import AlignmentState, IterationRecord
from ..verification import Verification, verify
from ._background import worker_for
from ._request import ScanSource

__all__ = ["Verified", "Verifier"]

_LOOK_EVERY = 40  # ms between two looks at how far the verification is


@dataclass(frozen=True, eq=False)
class Verified:
    """The verdict, and the shifts as a picture shows them.

    Attributes
    ----------
    message : str
        The verdict in words.
    injected, recovered : (n_scored, 2) array
        (row, column) of the images as measured, pixels. They differ by what is scored: what the
        object's position does not account for.
    """

    message: str
    injected: NDArray[np.float64]
    recovered: NDArray[np.float64]


class _Course:
    """What the window and the thread both know: the latest iteration, and whether to stop."""

    def __init__(self) -> None:
        self.worker: FunctionWorker | None = None
        self.record: IterationRecord | None = None

    def passed(self, state: AlignmentState) -> bool:
        """Note an iteration and say whether to go on; called by the loop's own thread."""
        self.record = state.record
        return not self.stopped

    @property
    def stopped(self) -> bool:
        """Whether the worker was asked to end, by the user or by a window that closes."""
        return self.worker is not None and self.worker.abort_requested


class Verifier(QObject):
    """Verifies one result at a time.

    Signals
    -------
    advanced(record)
        Of the latest iteration; some may have been left out.
    ended(verified, error)
        It is over; None and None where it was stopped.

    Attributes
    ----------
    limit : int
        Iterations of the verification under way, or of the latest one, at most.
    """

    advanced = Signal(object)
    ended = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.limit = 0
        self._course = _Course()
        self._verified: Verified | None = None
        self._error: Exception | None = None
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_EVERY)
        self._look.timeout.connect(self._tell_course)

    @property
    def is_running(self) -> bool:
        """Whether a verification is under way."""
        return self._course.worker is not None

    def start(self, state: AlignmentState, scan: ScanSource) -> None:
        """Start to verify.

        Parameters
        ----------
        state : AlignmentState
            Of whose shifts; its images are not looked at.
        scan : ScanSource
            That it was found on, with the masks that were there.
        """
        self.limit = state.parameters.maxiter
        self._course = _Course()
        self._verified = self._error = None
        self._course.worker = worker = worker_for(
            _verify,
            state,
            scan,
            self._course.passed,
            returned=self._on_returned,
            errored=self._on_errored,
            finished=self._on_finished,
        )
        worker.start()
        self._look.start()

    def stop(self) -> None:
        """End after the iteration that is being done, without a verdict."""
        if self._course.worker is not None:
            self._course.worker.quit()

    def _tell_course(self) -> None:
        record, self._course.record = self._course.record, None
        if record is not None:
            self.advanced.emit(record)

    def _on_returned(self, verified: Verified) -> None:
        self._verified = verified

    def _on_errored(self, error: Exception) -> None:
        self._error = error

    def _on_finished(self) -> None:
        """Come here however it ended: with a verdict, stopped, or by an error just noted."""
        self._look.stop()
        self._course = _Course()
        verified, error = self._verified, self._error
        self._verified = self._error = None
        self.ended.emit(verified, error)


def _verify(
    state: AlignmentState, source: ScanSource, callback: Callable[[AlignmentState], bool]
) -> Verified:
    """Verify the shifts of a state; away from the GUI thread."""
    scan = source.load()
    verification = verify(
        result_from_state(state),
        scan.projections,
        weights=scan.weights,
        callback=callback,
        progress=False,
    )
    return _as_shown(verification, scan.angles, source.rotation_axis)


def _as_shown(
    verification: Verification, angles: NDArray[np.float64], rotation_axis: RotationAxis
) -> Verified:
    """Return the scored shifts, the object's position taken out as the score takes it."""
    scored = verification.subset
    injected = verification.injected[scored]
    difference = verification.recovered[scored] - injected
    recovered = injected + remove_gauge(difference, angles[scored])
    return Verified(
        message=verification.message,
        injected=turn_projections(injected, rotation_axis),
        recovered=turn_projections(recovered, rotation_axis),
    )
