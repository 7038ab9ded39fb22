"""How time, memory and error grow with the size of a scan, from a file on the disk.

    python tests/benchmarks/scale.py                          256^3 with 360 angles
    python tests/benchmarks/scale.py --cases 256,512,1024     those of the README
    python tests/benchmarks/scale.py --cases 2048 --folder /data/scratch
    python tests/benchmarks/scale.py --size 128 --angles 180 --kind counts
    python tests/benchmarks/scale.py --size 64,96,128 --tomopy    how both grow, where both run
    python tests/benchmarks/scale.py --cases 1024 --keep /data/scans    made once, found there later

Scans are made in blocks of images and never held: ellipsoids, jitter +-3 px and drift 3 px, 2 %
noise; as float32 line integrals in a ``.npy``, or as uint16 counts with flat and dark fields in an
HDF5 file, an image a chunk. Each is aligned with default parameters in a process of its own, which
has compiled everything before. The peak is the high-water mark of its resident memory (Linux)
above what it held before it opened the scan; ``process`` is that of the whole process. ``read`` is
the time to read the file once, prepare it and bin it by 4, and ``of reading`` how many times that
an alignment takes. Cases with a target in bytes are given
that as ``memory``. Where TomoPy is installed,
``--tomopy`` aligns the scan by its ``align_joint`` too. The exit status is 1 where a target of
time, memory or error is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from machine import facts, table
from memory import resident

from napari_tomoalign import alignment_error
from napari_tomoalign.geometry import ScanGeometry
from napari_tomoalign.images.binning import bin_stack
from napari_tomoalign.images.source import blocks_of
from napari_tomoalign.simulation import simulate
from napari_tomoalign.simulation.bodies import make_bodies, project_bodies, sub_pixels

_FILL = 0.75  # of the field of view, as `simulate` fills it
_LARGEST = 2.0  # line integral
_NOISE = 0.02  # of that
_BLOCK = 2**26  # bytes of float64 images that are made at once
_FLATS = 10
_PHOTONS = float(np.exp(_LARGEST)) / (_NOISE * _LARGEST) ** 2
"""In the open beam: counting noise where the object is thickest is then `_NOISE`."""


@dataclass(frozen=True)
class Case:
    """A scan, and what is wanted of its alignment.

    Attributes
    ----------
    size, angles : int
        Rows and columns, and projections.
    kind : {"float", "counts"}
    seconds : float, optional
        At most; negative: so many times the time of reading the file once.
    memory : float, optional
        At most, times the stack in float32.
    peak : float, optional
        At most, bytes.
    error : float, optional
        At most, pixels.
    """

    size: int
    angles: int
    kind: str
    seconds: float | None = None
    memory: float | None = None
    peak: float | None = None
    error: float | None = None


CASES = {
    "256": Case(256, 360, "float", seconds=5, memory=1.5, error=0.03),
    "512": Case(512, 720, "float", seconds=15, memory=1.5, error=0.025),
    "1024": Case(1024, 900, "counts", seconds=120, peak=3e9, error=0.03),
    "2048": Case(2048, 1500, "counts", seconds=-4, peak=4e9, error=0.05),
}


def make(case: Case, folder: Path, seed: int) -> Path:
    """Write a scan block by block, and its true shifts beside it; return its file."""
    rng = np.random.default_rng([seed, case.size, case.angles])
    n, size = case.angles, case.size
    angles = np.linspace(0, np.pi, n, endpoint=False)
    when = np.linspace(-0.5, 0.5, n)[:, None]
    shifts = rng.uniform(-3, 3, (n, 2)) + 3 * when * rng.choice([-1.0, 1.0], 2)
    np.savez(folder / "truth.npz", shifts=shifts, angles=angles)
    geometry = ScanGeometry(angles, size, size)
    bodies = [body.scaled((_FILL * size / 2,) * 3) for body in make_bodies("ellipsoids", rng)]
    points = sub_pixels(1)

    def images(part: slice) -> np.ndarray:
        return project_bodies(
            bodies,
            geometry.directions[part],
            shifts[part],
            (size, size),
            geometry.center,
            row_samples=points,
            column_samples=points,
        )

    factor = _LARGEST / max(images(slice(k, k + 1)).max() for k in range(0, n, max(1, n // 8)))
    blocks = [slice(*ends) for ends in blocks_of((n, size, size), _BLOCK // 2)]
    if case.kind == "float":
        path = folder / "scan.npy"
        stack = np.lib.format.open_memmap(path, "w+", np.float32, (n, size, size))
        for part in blocks:
            clean = factor * images(part)
            stack[part] = clean + _NOISE * _LARGEST * rng.standard_normal(clean.shape)
            stack.flush()
        np.savetxt(folder / "scan.rawtlt", np.rad2deg(angles))
        return path
    path = folder / "scan.h5"
    beam = _PHOTONS * np.exp(-0.25 * np.linspace(-1, 1, size) ** 2) * np.ones((size, 1))
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "exchange/data", (n, size, size), np.uint16, chunks=(1, size, size)
        )
        for part in blocks:
            data[part] = rng.poisson(beam * np.exp(-factor * images(part))) + 100
        file["exchange/data_white"] = (rng.poisson(beam, (_FLATS, size, size)) + 100).astype("u2")
        file["exchange/data_dark"] = np.full((_FLATS, size, size), 100, np.uint16)
        file["exchange/theta"] = np.rad2deg(angles)
        file["exchange/theta"].attrs["units"] = "degrees"
    return path


def made(case: Case, folder: Path, seed: int) -> Path:
    """Return the file of a scan that stays in a folder; make it where it is not there."""
    kept = folder / f"{case.size}-{case.angles}-{case.kind}-{seed}"
    found = [path for path in (kept / "scan.npy", kept / "scan.h5") if path.is_file()]
    if found:
        return found[0]
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        path = make(case, Path(name), seed)
        Path(name).rename(kept)  # whole or not at all
    return kept / path.name


def measure(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Align the scan in this process; return what it took and how far off it is."""
    from napari_tomoalign import align
    from napari_tomoalign.io import read_scan

    small = simulate(48, 24)
    align(small.projections, small.angles, backend="builtin", maxiter=6, progress=False)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the high-water mark
    before = resident("VmRSS")
    truth = np.load(path.with_name("truth.npz"))
    began, cpu = time.perf_counter(), time.process_time()
    scan = read_scan(path, lazy=True)
    result = align(scan.projections, scan.angles, backend="builtin", progress=False, **options)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resident("VmHWM") - before
    middle = (scan.projections.shape[2] - 1) / 2
    centers = (result.center, middle)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak,
        "process": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "error": alignment_error(result.shifts, truth["shifts"], scan.angles, centers=centers),
        "binning": result.binning,
        "message": result.message,
    }


def read_once(path: Path) -> dict[str, Any]:
    """Read and prepare the scan once, binned by 4 block by block; return how long it takes."""
    from napari_tomoalign.io import read_scan

    began = time.perf_counter()
    projections: Any = read_scan(path, lazy=True).projections
    for start, stop in blocks_of(projections.shape):
        bin_stack(projections.read(slice(start, stop)), 4, 4)
    return {"seconds": time.perf_counter() - began}


def joint(path: Path) -> dict[str, Any]:
    """Align the scan by TomoPy's joint reprojection, ten iterations of SIRT."""
    from tomopy.prep.alignment import align_joint

    from napari_tomoalign.io import read_scan

    truth, scan = np.load(path.with_name("truth.npz")), read_scan(path)
    before, began = resident("VmRSS"), time.perf_counter()
    cpu = time.process_time()
    _, rows, columns, _ = align_joint(scan.projections, scan.angles, iters=10, algorithm="sirt")
    found = np.column_stack([rows, columns])
    middle = (scan.projections.shape[2] - 1) / 2  # where it takes the axis to be
    centers = (middle, middle)
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak": resident("VmHWM") - before + scan.projections.nbytes,
        "process": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "error": alignment_error(found, truth["shifts"], scan.angles, centers=centers),
        "binning": 1,
    }


TASKS = {"measure": measure, "read": read_once, "joint": joint}


def in_process(task: str, *arguments: Any) -> dict[str, Any]:
    """Return what a task finds in a fresh process."""
    call = json.dumps([task, *arguments])
    command = [sys.executable, str(Path(__file__).resolve()), "--call", call]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found


def row_of(name: str, case: Case, read: float, found: dict[str, Any]) -> tuple[list[str], bool]:
    """Return a row of the table, and whether a target is missed."""
    stack = 4 * case.angles * case.size**2
    limit = case.seconds
    if limit is not None and limit < 0:
        limit = -limit * read
    missed = [
        word
        for word, value, most in (
            ("time", found["seconds"], limit),
            ("memory", found["peak"] / stack, case.memory),
            ("memory", found["peak"], case.peak),
            ("error", found["error"], case.error),
        )
        if most is not None and value > most
    ]
    cells = [
        name,
        f"{case.size}^2, {case.angles} angles, {case.kind}",
        f"{stack / 1e9:.2f} GB",
        f"{read:.1f} s",
        f"{found['seconds']:.1f} s",
        f"{found['seconds'] / read:.1f}",
        f"{found['cpu']:.1f} s",
        f"{found['peak'] / 1e9:.2f} GB",
        f"{found['peak'] / stack:.2f}",
        f"{found['process'] / 1e9:.2f} GB",
        str(found["binning"]),
        f"{found['error']:.4f} px",
        " ".join(missed) or "-",
    ]
    return cells, bool(missed)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", default="256", help="of " + ", ".join(CASES) + ", with commas")
    parser.add_argument("--size", help="of cases of their own, with commas")
    parser.add_argument("--angles", type=int, help="of those (default: 45 for 32 columns)")
    parser.add_argument("--kind", choices=("float", "counts"), default="float")
    parser.add_argument("--folder", type=Path, help="for the scans (default: temporary files)")
    parser.add_argument("--keep", type=Path, help="in which scans are kept, and found again")
    parser.add_argument("--precision", type=float, help="pixels, in place of the default")
    parser.add_argument("--options", type=json.loads, default={}, help="more parameters, as JSON")
    parser.add_argument("--tomopy", action="store_true", help="align_joint beside it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--call", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark and print its report."""
    options = parse(arguments)
    if options.call:
        task, path, *more = json.loads(options.call)
        print(json.dumps(TASKS[task](Path(path), *more)))
        return 0
    print(facts())
    cases = [CASES[name] for name in options.cases.split(",")]
    if options.size:
        sizes = [int(size) for size in options.size.split(",")]
        cases = [Case(n, options.angles or n * 45 // 32, options.kind) for n in sizes]
    settings = {**options.options}
    if options.precision is not None:
        settings["precision"] = options.precision
    rows, failed = [], False
    for case in cases:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            if options.keep is None:
                path = make(case, Path(name), options.seed)
            else:
                options.keep.mkdir(parents=True, exist_ok=True)
                path = made(case, options.keep, options.seed)
            read = in_process("read", str(path))["seconds"]
            given = settings if case.peak is None else {**settings, "memory": int(case.peak)}
            found = in_process("measure", str(path), given)
            print(found["message"])
            cells, missed = row_of("align", case, read, found)
            rows.append(cells)
            print(*cells, flush=True)  # the next one may take hours
            failed |= missed
            if options.tomopy:
                plain = Case(case.size, case.angles, case.kind)
                rows.append(row_of("align_joint", plain, read, in_process("joint", str(path)))[0])
                print(*rows[-1], flush=True)
    header = [
        "",
        "scan",
        "stack",
        "read",
        "time",
        "of reading",
        "CPU",
        "peak",
        "of stack",
        "process",
    ]
    print(table([[*header, "binned by", "error", "missed"], *rows]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
