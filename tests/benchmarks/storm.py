"""Break runs and files on purpose, and count what is lost.

    python tests/benchmarks/storm.py            50 kills, 2,000 mutations, 40 full disks
    python tests/benchmarks/storm.py --kills 10 --mutations 200 --full-disks 5 --seed 3
    python tests/benchmarks/storm.py --format zarr --mutations 0
    python tests/benchmarks/storm.py --seconds 300 --notes notes.jsonl     again, until all is done

- Kills: a run is killed (SIGKILL) at a random moment, half of them by the clock and half at a
  random operation on a file, the final writing included. What lies there must be whole; the run
  must go on to the same bits as one that was never killed; nothing may be left lying about.
- Mutations: files of a scan and of a run with bytes flipped, cut, zeroed, doubled or spliced. Each
  is read, or refused by an error that names the file; in bounded time and memory; and is unchanged.
- Full disks: no file may grow beyond a random size (RLIMIT_FSIZE). The error says so; no half file
  stays, and what was there before is whole; with room, the run goes on to the same bits.

Each case is drawn from the seed and its own number, so that a storm that stops after ``--seconds``
goes on with the same cases where ``--notes`` says what was done. The exit status is 1 where
anything was lost, 2 where cases are left to be done. Linux and macOS only. What runs is forked
from this process, which has imported everything and run nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import matplotlib.pyplot  # noqa: F401  # imported before the forks, as the rest is
import mrcfile
import numpy as np
import tifffile
from broken_runs import damage, in_child, result_of
from machine import facts, table

from napari_tomoalign.alignment import align  # noqa: F401
from napari_tomoalign.cli import main as command
from napari_tomoalign.io import import_shifts, read_scan, read_shifts, write_scan
from napari_tomoalign.report import write_report  # noqa: F401
from napari_tomoalign.simulation import simulate

SECONDS = 20
"""A file that takes longer to read than this hangs; the files here take some milliseconds."""

MEMORY = 4 * 2**30
"""Bytes of address space for reading a file of some kilobytes: the program itself needs a half."""

OPTIONS = ["--backend", "builtin", "--no-progress", "--workers", "1"]
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}


def goes_on(scan: Path, folder: Path, whole: tuple[bytes, ...]) -> list[str]:
    """Finish a run; return what is not as if nothing had happened."""
    words = ["align", str(scan), *OPTIONS]
    begun = (folder / "shifts.h5").exists()
    words += ["--resume", str(folder)] if begun else ["-o", str(folder), "--overwrite"]
    code, said = in_child(lambda: command(words))
    if code not in (0, 3):
        return [f"it does not go on: {said.strip()[-200:]}"]
    wrong = damage(folder)
    if result_of(folder) != whole:
        wrong.append("it ends elsewhere")
    wrong += [f"{path.name} is left" for path in folder.iterdir() if path.name.startswith(".")]
    return wrong


class Storms:
    """The cases that are to be done, those that were, and what was lost in them.

    Parameters
    ----------
    seed : int
        All cases are drawn from it.
    seconds : float
        No case begins later than that.
    notes : path, optional
        A line of JSON for each case that was done; those that it has are not done again.
    """

    def __init__(self, seed: int, seconds: float, notes: Path | None) -> None:
        self._seed, self._notes = seed, notes
        self._until = time.monotonic() + seconds
        lines = notes.read_text(encoding="utf-8").splitlines() if notes and notes.exists() else []
        self._done = {(one["storm"], one["number"]): one for one in map(json.loads, lines)}
        self._asked = Counter[str]()

    def run(
        self, storm: str, count: int, case: Callable[[int, np.random.Generator], tuple[str, ...]]
    ) -> None:
        """Do the cases of a storm; each returns what came of it, then what was lost."""
        self._asked[storm] = count
        for number in range(count):
            if (storm, number) in self._done or time.monotonic() > self._until:
                continue
            draw = [self._seed, int.from_bytes(storm.encode(), "little"), number]
            outcome, *lost = case(number, np.random.default_rng(draw))
            for one in lost:
                print(f"{storm}, {number}: {one}", file=sys.stderr, flush=True)
            found = {"storm": storm, "number": number, "outcome": outcome, "lost": lost}
            self._done[storm, number] = found
            if self._notes:
                with self._notes.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")

    def table(self) -> tuple[list[list[str]], int]:
        """Return a row for each storm, and the exit status."""
        rows, missing, bad = [], 0, 0
        for storm, count in self._asked.items():
            done = [self._done[storm, n] for n in range(count) if (storm, n) in self._done]
            lost = sum(bool(one["lost"]) for one in done)
            kinds = Counter(one["outcome"] for one in done)
            words = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
            rows.append([storm, f"{len(done)} of {count}", words, str(lost)])
            missing, bad = missing + count - len(done), bad + lost
        return rows, 1 if bad else 2 * bool(missing)


def storm_of_kills(storms: Storms, count: int, scan: Path, place: Path) -> None:
    """Kill runs."""
    words = ["align", str(scan), "-o", str(place / "whole"), *OPTIONS]
    code, said = in_child(lambda: command(words))
    assert code in (0, 3), said
    whole = result_of(place / "whole")

    def counted(folder: Path, limit: int | None) -> int:
        seen = 0

        def hook(event: str, words: tuple[object, ...]) -> None:
            nonlocal seen
            if event in EVENTS and str(folder) in str(words[0]):
                seen += 1
                if seen == limit:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        code = command(["align", str(scan), "-o", str(folder), *OPTIONS])
        print(f"events {seen}")
        return code

    begin = time.perf_counter()  # of the second run: the first one may have compiled
    _, said = in_child(lambda: counted(place / "counted", None))
    seconds = time.perf_counter() - begin
    events = int(said.split()[-1])

    def judged(folder: Path, code: int) -> tuple[str, ...]:
        outcome = "in mid-run" if code == -signal.SIGKILL else "too late"
        if code == -signal.SIGKILL and (folder / "shifts.csv").exists():
            outcome = "in the final writing"
        wrong = damage(folder) + goes_on(scan, folder, whole)
        shutil.rmtree(folder)
        return outcome, *wrong

    def by_the_clock(number: int, rng: np.random.Generator) -> tuple[str, ...]:
        folder = place / f"clock{number}"
        words = ["align", str(scan), "-o", str(folder), *OPTIONS]
        code, _ = in_child(lambda: command(words), float(rng.uniform(0, seconds)))
        return judged(folder, code)

    def at_an_operation(number: int, rng: np.random.Generator) -> tuple[str, ...]:
        folder, limit = place / f"file{number}", int(rng.integers(1, events + 1))
        code, _ = in_child(lambda: counted(folder, limit))
        return judged(folder, code)

    storms.run("kills by the clock", count // 2, by_the_clock)
    storms.run("kills at an operation on a file", count - count // 2, at_an_operation)


def originals(place: Path, scan: Path) -> list[Path]:
    """Write small files of every kind that is read."""
    place.mkdir()
    stack = simulate(size=16, n_angles=12, seed=1)
    degrees = np.degrees(stack.angles)
    images = stack.projections
    files = [place / name for name in ("scan.h5", "scan.mrc", "scan.tif", "scan.npy", "scan.npz")]
    write_scan(files[0], images, stack.angles)
    with mrcfile.new(files[1], data=images):
        pass
    tifffile.imwrite(files[2], images, photometric="minisblack")
    np.save(files[3], images)
    np.savez(files[4], projections=images, theta=degrees)
    nexus = place / "scan.nxs"
    with h5py.File(nexus, "w") as file:
        file["/entry/definition"] = "NXtomo"
        file["/entry/instrument/detector/data"] = images
        file["/entry/instrument/detector/image_key"] = np.zeros(len(images), int)
        file["/entry/sample/rotation_angle"] = degrees
        file["/entry/sample/rotation_angle"].attrs["units"] = "degree"
    run = place / "run"
    words = ["align", str(scan), "-o", str(run), *OPTIONS, "--format", "h5"]
    in_child(lambda: command(words))
    return [*files, nexus, run / "shifts.h5", run / "shifts.csv", run / "aligned.h5"]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes with some of them changed."""
    content = bytearray(data)
    at = int(rng.integers(len(content)))
    length = int(rng.integers(1, 1 + min(64, len(content) - at)))
    way = rng.integers(6)
    if way == 0:
        for where in rng.integers(len(content), size=rng.integers(1, 9)):
            content[where] ^= 1 << int(rng.integers(8))
    elif way == 1:
        del content[at:]
    elif way == 2:
        content[at : at + length] = bytes(length)
    elif way == 3:
        content[at:at] = content[at : at + length]
    elif way == 4:
        content[at : at + length] = rng.bytes(length)
    else:
        del content[at : at + length]
    return bytes(content)


def read_mutation(path: Path, kind: str) -> str:
    """Read a file; return ``read``, ``refused`` or what else came."""
    settings = (
        {}
        if kind in ("scan.npz", "scan.h5", "scan.nxs", "aligned.h5")
        else {"first_last": (0.0, 165.0)}
    )
    try:
        if kind == "shifts.h5":
            read_shifts(path)
        elif kind == "shifts.csv":
            import_shifts(path)
        else:
            read_scan(path, **settings)
    except Exception as error:
        ours = isinstance(error, (ValueError, OSError)) and path.name in str(error)
        return "refused" if ours else f"no words of ours: {type(error).__name__}: {error}"[:160]
    return "read"


def storm_of_mutations(storms: Storms, count: int, scan: Path, place: Path) -> None:
    """Read broken files."""
    files = originals(place / "originals", scan)
    for index, original in enumerate(files):
        data = original.read_bytes()
        target = place / f"broken{original.suffix}"

        def broken(
            _: int,
            rng: np.random.Generator,
            data: bytes = data,
            target: Path = target,
            kind: str = original.name,
        ) -> tuple[str, ...]:
            target.write_bytes(mutated(data, rng))
            before = target.read_bytes()

            def work() -> int:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                signal.alarm(SECONDS)
                print(read_mutation(target, kind))
                return 0

            code, said = in_child(work)
            lines = said.strip().splitlines() or [""]
            if target.read_bytes() != before:
                return "changed", "the file was changed"
            if code:
                return "ended", f"it ended with {code}"
            outcome, _, what = lines[-1].partition(":")
            return (outcome, what) if what else (outcome,)

        storms.run(f"mutations of {original.name}", len(range(index, count, len(files))), broken)


def storm_of_full_disks(storms: Storms, count: int, scan: Path, place: Path) -> None:
    """Let files grow to a random size only."""
    whole = result_of(place / "whole")
    largest = max(path.stat().st_size for path in (place / "whole").rglob("*") if path.is_file())

    def full(number: int, rng: np.random.Generator) -> tuple[str, ...]:
        folder = place / f"full{number}"
        limit = int(rng.integers(100, largest))

        def work() -> int:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            errors = io.StringIO()
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with contextlib.redirect_stdout(errors), contextlib.redirect_stderr(errors):
                code = command(["align", str(scan), "-o", str(folder), *OPTIONS])
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            print(errors.getvalue())
            return code

        code, said = in_child(work)
        wrong = damage(folder)
        if code != 2 or "is full" not in said:
            wrong.append(f"it ended with {code}, said {said.strip()[-200:]!r}")
        if folder.exists():
            hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
            wrong += [f"{name} is left" for name in hidden]
        wrong += goes_on(scan, folder, whole)
        shutil.rmtree(folder)
        return "refused", *(f"{limit} bytes: {one}" for one in wrong)

    storms.run("full disks", count, full)


def main() -> int:
    """Run the storm and print the table."""
    parser = argparse.ArgumentParser(description="Break things on purpose and count the losses.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--full-disks", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", default="h5", help="of what is killed, and fills disks")
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--notes", type=Path)
    arguments = parser.parse_args()
    storms = Storms(arguments.seed, arguments.seconds, arguments.notes)
    OPTIONS.extend(["--format", arguments.format])
    print(facts())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        scan = place / "scan.h5"
        small = ["--size", "32", "--n-angles", "30", "--jitter", "2"]
        in_child(lambda: command(["simulate", "-o", str(scan), *small]))
        storm_of_kills(storms, arguments.kills, scan, place)
        storm_of_full_disks(storms, arguments.full_disks, scan, place)
        storm_of_mutations(storms, arguments.mutations, scan, place)
    rows, status = storms.table()
    print(table([["storm", "done", "outcome", "lost"], *rows]))
    return status


if __name__ == "__main__":
    sys.exit(main())
