"""Numba's thread pool: one caller at a time, on as many threads as it was told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from numba import get_num_threads, set_num_threads

__all__ = ["threads"]

_LOCK = threading.RLock()


@contextmanager
def threads(workers: int | None) -> Iterator[None]:
    """Run numba's kernels alone, on a number of threads."""
    with _LOCK:
        before = get_num_threads()
        set_num_threads(before if workers is None else min(workers, before))
        try:
            yield
        finally:
            set_num_threads(before)
