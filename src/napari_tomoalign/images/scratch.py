"""Images that are written once for those who read pieces of them elsewhere."""

from __future__ import annotations

import itertools
import os
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .source import FlatSource, source_of_array

__all__ = ["Scratch", "rows_in_place"]


class Scratch:
    """A folder of stacks; each is there as long as the array is that it was written from.

    Parameters
    ----------
    folder : Path
        Which all who read must see. It is the caller's, and there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()
        self._stored: dict[int, FlatSource] = {}

    def store(self, stack: NDArray[np.float32]) -> FlatSource:
        """Return where a stack lies; it is written where it does not yet.

        Raises
        ------
        OSError
            There is no room.
        """
        key = id(stack)
        if key not in self._stored:
            path = self.folder / f"{next(self._numbers)}.npy"
            np.save(path, stack)
            stored = source_of_array(np.load(path, mmap_mode="r"))
            assert isinstance(stored, FlatSource)  # it was written in one piece
            self._stored[key] = stored
            weakref.finalize(stack, self._drop, key)
        return self._stored[key]

    def _drop(self, key: int) -> None:
        stored = self._stored.pop(key)
        with suppress(OSError):  # the folder may be gone already
            os.unlink(stored.path)


def rows_in_place(source: FlatSource, rows: slice) -> NDArray[np.float32]:
    """Return a stack of the whole shape of which only some rows were read, at their places.

    So a kernel counts rows as in the whole stack, and rounds in the same way. What is not touched
    takes no memory.
    """
    stack = np.empty(source.shape, np.float32)
    stack[:, rows] = source.read(slice(None), rows)
    return stack
