"""Speed of the built-in engine and of the whole loop, beside TomoPy's in the same run.

    python tests/benchmarks/speed.py                  128^3, 180 angles, 2 threads: minutes
    python tests/benchmarks/speed.py --only engine    projector, back projector and SIRT
    python tests/benchmarks/speed.py --only loop      the whole alignment
    python tests/benchmarks/speed.py --only space     the projector for rays in any direction
    python tests/benchmarks/speed.py --beside ../base --threads 1     those of that checkout
    python tests/benchmarks/speed.py --size 512 --angles 720 --only loop --alone --loop-repeats 1

Everything is compiled before it is timed, and the best of several repeats counts. Timed are

- projection: the engine's operator against ``tomopy.project(..., pad=False)``, from and to arrays
  in the order (slice, y, x) and (angle, row, column);
- back projection: the operator's transpose, with the change of layout there and back, against
  ``tomopy.project``, for TomoPy has no back projector of its own to call;
- a SIRT iteration: the difference of 4 and 2 iterations over 2, so that preparations drop out;
- the projector for rays in any direction, of 180 and of 12 angles, and its transpose, against the
  one about a vertical axis: by CPU time for each multiplication with an addition, of which a step
  of a ray within the grid takes four there (two by two neighbours) and two here;
- the loop: ``align`` with default parameters against ``tomopy.prep.alignment.align_joint`` (sirt,
  as many iterations as ``align`` took), and when ``align`` came within 0.05 px and within 1.25
  times the Cramér-Rao bound, from the call on. Errors are modulo the object's position; a wrong
  centre counts as a shift of the columns.

With ``--beside`` the same parts of another checkout are timed in turn with these, by CPU time: an
engine no slower than 1.1 times that one's, and a default run that takes 1.3 times as long at most.

Without TomoPy only the built-in engine is timed. The exit status is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from beside import measured
from machine import best_time, facts, table

from napari_tomoalign import AlignmentState, align, alignment_error
from napari_tomoalign.backends import get_backend
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.simulation import SimulatedScan, cramer_rao_bound, simulate

PROJECTION_FACTOR, SIRT_FACTOR, LOOP_FACTOR = 5.0, 15.0, 5.0
SPACE_FACTOR = 4.0
ENGINE_BESIDE, RUN_BESIDE = 1.1, 1.3
SUBSET = 12  # projections in a step of the default algorithm
TILT = 30.0  # degrees, of laminography
CLOSE, RATIO = 0.05, 1.25
LIMITS = {128: (1.0, 3.0, None), 512: (None, None, 300.0)}
"""Seconds, by size: to ``CLOSE`` px, to ``RATIO`` times the bound, of the whole run."""


@dataclass(frozen=True)
class Row:
    """A line of the table; ``missed`` where a target is not met."""

    what: str
    ours: str
    theirs: str = ""
    ratio: str = ""
    target: str = ""
    missed: bool = False

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        target = self.target + (" MISSED" if self.missed else "")
        return self.what, self.ours, self.theirs, self.ratio, target


def compared(what: str, ours: float, theirs: float | None, factor: float) -> Row:
    """Return the row of two times in seconds."""
    if theirs is None:
        return Row(what, f"{ours:.3f} s", "absent", "", f">= {factor:g}")
    ratio = theirs / ours
    return Row(
        what,
        f"{ours:.3f} s",
        f"{theirs:.3f} s",
        f"{ratio:.1f}",
        f">= {factor:g}",
        ratio < factor,
    )


def limited(what: str, ours: str, took: float, limit: float | None) -> Row:
    """Return the row of a time that may have a limit."""
    if limit is None:
        return Row(what, ours)
    return Row(what, ours, target=f"<= {limit:g} s", missed=took > limit)


def engine_rows(scan: SimulatedScan, options: argparse.Namespace) -> Iterator[Row]:
    """Time projector, back projector and SIRT, ours and TomoPy's in turn."""
    n_rows, n_columns = scan.projections.shape[1:]
    geometry = ScanGeometry(scan.angles, n_rows, n_columns, (n_columns - 1) / 2)
    engine = get_backend("builtin", workers=options.threads)

    def sirt(num_iter: int) -> np.ndarray:
        return engine.reconstruct(
            scan.projections, geometry, algorithm="sirt", num_iter=num_iter, circle=False
        )

    volume = sirt(2)
    A = engine.operator(geometry)
    ours = best_time(lambda: A(volume), options.repeats)
    theirs = None if options.alone else tomopy_projection(volume, scan.angles, options)
    yield compared("projection", ours, theirs, PROJECTION_FACTOR)
    A.T(scan.projections)
    ours = best_time(lambda: A.T(scan.projections), options.repeats)
    yield compared("back projection / tomopy.project", ours, theirs, PROJECTION_FACTOR)
    ours = (best_time(lambda: sirt(4), options.repeats) - best_time(lambda: sirt(2), 3)) / 2
    theirs = None if options.alone else tomopy_sirt(scan, options)
    yield compared("SIRT iteration", ours, theirs, SIRT_FACTOR)


def space_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Time the projector for rays in any direction beside that about a vertical axis."""
    n = options.size
    angles = np.linspace(0, np.pi, options.angles, endpoint=False)
    upright = ScanGeometry(angles, n, n)
    leaning = upright.with_changes(axis_tilt=np.deg2rad(TILT))
    volume = np.random.default_rng(options.seed).random(upright.volume_shape, np.float32)
    engine = get_backend("builtin", workers=options.threads)
    for frames in (slice(None), slice(None, None, max(1, options.angles // SUBSET))):
        taken = {}
        for geometry, each in ((upright, 2), (leaning, 4)):
            part = geometry.subset(frames)
            A, steps = engine.operator(part), each * steps_within(part)
            images = A(volume)
            A.T(images)
            taken[each] = [
                best_time(work, options.repeats, time.process_time) / steps
                for work in (lambda A=A: A(volume), lambda A=A, y=images: A.T(y))
            ]
        for what, ours, theirs in zip(
            ("projection", "back projection"), taken[4], taken[2], strict=True
        ):
            yield Row(
                f"{what}, {len(images)} angles, any direction / vertical axis",
                f"{1e9 * ours:.3f} ns",
                f"{1e9 * theirs:.3f} ns",
                f"{theirs / ours:.2f}",
                f">= 1 / {SPACE_FACTOR:g}",
                ours > SPACE_FACTOR * theirs,
            )


def steps_within(geometry: ScanGeometry) -> int:
    """Count the planes that rays cross within the grid, along the axis that they are closest to."""
    middle = np.array([geometry.row_center, geometry.volume_axis, geometry.volume_axis])
    row, column = np.indices((geometry.n_rows, geometry.n_columns))
    pixels = np.stack([row - geometry.row_center, column - geometry.center], axis=-1)
    count = 0
    for detector, ray in zip(geometry.directions, geometry.rays, strict=True):
        along = int(np.argmax(np.abs(ray)))
        foot = pixels @ detector
        for i in range(geometry.volume_shape[along]):
            there = (i - middle[along] - foot[..., along]) / ray[along]
            place = foot + there[..., None] * ray + middle
            count += np.count_nonzero(
                np.all((place > -1) & (place < geometry.volume_shape), axis=-1)
            )
    return count


def beside_rows(scan: SimulatedScan, options: argparse.Namespace) -> Iterator[Row]:
    """Time this checkout and another one in turn."""
    checkouts = [Path(__file__).resolve().parents[2], options.beside.resolve()]
    others = [simulate(options.size, options.angles, seed=options.seed + k) for k in (1, 2)]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "scans.npz"
        stacks = [one.projections for one in (scan, *others)]
        np.savez(file, projections=stacks, angles=scan.angles)
        ours, theirs = measured(checkouts, file, options.threads)
    for name, seconds in ours.items():
        factor = RUN_BESIDE if name.startswith("default run") else ENGINE_BESIDE
        yield Row(
            f"{name}, CPU",
            f"{seconds:.4f} s",
            f"{theirs[name]:.4f} s",
            f"{theirs[name] / seconds:.2f}",
            f">= 1 / {factor:g}",
            seconds > factor * theirs[name],
        )


def tomopy_projection(volume: np.ndarray, angles: np.ndarray, options: argparse.Namespace) -> float:
    """Return the seconds of ``tomopy.project``."""
    import tomopy

    def work() -> np.ndarray:
        return tomopy.project(volume, angles, pad=False, ncore=options.threads)

    work()
    return best_time(work, options.repeats)


def tomopy_sirt(scan: SimulatedScan, options: argparse.Namespace) -> float:
    """Return the seconds of one more iteration of TomoPy's SIRT."""
    import tomopy

    def work(num_iter: int) -> np.ndarray:
        return tomopy.recon(
            scan.projections,
            scan.angles,
            algorithm="sirt",
            num_iter=num_iter,
            ncore=options.threads,
        )

    work(1)
    return (best_time(lambda: work(4), 2) - best_time(lambda: work(2), 2)) / 2


@dataclass(frozen=True)
class Course:
    """Wall seconds since the call, and the error, after each iteration of a run; what it said."""

    seconds: tuple[float, ...]
    errors: tuple[float, ...]
    binnings: tuple[int, ...]
    total: float
    message: str

    def reached(self, error: float) -> float:
        """Return the seconds until the error stays below a level; infinity where it never does."""
        above = [i for i, value in enumerate(self.errors) if not value <= error]
        first = above[-1] + 1 if above else 0
        return self.seconds[first] if first < len(self.seconds) else math.inf


def run_loop(scan: SimulatedScan, options: argparse.Namespace) -> Course:
    """Align once with default parameters."""
    seconds: list[float] = []

    def clock(_: AlignmentState) -> None:
        seconds.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    result = align(
        scan.projections,
        scan.angles,
        backend="builtin",
        callback=clock,
        progress=False,
        workers=options.threads,
    )
    total = time.perf_counter() - begin
    errors = tuple(error_of(r.shifts, r.center, scan) for r in result.history)
    binnings = tuple(record.binning for record in result.history)
    return Course(tuple(seconds), errors, binnings, total, result.message)


def error_of(shifts: np.ndarray, center: float, scan: SimulatedScan) -> float:
    """Return the RMS error in pixels; a wrong centre counts as a shift of the columns."""
    return alignment_error(shifts, scan, scan.angles, centers=(center, scan.center))


def loop_rows(scan: SimulatedScan, options: argparse.Namespace) -> Iterator[Row]:
    """Time the loop, and TomoPy's."""
    bound = cramer_rao_bound(scan)
    small = simulate(48, 24)
    align(small.projections, small.angles, backend="builtin", progress=False)
    runs = [run_loop(scan, options) for _ in range(options.loop_repeats)]
    best = min(runs, key=lambda run: run.total)
    error, iterations = best.errors[-1], len(best.errors)
    print(f"align: {best.message}; binnings {' '.join(map(str, best.binnings))}")
    close, near, whole = LIMITS.get(options.size, (None, None, None))
    for name, level, limit in (
        (f"to {CLOSE} px", CLOSE, close),
        (f"to {RATIO} x bound ({RATIO * bound:.4f} px)", RATIO * bound, near),
    ):
        took = min(run.reached(level) for run in runs)
        yield limited(name, f"{took:.2f} s", took, limit)
    if options.alone:
        name = f"loop, {iterations} iterations"
        yield limited(name, f"{best.total:.2f} s, {error:.4f} px", best.total, whole)
        return
    theirs, their_error = run_align_joint(scan, iterations)
    ratio = theirs / best.total
    yield Row(
        f"loop / align_joint, {iterations} iterations",
        f"{best.total:.2f} s, {error:.4f} px",
        f"{theirs:.2f} s, {their_error:.3f} px",
        f"{ratio:.1f}",
        f">= {LOOP_FACTOR:g}, smaller error",
        ratio < LOOP_FACTOR or error >= their_error,
    )


def run_align_joint(scan: SimulatedScan, iterations: int) -> tuple[float, float]:
    """Return seconds and error of TomoPy's joint reprojection on a copy of the scan."""
    from tomopy.prep.alignment import align_joint

    copy = scan.projections.copy()
    begin = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        _, rows, columns, _ = align_joint(copy, scan.angles, iters=iterations, algorithm="sirt")
    seconds = time.perf_counter() - begin
    middle = (scan.projections.shape[2] - 1) / 2
    return seconds, error_of(np.column_stack([rows, columns]), middle, scan)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--angles", type=int, default=180)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="of the built-in engine's parts")
    parser.add_argument("--loop-repeats", type=int, default=2)
    parser.add_argument("--only", choices=("engine", "loop", "space"))
    parser.add_argument("--beside", type=Path, help="another checkout, to be compared with")
    parser.add_argument("--alone", action="store_true", help="do not time TomoPy")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.beside is not None:
        options.only = "beside"
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    options = parse(arguments)
    print(facts())
    if options.beside is None and find_spec("tomopy") is None:
        print("TomoPy is not installed: only the built-in engine is timed")
        options.alone = True
    print(f"{options.size}^3, {options.angles} angles, {options.threads} threads")
    rows: list[Row] = []
    if options.only != "space":
        scan = simulate(options.size, options.angles, seed=options.seed)
    if options.only == "beside":
        rows += beside_rows(scan, options)
    if options.only in (None, "engine"):
        rows += engine_rows(scan, options)
    if options.only in (None, "loop"):
        rows += loop_rows(scan, options)
    if options.only in (None, "space"):
        rows += space_rows(options)
    headings = "what", "built-in", "beside", "times faster", "target"
    print(table([headings, *(row.cells() for row in rows)]))
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
