"""What is too large to be read without being asked: beside the memory, and beside the file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import ScanFileError

__all__ = ["free_memory", "refuse_inflated", "require_memory"]

_INFLATED = 1000
"""Times that values may be larger than what is stored of them: more than noise can be compressed,
even where most of an image is empty; deflate itself ends at 1032."""
_SMALL = 2**26
"""Bytes that are read whatever they were stored as."""
_CGROUPS = Path("/sys/fs/cgroup")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = ("memory.max", "memory.current", "inactive_file")
"""Limit and use of a control group; and, of what is used, files that are given back when asked."""


def free_memory() -> int | None:
    """Return the bytes of memory that can be had, in a container and a job too; None if unknown.

    The least of what the machine has, of what each control group above this process leaves, and of
    what the address space may grow. The kernel ends a process without a word at the second.
    """
    found = [*_of_machine(), *_of_control_groups(), *_of_address_space(), *_of_job()]
    return min(found, default=None)


def _of_machine() -> Iterator[int]:
    """Yield what is available; where only the whole is known, half of that."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])
            return
    if sys.platform == "win32":
        yield _of_windows()
        return
    with suppress(AttributeError, OSError, ValueError):  # no such name here
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _of_windows() -> int:
    """Return ``ullAvailPhys`` of ``MEMORYSTATUSEX``: two 32-bit numbers and seven of 64 bits."""
    import ctypes

    status = (ctypes.c_uint64 * 8)(64)  # its length, in the lower half of the first
    ctypes.windll.kernel32.GlobalMemoryStatusEx(status)  # type: ignore[attr-defined,unused-ignore]
    return int(status[2])


def _of_control_groups() -> Iterator[int]:
    for line in _lines("/proc/self/cgroup"):
        _, controllers, place = line.split(":", 2)
        if not controllers:
            root, names = _CGROUPS, _V2
        elif "memory" in controllers.split(","):
            root, names = _CGROUPS / "memory", _V1
        else:
            continue
        group = root / place.lstrip("/")
        for folder in (group, *group.parents):
            if root in (folder, *folder.parents):
                yield from _left_in(folder, *names)


def _left_in(folder: Path, limit: str, used: str, cached: str) -> Iterator[int]:
    numbers = [line for name in (limit, used) for line in _lines(folder / name)]
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        return  # no limit here
    files = [line.split() for line in _lines(folder / "memory.stat") if line.startswith(cached)]
    given_back = sum(int(number) for name, number in files if name == cached)
    yield max(0, int(numbers[0]) - int(numbers[1]) + given_back)


def _of_address_space() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    sizes = [line.split()[0] for line in _lines("/proc/self/statm")]  # pages, the first of all
    if soft != resource.RLIM_INFINITY and sizes:
        yield max(0, soft - int(sizes[0]) * resource.getpagesize())


def _of_job() -> Iterator[int]:
    """Yield what SLURM gave the job on this node; it says so in megabytes."""
    numbers = {name: os.environ.get(f"SLURM_{name}", "") for name in _SLURM}
    if numbers["MEM_PER_NODE"].isdecimal():
        yield int(numbers["MEM_PER_NODE"]) * 2**20
    elif numbers["MEM_PER_CPU"].isdecimal() and numbers["CPUS_ON_NODE"].isdecimal():
        yield int(numbers["MEM_PER_CPU"]) * int(numbers["CPUS_ON_NODE"]) * 2**20


_SLURM = ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE")


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
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
