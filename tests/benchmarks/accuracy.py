"""Accuracy of the alignment against the Cramér-Rao bound, on scans whose truth is known.

    python tests/benchmarks/accuracy.py                       every case, as a table
    python tests/benchmarks/accuracy.py --quick               the 64^3 cases that have a target
    python tests/benchmarks/accuracy.py --cases base,jitter15
    python tests/benchmarks/accuracy.py --random 300          random cases: is "converged" true?

Default parameters throughout but ``precision=0``, to the limit, and no centre given. Scored are the
projections that are neither blank nor duplicated, modulo the position of the object; a wrong centre
counts as a shift of the columns. The exit status is 1 where a target is missed, a run fails, or a
run calls itself converged above 0.2 px.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from napari_tomoalign import AlignmentResult, align, alignment_error
from napari_tomoalign.geometry.gauge import remove_gauge
from napari_tomoalign.results import TRUSTED
from napari_tomoalign.simulation import SimulatedScan, cramer_rao_bound, simulate
from napari_tomoalign.simulation.bodies import KINDS

ALIGNED = 0.2
"""Pixels above which a run must not call itself converged."""

HEADER = (
    "case",
    "error px",
    "bound px",
    "error/bound",
    "target",
    "start px",
    "stated px",
    "within that",
    "iterations",
    "seconds",
    "converged",
    "bad frames named",
)


@dataclass(frozen=True)
class Case:
    """A scan to align, and how well: ``target`` times the bound, or ``target_px``."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    target: float | None = None
    target_px: float | None = None


@dataclass(frozen=True)
class Score:
    """What a run reached, or the error that it raised."""

    case: Case
    bound: float
    start: float
    seconds: float
    error: float = math.nan
    stated: float = math.nan
    coverage: float = math.nan
    iterations: int = 0
    converged: bool = False
    named: int = 0
    damaged: int = 0
    false_alarms: int = 0
    notes: tuple[str, ...] = ()
    failure: str = ""

    @property
    def ratio(self) -> float:
        """Error over the bound."""
        return self.error / self.bound if self.bound > 0 else math.nan

    @property
    def missed(self) -> bool:
        """Whether the target is not met."""
        if self.failure:
            return True
        if self.case.target_px is not None:
            return not self.error <= self.case.target_px
        if self.case.target is None:
            return False
        return not self.ratio <= self.case.target or self.named < self.damaged

    @property
    def misleading(self) -> bool:
        """Whether the run calls itself converged although it is not aligned."""
        return self.converged and not self.error <= ALIGNED

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        case = self.case
        target = "" if case.target is None else f"{case.target:g}"
        if case.target_px is not None:
            target = f"{case.target_px:g} px"
        alarms = f", {self.false_alarms} false" if self.false_alarms else ""
        return (
            case.name,
            f"{self.error:.4f}",
            f"{self.bound:.4f}",
            f"{self.ratio:.2f}" if self.bound > 0 else "",
            target + (" MISSED" if self.missed else ""),
            f"{self.start:.2f}",
            f"{self.stated:.4f}",
            f"{100 * self.coverage:.0f} %",
            str(self.iterations),
            f"{self.seconds:.1f}",
            self.failure or ("yes" if self.converged else "no"),
            f"{self.named} of {self.damaged}{alarms}",
        )


def table_cases() -> tuple[Case, ...]:
    """Return the cases with a target: 64^3, 60 angles and 2 % noise unless said."""
    return (
        Case("base", target=1.25),
        Case("noise5", {"noise": 0.05}, 1.25),
        Case("noise10", {"noise": 0.10}, 1.25),
        Case("axis3", {"center_offset": 3.0}, 1.25),
        Case("360deg", {"angular_range": 360.0}, 1.25),
        Case("180angles", {"n_angles": 180}, 1.25),
        Case("jitter8", {"jitter": 8.0, "drift": 6.0}, 1.4),
        Case("jitter15", {"jitter": 15.0}, 1.4),
        Case("15angles", {"n_angles": 15}, 1.6),
        Case("truncated1.6", {"truncation": 1.6}, 1.8),
        Case("wedge60", {"wedge": 60.0}, 2.0),
        Case("blank3dup2", {"blank_frames": 3, "duplicate_frames": 2}, 1.25),
        Case("masked20", {"masked_fraction": 0.2}, 1.5),
        Case("noiseless", {"noise": 0.0}, target_px=0.01),
    )


def further_cases() -> tuple[Case, ...]:
    """Return cases without a target: other objects, counting noise, other sizes."""
    kinds = [Case(kind, {"kind": kind}) for kind in KINDS if kind != "ellipsoids"]
    return (
        *kinds,
        Case("poisson1000", {"photons": 1000.0}),
        Case("flat", {"n_rows": 24}),
        Case("96", {"size": 96, "n_angles": 90}),
        Case("128", {"size": 128, "n_angles": 180}),
        Case("256", {"size": 256, "n_angles": 180}),
    )


def random_cases(count: int, seed: int) -> Iterator[Case]:
    """Give random cases inside the range that is promised; each difficulty comes by itself."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        settings: dict[str, Any] = {
            "kind": str(rng.choice(list(KINDS))),
            "n_angles": round(15 * 24 ** rng.uniform()),
            "noise": float(rng.choice([0.0, rng.uniform(0, 0.1)], p=[0.05, 0.95])),
            "jitter": float(rng.uniform(0, 15)),
            "drift": float(rng.uniform(0, 6)),
            "angular_range": float(rng.choice([180.0, 360.0])),
        }
        difficulties: tuple[tuple[float, str, Any], ...] = (
            (0.2, "truncation", float(rng.uniform(1.05, 1.6))),
            (0.15, "wedge", float(rng.uniform(60, 80))),
            (0.3, "center_offset", float(rng.uniform(-3, 3))),
            (0.2, "blank_frames", int(rng.integers(1, 4))),
            (0.2, "duplicate_frames", int(rng.integers(1, 3))),
            (0.2, "masked_fraction", float(rng.uniform(0, 0.2))),
            (0.15, "photons", float(10 ** rng.uniform(2.5, 4))),
            (0.2, "n_rows", int(rng.integers(32, 65))),
        )
        for chance, name, value in difficulties:
            if rng.uniform() < chance:
                settings[name] = value
        yield Case(f"random{index}", settings | {"seed": int(rng.integers(2**31))})


def run_case(case: Case, backend: str, seed: int) -> Score:
    """Simulate, align and score one case."""
    scan = simulate(**{"seed": seed} | case.settings)
    sound = scan.sound
    bound = cramer_rao_bound(scan)
    centers = ((scan.projections.shape[2] - 1) / 2, scan.center)
    start = alignment_error(0 * scan.shifts, scan, scan.angles, sound, centers=centers)
    begin = time.perf_counter()
    try:
        result = align(
            scan.projections,
            scan.angles,
            weights=scan.weights,
            backend=backend,
            precision=0.0,
            progress=False,
        )
    except Exception as error:  # A benchmark goes on to the next case and says what happened.
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
        return Score(case, bound, start, time.perf_counter() - begin, failure=failure)
    return score(case, scan, result, bound, start, time.perf_counter() - begin)


def score(
    case: Case,
    scan: SimulatedScan,
    result: AlignmentResult,
    bound: float,
    start: float,
    seconds: float,
) -> Score:
    """Compare a result with the truth."""
    sound = scan.sound
    truth = on_detector(scan.shifts, scan.center)
    found = on_detector(result.shifts, result.center)
    error = alignment_error(result, scan, scan.angles, sound)
    residue = remove_gauge((found - truth)[sound], scan.angles[sound])
    stated = result.standard_error[sound]
    doubted = result.confidence < TRUSTED
    return Score(
        case,
        bound,
        start,
        seconds,
        error=error,
        stated=math.sqrt(np.mean(np.sum(stated**2, axis=1))),
        coverage=float(np.mean(np.abs(residue) <= stated)),
        iterations=len(result.history),
        converged=result.converged,
        named=int(doubted[~sound].sum()),
        damaged=int((~sound).sum()),
        false_alarms=int(doubted[sound].sum()),
        notes=(result.message, *result.diagnosis),
    )


def on_detector(shifts: np.ndarray, center: float) -> np.ndarray:
    """Return where the axis of each image lies, so that a wrong centre counts as a shift."""
    return np.column_stack([shifts[:, 0], shifts[:, 1] + center])


def run_cases(cases: Iterable[Case], total: int, backend: str, seed: int) -> list[Score]:
    """Run all, the first one after a small run that compiles what is to be compiled."""
    warm = simulate(24, 12)
    align(warm.projections, warm.angles, backend=backend, progress=False)
    with tqdm(cases, total=total, disable=None) as bar:
        scores = []
        for case in bar:
            bar.set_postfix_str(case.name)
            scores.append(run_case(case, backend, seed))
    return scores


def as_table(scores: Iterable[Score]) -> str:
    """Return a Markdown table."""
    rows = [HEADER, *(score.cells() for score in scores)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def as_notes(scores: Iterable[Score]) -> str:
    """Return what the runs said of themselves."""
    return "\n".join(f"- {s.case.name}: {' · '.join(s.notes)}" for s in scores if s.notes)


def as_summary(scores: list[Score]) -> str:
    """Return how often "converged" was true, and the settings of the cases where it was not."""
    ran = [score for score in scores if not score.failure]
    converged = [score for score in ran if score.converged]
    offenders = [score for score in scores if score.misleading]
    missed = [score for score in ran if not score.converged and score.error <= ALIGNED]
    ratios = [score.ratio for score in ran if score.bound > 0]
    lines = [
        f"{len(scores)} random cases, {len(scores) - len(ran)} failed, {len(converged)} converged.",
        f"Converged with an error above {ALIGNED} px: {len(offenders)}.",
        f"Not converged: {len(ran) - len(converged)}, of which {len(missed)} were within "
        f"{ALIGNED} px all the same.",
    ]
    if ratios:
        quantiles = np.nanquantile(ratios, [0.5, 0.8, 0.95])
        lines.append(
            "Error over the bound, 50/80/95 %: " + ", ".join(f"{q:.2f}" for q in quantiles)
        )
    for name, group in (
        ("Converged, not aligned", offenders),
        ("Failed", [score for score in scores if score.failure]),
        ("Not converged, not aligned", [s for s in ran if not s.converged and s.error > ALIGNED]),
    ):
        lines += ["", f"{name}:"] if group else []
        for one in group:
            lines.append(
                f"  {one.case.name}: error {one.error:.3f} px, bound {one.bound:.3f} px, "
                f"simulate(**{json.dumps(one.case.settings)}) {one.failure}"
            )
    return "\n".join(lines)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only the 64^3 cases with a target")
    parser.add_argument("--cases", help="names of cases, separated by commas")
    parser.add_argument("--random", type=int, metavar="N", help="run N random cases instead")
    parser.add_argument("--first", type=int, default=0, help="number of the first random case")
    parser.add_argument("--backend", default="builtin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--notes", action="store_true", help="what the runs said of themselves")
    parser.add_argument("--output", type=Path, help="write the report to this file, too")
    options = parser.parse_args(arguments)
    known = {case.name: case for case in (*table_cases(), *further_cases())}
    options.chosen = list(table_cases()) if options.quick else list(known.values())
    if options.cases:
        unknown = sorted(set(options.cases.split(",")) - set(known))
        if unknown:
            parser.error(f"unknown case {', '.join(unknown)}; known are {', '.join(known)}")
        options.chosen = [known[name] for name in options.cases.split(",")]
    if options.random is not None:
        last = options.first + options.random
        options.chosen = list(random_cases(last, options.seed))[options.first :]
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    options = parse(arguments)
    scores = run_cases(options.chosen, len(options.chosen), options.backend, options.seed)
    parts = [as_table(scores)]
    if options.notes:
        parts.append(as_notes(scores))
    if options.random is not None:
        parts.append(as_summary(scores))
    report = "\n\n".join(parts)
    print(report)
    if options.output is not None:
        options.output.write_text(report + "\n", encoding="utf-8")
    return int(any(score.missed or score.misleading for score in scores))


if __name__ == "__main__":
    sys.exit(main())
