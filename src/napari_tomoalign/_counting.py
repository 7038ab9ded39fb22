"""Numbers of things, as words."""

from __future__ import annotations

__all__ = ["how_many"]


def how_many(count: int, one: str) -> str:
    """Return how many there are of what ``one`` names, in words.

    Examples
    --------
    >>> how_many(1, "iteration"), how_many(12, "iteration")
    ('1 iteration', '12 iterations')
    """
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
