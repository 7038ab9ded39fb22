"""Numba's thread pool: one caller at a time, on as many threads as it was told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from numba import get_num_threads, set_num_threads

__all__ = ["available_threads", "threads"]

_LOCK = threading.RLock()


@contextmanager
def threads(workers: int | None) -> Iterator[None]:
    """Run numba's kernels alone, on a number of threads."""
    with _LOCK:
        before = available_threads()
        set_num_threads(before if workers is None else min(workers, before))
        try:
            yield
        finally:
            set_num_threads(before)


def available_threads() -> int:
    """Return the number of threads that kernels run on, which starts them."""
    with _LOCK:
        _start()
    count: int = get_num_threads()
    return count


@cache
def _start() -> None:
    """Start the threads such that they sleep while they wait for work.

    Those of OpenMP spin otherwise, for milliseconds after every kernel: 100 kernels, 3 ms apart,
    took 0.7 s of CPU time on 2 cores, and 0.006 s asleep. Beside others' work on the same cores
    all then wait for threads that do nothing: an alignment of 64^3 took 2.3 times as long, by the
    clock and by CPU time. OpenMP reads the variable once, as it is loaded. What the user set
    counts, and nothing stays of ours.
    """
    if "OMP_WAIT_POLICY" in os.environ:
        return
    os.environ["OMP_WAIT_POLICY"] = "passive"
    try:
        get_num_threads()
    finally:
        del os.environ["OMP_WAIT_POLICY"]
