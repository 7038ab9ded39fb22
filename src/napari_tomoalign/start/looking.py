"""The pass over the frames: read once, looked at, and kept as far as the memory holds them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._executors import in_order
from .._typing import Stack
from ..findings import Finding
from ..images.binning import bin_stack, bin_weighted
from ..images.filtering import fill_ignored
from .lines import Lines, Values
from .measurement import Measurement
from .survey import Survey, read_blocks, take_survey

__all__ = ["FullSize", "Seen", "look"]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a pass kept.

    Attributes
    ----------
    projections, weights : (n_angles, n_rows, n_columns) array of float32
        Binned by what was asked for; ignored pixels filled. None for the weights: all 1.
    survey : Survey
        Of the images at full size.
    notes : tuple of Finding
    """

    projections: Stack
    weights: Stack | None
    survey: Survey
    notes: tuple[Finding, ...]


@dataclass(frozen=True, eq=False)
class FullSize:
    """The images at full size, what is no object taken out, read piece by piece: a `Source`.

    Attributes
    ----------
    lines : Lines
    measurement : Measurement
    as_weights : bool
        Read the weights in place of the values.
    """

    lines: Lines
    measurement: Measurement
    as_weights: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_angles, n_rows, n_columns)``."""
        return self.lines.shape

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Single precision."""
        return self.lines.dtype

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> Stack:
        """Return these frames, cut to these rows; both slices of step 1."""
        values, weights = self.pieces(frames, rows)
        if not self.as_weights:
            return values
        return np.ones(values.shape, np.float32) if weights is None else weights

    def pieces(
        self,
        frames: slice = slice(None),
        rows: slice = slice(None),
        looked_at: Values | None = None,
    ) -> tuple[Stack, Stack | None]:
        """Return values, ignored pixels filled, and weights; None where all count."""
        values, weights = self.lines.weighted(frames, rows, looked_at)
        stuck = self.measurement.stuck[rows]
        if stuck.any():
            base = np.ones(values.shape, np.float32) if weights is None else weights
            weights = np.where(stuck, np.float32(0), base)
        if weights is not None:
            values = fill_ignored(values, weights)
        return self.measurement.projections(values, frames, rows), weights


def look(
    lines: Lines,
    binning: tuple[int, int],
    measurement: Measurement,
    excluded: NDArray[np.bool_],
) -> Seen:
    """Read every frame once, look at it, and keep it binned.

    Parameters
    ----------
    lines : Lines
    binning : (int, int)
        Of rows and columns, of what is kept.
    measurement : Measurement
        What is taken out of the images.
    excluded : (n_angles,) array of bool
        Frames that need not have values.

    Raises
    ------
    ValueError
        Values that cannot be aligned; see `Values`.
    """
    n, n_rows, n_columns = lines.shape
    images, looked_at = FullSize(lines, measurement), Values(excluded)
    whole = lines.in_memory
    if lines.given is not None or binning != (1, 1) or measurement.takes_out:
        whole = None  # it is not what is kept
    size = (n, n_rows // binning[0], n_columns // binning[1])
    kept = np.empty(size, np.float32) if whole is None else whole
    shares: Stack | None = None

    def taken(part: slice) -> tuple[int, Stack]:
        nonlocal shares
        values, weights = images.pieces(part, looked_at=looked_at)
        if whole is None:
            if weights is None:
                kept[part] = bin_stack(values, *binning)
            else:
                shares = np.ones(size, np.float32) if shares is None else shares
                kept[part], shares[part] = bin_weighted(values, weights, *binning)
        return part.start, values

    parts = read_blocks(lines.shape)
    with ThreadPoolExecutor(1) as ahead:  # a block is read while the one before is looked at
        reader = ahead if lines.in_memory is None else None
        survey = take_survey(in_order(taken, parts, reader, ahead=1), lines.shape)
    looked_at.refuse()
    return Seen(kept, shares, survey, looked_at.notes)
