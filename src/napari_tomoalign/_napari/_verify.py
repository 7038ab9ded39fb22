"""Can the result be trusted? The verification in the background, which can be stopped."""

from __future__ import annotations

from weakref import WeakMethod

from qtpy.QtCore import QObject, Signal

from ..results import AlignmentState
from ..steering import ScanSource
from ..steering.running import verified
from ._background import Task

__all__ = ["Verifier"]


class Verifier(Task):
    """Verifies one result at a time.

    Signals
    -------
    advanced(record)
        After every iteration.

    Attributes
    ----------
    limit : int
        Iterations of the verification under way, or of the latest one, at most.
    """

    advanced = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.limit = 0

    def start(self, state: AlignmentState, scan: ScanSource) -> None:
        """Verify the shifts of a state on its scan; the state's images are not looked at."""
        self.limit = state.parameters.maxiter
        passed = WeakMethod(self._passed)  # a thread must not keep the window

        def callback(state: AlignmentState) -> bool:
            tell = passed()
            return tell is not None and tell(state)

        self._worker_for(verified, state, scan, callback).start()

    def _passed(self, state: AlignmentState) -> bool:
        """Tell of an iteration and say whether to go on; called by the loop's own thread."""
        worker = self._worker
        if worker is None or worker.abort_requested:  # by the user or by a window that closes
            return False
        self.advanced.emit(state.record)
        return True
