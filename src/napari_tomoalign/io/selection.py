"""Which part of a file's images a scan is: rows, channels, pixels, the direction of the axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from ..geometry import RotationAxis
from .channels import channel_index
from .lazy import LazyProjections
from .raw import RawScan

__all__ = [
    "Rows",
    "channel_names",
    "checked_axis",
    "checked_binning",
    "checked_rows",
    "cut_words",
    "picked_channels",
]

Rows = slice | tuple[int, int] | None


def checked_axis(axis: str) -> RotationAxis:
    """Return the direction of the axis, or refuse it."""
    for known in get_args(RotationAxis):
        if axis == known:
            return cast(RotationAxis, known)
    raise ValueError(f"rotation_axis must be 'vertical' or 'horizontal', got {axis!r}")


def checked_binning(binning: int) -> int:
    """Return a binning as a whole number, or refuse it."""
    if isinstance(binning, bool) or not binning >= 1 or binning % 1 != 0:
        raise ValueError(f"binning must be a whole number of at least 1, got {binning!r}")
    return int(binning)


def checked_rows(rows: Rows, n_rows: int) -> slice:
    """Return which of ``n_rows`` are read, or refuse them."""
    if rows is None:
        return slice(0, n_rows)
    asked = rows if isinstance(rows, slice) else slice(*rows)
    try:
        start, stop, step = asked.indices(n_rows)
    except TypeError:  # no whole numbers
        start = stop = step = 0
    if step != 1 or stop <= start:
        raise ValueError(
            f"rows must be (start, stop) with 0 <= start < stop <= {n_rows}, got {rows}"
        )
    return slice(start, stop)


def picked_channels(channels: Sequence[int | str] | None, raw: RawScan) -> tuple[int, ...] | None:
    """Return the indices of the channels that are kept; None where all are."""
    if channels is None:
        return None
    if len(raw.stack.shape) == 3:
        raise ValueError("channels were asked for, but the scan has one channel only")
    if not channels:
        raise ValueError("channels names none; name those to keep, or give None to keep all")
    count = raw.stack.shape[3]
    return tuple(channel_index(channel, raw.channels, count) for channel in channels)


def channel_names(raw: RawScan, picked: tuple[int, ...] | None) -> tuple[str, ...]:
    """Return the names of the channels that are kept."""
    if picked is None or not raw.channels:
        return raw.channels
    return tuple(raw.channels[index] for index in picked)


def cut_words(projections: LazyProjections, rows: Rows) -> tuple[str, ...]:
    """Say what of the images was read, and how."""
    words = []
    if rows is not None:
        words.append(f"rows {projections.rows.start} to {projections.rows.stop - 1} only")
    if projections.rotation_axis == "horizontal":
        words.append("rows and columns swapped: the rotation axis is horizontal")
    if projections.binning > 1:
        words.append(f"binned by {projections.binning}")
    return tuple(words)
