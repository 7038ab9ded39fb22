"""Indices as people write them: ``0, 5-7``."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["indices", "indices_text"]


def indices(text: str) -> tuple[int, ...]:
    """Read whole numbers and ranges with both ends: ``0,5-7`` is (0, 5, 6, 7).

    Raises
    ------
    ValueError
        Anything else.
    """
    found: list[int] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
        if not match:
            raise ValueError(f"expected whole numbers and ranges such as 0,5-7, got {text!r}")
        first = int(match.group(1))
        last = int(match.group(2) or first)
        if last < first:
            raise ValueError(f"the range {part} runs backwards; write {last}-{first}")
        found += range(first, last + 1)
    return tuple(found)


def indices_text(numbers: Iterable[int]) -> str:
    """Write whole numbers, runs of three and more as ranges; the inverse of `indices`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs
    )
