"""Which binnings a run goes through, and the finest of them that the memory holds."""

from __future__ import annotations

from .._memory import in_words
from ..findings import Finding
from ..io.limits import free_memory
from .run import Run
from .survey import read_blocks

__all__ = ["choose_levels", "finest_held", "levels_of", "memory_at", "row_binning", "rows_at"]

_SMALLEST = 32  # pixels: a binned image keeps at least these many columns
_FEWEST_ROWS = 16  # rows are not binned below this
_SHARE = 2  # of what is free, one part in two: other programs, and what is written, need some
_STACKS, _VOLUMES = 4.5, 2.0
"""Copies of the images and of the volume that an iteration holds: as held, as spline, as moved and
as reprojected, with what a comparison takes; as reconstructed, and on a grid wider than the images
(``tests/benchmarks/memory.py`` finds 3.9 of both)."""
_WEIGHTED = 1.75  # copies more where pixels have weights: as held and as moved, less those of bytes
_BLOCKS = 8  # times a block of frames: as stored, as float32, masks, and what is made on the way


def choose_levels(n_columns: int) -> tuple[int, ...]:
    """Return the binnings, coarse to fine, that suit images of so many columns."""
    levels = [1]
    while n_columns // (2 * levels[0]) >= _SMALLEST and levels[0] < 8:
        levels.insert(0, 2 * levels[0])
    return tuple(levels)


def row_binning(n_rows: int, binning: int) -> int:
    """Return by how much rows are binned where columns are binned by so much.

    As much, or less where few would be left: for a vertical axis the size of a pixel along it is
    free.
    """
    return min(binning, max(1, n_rows // _FEWEST_ROWS))


def levels_of(run: Run) -> tuple[int, ...]:
    """Return the binnings, coarse to fine, that suit a run where the caller names none.

    Where slices are not independent rows are binned as columns are, and enough must be left.
    """
    levels = choose_levels(run.geometry.n_columns)
    if run.independent_slices:
        return levels
    most = max(1, run.geometry.n_rows // _FEWEST_ROWS)
    return tuple(binning for binning in levels if binning <= most)


def rows_at(run: Run, binning: int) -> int:
    """Return by how much a run bins rows where it bins columns by so much."""
    return row_binning(run.geometry.n_rows, binning) if run.independent_slices else binning


def finest_held(run: Run) -> tuple[int, tuple[Finding, ...]]:
    """Return the finest binning that the memory holds, 1 where all is held, and what to say of it.

    Raises
    ------
    ValueError
        The memory does not hold the coarsest level; both numbers, and what to do.
    """
    levels = run.parameters.levels or levels_of(run)
    memory = run.parameters.memory
    assert not isinstance(memory, str)  # the parameters bring it into bytes
    if memory is None:
        free = free_memory()
        if free is None:
            return 1, ()
        memory = free // _SHARE
    for binning in (1, *reversed(levels)):
        coarser = [level for level in levels if level > binning]
        if memory_at(run, binning) <= memory and not any(level % binning for level in coarser):
            break  # the coarser ones are made of it
    else:
        least = in_words(memory_at(run, levels[0]))
        raise ValueError(
            f"to align at binning {levels[0]} takes {least} of memory, and "
            f"{in_words(memory)} may be taken: give more (memory=, --memory), begin coarser "
            f"(levels=({2 * levels[0]},)), or read fewer rows"
        )
    if binning <= levels[-1]:
        return binning, ()
    wanted = in_words(memory_at(run, levels[-1]))
    return binning, (
        Finding(
            "memory",
            f"levels finer than binning {binning} were not run: to hold binning {levels[-1]} takes "
            f"{wanted}, and {in_words(memory)} may be taken; where the shifts "
            "are not known well enough, give more memory",
        ),
    )


def memory_at(run: Run, binning: int) -> float:
    """Return the bytes that a run takes at a binning, beside what was given in memory."""
    n, n_rows, n_columns = run.geometry.projections_shape
    rows, columns = n_rows / rows_at(run, binning), n_columns / binning
    stack: float = 4 * n * rows * columns
    volume: float = 4 * rows * columns**2
    copies = _STACKS + _WEIGHTED * run.lines.weighs
    kept = binning > 1 or run.lines.in_memory is None
    first = next(read_blocks(run.lines.shape))
    block = 4 * n_rows * n_columns * (first.stop - first.start)
    in_pass = kept * stack + _BLOCKS * block
    in_loop = (copies - 1 + kept) * stack + _VOLUMES * volume
    return float(max(in_pass, in_loop))
