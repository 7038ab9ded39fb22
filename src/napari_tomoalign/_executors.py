"""Work that others do: any `concurrent.futures.Executor`, once more where it is lost.

Nothing but ``submit``, ``result`` and ``cancel`` is asked of it, and it is never shut down: it is
the caller's.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import Any, TypeVar

__all__ = ["WorkLost", "as_executor", "in_order"]

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class WorkLost(RuntimeError):
    """Those who were to do a piece of work died over it, twice."""


def as_executor(given: Any) -> Executor | None:
    """Return what was given as an executor; a client of Dask gives its own.

    Raises
    ------
    TypeError
        It has no ``submit``.
    """
    if hasattr(given, "get_executor"):
        # Dask takes equal calls for one, and hashes all arguments to find them, unless it is told.
        client: Executor = given.get_executor(pure=False)
        return client
    if given is not None and not callable(getattr(given, "submit", None)):
        raise TypeError(
            "executor must be a concurrent.futures.Executor, a client of dask.distributed, or "
            f"None; got {type(given).__name__}"
        )
    executor: Executor | None = given
    return executor


def in_order(
    task: Callable[[_Item], _Made],
    items: Iterable[_Item],
    executor: Executor | None,
    *,
    ahead: int | None = None,
) -> Iterator[_Made]:
    """Yield what the task makes of each item, in the order of the items, whoever is done first.

    Parameters
    ----------
    task : callable
        Of one item.
    items : iterable
    executor : Executor, optional
        None: one after the other, here.
    ahead : int, optional
        How many items are out at once, where what is made of them is large. None: all.

    Raises
    ------
    WorkLost
        An item was given out anew after those who had it died, and they died again.
    """
    if executor is None:
        yield from map(task, items)
        return
    left = iter(items)
    out: deque[tuple[_Item, Future[_Made]]] = deque()
    try:
        for item in itertools.islice(left, ahead):
            out.append((item, executor.submit(task, item)))
        while out:
            item, future = out[0]
            made = _result(future, task, item, executor)
            out.popleft()
            for following in itertools.islice(left, 1):
                out.append((following, executor.submit(task, following)))
            yield made
    finally:
        for _, future in out:
            future.cancel()


def _result(
    future: Future[_Made], task: Callable[[_Item], _Made], item: _Item, executor: Executor
) -> _Made:
    try:
        return future.result()
    except BaseException as error:
        if not _is_loss(error):
            raise
    try:
        return executor.submit(task, item).result()
    except BaseException as error:
        if not _is_loss(error):
            raise
        raise WorkLost(
            f"the workers that were to do {item} were lost, twice ({_said(error)}): most often "
            "they have too little memory; give them more, or fewer at once"
        ) from error


def _is_loss(error: BaseException) -> bool:
    """Tell whether it was not the task that failed but the one who had it."""
    lost = isinstance(error, (BrokenExecutor, CancelledError))
    return lost or type(error).__name__ == "KilledWorker"  # of distributed, which need not be here


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(" :")
