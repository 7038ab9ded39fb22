"""What ends a run from outside: Ctrl-C, a scheduler, a closed terminal."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Interrupt", "Interrupted"]

# Windows knows no SIGHUP.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupted(KeyboardInterrupt):
    """A signal that ended a command; ``code`` is what to exit with, as shells have it."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.code = 128 + number


class Interrupt:
    """The first signal ends the run and keeps what was reached, the second one aborts.

    Ctrl-C (SIGINT), what schedulers and containers send before they kill (SIGTERM), and what a
    closed terminal sends (SIGHUP; under nohup it stays ignored).

    Parameters
    ----------
    nothing : str
        What to say where there is nothing to keep.

    Attributes
    ----------
    asked : bool
        A signal came.
    reached : bool
        Set by the command: there is something to keep.
    writing : bool
        Set by the command: it is being kept, so the first signal does not break in.
    """

    def __init__(self, nothing: str = "interrupted; nothing was written") -> None:
        self.asked = self.reached = self.writing = False
        self._nothing = nothing
        self._number = 0
        self._before: dict[int, Any] = {}

    @property
    def code(self) -> int:
        """128 and the number of the signal that came, or 0."""
        return 128 + self._number if self.asked else 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other can be told
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        if self.asked:
            said = f"aborted by a second {name}; files that are there are whole"
            raise Interrupted(said, number)
        self.asked = True
        self._number = number
        if self.reached:
            with suppress(OSError, RuntimeError):  # the terminal may be gone, or in mid-print
                print(f"\n{name}: writing what has been reached; once more aborts", file=sys.stderr)
        if not self.writing:
            raise Interrupted(self._nothing, number)
