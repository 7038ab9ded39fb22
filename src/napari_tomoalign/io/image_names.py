"""What the names of the images in a folder say: their order, what is missing, fields, angles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

__all__ = ["Names", "kind_of", "ordered"]

Kind = Literal["data", "white", "dark"]

_WORDS: dict[str, Kind] = {
    **dict.fromkeys(("flat", "flats", "flatfield", "flatfields"), "white"),
    **dict.fromkeys(("white", "whites", "whitefield", "ff"), "white"),
    **dict.fromkeys(("dark", "darks", "darkfield", "darkfields", "df"), "dark"),
}
# A sign counts where nothing that could be joined by a hyphen stands before it.
_NUMBER = re.compile(r"(?<![A-Za-z0-9.])[-+]\d+(?:\.\d+)?|\d+(?:\.\d+)?")


def kind_of(name: str) -> Kind:
    """Tell what an image is by the whole words of its name: ``wood_flat_0001``, ``FlatField3``."""
    words = re.findall(r"[A-Z]*[a-z]+|[A-Z]+", name)
    return next((_WORDS[word.lower()] for word in words if word.lower() in _WORDS), "data")


@dataclass(frozen=True)
class Names:
    """Images in the order of their numbers.

    Attributes
    ----------
    files : tuple of Path
        In order.
    missing : tuple of (int, int)
        First and last of each gap in the numbers.
    angles : tuple of float
        Numbers in the names that look like angles in degrees; empty where there are none.
    """

    files: tuple[Path, ...]
    missing: tuple[tuple[int, int], ...] = ()
    angles: tuple[float, ...] = ()

    @property
    def gaps(self) -> str:
        """The gaps in words, such as ``7-9, 23``; empty where there are none."""
        return ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in self.missing)


def ordered(files: Sequence[Path]) -> Names:
    """Return images in the order of the number that counts them.

    That is the last whole number without a sign that differs in all names, where possible one
    without gaps. Where none counts, a number with a sign or a point orders them, such as an angle;
    where the names are of different kinds, all numbers together do.
    """
    fields = [_NUMBER.findall(file.stem) for file in files]
    widths = {len(numbers) for numbers in fields}
    if len(widths) != 1 or not fields[0] or len(files) < 2:
        return Names(tuple(sorted(files, key=_natural)))
    columns = list(zip(*fields, strict=True))
    distinct = [column for column in columns if len({float(text) for text in column}) == len(files)]
    counters = [column for column in distinct if all(text.isdecimal() for text in column)]
    dense = [column for column in counters if _span(column) == len(files)]
    others = [column for column in distinct if column not in counters]
    if not distinct:
        return Names(tuple(sorted(files, key=_natural)))
    chosen = (dense or counters or others)[-1]
    order = sorted(range(len(files)), key=lambda at: float(chosen[at]))
    angles = [tuple(float(column[at]) for at in order) for column in columns if _is_angle(column)]
    return Names(
        tuple(files[at] for at in order),
        _missing([int(chosen[at]) for at in order]) if chosen in counters else (),
        angles[0] if len(angles) == 1 else (),
    )


def _span(column: Sequence[str]) -> int:
    numbers = [int(text) for text in column]
    return max(numbers) - min(numbers) + 1


def _is_angle(column: Sequence[str]) -> bool:
    """Tell whether numbers could be angles: some with a sign or a point, none beyond a turn."""
    marked = any(not text.isdecimal() for text in column)
    return marked and len(set(column)) > 1 and all(abs(float(text)) <= 360 for text in column)


def _missing(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the gaps, where the numbers mostly go up in one step that is theirs."""
    steps = [b - a for a, b in pairwise(numbers)]
    step = min(steps)
    if step < 1 or 2 * steps.count(step) < len(steps):
        return ()
    return tuple((a + step, b - step) for a, b in pairwise(numbers) if b - a > step)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Return a key that sorts ``image2`` before ``image10``."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
