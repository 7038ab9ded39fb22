"""How the commands print."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

__all__ = ["print_pairs"]


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
