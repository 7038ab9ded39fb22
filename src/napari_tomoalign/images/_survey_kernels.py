"""The inner loops of a survey of frames: numba, sums in float64, each value touched once.

On one thread: the next frames are read and prepared on another one meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._compiling import compiled
from ._rounding import FAST

__all__ = ["count_spikes", "look_at_frames"]


@compiled(fastmath=FAST)
def look_at_frames(
    frames: Any,
    bits: Any,
    keys: Any,
    origin: Any,
    rows: Any,
    hashes: Any,
    equal: Any,
    total: Any,
    squares: Any,
) -> None:
    """Add frames to the sums over all frames, and sum each of their rows.

    Into ``rows`` (n, 3, n_rows) the sums of the values, of the values times the column, and of the
    squares; into ``hashes`` (n, n_rows) the sums of the ``bits`` times ``keys``, modulo 2^64; into
    ``equal`` (n) how many pixels have the largest value; to ``total`` and ``squares`` the
    difference from ``origin`` and its square. Row by row of all frames, so that the sums over the
    frames stay in the cache.
    """
    n, n_rows, n_columns = frames.shape
    largest = frames[:, 0, 0].copy()
    equal[:] = 0
    for r in range(n_rows):
        for i in range(n):
            mass = moment = power = 0.0
            mixed = np.uint64(0)
            for c in range(n_columns):
                value = np.float64(frames[i, r, c])
                mass += value
                moment += value * c
                power += value * value
                departs = np.float64(frames[i, r, c] - origin[r, c])
                total[r, c] += departs
                squares[r, c] += departs * departs
            for c in range(n_columns):
                mixed += np.uint64(bits[i, r, c]) * keys[c]
            most = frames[i, r, 0]
            for c in range(1, n_columns):
                most = max(most, frames[i, r, c])
            if most > largest[i]:
                largest[i], equal[i] = most, 0
            if most == largest[i]:
                count = 0
                for c in range(n_columns):
                    count += frames[i, r, c] == most
                equal[i] += count
            rows[i, 0, r], rows[i, 1, r], rows[i, 2, r] = mass, moment, power
            hashes[i, r] = mixed


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
