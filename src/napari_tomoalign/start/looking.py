"""The pass over the frames: read once, looked at, and kept as far as the memory holds them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._executors import in_order
from .._typing import Stack
from ..findings import Finding
from .levels import Binned, Binning, FullSize, Gathered
from .lines import Lines, Values
from .measurement import Measurement
from .survey import Survey, read_blocks, take_survey

__all__ = ["Seen", "look"]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a pass kept.

    Attributes
    ----------
    images : Binned
    survey : Survey
        Of the images at full size.
    notes : tuple of Finding
    """

    images: Binned
    survey: Survey
    notes: tuple[Finding, ...]


def look(
    lines: Lines,
    finest: Binning,
    coarser: Sequence[Binning],
    measurement: Measurement,
    excluded: NDArray[np.bool_],
) -> Seen:
    """Read every frame once, look at it, and keep it binned.

    Parameters
    ----------
    lines : Lines
    finest : (int, int)
        Binning of rows and columns of the finest images that the memory holds.
    coarser : sequence of (int, int)
        Of those that are kept in their place; none: the finest are.
    measurement : Measurement
        What is taken out of the images.
    excluded : (n_angles,) array of bool
        Frames that need not have values.

    Raises
    ------
    ValueError
        Values that cannot be aligned; see `Values`.
    """
    images, looked_at = FullSize(lines, measurement), Values(excluded)
    as_it_is = lines.in_memory
    if lines.given is not None or finest != (1, 1) or measurement.takes_out:
        as_it_is = None  # it is not what is kept
    gathered: dict[Binning, Gathered] = {}
    if as_it_is is None:
        gathered = {binning: Gathered(lines.shape, binning) for binning in coarser or [finest]}

    def taken(part: slice) -> tuple[int, Stack]:
        values, weights = images.pieces(part, looked_at=looked_at)
        for one in gathered.values():
            one.add(part, values, weights)
        return part.start, values

    parts = read_blocks(lines.shape)
    with ThreadPoolExecutor(1) as ahead:  # a block is read while the one before is looked at
        reader = ahead if lines.in_memory is None else None
        survey = take_survey(in_order(taken, parts, reader, ahead=1), lines.shape)
    looked_at.refuse()
    kept = {binning: one.pair for binning, one in gathered.items()}
    seen = Binned(finest, kept, images) if as_it_is is None else Binned.of(as_it_is, None)
    return Seen(seen, survey, looked_at.notes)
