"""Can the result be trusted? The verification in the background, which can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ..alignment import result_from_state
from ..geometry import RotationAxis, turn_projections
from ..geometry.gauge import remove_gauge
from ..results import AlignmentState
from ..verification import Verification, verify
from ._background import Task
from ._request import ScanSource

__all__ = ["Verified", "Verifier"]


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
        self._worker_for(_verify, state, scan, passed).start()

    def _passed(self, state: AlignmentState) -> bool:
        """Tell of an iteration and say whether to go on; called by the loop's own thread."""
        worker = self._worker
        if worker is None or worker.abort_requested:  # by the user or by a window that closes
            return False
        self.advanced.emit(state.record)
        return True


def _verify(
    state: AlignmentState,
    source: ScanSource,
    passed: WeakMethod[Callable[[AlignmentState], bool]],
) -> Verified:
    """Verify the shifts of a state; away from the GUI thread."""

    def callback(state: AlignmentState) -> bool:
        tell = passed()
        return tell is not None and tell(state)

    scan = source.load()
    verification = verify(
        result_from_state(state),
        scan.projections,
        weights=scan.weights,
        callback=callback,
        progress=False,
    )
    views = state.measured_geometry.directions
    return _as_shown(verification, views, source.rotation_axis)


def _as_shown(
    verification: Verification, views: NDArray[np.float64], rotation_axis: RotationAxis
) -> Verified:
    """Return the scored shifts, the object's position taken out as the score takes it."""
    scored = verification.subset
    injected = verification.injected[scored]
    difference = verification.recovered[scored] - injected
    recovered = injected + remove_gauge(difference, views[scored])
    return Verified(
        message=verification.message,
        injected=turn_projections(injected, rotation_axis),
        recovered=turn_projections(recovered, rotation_axis),
    )
