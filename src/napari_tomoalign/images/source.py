"""Stacks that are read a piece at a time: some frames, and of those some rows.

A source is a small description of where values lie. It can be pickled and sent to another process,
and it holds no open file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .arrays import computed

__all__ = [
    "ArraySource",
    "FlatSource",
    "Source",
    "as_source",
    "blocks_of",
    "is_read_in_pieces",
    "source_of_array",
]

_ALL = slice(None)
_PIECEWISE = ("dask", "h5py", "zarr")  # libraries whose arrays are indexed as NumPy's
_BLOCK_BYTES = 64 * 2**20
"""A block is large enough that the calls cost nothing, and small beside any scan."""


@runtime_checkable
class Source(Protocol):
    """A stack ``(n_frames, n_rows, n_columns[, n_channels])`` of which pieces can be read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read."""

    def read(self, frames: slice = _ALL, rows: slice = _ALL) -> NDArray[Any]:
        """Return these frames, cut to these rows; both slices of step 1."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """An array that is indexed like NumPy's: in memory, of dask or of zarr.

    Attributes
    ----------
    array : array
        Of any number of axes.
    """

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(int(n) for n in self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        kind: np.dtype[Any] = np.dtype(self.array.dtype)
        return kind

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out, one for each of the first axes."""
        return computed(self.array[cuts])


@dataclass(frozen=True)
class FlatSource:
    """Values that lie one behind another in a file: ``.npy``, MRC, uncompressed TIFF.

    They are read, not mapped into memory: the pages of a map count as the program's memory, and a
    few rows of each frame make the system read far more ahead than is wanted.

    Attributes
    ----------
    path : Path
        The file.
    offset : int
        Bytes before the first value.
    shape : tuple of int
        Of the whole, in C order, three axes or more.
    dtype : numpy.dtype
        With the file's byte order.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, *cuts: slice) -> NDArray[Any]:
        """Return the part that the slices cut out, one for each of the first axes.

        Raises
        ------
        EOFError
            The file is shorter than it should be.
        """
        first, second = (
            range(n)[cut] for n, cut in zip(self.shape, (*cuts, _ALL, _ALL)[:2], strict=False)
        )
        line = math.prod(self.shape[2:])
        part = np.empty((len(first), len(second), *self.shape[2:]), self.dtype)
        whole = len(second) == self.shape[1]
        with self.path.open("rb", buffering=0) as file:
            for target, index in [(part, first.start)] if whole else zip(part, first, strict=True):
                if target.size:
                    at = (index * self.shape[1] + second.start) * line * self.dtype.itemsize
                    file.seek(self.offset + at)
                    self._fill(file, target)
        return part[(_ALL, _ALL, *cuts[2:])]

    def _fill(self, file: Any, target: NDArray[Any]) -> None:
        left = target.reshape(-1).view(np.uint8).data
        while left:
            count = file.readinto(left)
            if not count:
                raise EOFError(
                    f"{self.path}: the file ends {len(left)} bytes before the values do; it has "
                    "changed, or is still being written: see that it is whole, and start again"
                )
            left = left[count:]


def is_read_in_pieces(stack: Any) -> bool:
    """Tell whether an array lies in a file, or is computed, piece by piece when it is indexed."""
    kind = type(stack).__module__.partition(".")[0]
    return isinstance(stack, np.memmap) or (kind in _PIECEWISE and hasattr(stack, "shape"))


def as_source(stack: Any) -> Source:
    """Return a stack of any kind as a source.

    Parameters
    ----------
    stack : array or source
        See `source_of_array`; a source is returned as it is.
    """
    return stack if isinstance(stack, Source) else source_of_array(stack)


def source_of_array(stack: Any) -> ArraySource | FlatSource:
    """Return an array as a source: one that is mapped from a file is read from there anew.

    Parameters
    ----------
    stack : array
        NumPy's, dask's, zarr's, of any number of axes.
    """
    if isinstance(stack, np.memmap) and stack.mode != "c" and stack.filename is not None:
        root = stack
        while isinstance(root.base, np.memmap):  # a view keeps the offset of what it is a view of
            root = root.base
        if stack.flags.c_contiguous and stack.ndim >= 3:
            inside = stack.__array_interface__["data"][0] - root.__array_interface__["data"][0]
            offset = int(root.offset) + int(inside)
            return FlatSource(Path(stack.filename), offset, stack.shape, stack.dtype)
    return ArraySource(stack)


def blocks_of(
    shape: tuple[int, ...], limit: int = _BLOCK_BYTES, *, most: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield ``(start, stop)`` ranges of ``most`` frames whose float32 values fit into ``limit``."""
    step = max(1, limit // (4 * max(1, math.prod(shape[1:]))))
    step = step if most is None else min(step, most)
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])
