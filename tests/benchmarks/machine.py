"""What the benchmarks say of the machine, and how they print a table and take a time."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

__all__ = ["best_time", "facts", "table"]


def facts() -> str:
    """Return processor, cores and the versions that matter, in one line."""
    versions = []
    for name in ("numpy", "scipy", "numba", "tomopy"):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"no {name}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{platform.machine()}, {cores} cores{load}, Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def best_time(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of the fastest of several calls."""
    fastest = float("inf")
    for _ in range(repeats):
        begin = clock()
        work()
        fastest = min(fastest, clock() - begin)
    return fastest


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
