"""The images of a scan at full size, in pieces, and at the binnings that a run goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .._typing import Stack
from ..images.binning import bin_weighted
from ..images.filtering import fill_ignored
from .lines import Lines, Values
from .measurement import Measurement
from .survey import read_blocks

__all__ = ["Binned", "Binning", "FullSize", "Gathered"]

Binning = tuple[int, int]
"""Of rows and columns."""
Pair = tuple[Stack, Stack | None]


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


class Gathered:
    """Images and weights of one binning, put together block by block."""

    def __init__(self, shape: tuple[int, ...], binning: Binning) -> None:
        n, n_rows, n_columns = shape
        self._binning = binning
        self._values = np.empty((n, n_rows // binning[0], n_columns // binning[1]), np.float32)
        self._shares: Stack | None = None

    def add(self, part: slice, values: Stack, weights: Stack | None) -> None:
        """Bin some images; no weights: all 1."""
        binned, shares = bin_weighted(values, weights, *self._binning)
        self._values[part] = binned
        if shares is not None:
            if self._shares is None:
                self._shares = np.ones(self._values.shape, np.float32)
            self._shares[part] = shares

    @property
    def pair(self) -> Pair:
        """All of them."""
        return self._values, self._shares


class Binned:
    """Images, ignored pixels filled, and weights (None: all 1), as finely binned as is held.

    Of a scan that lies in a file most runs need coarser images only than the memory holds. Those
    are kept, and the finest are read when they are first asked for, and kept from then on.

    Parameters
    ----------
    finest : (int, int)
        Binning of rows and columns of the finest that the memory holds.
    kept : mapping
        Of binnings to images and weights.
    full : FullSize, optional
        Where the finest are read, where they are not kept.
    """

    def __init__(
        self, finest: Binning, kept: Mapping[Binning, Pair], full: FullSize | None = None
    ) -> None:
        self.finest = finest
        self._kept, self._full = dict(kept), full

    @classmethod
    def of(cls, projections: Stack, weights: Stack | None, binning: Binning = (1, 1)) -> Binned:
        """Return what is in memory."""
        return cls(binning, {binning: (projections, weights)})

    @property
    def held(self) -> bool:
        """Whether the finest are kept by now."""
        return self.finest in self._kept

    @property
    def coarsest(self) -> Binning:
        """Binning of the coarsest that are kept."""
        return max(self._kept)

    @property
    def weighs(self) -> bool:
        """Whether some pixels count less than others."""
        return any(shares is not None for _, shares in self._kept.values())

    def at(self, binning: Binning) -> Pair:
        """Return the images and their weights at a multiple of the finest binning."""
        if binning in self._kept:
            return self._kept[binning]
        if not self.held:
            assert self._full is not None  # else they are kept
            finest = Gathered(self._full.shape, self.finest)
            for part in read_blocks(self._full.shape):
                finest.add(part, *self._full.pieces(part))
            self._kept[self.finest] = finest.pair
        rows, columns = (now // finest for now, finest in zip(binning, self.finest, strict=True))
        return bin_weighted(*self._kept[self.finest], rows, columns)
