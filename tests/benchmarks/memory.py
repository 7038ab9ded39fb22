"""Peak memory of an alignment, over that of the stack and the volume in float32.

    python tests/benchmarks/memory.py                 128^3 with 180 and 256^3 with 360 angles
    python tests/benchmarks/memory.py --sizes 128:180 --backend tomopy

Each case runs in a process of its own, which has imported and compiled everything before. Counted
is the high-water mark of its resident memory (Linux), the stack included, above what the process
held before it read the stack. ``full`` runs at full resolution only, ``levels`` coarse to fine;
few iterations, for later ones need no more. The exit status is 1 where the target, 4, is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import facts, table

from napari_tomoalign.simulation import simulate

TARGET = 4.0
COURSES: dict[str, dict[str, Any]] = {
    "full": {"levels": (1,), "maxiter": 2},
    "levels": {"maxiter": 5},
}


def resident(name: str) -> int:
    """Return a line of the process's status, bytes: ``VmRSS`` now, ``VmHWM`` at most so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {name}: this benchmark needs Linux")


def measure(folder: Path, backend: str, parameters: dict[str, Any]) -> int:
    """Align the scan in a folder; return the bytes at the peak above those before."""
    from napari_tomoalign import align

    small = simulate(48, 24)
    align(small.projections, small.angles, backend=backend, maxiter=6, progress=False)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the high-water mark
    before = resident("VmRSS")
    projections = np.load(folder / "projections.npy")
    angles = np.load(folder / "angles.npy")
    align(projections, angles, backend=backend, progress=False, **parameters)
    return resident("VmHWM") - before


def in_process(folder: Path, options: argparse.Namespace, parameters: dict[str, Any]) -> int:
    """Return what `measure` finds in a fresh process."""
    call = json.dumps([str(folder), options.backend, parameters])
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", call]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(answer.splitlines()[-1])


def cells(
    size: int, n_angles: int, options: argparse.Namespace
) -> list[tuple[tuple[str, ...], bool]]:
    """Return the rows of one size, and whether each misses the target."""
    scan = simulate(size, n_angles, oversampling=1, seed=options.seed)
    unit = 4 * (scan.projections.size + size**3)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "projections.npy", scan.projections)
        np.save(folder / "angles.npy", scan.angles)
        for course, settings in COURSES.items():
            parameters = dict(settings)
            if options.num_iter:
                parameters["reconstruction_pipeline_kwargs"] = {"num_iter": options.num_iter}
            peak = in_process(folder, options, parameters)
            missed = peak > TARGET * unit
            texts = (
                f"{size}^3, {n_angles} angles",
                course,
                f"{unit / 2**20:.0f} MiB",
                f"{peak / 2**20:.0f} MiB",
                f"{peak / unit:.2f}",
                f"<= {TARGET:g}" + " MISSED" * missed,
            )
            rows.append((texts, missed))
    return rows


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="128:180,256:360", help="size:angles, with commas")
    parser.add_argument("--backend", default="builtin")
    parser.add_argument(
        "--num-iter",
        type=int,
        default=2,
        help="of a reconstruction; 0: the default. More take time, not memory (built-in)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    options = parse(arguments)
    if options.measure:
        folder, backend, parameters = json.loads(options.measure)
        print(measure(Path(folder), backend, parameters))
        return 0
    print(facts())
    rows = []
    for item in options.sizes.split(","):
        size, n_angles = map(int, item.split(":"))
        rows += cells(size, n_angles, options)
    header = ("scan", "course", "stack + volume", "peak", "ratio", "target")
    print(table([header, *(texts for texts, _ in rows)]))
    return int(any(missed for _, missed in rows))


if __name__ == "__main__":
    sys.exit(main())
