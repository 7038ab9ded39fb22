"""Random scans of an independent generator: is what a run says of itself true?

    python tests/benchmarks/storm_foreign.py                  100 scans, developing
    python tests/benchmarks/storm_foreign.py --set anew --scans 180     what is quoted
    python tests/benchmarks/storm_foreign.py --processes 2 --output storm.jsonl
    python tests/benchmarks/storm_foreign.py --only 12,40             those scans, one line each
    python tests/benchmarks/storm_foreign.py --kinds ramp,rings    those that have one of them

The generator is ``shared/cases/foreign.py`` beside the project's folder (voxels, exact footprints,
Poisson counts); without it this says so and ends. Every scan is drawn from its set and number
alone: objects of six kinds, 32 to 96 pixels, 12 to 180 angles, every systematic of the generator,
mild to strong, alone and together, and metadata that are wrong. Five sets with seeds of their own:
what is developed looks at ``developing``, where constants come from, and at ``judged``, ``fresh``
and ``again``, of which wrong words and runs that ended worse than they started were taken apart.
What is quoted comes from ``anew``: it was run once, and nothing was made after it.

Default parameters, no centre given. The error is modulo the object's position, the centre in it.
With ``--output`` a run goes on where it stopped, and ``--seconds`` stops it. The exit status is 1
where a run calls itself converged above 0.2 px.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.ndimage
from machine import facts, table
from tqdm import tqdm

from napari_tomoalign import align

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
ALIGNED = 0.2
"""Pixels: a run that is converged above it claims what is false."""

SETS = {"developing": 11, "judged": 23, "fresh": 41, "again": 67, "anew": 89}
"""The first number of each set's seeds."""

SYSTEMATICS: dict[str, tuple[float, float]] = {
    "angle_error": (0.05, 2.0),  # degrees
    "angle_scale": (0.002, 0.05),  # minus 1
    "inplane": (0.2, 4.0),  # degrees
    "expansion": (0.002, 0.06),
    "moving": (0.3, 4.0),  # pixels
    "warp": (0.2, 2.0),  # pixels; not the generator's: a smooth deformation
    "intensity": (0.005, 0.2),
    "offset": (0.005, 0.1),
    "ramp": (0.005, 0.1),
    "rings": (0.003, 0.2),
    "dead": (1, 4),  # columns
    "zingers": (1e-4, 0.05),
    "blurred": (1, 4),  # frames
    "foreign": (1, 4),  # frames
    "phase": (0.05, 1.0),
    "hardening": (0.02, 0.3),
    "nonlinear": (0.02, 0.3),
}
"""What each is drawn from, mild to strong, evenly in its logarithm."""

METADATA = ("shuffled", "transposed", "doubled", "reversed")
_WRONG = 0.12  # of the scans have metadata that are wrong
_STEPS = 9  # stages of a deformation, between which projections are blended


def generator() -> ModuleType:
    """Return the independent generator, or end where it is not here."""
    if not (CASES / "foreign.py").is_file():
        sys.exit(
            f"storm_foreign: {CASES / 'foreign.py'} is not here, so there are no scans to draw"
        )
    sys.path.insert(0, str(CASES))
    import foreign

    return foreign


def draw(which: str, number: int) -> dict[str, Any]:
    """Return what a scan is made with: for ``foreign.make``, and ``warp`` and ``metadata``."""
    r = np.random.default_rng([SETS[which], number])

    def between(low: float, high: float) -> float:
        return float(np.exp(r.uniform(np.log(low), np.log(high))))

    n = int(8 * round(between(32, 96) / 8))
    rows = n
    if r.random() < 0.15:
        rows = round(between(2, n))
    angles = round(between(12, 180))
    if angles * n * n > 4e5:  # a large scan of many angles says no more than a smaller one
        angles = max(12, int(4e5 / n**2))
    span = float(r.choice([180, 360, 150, 120], p=[0.65, 0.15, 0.1, 0.1]))
    scan: dict[str, Any] = {
        "kind": str(r.choice(["grf", "porous", "symmetric", "vial", "slab", "rod"])),
        "n": n,
        "rows": rows,
        "angles": angles,
        "span": span,
        "order": "random" if r.random() < 0.1 else "sorted",
        "i0": between(30, 30000),
        "peak": between(0.3, 2.5),
        "jitter": between(0.3, 8) * n / 64,
        "drift": between(0.3, 6) * n / 64,
        "axis": float(r.normal(0, 0.03) * n) if r.random() < 0.7 else 0.0,
        "seed": int(r.integers(2**31)),
    }
    if r.random() < 0.1:
        scan["aligned"] = True
    if r.random() < 0.15:
        scan["width"] = between(1, 2.5)
    if r.random() < 0.15:
        scan["height"] = between(1, 2)
    names = list(SYSTEMATICS)
    for name in r.choice(names, int(r.choice([0, 1, 2, 3], p=[0.35, 0.4, 0.15, 0.1])), False):
        value = between(*SYSTEMATICS[name])
        whole = name in ("dead", "blurred", "foreign")
        scan[str(name)] = round(value) if whole else value
    if "angle_scale" in scan:
        scan["angle_scale"] = 1 + float(r.choice([-1, 1])) * scan["angle_scale"]
    if r.random() < _WRONG:
        scan["metadata"] = str(r.choice(METADATA))
    return scan


def made(scan: dict[str, Any]) -> dict[str, Any]:
    """Return the scan that these draw: projections, the angles that are told, and the truth."""
    foreign = generator()
    settings = dict(scan)
    warp, metadata = settings.pop("warp", 0.0), settings.pop("metadata", "")
    if metadata == "transposed":
        settings["rows"] = settings["n"]
    case = _deforming(foreign, settings, warp) if warp else foreign.make(**settings)
    told = case["theta"]
    r = np.random.default_rng([settings["seed"], 3])
    if metadata == "shuffled":
        told = r.permutation(told)
    elif metadata == "doubled":
        told = 2 * told
    elif metadata == "reversed":
        told = told[::-1].copy()
    elif metadata == "transposed":
        case["prj"] = np.ascontiguousarray(case["prj"].transpose(0, 2, 1))
        case["dy"], case["dx"] = case["dx"], case["dy"]
    # What the object's position explains is told by the angles that the run was given.
    return {**case, "theta": told}


def _deforming(foreign: ModuleType, settings: dict[str, Any], warp: float) -> dict[str, Any]:
    """Make a scan of an object that is warped smoothly, by ``warp`` px RMS, from first to last."""
    fine, n, rows = 2, settings["n"], settings["rows"]
    box = round(n * settings.get("width", 1.0)) * fine
    tall = max(1, round(rows * settings.get("height", 1.0))) * fine
    seed = settings["seed"]
    volume = np.asarray(
        foreign.KINDS[settings["kind"]](tall, box, np.random.default_rng([seed, 5])), "f4"
    )
    r = np.random.default_rng([seed, 4])
    field = [
        scipy.ndimage.gaussian_filter(r.standard_normal(volume.shape), box / 8, mode="wrap")
        for _ in range(3)
    ]
    grid = np.indices(volume.shape, dtype="f4")
    stages = []
    for part in np.linspace(-0.5, 0.5, _STEPS):
        displaced = [g + part * warp * fine * f / f.std() for g, f in zip(grid, field, strict=True)]
        stages.append(scipy.ndimage.map_coordinates(volume, displaced, order=1, mode="nearest"))
    case: dict[str, Any] = foreign.make(**settings, volume=volume)
    quiet = foreign.make(**{**settings, "i0": 0.0}, volume=volume)["prj"]
    deformed = np.zeros_like(quiet)
    along = np.linspace(0, _STEPS - 1, len(quiet))
    for k, stage in enumerate(stages):
        share = np.clip(1 - np.abs(along - k), 0, 1)
        some = share > 0
        seen = foreign.make(**{**settings, "i0": 0.0}, volume=stage)["prj"]
        deformed[some] += share[some, None, None] * seen[some]
    # The same noise and the same other systematics, on what the deformed object shows.
    return {**case, "prj": case["prj"] + deformed - quiet}


def score(which: str, number: int) -> dict[str, Any]:
    """Align one scan and return its line."""
    scan = draw(which, number)
    line: dict[str, Any] = {"number": number, "scan": scan}
    foreign = generator()
    case = made(scan)
    line |= {"bound": case["bound"], "start": _start(foreign, case)}
    begin = time.perf_counter()
    try:
        result = align(case["prj"], case["theta"], progress=False)
    except ValueError as refusal:  # said before any work: an answer, too
        return {**line, "seconds": time.perf_counter() - begin, "refused": str(refusal)}
    except Exception:  # one that fails must not keep the others from being tried
        return {**line, "seconds": time.perf_counter() - begin, "failed": traceback.format_exc()}
    rows, columns, both, _ = foreign.error(case, result.shifts, result.center)
    return {
        **line,
        "seconds": time.perf_counter() - begin,
        "converged": bool(result.converged),
        "error": both,
        "rows": rows,
        "columns": columns,
        "stated": _stated(case, result),
        "iterations": len(result.history),
        "residual": result.history[-1].residual,
        "diagnosis": [sentence.split(":")[0] for sentence in result.diagnosis],
        "said": [result.message, *result.diagnosis],
    }


def _start(foreign: ModuleType, case: dict[str, Any]) -> float:
    """Return the error of the shifts 0 about the middle."""
    error: float = foreign.error(case, np.zeros((len(case["theta"]), 2)))[2]
    return error


def _stated(case: dict[str, Any], result: Any) -> float:
    """Return the stated standard error of the frames that are scored; NaN where one has none."""
    scored = np.ones(len(case["theta"]), bool)
    scored[list(case["leave"])] = False
    variance = result.history[-1].standard_error[scored] ** 2
    if case["prj"].shape[1] == 1:
        variance = variance[:, 1:]
    known = variance[np.isfinite(variance).all(axis=1)]
    # As the program does: what it does not know (NaN) it makes no statement of.
    return float(np.sqrt(known.sum(axis=1).mean())) if len(known) else math.nan


def finished(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of runs that came to an end."""
    return [line for line in lines if "error" in line]


def claims(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the lines that are of each kind that counts."""
    done = finished(lines)
    converged = [line for line in done if line["converged"]]
    others = [line for line in done if not line["converged"]]

    def short(line: dict[str, Any]) -> bool:
        return bool(line["stated"] < line["error"] / 2)  # NaN states nothing

    return {
        "converged": converged,
        f"converged above {ALIGNED} px (false)": [c for c in converged if c["error"] > ALIGNED],
        "converged, stating less than half of the error": [c for c in converged if short(c)],
        f"not converged, yet below {ALIGNED} px": [c for c in others if c["error"] <= ALIGNED],
        "not converged, stating less than half": [c for c in others if short(c)],
        f"worse than the start by more than {ALIGNED} px": [
            c for c in done if c["error"] > c["start"] + ALIGNED
        ],
        "refused": [line for line in lines if "refused" in line],
        "failed": [line for line in lines if "failed" in line],
    }


def kinds_of(scan: dict[str, Any]) -> list[str]:
    """Return what is the matter with a scan, by name."""
    kinds = [name for name in SYSTEMATICS if scan.get(name)]
    kinds += [scan["metadata"]] if "metadata" in scan else []
    kinds += ["wider"] if scan.get("width", 1.0) > 1.15 else []
    kinds += ["taller"] if scan.get("height", 1.0) > 1 or scan["kind"] in ("vial", "rod") else []
    kinds += ["few rows"] if scan["rows"] < 16 else []
    return kinds or ["nothing"]


def line_of(line: dict[str, Any]) -> str:
    """Return one run in one line of text."""
    scan = line["scan"]
    extra = {k: scan[k] for k in (*SYSTEMATICS, "metadata", "width", "height") if k in scan}
    what = " ".join(
        f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in extra.items()
    )
    text = (
        f"{line['number']:4d} {scan['kind']:9s} {scan['n']}x{scan['rows']} {scan['angles']} angles "
        f"{scan['span']:g} i0={scan['i0']:.0f}"
    )
    if "error" not in line:
        return f"{text} {'refused' if 'refused' in line else 'FAILED'}  {what}"
    word = "converged" if line["converged"] else "-"
    return (
        f"{text}  {word:9s} error {line['error']:.3f} stated {line['stated']:.3f} "
        f"start {line['start']:.2f} bound {line['bound'] or math.nan:.3f} {line['seconds']:.1f} s  "
        f"{what}  [{', '.join(line['diagnosis'])}]"
    )


def summary(lines: list[dict[str, Any]]) -> str:
    """Return the table by kind, then the claims that count and the scans behind them."""
    rows = [("kind", "scans", "converged", "false", "below 0.2 px", "median error", "diagnosis")]
    named: dict[str, list[dict[str, Any]]] = {}
    for line in finished(lines):
        for kind in kinds_of(line["scan"]):
            named.setdefault(kind, []).append(line)
    for kind, group in sorted(named.items()):
        said: dict[str, int] = {}
        for line in group:
            for word in set(line["diagnosis"]):
                said[word] = said.get(word, 0) + 1
        often = sorted(said.items(), key=lambda item: -item[1])[:4]
        rows.append(
            (
                kind,
                str(len(group)),
                str(sum(line["converged"] for line in group)),
                str(sum(line["converged"] and line["error"] > ALIGNED for line in group)),
                str(sum(line["error"] <= ALIGNED for line in group)),
                f"{np.median([line['error'] for line in group]):.3f}",
                ", ".join(f"{word} {count}" for word, count in often),
            )
        )
    counted = claims(lines)
    text = [table(rows), "", f"{len(lines)} scans; {facts()}"]
    text += [f"{len(group):4d} {what}" for what, group in counted.items()]
    for what, group in counted.items():
        if what != "converged" and group and "yet below" not in what:
            text += ["", f"{what}:", *(line_of(line) for line in group)]
    return "\n".join(text)


def numbers(arguments: argparse.Namespace) -> Iterator[int]:
    """Yield the scans that are asked for."""
    if arguments.only:
        yield from (int(part) for part in arguments.only.split(","))
        return
    wanted = set(arguments.kinds.split(",")) if arguments.kinds else set()
    for number in range(arguments.first, arguments.first + arguments.scans):
        if not wanted or wanted & set(kinds_of(draw(arguments.set, number))):
            yield number


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", choices=SETS, default="developing")
    parser.add_argument("--scans", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", help="numbers of scans, with commas")
    parser.add_argument("--kinds", help="names of systematics, with commas")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", type=Path, help="one JSON line a scan; gone on with")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no scan after that")
    arguments = parser.parse_args()
    generator()
    lines: list[dict[str, Any]] = []
    if arguments.output and arguments.output.is_file():
        lines = [
            json.loads(text) for text in arguments.output.read_text(encoding="utf-8").splitlines()
        ]
    known = {line["number"] for line in lines}
    wanted = list(numbers(arguments))
    lines = [line for line in lines if line["number"] in set(wanted)]
    missing = [number for number in wanted if number not in known]
    until = time.monotonic() + arguments.seconds
    with ProcessPoolExecutor(arguments.processes) as pool, tqdm(total=len(missing)) as bar:
        while missing and time.monotonic() < until:
            some, missing = missing[: arguments.processes], missing[arguments.processes :]
            for line in pool.map(score, [arguments.set] * len(some), some):
                lines.append(line)
                tqdm.write(line_of(line))
                sys.stdout.flush()
                bar.update()
                if arguments.output:
                    with arguments.output.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
    print(summary(lines))
    return int(bool(claims(lines)[f"converged above {ALIGNED} px (false)"]))


if __name__ == "__main__":
    sys.exit(main())
