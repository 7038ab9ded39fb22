"""Which binnings a run goes through, and the finest of them that the memory holds."""

from __future__ import annotations

from .._memory import in_words
from ..findings import Finding
from ..geometry import ScanGeometry
from ..images.refining import COMPARED_HALO
from ..io.limits import free_memory
from .run import Run
from .survey import read_blocks

__all__ = [
    "SLAB_SHARE",
    "choose_levels",
    "coarser_ones",
    "finest_held",
    "levels_of",
    "limits",
    "memory_at",
    "memory_for_slabs",
    "row_binning",
    "row_of_slab",
    "rows_at",
    "rows_at_once",
]

_SMALLEST = 32  # pixels: a binned image keeps at least these many columns
_FEWEST_ROWS = 16  # rows are not binned below this
_SHARE = 2  # of what is free, one part in two: other programs, and what is written, need some
_STACKS, _VOLUMES = 4.5, 2.0
"""Copies of the images and of the volume that an iteration holds: as held, as spline, as moved and
as reprojected, with what a comparison takes; as reconstructed, and on a grid wider than the images
(``tests/benchmarks/memory.py`` finds 3.9 of both)."""
SLAB_SHARE = (
    0.5  # of what is left for slabs takes the one at work, and those that are kept the rest
)
_WEIGHTED = 1.75  # copies more where pixels have weights: as held and as moved, less those of bytes
_LEAST_ROWS = 3 * COMPARED_HALO  # of a slab with those around it: most work is done thrice then
_ROWS_AT_ONCE = 16  # whoever looks at a row looks at those beside it, and to read one reads chunks
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


def finest_held(run: Run) -> tuple[int, str]:
    """Return the finest binning that the memory holds, and why no finer one; empty: all is held.

    Raises
    ------
    ValueError
        The memory does not hold the coarsest level; both numbers, and what to do.
    """
    levels = run.parameters.levels or levels_of(run)
    memory = _allowed(run)
    if memory is None:
        return 1, ""
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
        return binning, ""
    wanted = in_words(memory_at(run, levels[-1]))
    return (
        binning,
        f"to hold binning {levels[-1]} takes {wanted}, and {in_words(memory)} may be taken",
    )


def coarser_ones(run: Run, finest: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the binnings that are kept in place of the finest that the memory holds; or none.

    Of a scan in a file, where a run may end before it needs the finest: these take a few times the
    memory of all others, and are read when they are needed.
    """
    levels = run.parameters.levels or levels_of(run)
    if not (run.lines.elsewhere and run.parameters.precision):
        return ()
    return tuple(
        (rows_at(run, level) // finest[0] * finest[0], level)
        for level in levels
        if level > finest[1] and level % finest[1] == 0
    )


def limits(binning: int, why: str, *, by_slabs: bool) -> tuple[Finding, ...]:
    """Return what to say of levels finer than the one that is held, and why it is: see above."""
    if not why:
        return ()
    finer = f"levels finer than binning {binning}"
    if by_slabs:
        text = (
            f"{finer} are run by slabs of rows, which takes longer, where the shifts are not known "
            f"well enough without them: {why}"
        )
    else:
        text = (
            f"{finer} were not run: {why}; where the shifts are not known well enough, give more "
            "memory"
        )
    return (Finding("memory", text),)


def _allowed(run: Run) -> int | None:
    """Return the bytes that a run may take; None: nobody says how many there are."""
    memory = run.parameters.memory
    assert not isinstance(memory, str)  # the parameters bring it into bytes
    if memory is not None:
        return memory
    free = free_memory()
    return None if free is None else free // _SHARE


def memory_for_slabs(run: Run, held: int) -> int:
    """Return the bytes left for slabs of rows of the levels finer than the one that is held.

    0 where none is finer, where they are too few, and where rows cannot be evaluated by themselves:
    slices that are not independent, what looks at whole images (a crop, a caller's own
    reconstruction, a geometry that is refined), rows that are not binned as columns are.
    """
    levels = run.parameters.levels or levels_of(run)
    finer = [level for level in levels if level < held]
    memory = _allowed(run)
    if not finer or memory is None or not run.independent_slices:
        return 0
    parameters = run.parameters
    if parameters.projection_cropping is not None or callable(run.algorithm):
        return 0
    if parameters.unknowns or any(rows_at(run, level) != level for level in finer):
        return 0
    n, n_rows, n_columns = run.geometry.projections_shape
    stack = 4 * n * (n_rows // rows_at(run, held)) * (n_columns // held)
    left = memory - (1 + run.lines.weighs) * stack
    least = _LEAST_ROWS * row_of_slab(run.geometry.binned(finer[-1]), run.lines.weighs)
    return int(left) if left > least / SLAB_SHARE else 0


def rows_at_once(run: Run) -> int:
    """Return how many rows of full-size images are made at once where somebody asks for them.

    0 where rows are none by themselves: slices that are not independent, an engine or a caller's
    own reconstruction that takes whole images.
    """
    if not run.independent_slices or callable(run.algorithm) or run.backend.whole_rows:
        return 0
    memory = _allowed(run)
    if memory is None:
        return _ROWS_AT_ONCE
    row = row_of_slab(run.geometry, run.lines.weighs)
    return max(1, min(_ROWS_AT_ONCE, int(SLAB_SHARE * memory / row)))


def row_of_slab(geometry: ScanGeometry, weighs: bool) -> float:
    """Return the bytes that the evaluation of a row of images takes."""
    images = 4 * geometry.n_angles * geometry.n_columns
    return images * (_STACKS + _WEIGHTED * weighs) + _VOLUMES * 4 * geometry.volume_width**2


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
