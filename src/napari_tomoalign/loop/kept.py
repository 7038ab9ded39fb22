"""Images that an engine keeps in its own memory, or makes there again: asked for sums, and a few.

Nothing else crosses in an iteration that refines; whole stacks come when somebody looks at them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..backends.slab import ImageName, SlabKept
from ..images.precision import BLOCK, Scatter, scatter_from
from ..start.frames import coarse_block

__all__ = ["change_there", "coarse_misfit_there", "of_each", "read", "scatter_there"]

Kept = Sequence[SlabKept]
"""The slabs of whole images, from the first row to the last."""
_T = TypeVar("_T")


def of_each(kept: Kept, ask: Callable[[SlabKept], _T]) -> list[_T]:
    """Ask each slab, all at once: where they are made again, each device makes one at a time."""
    with ThreadPoolExecutor(len(kept)) as pool:
        return list(pool.map(ask, kept))


def read(kept: Kept, name: ImageName, which: NDArray[np.intp] | None = None) -> NDArray[np.float32]:
    """Return images of one kind, whole: all of them, or some."""
    return np.concatenate(of_each(kept, lambda slab: slab.images(name, which)), axis=1)


def scatter_there(kept: Kept, which: NDArray[np.intp]) -> Scatter:
    """Return what some projections tell of their shifts (see `images.precision`)."""

    def squares_at(solution: Array) -> Array:
        of_all = np.zeros((n, 4))
        of_all[which] = solution
        return reduce(add, of_each(kept, lambda slab: slab.scatter(of_all, BLOCK)))[which]

    sums = reduce(add, of_each(kept, lambda slab: slab.cross()))
    n = len(sums)
    return scatter_from(sums[which], squares_at, kept[0].window_shape)


def change_there(kept: Kept, which: NDArray[np.intp], steps: Array) -> Array:
    """Return what steps of some projections change of the difference (see `step_change`)."""
    both, ways = np.tile(which, 2), np.concatenate([steps, -steps])
    squares = reduce(add, of_each(kept, lambda slab: slab.squares(both, ways)))
    change: Array = squares[: len(which)] - squares[len(which) :]
    return change


def coarse_misfit_there(kept: Kept, which: NDArray[np.intp]) -> Array:
    """Return how badly some projections fit, told from means over blocks (see `coarse_misfit`)."""
    block = coarse_block(kept[0].shape)
    parts = of_each(kept, lambda slab: slab.blocks(which, block))
    missed = reduce(add, [sums for sums, _ in parts]) / (block[0] * block[1])
    weight = reduce(add, [weights for _, weights in parts])
    misfit: Array = np.sum(missed**2, axis=(1, 2)) / np.maximum(weight, 1e-30)
    return misfit
