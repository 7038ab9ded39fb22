"""Work away from the GUI thread, and how the user hears of what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_warning

__all__ = ["WorkFailed", "in_background", "text_of", "told", "worker_for"]

_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_EXPECTED = (ValueError, TypeError, OSError)


class WorkFailed(Exception):
    """Raised in a generator's worker in place of a RuntimeError, which napari would swallow."""


def in_background(job: Callable[..., Any], *arguments: Any, **connect: Callable[..., Any]) -> None:
    """Do something in a thread of its own, see `worker_for`."""
    worker_for(job, *arguments, **connect).start()


def worker_for(job: Callable[..., Any], *arguments: Any, **connect: Callable[..., Any]) -> Any:
    """Return a worker that does something in a thread of its own when it is started.

    Parameters
    ----------
    job : callable
        A function, or a generator function; called with ``arguments``.
    **connect
        Slots by the worker's signals: returned, yielded, errored, finished, ... Where nothing
        hears of errors, the user does.
    """
    told_of = {"errored": lambda error: show_error(text_of(error)), "warned": _tell_warning}
    return create_worker(job, *arguments, _start_thread=False, _connect={**told_of, **connect})


def told(
    method: Callable[Concatenate[_Self, _P], None],
) -> Callable[Concatenate[_Self, _P], None]:
    """Tell the user about an expected error of a method instead of raising it."""

    @wraps(method)
    def wrapped(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except _EXPECTED as error:
            show_error(str(error))

    return wrapped


def text_of(error: Exception) -> str:
    """Return an error's own text, and its kind where that was not expected."""
    text = str(error)
    known = (*_EXPECTED, RuntimeError)
    if isinstance(error, known) or type(error).__module__.startswith("napari_tomoalign"):
        return text
    return f"{type(error).__name__}: {text}"


def _tell_warning(caught: tuple[Any, ...]) -> None:
    """Pass on a warning for the user from a worker; others are for developers."""
    if issubclass(caught[1], UserWarning):
        show_warning(str(caught[0]))
