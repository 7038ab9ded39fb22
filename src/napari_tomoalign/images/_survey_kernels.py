"""The inner loops of a survey of frames: numba, sums in float64, each frame touched once.

On one thread: the next frames are read and prepared on another one meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._compiling import compiled
from ._rounding import FAST

__all__ = ["count_spikes", "look_at_frame"]


@compiled(fastmath=FAST)
def look_at_frame(
    frame: Any, bits: Any, keys: Any, origin: Any, rows: Any, hashes: Any, total: Any, squares: Any
) -> int:
    """Add a frame to the sums over the frames, and sum each of its rows.

    Into ``rows`` (3, n_rows) the sums of the values, of the values times the column, and of the
    squares; into ``hashes`` (n_rows) the sums of the ``bits`` times ``keys``, modulo 2^64; to
    ``total`` and ``squares`` the difference from ``origin`` and its square. Returns how many
    pixels have the largest value.
    """
    n_rows, n_columns = frame.shape
    largest, count = frame[0, 0], 0
    for r in range(n_rows):
        mass = moment = power = 0.0
        mixed = np.uint64(0)
        for c in range(n_columns):
            value = np.float64(frame[r, c])
            mass += value
            moment += value * c
            power += value * value
            departs = np.float64(frame[r, c] - origin[r, c])
            total[r, c] += departs
            squares[r, c] += departs * departs
        for c in range(n_columns):
            mixed += np.uint64(bits[r, c]) * keys[c]
        most = frame[r, 0]
        for c in range(1, n_columns):
            most = max(most, frame[r, c])
        if most > largest:
            largest, count = most, 0
        if most == largest:
            for c in range(n_columns):
                count += frame[r, c] == largest
        rows[0, r], rows[1, r], rows[2, r] = mass, moment, power
        hashes[r] = mixed
    return count


@compiled(fastmath=FAST)
def count_spikes(frame: Any, height: float) -> int:
    """Return how many pixels stand out of all four neighbours by more than ``height``."""
    n_rows, n_columns = frame.shape
    found = 0
    for r in range(1, n_rows - 1):
        for c in range(1, n_columns - 1):
            value = frame[r, c]
            up, down = frame[r - 1, c], frame[r + 1, c]
            left, right = frame[r, c - 1], frame[r, c + 1]
            above = value > max(max(up, down), max(left, right)) + height
            below = value < min(min(up, down), min(left, right)) - height
            found += above | below
    return found
