"""Projections that are read and prepared when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import RotationAxis
from .preparation import Counts, Preparation, bin_block
from .raw import RawStack

__all__ = ["LazyProjections", "blocks_of"]

_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class LazyProjections:
    """Prepared projections, the rotation axis vertical, read from the file frame by frame.

    Behaves as a float32 array of shape ``(n_angles, n_rows, n_columns[, n_channels])`` for
    indexing and for `numpy.asarray`. Nothing is kept: what is indexed twice is read twice.

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

    def frames(
        self, start: int, stop: int, counts: Counts | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Read and prepare frames ``start`` to ``stop`` (excluded).

        Parameters
        ----------
        start, stop : int
            Of the projections.
        counts : Counts, optional
            Where to count bad pixels.

        Returns
        -------
        values, weights : array of float32
            Prepared, and the share of good pixels in each.
        """
        rows, columns = self.rows, slice(None)
        if self.rotation_axis == "horizontal":
            rows, columns = columns, rows
        block = self.stack.read(start, stop, rows, columns)
        if self.channels is not None:
            block = block[..., list(self.channels)]
        prepared = self.preparation.cut(rows, columns)
        values, good = prepared.apply(block, Counts() if counts is None else counts)
        if self.rotation_axis == "horizontal":
            values, good = np.swapaxes(values, 1, 2), np.swapaxes(good, 1, 2)
        values, weights = bin_block(values, good, self.binning)
        return np.ascontiguousarray(values), np.ascontiguousarray(weights)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read what is indexed: the first index decides which frames are read."""
        keys = key if isinstance(key, tuple) else (key,)
        if keys and keys[0] is Ellipsis:
            missing = self.ndim - (len(keys) - 1)
            keys = (slice(None),) * missing + keys[1:]
        first, rest = (keys[0], keys[1:]) if keys else (slice(None), ())
        positions = np.arange(len(self))[first]
        if np.ndim(positions) == 0:
            frame: NDArray[np.float32] = self.frames(int(positions), int(positions) + 1)[0][0]
            return frame[rest]
        if len(positions) and np.all(np.diff(positions) == 1):
            values = self.frames(int(positions[0]), int(positions[-1]) + 1)[0]
        else:
            values = np.empty((len(positions), *self.shape[1:]), dtype=np.float32)
            for target, position in enumerate(positions):
                values[target] = self.frames(int(position), int(position) + 1)[0][0]
        return values[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything, chunk by chunk."""
        if copy is False:
            raise ValueError("projections in a file cannot become an array without a copy")
        values = np.empty(self.shape, dtype=np.float32)
        for start, stop in blocks_of(self.shape):
            values[start:stop] = self.frames(start, stop)[0]
        return values if dtype is None else values.astype(dtype, copy=False)


def blocks_of(shape: tuple[int, ...], limit: int = _BLOCK_BYTES) -> Iterator[tuple[int, int]]:
    """Yield ``(start, stop)`` frame ranges whose float32 values fit into ``limit`` bytes."""
    step = max(1, limit // (4 * max(1, int(np.prod(shape[1:])))))
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])
