"""Where HDF5 keeps texts: looked through before the library is, which can walk there for ever."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

__all__ = ["heaps_are_sound"]

_HEAP = b"GCOL\1\0\0\0"
_SEARCHED = 64 * 2**20
"""Bytes from the start of a file in which heaps are looked for: all of a shifts file, and of a
scan the part before the images, as a rule; 30 ms to read."""


@lru_cache(maxsize=32)
def heaps_are_sound(path: Path, size: int, changed: int) -> bool:
    """Tell whether the heaps with a file's texts can be walked through.

    The HDF5 library (1.14, 2.0) walks for ever over an object whose length is 0 or absurd; see
    "Disk Format: Level 1E - Global Heap" of its file format.

    Parameters
    ----------
    path, size, changed : Path, int, int
        The file, its length in bytes and the time of its last change.
    """
    with path.open("rb") as file:
        data = file.read(_SEARCHED)
    at = data.find(_HEAP)
    while at >= 0:
        length = int.from_bytes(data[at + 8 : at + 16], "little")
        place, end = at + 16, min(at + length, len(data))
        while place + 16 <= end:
            index, _, _, held = struct.unpack_from("<HHIQ", data, place)
            step = held if index == 0 else 16 + -(-held // 8) * 8
            if not 16 <= step <= at + length - place:
                return False
            place += step
        at = data.find(_HEAP, at + len(_HEAP))
    return True
