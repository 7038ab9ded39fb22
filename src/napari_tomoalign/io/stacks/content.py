"""What a file of a stack or of a volume is to hold."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..._executors import in_order
from ...geometry import RotationAxis

__all__ = ["Content", "Cuts", "Pieces", "StackInfo", "length_of_piece"]

Cuts = tuple[slice, ...]
"""Where values belong, a slice for each of the first axes."""
_Made = TypeVar("_Made")


def length_of_piece(most: int) -> int:
    """Return how long pieces of a whole are that may be so long: chunks of any format fit in."""
    length: int = 2 ** (max(1, most).bit_length() - 1)
    return length


@dataclass(frozen=True, eq=False)
class StackInfo:
    """What is written beside the values of a stack or a volume.

    Attributes
    ----------
    angles : (n_angles,) array, optional
        Radians; None for a volume.
    pixel_size : float, optional
        In ``pixel_unit``.
    pixel_unit : str
        Such as ``"nm"``.
    rotation_axis : {"vertical", "horizontal"}
        Of the image as measured.
    aligned_with : str
        With which shifts, and how; empty where the stack is not aligned.
    channels : tuple of str
        Names.
    extra : mapping of str to object
        More attributes, plain values.
    """

    angles: NDArray[np.float64] | None = None
    pixel_size: float | None = None
    pixel_unit: str = ""
    rotation_axis: RotationAxis = "vertical"
    aligned_with: str = ""
    channels: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """Return all but the angles as plain values, for a file's metadata."""
        values: dict[str, Any] = {"rotation_axis": self.rotation_axis, **self.extra}
        if self.pixel_size is not None:
            values |= {"pixel_size": self.pixel_size, "pixel_unit": self.pixel_unit}
        if self.aligned_with:
            values["aligned_with"] = self.aligned_with
        if self.channels:
            values["channels"] = ";".join(self.channels)
        return values


@dataclass(frozen=True, eq=False)
class Pieces:
    """Values that are made piece by piece; together they are the whole.

    Attributes
    ----------
    cuts : tuple
        Where each belongs. All are cut along one axis, by the same length but the last.
    make : callable
        Makes the values that belong somewhere. It can be pickled where workers have a memory of
        their own.
    executor : Executor, optional
        Makes them.
    ahead : int, optional
        How many may wait for being written.
    """

    cuts: tuple[Cuts, ...]
    make: Callable[[Cuts], NDArray[np.generic]]
    executor: Executor | None = None
    ahead: int | None = None

    @classmethod
    def whole(cls, values: NDArray[np.generic]) -> Pieces:
        """Return what is in memory already as one piece."""
        return cls(((slice(None),) * values.ndim,), values.__getitem__)

    def done(self, task: Callable[[Cuts], _Made]) -> Iterator[_Made]:
        """Yield what a task makes of each cut, in their order."""
        return in_order(task, self.cuts, self.executor, ahead=self.ahead)


@dataclass(frozen=True, eq=False)
class Content:
    """A stack or a volume of any size.

    Attributes
    ----------
    shape : tuple of int
        Of the whole.
    info : StackInfo
        What is written beside the values.
    pieces : Pieces
    """

    shape: tuple[int, ...]
    info: StackInfo
    pieces: Pieces

    @property
    def n_bytes(self) -> int:
        """Of the values, in single precision."""
        return 4 * math.prod(self.shape)

    @property
    def mark(self) -> str:
        """Sixteen digits by which is known again what a file was made of."""
        values = {**self.info.attributes(), "shape": self.shape}
        if self.info.angles is not None:
            values["angles"] = self.info.angles.tolist()
        text = json.dumps(values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
