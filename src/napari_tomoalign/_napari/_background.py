"""Work away from the GUI thread, and how the user hears of what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, Concatenate, ParamSpec, TypeVar

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, Signal

from ._words import in_window_words

__all__ = ["Task", "WorkFailed", "in_background", "text_of", "told"]

_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_EXPECTED = (ValueError, TypeError, OSError)


class WorkFailed(Exception):
    """Raised in a generator's worker in place of a RuntimeError, which napari would swallow."""


class Task(QObject):
    """One piece of work at a time, in a thread of its own, which can be stopped.

    Signals
    -------
    ended(found, error)
        It is over, however it ended; None and None where it was stopped.
    """

    ended = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._outcome: tuple[Any, Exception | None] = (None, None)

    @property
    def is_running(self) -> bool:
        """Whether the work is under way, paused or not."""
        return self._worker is not None

    def do(self, job: Callable[[], Any], *, here: bool = False) -> None:
        """Do something, unless something is being done; ``here`` at once, where it is quick."""
        if here:
            self.ended.emit(job(), None)
        elif not self.is_running:
            self._worker_for(job).start()

    def stop(self) -> None:
        """End after the iteration that is being done."""
        if self._worker is not None:
            self._worker.quit()

    def _worker_for(self, job: Callable[..., Any], *arguments: Any, **connect: Any) -> Any:
        """Return the worker that does something when it is started; see `in_background`."""
        self._outcome = None, None
        ending = {"errored": self._on_errored, "finished": self._on_finished}
        connect = {"returned": self._on_returned, **ending, **connect}
        self._worker = _worker_for(job, *arguments, **connect)
        return self._worker

    def _on_returned(self, found: Any) -> None:
        self._outcome = found, None

    def _on_errored(self, error: Exception) -> None:
        self._outcome = None, error

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(*self._outcome)


def in_background(job: Callable[..., Any], **connect: Callable[..., Any]) -> None:
    """Do something in a thread of its own.

    Parameters
    ----------
    job : callable
        A function, or a generator function.
    **connect
        Slots by the worker's signals: returned, yielded, errored, finished, ... Where nothing
        hears of errors, the user does.
    """
    _worker_for(job, **connect).start()


def _worker_for(job: Callable[..., Any], *arguments: Any, **connect: Callable[..., Any]) -> Any:
    job = _safe(job) if isgeneratorfunction(job) else job
    told_of = {"errored": lambda error: show_error(text_of(error)), "warned": _tell_warning}
    return create_worker(job, *arguments, _start_thread=False, _connect={**told_of, **connect})


def _safe(job: Callable[..., Any]) -> Callable[..., Any]:
    """Return a generator function whose RuntimeErrors reach the user, see `WorkFailed`."""

    def drained(*arguments: Any) -> Generator[Any, None, Any]:
        try:
            return (yield from job(*arguments))
        except RuntimeError as error:
            raise WorkFailed(str(error)) from error

    return drained


def told(
    method: Callable[Concatenate[_Self, _P], None],
) -> Callable[Concatenate[_Self, _P], None]:
    """Tell the user about an expected error of a method instead of raising it."""

    @wraps(method)
    def wrapped(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except _EXPECTED as error:
            show_error(text_of(error))

    return wrapped


def text_of(error: Exception) -> str:
    """Return an error's own text in the window's words, and its kind where it was not expected."""
    text = in_window_words(str(error))
    known = (*_EXPECTED, RuntimeError)
    if isinstance(error, known) or type(error).__module__.startswith("napari_tomoalign"):
        return text
    return f"{type(error).__name__}: {text}"


def _tell_warning(caught: tuple[Any, ...]) -> None:
    """Pass on a warning for the user from a worker; others are for developers."""
    if issubclass(caught[1], UserWarning):
        show_warning(str(caught[0]))
