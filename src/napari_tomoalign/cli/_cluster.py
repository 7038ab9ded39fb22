"""``--cluster``: the workers of Dask, those of a cluster or some that are started here."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__
from .._executors import WorkersUnfit

__all__ = ["LOCAL", "cluster_client"]

LOCAL = "local"
"""What stands for workers on this machine, in place of an address."""

_TIMEOUT = 20  # seconds for a scheduler to answer; one across a continent takes less than one
_PACKAGE = "napari-tomoalign"


@contextmanager
def cluster_client(address: str, files: Sequence[Path]) -> Iterator[Any]:
    """Give a client of a cluster whose workers have the package and see the files.

    Parameters
    ----------
    address : str
        Of a scheduler, such as ``tcp://host:8786``; or ``"local"``: a worker for each core that
        this process may use.
    files : sequence of paths
        That the workers are going to read, or to write to.

    Raises
    ------
    WorkersUnfit
        The cluster is not there, or its workers cannot do it: what is wrong, and what to do.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise WorkersUnfit(
            "--cluster needs dask.distributed, which is not installed here: pip install "
            f"'{_PACKAGE}[dask]'"
        ) from error
    if address == LOCAL:
        with ExitStack() as opened:
            with _undisturbed():
                started = opened.enter_context(LocalCluster(**_here()))
                client = opened.enter_context(Client(started))
            yield client
        return
    try:
        client = Client(address, timeout=_TIMEOUT)
    except (OSError, ValueError) as error:  # a timeout is an OSError
        raise WorkersUnfit(
            f"no cluster answers at {address!r} within {_TIMEOUT} seconds ({error}): is its "
            "scheduler running, and is this its address (tcp://HOST:PORT)?"
        ) from error
    with client:
        _check(client, address, files)
        yield client


def _here() -> dict[str, Any]:
    """Return how workers are started on this machine: one a core, of one thread each."""
    from ..io.limits import free_memory

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = max(1, cores or 1)
    free = free_memory()
    return {
        "n_workers": count,
        "threads_per_worker": 1,
        "memory_limit": "auto" if free is None else free // count,  # Dask knows no containers
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",  # None would listen on a port that may be taken
        "silence_logs": 50,
    }


def _check(client: Any, address: str, files: Sequence[Path]) -> None:
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT)
    except TimeoutError as error:
        raise WorkersUnfit(
            f"the cluster at {address} has no workers, and none came within {_TIMEOUT} seconds"
        ) from error
    own = __version__
    for worker, found in client.run(version, _PACKAGE, on_error="return").items():
        if isinstance(found, BaseException):
            raise WorkersUnfit(
                f"worker {worker} has no {_PACKAGE}: install it in the environment of the workers, "
                f"pip install {_PACKAGE}=={own}"
            )
        if found != own:
            raise WorkersUnfit(
                f"worker {worker} has {_PACKAGE} {found} and here is {own}: install the same "
                "everywhere"
            )
    for path in files:
        for worker, seen in client.run(os.path.exists, str(path.absolute())).items():
            if not seen:
                raise WorkersUnfit(
                    f"worker {worker} does not see {path.absolute()}: put it where all machines of "
                    "the cluster see it under this name"
                )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let what is started inherit that Ctrl-C is nothing to it: it goes to all of a terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
