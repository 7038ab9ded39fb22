"""How long the iterations to come take, at most."""

from __future__ import annotations

__all__ = ["Pace"]

_RECENT = 5  # iterations whose pace stands for those to come


class Pace:
    """How long iterations take at each binning, and so at most the ones to come.

    Projecting a volume costs a ray for each pixel and a step for each voxel on it: eight times
    as much at half the binning. The run may end at ``finest``.
    """

    def __init__(self, finest: int = 1) -> None:
        self._finest = finest
        self._seconds: dict[int, list[float]] = {}
        self._first = True

    def add(self, binning: int, seconds: float) -> None:
        """Take in an iteration; the first is no measure, for it reads and compiles."""
        if not self._first:
            self._seconds.setdefault(binning, []).append(seconds)
        self._first = False

    def left(self, iterations: int) -> float | None:
        """Return the seconds that so many more iterations take at most; None: not known yet."""
        if not iterations:
            return 0.0
        if not self._seconds:
            return None
        at = min(self._seconds)
        recent = self._seconds[at][-_RECENT:]
        dearer = (at / min(self._finest, at)) ** 3
        return sum(recent) / len(recent) * dearer * iterations

    def words(self, iterations: int) -> str:
        """Return how long so many more iterations take, in words."""
        left = self.left(iterations)
        if left is None:
            return "time left not known yet"
        if not iterations:
            return "the last one"
        if left < 1.5:
            return "about a second left"
        return f"up to {left:.0f} s left" if left < 90 else f"up to {left / 60:.0f} min left"
