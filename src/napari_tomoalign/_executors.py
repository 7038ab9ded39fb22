"""Work that others do: any `concurrent.futures.Executor`, once more where it is lost.

Nothing but ``submit``, ``result`` and ``cancel`` is asked of it, and it is never shut down: it is
the caller's.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
)
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "WorkLost",
    "WorkersUnfit",
    "as_executor",
    "check_workers",
    "in_order",
    "is_elsewhere",
    "is_light",
    "on_threads",
]

_HEAVY = 2**26  # bytes of arrays: flat fields of any detector are less
_PATIENCE = 60.0  # seconds for a worker to start, and to import what it needs

_PACKAGE = "napari-tomoalign"
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class WorkLost(RuntimeError):
    """Those who were to do a piece of work died over it, twice."""


class WorkersUnfit(RuntimeError):
    """The workers of an executor cannot do what they would be asked for; the message says why."""


def is_elsewhere(executor: Executor) -> bool:
    """Tell whether its workers have a memory of their own; threads of this process do not."""
    return not isinstance(executor, ThreadPoolExecutor)


def is_light(task: Any) -> bool:
    """Tell whether a task can be sent again and again: the images that it needs lie in files."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        pickle.dumps(task, protocol=5, buffer_callback=buffers.append)
    except (AttributeError, TypeError, pickle.PicklingError):
        return True  # for the executor to say, which may have better ways to send functions
    return sum(buffer.raw().nbytes for buffer in buffers) < _HEAVY


def check_workers(executor: Executor, folder: Path) -> None:
    """Ask a worker for the package and for a file, before any work.

    A worker that cannot import a task dies over it, and the task's future may never be done.

    Raises
    ------
    WorkersUnfit
        No worker answers, or it lacks the package, has another version of it, or does not see the
        folder.
    """
    own = version(_PACKAGE)
    try:
        answer = executor.submit(version, _PACKAGE)
        if not is_elsewhere(executor):
            return
        theirs = answer.result(timeout=_PATIENCE)
    except TimeoutError as error:
        raise WorkersUnfit(
            f"no worker has answered within {_PATIENCE:.0f} seconds: are there any? A scheduler "
            "without workers waits for ever"
        ) from error
    except PackageNotFoundError as error:
        raise WorkersUnfit(
            f"the workers have no {_PACKAGE}: install it in their environment, pip install "
            f"{_PACKAGE}=={own}"
        ) from error
    except BrokenExecutor as error:
        raise WorkersUnfit(
            f"the workers die as they start ({_said(error)}): in a script, start them below "
            "if __name__ == '__main__'"
        ) from error
    except (RuntimeError, CancelledError) as error:
        raise WorkersUnfit(
            f"the executor takes no work ({_said(error)}): give one that is not shut down"
        ) from error
    if theirs != own:
        raise WorkersUnfit(
            f"the workers have {_PACKAGE} {theirs} and here is {own}: install the same everywhere"
        )
    mark = folder / "seen"
    mark.write_bytes(b"x")
    if not executor.submit(os.path.exists, str(mark)).result(timeout=_PATIENCE):
        raise WorkersUnfit(
            f"the workers do not see {folder}: give a folder that all machines share, "
            "scratch=FOLDER (--scratch FOLDER)"
        )


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
        None: one after the other, here. So is a task with images in memory, where workers have a
        memory of their own: it would be sent whole with every item.
    ahead : int, optional
        How many items are out at once, where what is made of them is large. None: all.

    Raises
    ------
    WorkLost
        An item was given out anew after those who had it died, and they died again.
    """
    if executor is None or (is_elsewhere(executor) and not is_light(task)):
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


def on_threads(
    task: Callable[[_Item], _Made],
    items: Iterable[_Item],
    n_threads: int,
    *,
    ahead: int | None = None,
) -> Iterator[_Made]:
    """Yield what the task makes of each item, in order, by threads of this process (`in_order`).

    NumPy's and SciPy's loops leave the others at work; one thread is this one.
    """
    with ThreadPoolExecutor(n_threads) as pool:
        yield from in_order(task, items, pool if n_threads > 1 else None, ahead=ahead)


def _result(
    future: Future[_Made], task: Callable[[_Item], _Made], item: _Item, executor: Executor
) -> _Made:
    try:
        return future.result()
    except BaseException as error:
        if not _is_loss(error):
            raise
        # Of a client whose scheduler is gone, what is out is cancelled, and what is new waits on.
        if getattr(getattr(executor, "_client", None), "status", "running") != "running":
            raise WorkLost(
                f"the cluster's scheduler is gone, and {item} with it: start it anew, and go on "
                "from the last iteration (--resume)"
            ) from error
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
