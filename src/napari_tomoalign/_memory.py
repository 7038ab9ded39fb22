"""Amounts of memory, as they are said."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["bytes_of", "in_words"]

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_UNITS["ti"] = 2**40
_SIZE = re.compile(r"\s*([0-9.]+)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)


def bytes_of(value: Any) -> int:
    """Return an amount of memory, ``"4 GB"``, ``"500 MiB"`` or a number of bytes, in bytes.

    Raises
    ------
    TypeError, ValueError
        It is none.
    """
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not (found or hasattr(value, "__index__")):
        raise (ValueError if isinstance(value, str) else TypeError)(
            f"memory must be a number of bytes or such as '4 GB', got {value!r}"
        )
    try:
        count = float(found[1]) * _UNITS[found[2].lower()] if found else value.__index__()
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"memory must be a number of bytes or such as '4 GB', got {value!r}"
        ) from error
    if count < 1:
        raise ValueError(f"memory must be more than nothing, got {value!r}")
    return int(count)


def in_words(n_bytes: float) -> str:
    """Return bytes in words, to three digits."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"
