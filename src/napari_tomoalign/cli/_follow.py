"""How a run is followed: a bar on a terminal, a line every tenth where there is none."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ..results import AlignmentState

__all__ = ["Follow"]


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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
