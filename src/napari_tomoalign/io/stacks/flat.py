"""Files that have room for all their values before the first of them is written."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .content import Pieces

__all__ = ["FlatTarget", "fill"]

# A file system that cannot promise room takes the values all the same.
_NO_PROMISE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


@dataclass(frozen=True)
class FlatTarget:
    """Where values lie one behind another in a file, to be written piece by piece in any order.

    The counterpart of `images.source.FlatSource`. They are written, not mapped into memory: a full
    disk would end the whole program there.

    Attributes
    ----------
    path : Path
        A file with its header, if it has one.
    offset : int
        Bytes before the first value.
    shape : tuple of int
        Of the whole, in C order.
    dtype : numpy.dtype
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = np.dtype(np.float32)

    def reserve(self) -> None:
        """Take the room on the disk, so that a disk that is too full refuses now.

        Raises
        ------
        OSError
            There is no room.
        """
        end = self.offset + math.prod(self.shape) * self.dtype.itemsize
        with self.path.open("r+b") as file:
            end = max(end, os.fstat(file.fileno()).st_size)
            if hasattr(os, "posix_fallocate"):  # neither on macOS nor on Windows
                try:
                    os.posix_fallocate(file.fileno(), 0, end)
                except OSError as error:
                    if error.errno not in _NO_PROMISE:
                        raise
            file.truncate(end)

    def write(self, values: NDArray[np.generic], *cuts: slice) -> None:
        """Write values where the slices cut them out, one for each of the first axes.

        Raises
        ------
        ValueError
            Values of another shape than the slices have.
        OSError
            They cannot be written.
        """
        ranges = [
            range(n)[cut]
            for n, cut in zip(self.shape, (*cuts, *[slice(None)] * len(self.shape)), strict=False)
        ]
        if values.shape != tuple(map(len, ranges)):
            raise ValueError(
                f"{self.path.name}: values of shape {values.shape} do not fit into {cuts} of "
                f"{self.shape}"
            )
        whole = len(self.shape)  # the first axis from which on all is written
        while whole and len(ranges[whole - 1]) == self.shape[whole - 1]:
            whole -= 1
        outer = ranges[: max(whole - 1, 0)]
        runs = np.ascontiguousarray(values, self.dtype).reshape(math.prod(map(len, outer)), -1)
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        first = sum(r.start * stride for r, stride in zip(ranges, strides, strict=True))
        with self.path.open("r+b", buffering=0) as file:
            for index, run in zip(np.ndindex(*map(len, outer)), runs, strict=True):
                at = first + sum(i * stride for i, stride in zip(index, strides, strict=False))
                file.seek(self.offset + at * self.dtype.itemsize)
                _write_all(file, run)


def _write_all(file: Any, values: NDArray[np.generic]) -> None:
    left = values.view(np.uint8).data
    while left:
        left = left[file.write(left) :]


def fill(
    target: FlatTarget,
    pieces: Pieces,
    tell: Callable[[int], object],
    look: Callable[[NDArray[np.float32]], object] = lambda values: None,
) -> None:
    """Take the room and write every piece; say how many bytes they are, and have them looked at."""
    target.reserve()
    for cuts, made in zip(pieces.cuts, pieces.done(pieces.make), strict=True):
        values = np.ascontiguousarray(made, np.float32)
        target.write(values, *cuts)
        look(values)
        tell(values.nbytes)
