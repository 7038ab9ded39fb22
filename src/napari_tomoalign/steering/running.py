"""A run and a verification as a thread does them; it must not keep a window."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from ..alignment import iterate_alignment, result_from_state
from ..results import AlignmentState
from ..verification import Verification, verify
from .course import RunRequest
from .frames import Frame, frames_of
from .scan_source import ScanSource

__all__ = ["Arrival", "Loop", "verified"]


@dataclass(frozen=True, eq=False)
class Arrival:
    """A state, its layers' share ready to be shown, and the scan it was found on."""

    state: AlignmentState
    frames: dict[str, Frame]
    scan: ScanSource


class Loop:
    """A run that a thread drains, and what it leaves for whoever shows it.

    Attributes
    ----------
    latest : deque of Arrival
        The last one at most, so that a slow canvas never holds up the loop or memory.
    difference : threading.Event
        Set: states come with ``reference - projections``; may be changed during a run.
    steps : int or None
        That may still be done before a pause; None: any number.
    pause : callable
        Asks for the pause.
    """

    def __init__(self) -> None:
        self.latest: deque[Arrival] = deque(maxlen=1)
        self.difference = threading.Event()
        self.steps: int | None = None
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


def verified(
    state: AlignmentState, source: ScanSource, callback: Callable[[AlignmentState], bool]
) -> Verification:
    """Verify the shifts of a state on its scan; its images are not looked at."""
    scan = source.load()
    return verify(
        result_from_state(state),
        scan.projections,
        weights=scan.weights,
        callback=callback,
        progress=False,
    )
