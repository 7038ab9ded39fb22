"""Projections that are read and prepared when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis, turn_projections
from ..images.binning import bin_stack, bin_weighted
from ..images.source import blocks_of
from .preparation import Counts, Preparation, fill_bad
from .raw import RawStack

__all__ = ["LazyProjections"]

_MARGIN = 16
"""Rows that are read beside those asked for where a bad pixel's nearest good one may lie there:
beyond the stripes and spots of detectors. Farther ones make the whole image be read."""


@dataclass(frozen=True, eq=False)
class LazyProjections:
    """Prepared projections, the rotation axis vertical, read from the file when asked for.

    A `Source` that also behaves as a float32 array of shape ``(n_angles, n_rows, n_columns[,
    n_channels])`` for indexing and for `numpy.asarray`. It can be pickled. Nothing is kept: what
    is read twice is read twice from the file.

    Attributes
    ----------
    stack : RawStack
        As stored.
    preparation : Preparation
        Of the whole image as stored.
    rotation_axis : {"vertical", "horizontal"}
        Of the image as stored.
    binning : int
        Pixels along each side that are averaged.
    rows : slice
        Of the image with the axis vertical, before binning; with a start and a stop.
    channels : tuple of int, optional
        Of the file, that are kept. None: all.
    """

    stack: RawStack
    preparation: Preparation
    rotation_axis: RotationAxis
    binning: int
    rows: slice
    channels: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_angles, n_rows, n_columns[, n_channels])``."""
        n_angles, n_rows, n_columns, *channels = self.stack.shape
        if self.rotation_axis == "horizontal":
            n_rows, n_columns = n_columns, n_rows
        n_rows = self.rows.stop - self.rows.start
        if channels and self.channels is not None:
            channels = [len(self.channels)]
        return n_angles, n_rows // self.binning, n_columns // self.binning, *channels

    @property
    def ndim(self) -> int:
        """3, or 4 with channels."""
        return len(self.stack.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Single precision, whatever the file has."""
        return np.dtype(np.float32)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes in memory, if all were read."""
        return 4 * self.size

    def __len__(self) -> int:
        return self.shape[0]

    def prepared(
        self, frames: slice = slice(None), rows: slice = slice(None), counts: Counts | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Read and prepare frames, cut to rows.

        Rows that are read alone are those of the whole image, to the bit: where a bad pixel's
        nearest good one may lie outside them, more rows are read.

        Parameters
        ----------
        frames, rows : slice
            Of step 1.
        counts : Counts, optional
            Where to count bad pixels.

        Returns
        -------
        values, weights : array of float32
            Prepared, and the share of good pixels in each; None: all of them are.
        """
        first, last, _ = rows.indices(self.shape[1])
        start = self.rows.start + first * self.binning
        stop = self.rows.start + max(first, last) * self.binning
        counts = Counts() if counts is None else counts
        for margin in (0, _MARGIN, self.rows.stop):
            above = min(margin, start - self.rows.start)
            below = min(margin, self.rows.stop - stop)
            values, good = self._unfilled(frames, slice(start - above, stop + below), counts)
            wanted = slice(above, above + stop - start)
            if good is None:
                break
            missing = (start - above > self.rows.start, stop + below < self.rows.stop)
            if fill_bad(values, good, wanted, missing):
                break
            counts = Counts()  # the pixels were counted at the first reading
        values = values[:, wanted]
        if good is None or good[:, wanted].all():
            return np.ascontiguousarray(bin_stack(values, self.binning, self.binning)), None
        values, weights = bin_weighted(values, good[:, wanted], self.binning, self.binning)
        return np.ascontiguousarray(values), np.ascontiguousarray(weights)

    def _unfilled(
        self, frames: slice, rows: slice, counts: Counts
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Read rows of the image with the axis vertical and prepare them, but for the filling."""
        columns = slice(None)
        cuts = (rows, columns) if self.rotation_axis == "vertical" else (columns, rows)
        block = self.stack.read(frames, *cuts)
        if self.channels is not None:
            block = block[..., list(self.channels)]
        values, good = self.preparation.cut(*cuts).apply(block, counts)
        lost = self.stack.lost[frames]
        if lost.any():
            good = np.ones(values.shape, bool) if good is None else good
            good[lost] = False
        values = np.ascontiguousarray(turn_projections(values, self.rotation_axis))
        if good is not None:
            good = np.ascontiguousarray(turn_projections(good, self.rotation_axis))
        return values, good

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> NDArray[np.float32]:
        """Return these frames, cut to these rows; both slices of step 1."""
        return self.prepared(frames, rows)[0]

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read what is indexed: the first two indices decide which frames and rows are read."""
        keys = key if isinstance(key, tuple) else (key,)
        if keys and keys[0] is Ellipsis:
            missing = self.ndim - (len(keys) - 1)
            keys = (slice(None),) * missing + keys[1:]
        first, *rest = keys or (slice(None),)
        rows = slice(None)
        if rest and isinstance(rest[0], slice) and rest[0].step in (None, 1):
            rows, rest[0] = rest[0], slice(None)
        positions = np.arange(len(self))[first]
        if np.ndim(positions) == 0:
            at = int(positions)
            frame: NDArray[np.float32] = self.read(slice(at, at + 1), rows)[0]
            return np.asarray(frame[tuple(rest)])
        if len(positions) and np.all(np.diff(positions) == 1):
            values = self.read(slice(int(positions[0]), int(positions[-1]) + 1), rows)
        else:
            n_rows = len(range(self.shape[1])[rows])
            values = np.empty((len(positions), n_rows, *self.shape[2:]), dtype=np.float32)
            for target, at in enumerate(positions):
                values[target] = self.read(slice(int(at), int(at) + 1), rows)[0]
        picked: NDArray[np.float32] = values[(slice(None), *rest)]
        return picked

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything, chunk by chunk."""
        if copy is False:
            raise ValueError("projections in a file cannot become an array without a copy")
        values = np.empty(self.shape, dtype=np.float32)
        for start, stop in blocks_of(self.shape):
            values[start:stop] = self.read(slice(start, stop))
        return values if dtype is None else values.astype(dtype, copy=False)
