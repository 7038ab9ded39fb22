"""Images at full size that the memory does not hold: rows of them are made when they are asked for.

Slices are independent, so some rows are those of the whole. They are read from what was given,
moved, reconstructed and reprojected as an iteration does it. A detector's pattern that was found on
binned images is not taken out of these.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._typing import Array, Stack
from ..images.moving import move_rows
from ..images.shifting import SplineStack
from ..images.source import Source
from ..results import Images
from ..start.held import rows_at_once
from ..start.prepare import Start
from ..start.run import Run
from .evaluating import Evaluation
from .level import Level
from .poses import Poses
from .truncation import Truncation

__all__ = ["images_by_rows"]

_KINDS = ("reconstruction", "projections", "reference")


def images_by_rows(
    run: Run, start: Start, truncation: Truncation, poses: Poses, confidence: Array
) -> Images | None:
    """Return the images that belong to some poses at full size; None: rows are none by themselves.

    They are array-likes. Of what was asked for last the rows are kept.
    """
    height = rows_at_once(run)
    if not height:
        return None
    alone = replace(run, executor=None, scratch=None)  # what its workers read may be gone
    geometry = truncation.grid(poses.frame, last=True)
    nothing = SplineStack.of(np.zeros((0, 0, 0), np.float32))
    level = Level(1, np.ones(2), nothing, None, geometry)
    task = Evaluation(alone, level, truncation, poses, start.taking_part(confidence))
    made = _Made(task, start, height)
    return cast(Images, tuple(_ByRows(made, kind) for kind in _KINDS))


class _Made:
    """What is made of some rows; the last ones are kept."""

    def __init__(self, task: Evaluation, start: Start, height: int) -> None:
        self.geometry = task.level.placed(task.poses)
        self.height = height
        self._task, self._start = task, start
        self._kept: tuple[slice, Images] | None = None

    def of(self, rows: slice) -> Images:
        """Return the images of a block of rows; what is asked for is cut out of such blocks."""
        kept = self._kept
        if kept is None or kept[0] != rows:
            self._kept = None  # make room
            kept = self._kept = rows, self._made(rows)
        return kept[1]

    def moved(self, frames: slice, rows: slice) -> tuple[Stack, NDArray[Any]]:
        """Return rows of some frames, moved, and their weights."""
        task, full = self._task, self._start.full
        turning = None
        if task.poses.turns is not None:
            pivot = self.geometry.row_center, self.geometry.center
            turning = task.poses.turns[frames], pivot
        images = _Frames(full.projections, frames)
        weights = None if full.weights is None else _Frames(full.weights, frames)
        workers = task.run.parameters.workers
        shifts = task.poses.shifts[frames]
        return move_rows(images, weights, shifts, rows, turning=turning, workers=workers)

    def signed(self, images: Stack) -> Stack:
        """Return images turned back where the object is darker than its background."""
        return -images if self._start.measurement.sign < 0 else images

    def _made(self, rows: slice) -> Images:
        measured, weights = self.moved(slice(0, self.geometry.n_angles), rows)
        part = self.geometry.rows_of(rows)
        volume, reprojected = self._task.predicted(measured, weights, part)
        margin = (part.volume_width - part.n_columns) // 2
        inside = slice(margin, margin + part.n_columns)
        seen = volume[:, inside, inside], reprojected, measured
        return cast(Images, tuple(self.signed(one) for one in seen))


@dataclass(frozen=True, eq=False)
class _Frames:
    """Some frames of a source."""

    source: Source
    frames: slice

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames.stop - self.frames.start, *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def read(self, frames: slice = slice(None), rows: slice = slice(None)) -> NDArray[Any]:
        first, last, _ = frames.indices(self.shape[0])
        start = self.frames.start
        return self.source.read(slice(start + first, start + last), rows)


class _ByRows:
    """An array-like of float32 that is indexed with whole numbers and slices.

    A slice of the reconstruction takes its row of all projections, and a reprojection all rows; the
    reference takes the frames and rows that are asked for.
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(self, made: _Made, kind: str) -> None:
        self._made, self._kind = made, kind
        geometry = made.geometry
        n_rows, n_columns = geometry.n_rows, geometry.n_columns
        of_volume = kind == "reconstruction"
        self.shape = (n_rows, n_columns, n_columns) if of_volume else geometry.projections_shape
        self._axis = 0 if of_volume else 1

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes in memory, if all were made."""
        return 4 * self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Stack:
        """Make what is indexed, a block of rows after the other."""
        wanted, dropped = _ranges(key, self.shape)
        found = np.empty([len(one) for one in wanted], np.float32)
        rows = np.array(wanted[self._axis], np.intp)
        height, n_rows = self._made.height, self.shape[self._axis]
        for block in np.unique(rows // height) if found.size else ():
            first = int(block) * height
            at = np.flatnonzero(rows // height == block)
            here, there = [np.arange(n) for n in found.shape], [np.array(one) for one in wanted]
            here[self._axis], there[self._axis] = at, rows[at] - first
            part = slice(first, min(first + height, n_rows))
            if self._kind == "reference":
                frames = slice(int(there[0].min()), int(there[0].max()) + 1)
                values = self._made.signed(self._made.moved(frames, part)[0])
                there[0] -= frames.start
            else:
                values = self._made.of(part)[_KINDS.index(self._kind)]
            found[np.ix_(*here)] = values[np.ix_(*there)]
        return np.asarray(found[tuple(0 if gone else slice(None) for gone in dropped)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Make everything."""
        if copy is False:
            raise ValueError("images that are made when asked for are no array without a copy")
        values = self[:]
        return values if dtype is None else values.astype(dtype, copy=False)


def _ranges(key: Any, shape: tuple[int, ...]) -> tuple[list[range], list[bool]]:
    """Return which indices are wanted along each axis, and which axes are dropped.

    Raises
    ------
    IndexError
        Other than whole numbers within the shape, and slices.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(one is Ellipsis for one in keys):
        at = next(k for k, one in enumerate(keys) if one is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
    keys += [slice(None)] * (len(shape) - len(keys))
    if len(keys) != len(shape):
        raise IndexError(f"expected {len(shape)} indices at most, got {len(keys)}")
    wanted, dropped = [], []
    for one, n in zip(keys, shape, strict=True):
        dropped.append(not isinstance(one, slice))
        if isinstance(one, slice):
            wanted.append(range(n)[one])
            continue
        try:
            at = range(n)[operator.index(one)]
        except TypeError as error:
            raise IndexError(
                "images that are made when asked for take whole numbers and slices, got "
                f"{one!r:.60}: take numpy.asarray of them for more"
            ) from error
        wanted.append(range(at, at + 1))
    return wanted, dropped
