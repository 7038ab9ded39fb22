"""How work is followed: a bar on a terminal, lines where there is none."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..results import AlignmentState

__all__ = ["Follow", "FollowWriting"]

_SELDOM = 10.0  # seconds between lines where there is no terminal


class Follow:
    """Shows each state on stderr.

    Parameters
    ----------
    maxiter : int
        Most iterations.
    shown : bool
        Show anything at all.
    """

    def __init__(self, maxiter: int, *, shown: bool) -> None:
        from tqdm import tqdm

        terminal = sys.stderr.isatty()
        self._lines = shown and not terminal
        self._maxiter = maxiter
        self._next = 1
        self._bar = tqdm(total=maxiter, unit="iteration", disable=not (shown and terminal))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def __call__(self, state: AlignmentState) -> None:
        """Show where the run stands."""
        words = (
            f"largest move {state.record.largest_move:.3f} px, residual {state.record.residual:.4f}"
        )
        self._bar.n = state.iteration
        self._bar.total = state.iteration if state.finished else self._maxiter
        self._bar.set_postfix_str(words)
        if self._lines and (state.iteration >= self._next or state.finished):
            tenth = max(1, self._maxiter // 10)
            self._next = (state.iteration // tenth + 1) * tenth
            said = f"iteration {state.iteration} of at most {self._maxiter}: {words}"
            print(said, file=sys.stderr, flush=True)


class FollowWriting:
    """Shows how much of each file is written on stderr.

    Parameters
    ----------
    shown : bool
        Show anything at all.
    """

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[None] | None = None
        self._name = ""
        self._said = time.monotonic()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show how many bytes of a file are written."""
        if not self._shown:
            return
        if sys.stderr.isatty():
            self._advance(name, done, total)
        elif time.monotonic() - self._said > _SELDOM:
            self._said = time.monotonic()
            print(f"{name}: {done / total:.0%} written", file=sys.stderr, flush=True)

    def _advance(self, name: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if name != self._name:
            if self._bar is not None:
                self._bar.close()
            self._name = name
            self._bar = tqdm(total=total, desc=name, unit="B", unit_scale=True, file=sys.stderr)
        assert self._bar is not None  # made with the first name
        self._bar.update(done - self._bar.n)
