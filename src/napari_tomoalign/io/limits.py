"""What is too large to be read without being asked: beside the memory, and beside the file."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import ScanFileError

__all__ = ["free_memory", "refuse_inflated", "require_memory"]

_INFLATED = 1000
"""Times that values may be larger than what is stored of them: more than noise can be compressed,
even where most of an image is empty; deflate itself ends at 1032."""
_SMALL = 2**26
"""Bytes that are read whatever they were stored as."""
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def free_memory() -> int | None:
    """Return the bytes of memory that can be had, in a container too; None where unknown."""
    found = []
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            found.append(1024 * int(line.split()[1]))
    for limit, used in _CGROUPS:
        numbers = [line for path in (limit, used) for line in _lines(path)]
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            found.append(max(0, int(numbers[0]) - int(numbers[1])))
    return min(found, default=None)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # another system, or no such limit
        return []


def require_memory(n_bytes: int, what: str | os.PathLike[str]) -> None:
    """Refuse to read what does not fit into memory.

    Raises
    ------
    ScanFileError
        The message has both numbers, and what to do.
    """
    free = free_memory()
    if free is not None and n_bytes > free:
        raise ScanFileError(
            f"{what} needs {n_bytes / 1e9:.3g} GB of memory and {free / 1e9:.3g} GB are free; read "
            "fewer rows (rows=, --rows) or a binned scan (binning=, --binning)"
        )


def refuse_inflated(
    n_bytes: int, stored: int, what: str | os.PathLike[str], *, inflate: bool
) -> None:
    """Ask before reading values that are far larger than what is stored of them.

    Parameters
    ----------
    n_bytes, stored : int
        Bytes in memory and in the file.
    what : str or path
        For the message.
    inflate : bool
        The user has answered that they are to be read.

    Raises
    ------
    ScanFileError
        They are, and the user was not asked yet.
    """
    if not inflate and n_bytes > max(_SMALL, _INFLATED * stored):
        raise ScanFileError(
            f"{what} would become {n_bytes / 1e9:.3g} GB in memory out of {stored / 1e6:.3g} MB in "
            "the file, more than a thousand times as much: the file is empty or damaged; if it is "
            "to be read all the same, say inflate=True (--inflate)"
        )
