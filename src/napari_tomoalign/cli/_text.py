"""How the commands print, and what they call a run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["print_pairs", "print_table", "shifts_in"]


def print_pairs(pairs: Iterable[tuple[str, str]], width: int = 100) -> None:
    """Print headings and sentences in two columns, long sentences wrapped."""
    pairs = list(pairs)
    margin = max(len(heading) for heading, _ in pairs) + 2
    previous = ""
    for heading, sentence in pairs:
        shown = "" if heading == previous else heading
        print(
            textwrap.fill(
                sentence,
                width,
                initial_indent=shown.ljust(margin),
                subsequent_indent=" " * margin,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
        previous = heading


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, columns as wide as what is in them."""
    lines = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def shifts_in(path: Path) -> Path:
    """Return the shifts file that is meant: a folder stands for the run in it."""
    return path / "shifts.h5" if path.is_dir() else path
